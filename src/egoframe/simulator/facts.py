"""Reads the checkable facts of a description back out of its words, and compares them with a
record. It knows English, not the teacher's templates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from egoframe.simulator.language import Language
from egoframe.simulator.style import COLORS
from egoframe.simulator.teacher import acted_box

COLOR_WORDS = (*COLORS, "clear")
DIRECTIONS = {
    r"towards the body": "towards", r"away from the body": "away", r"to the left": "left",
    r"to the right": "right", r"\bcounterclockwise|\banticlockwise": "anticlockwise",
    r"(?<!anti)(?<!counter)\bclockwise": "clockwise", r"\bcircles?\b": "circular",
    r"back and forth": "back-and-forth", r"(lifts|raises|picks).{0,40}\bup\b|raises|picks up": "up",
    r"\bswings the door up\b": "up",
    r"\b(lowers|down)\b": "down", r"\bpress(es)? the .* button|pushes in": "away",
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One thing that a description says, and whether it is so."""

    kind: str  # hand, object, place, direction, surface, tool, other hand
    said: str
    right: bool


def check(description: str, record: dict[str, Any], language: Language) -> list[Fact]:
    """Every checkable fact of a description, compared with the record of the action."""
    text = " ".join(description.lower().split())
    main, other = _split(text)
    return [
        *_hand(main, record),
        *_objects(main, record, language),
        *_place(main, record, language),
        *_direction(main, record),
        *_surface(main, record, language),
        *_other_hand(other, record, language),
    ]


def accuracy(facts: list[Fact]) -> float:
    """The share of facts that are right; 1 where nothing checkable is said."""
    return sum(fact.right for fact in facts) / len(facts) if facts else 1.0


def _split(text: str) -> tuple[str, str]:
    """What the acting hand does, and what the other does: the last clause that names a hand."""
    match = list(re.finditer(r"(?:\. |, while )(?=the (?:left|right) hand)", text))
    if not match:
        return text, ""
    return text[: match[-1].start()], text[match[-1].end() :]


def _hand(main: str, record: dict[str, Any]) -> list[Fact]:
    return [
        Fact("hand", side, side in record["hands"])
        for side in dict.fromkeys(re.findall(r"\b(left|right) hand", main))
    ]


def _objects(main: str, record: dict[str, Any], language: Language) -> list[Fact]:
    known = {(record["item"]["color"], record["item"]["noun"])}
    if record["tool"]:
        known.add((record["tool"]["color"], record["tool"]["noun"]))
    facts = []
    for color, noun in _colored(main, language):
        tool = record["tool"] is not None and noun == record["tool"]["noun"]
        facts.append(Fact("tool" if tool else "object", f"{color} {noun}", (color, noun) in known))
    return facts


def _colored(text: str, language: Language) -> list[tuple[str, str]]:
    """(colour, noun) of everything that is called by its colour."""
    nouns = "|".join(sorted(language.noun_classes, key=len, reverse=True))
    return re.findall(rf"\b({'|'.join(COLOR_WORDS)}) ({nouns})\b", text)


def _place(main: str, record: dict[str, Any], language: Language) -> list[Fact]:
    if found := re.search(r"\bat the (upper|lower) (left|right)\b", main):
        down, across = found[1], found[2]
    elif found := re.search(r"\b(?:on|at) the (left|right)\b(?! hand)", main):
        down, across = "", found[1]
    elif found := re.search(r"\bat the (top|bottom)\b", main):
        down, across = {"top": "upper", "bottom": "lower"}[found[1]], ""
    elif "in the middle of the view" in main:
        down, across = "", ""
    else:
        return []
    words = f"{down} {across}".strip() or "middle"
    box = acted_box(record, language)
    if box is None:
        return [Fact("place", words, False)]
    x, y = (box["x0"] + box["x1"]) / 2, (box["y0"] + box["y1"]) / 2
    slack = 0.01  # boxes are rounded
    across_right = {"left": x < 0.4 + slack, "right": x > 0.6 - slack}.get(
        across, abs(x - 0.5) < 0.1 + slack
    )
    down_right = {"upper": y < 0.36 + slack, "lower": y > 0.64 - slack}.get(
        down, abs(y - 0.5) < 0.14 + slack
    )
    return [Fact("place", words, across_right and down_right)]


def _direction(main: str, record: dict[str, Any]) -> list[Fact]:
    said = [word for pattern, word in DIRECTIONS.items() if re.search(pattern, main)]
    true = record["motion"]
    return [Fact("direction", word, word == true) for word in dict.fromkeys(said)]


def _surface(main: str, record: dict[str, Any], language: Language) -> list[Fact]:
    true = {part["noun"] for part in (record["from"], record["to"]) if part}
    true |= language.settings.get(record["noun"], frozenset())
    said = [noun for words, noun in language.surfaces.items()
            if re.search(rf"\b(?:from|on|onto|in|into|over) the {words}\b", main)]  # fmt: skip
    return [Fact("surface", noun, noun in true) for noun in said]


def _other_hand(other: str, record: dict[str, Any], language: Language) -> list[Fact]:
    sides = re.findall(r"\b(left|right) hand", other)
    if not sides:
        return []
    true = record["other_hand"]
    doing = "rest"
    if re.search(r"\bsteadies\b|\bstill\b", other):
        doing = "steady"
    elif re.search(r"\bholds\b|\bhold of\b", other):
        doing = "hold"
    facts = [Fact("other hand", sides[0], sides[0] == true["side"])]
    facts.append(Fact("other hand", doing, doing == true["doing"]))
    item = true.get("item")
    for color, noun in _colored(other, language):
        right = item is not None and (color, noun) == (item["color"], item["noun"])
        facts.append(Fact("other hand", f"{color} {noun}", right))
    return facts
