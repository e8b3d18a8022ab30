"""Commands out of documentation, and whether the command line has them."""

import re
import shlex
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import typer

from egoframe.cli import app

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINE = re.compile(r"^(?:[A-Z_]+=\S+ )?(?:torchrun \S+ \S+ -m )?egoframe (.*)$")


def commands(text: str) -> list[list[str]]:
    """The arguments of each `egoframe …` line in the fenced blocks of a page."""
    found = []
    for language, block in FENCE.findall(text):
        if language == "python":
            continue
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if match := LINE.match(line.strip()):
                words = shlex.split(match[1], comments=True)
                found.append([word for word in words if word != "…"])
    return found


def check_command(arguments: list[str]) -> None:
    """Parse a command line as the application does, without running it.

    Raises: as the parser does, where there is no such command, option or choice, or where an
        argument is missing; AssertionError where there is no such setting.
    """
    command: Any = typer.main.get_command(app)
    path, rest = [], list(arguments)
    while hasattr(command, "commands"):
        assert rest, f"{path}: which command?"
        assert rest[0] in command.commands, f"{path}: no command {rest[0]}"
        path.append(rest[0])
        command = command.commands[rest.pop(0)]
    context = command.make_context(" ".join(path), rest)
    for setting in context.params.get("settings") or ():
        check_setting(" ".join(path), setting.partition("=")[0])


def check_setting(command: str, key: str) -> None:
    kind: Any = config_of(command)
    for name in key.split("."):
        assert is_dataclass(kind), f"{command}: no setting {key}"
        assert name in {field.name for field in fields(kind)}, f"{command}: no setting {key}"
        kind = get_type_hints(kind)[name]


def config_of(command: str) -> type:
    """The settings that a command reads."""
    from egoframe.curation.build import BuildConfig
    from egoframe.enhancer.tuning import TuningConfig
    from egoframe.generator.distillation import DistillationConfig
    from egoframe.generator.generator_training import GeneratorConfig
    from egoframe.teacher.settings import TeacherConfig

    if command.startswith("data build"):
        return BuildConfig
    return {"train enhancer": TuningConfig, "train generator": GeneratorConfig,
            "train distill": DistillationConfig, "describe": TeacherConfig}[command]  # fmt: skip
