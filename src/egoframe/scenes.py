"""The families of built-in scenes, by name; MuJoCo is loaded when a family's scenes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egoframe.kitchen.language import LANGUAGE as KITCHEN
from egoframe.simulator import facts, teacher
from egoframe.workshop.language import LANGUAGE as WORKSHOP

if TYPE_CHECKING:
    from egoframe.simulator.family import Family

LANGUAGES = {language.scene: language for language in (KITCHEN, WORKSHOP)}


def scene_of(record: dict[str, Any]) -> str:
    """Which family a line of simulator.jsonl is of; the kitchen's do not say so.

    Raises:
        KeyError: there is no such family.
    """
    return LANGUAGES[record.get("scene", KITCHEN.scene)].scene


def open_family(scene: str) -> Family:
    """A family, with what draws its scenes."""
    if scene == WORKSHOP.scene:
        from egoframe.workshop.family import WORKSHOP as workshop

        return workshop
    from egoframe.kitchen.family import KITCHEN as kitchen

    return kitchen


def describe(record: dict[str, Any], seed: int = 0) -> str:
    """One description of a recorded action, see `simulator/teacher.py`."""
    return teacher.describe(record, LANGUAGES[scene_of(record)], seed)


def check(description: str, record: dict[str, Any]) -> list[facts.Fact]:
    """Every checkable fact of a description, compared with the record of the action."""
    return facts.check(description, record, LANGUAGES[scene_of(record)])
