"""The pages of the documentation: their commands exist, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs import check_command, commands

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TASKS = ("own-photos", "own-data", "train", "evaluate", "storyboards", "share", "serve")
EVERY = [*PAGES, ROOT / "README.md"]
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+)*)(?:=[^`]*)?`")
OPTION = re.compile(r"`(--[a-z][a-z-]*)")


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.stem)
def test_every_command_and_its_options_exist(page):
    found = commands(page.read_text(encoding="utf-8"))
    assert found or page.stem not in TASKS
    for arguments in found:
        try:
            check_command(arguments)
        except Exception as error:
            pytest.fail(f"{page.name}: egoframe {' '.join(arguments)}: {error}")


@pytest.mark.parametrize("name", TASKS)
def test_the_options_that_a_page_tells_of_belong_to_a_command_of_it(name):
    """Those in its prose and tables; docker's and curl's stand in its blocks."""
    import typer

    from egoframe.cli import app

    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    known: set[str] = set()
    for arguments in commands(text):
        command = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0)]
        known |= {option for parameter in command.params for option in parameter.opts}
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    assert set(OPTION.findall(prose)) <= known


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_index_has_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.stem == "README" or f"({page.name})" in index


@pytest.mark.parametrize(
    "line",
    ["generat photo.jpg x", "generate photo.jpg", "generate photo.jpg x --no-such",
     "data push pairs", "train generator paper loop.stepz=3", "generate a b --bits 3"],
)  # fmt: skip
def test_a_command_that_does_not_exist_is_found(line):
    found = commands(f"```\negoframe {line}\n```\n")
    assert len(found) == 1
    with pytest.raises(Exception, match=r"\w"):
        check_command(found[0])
