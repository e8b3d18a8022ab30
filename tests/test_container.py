"""The Dockerfile, which no test builds: what it copies exists, and its versions and commands are
those of the package."""

import inspect
import json
import re
import tomllib
from pathlib import Path

from egoframe.apps.server.security import OPEN
from egoframe.cli.serve import serve
from tests.docs import check_command

ROOT = Path(__file__).parents[1]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def lines(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction}\s+(.*)$", TEXT, re.M)


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    copied = [word for line in lines("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert sorted(copied) == sorted(line[1:] for line in ignored if line.startswith("!"))
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(copied)


def test_versions_are_those_that_were_tested():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    installs = [line for line in lines("RUN") if "pip install" in line]
    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)
    named = re.findall(r"[\w-]+==[\w.]+", TEXT)
    assert named == ["torch==2.13.0"]
    assert set(named) <= set(pinned)
    (python,) = set(re.findall(r"^FROM python:([\d.]+)-slim", TEXT, re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={python}"
    (extra,) = re.findall(r'"\.\[(\w+)\]"', TEXT)
    wanted = project["optional-dependencies"][extra]
    names = {line.partition("==")[0].lower().replace("_", "-") for line in pinned}
    assert {re.split(r"[>=\[]", need)[0].lower() for need in wanted} <= names


def test_it_serves_as_a_user_without_rights_and_is_asked_where_it_answers():
    assert lines("USER") == ["egoframe"]
    (entry,), (command,) = lines("ENTRYPOINT"), lines("CMD")
    assert json.loads(entry) == ["egoframe"]
    check_command(json.loads(command))
    port = str(inspect.signature(serve).parameters["port"].default)
    assert lines("EXPOSE") == [port]
    (check,) = lines("HEALTHCHECK")
    asked, path = re.search(r"127\.0\.0\.1:(\d+)(/\w+)", check).groups()
    assert asked == port
    assert path in OPEN
