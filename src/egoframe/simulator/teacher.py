"""The simulator's teacher: descriptions of an action, written from ground truth.

LEGO's teacher LLM is prompted with narrations and boxes; in a simulator the same can be said with
certainty. Every fact of a sentence stands in the record (docs/architecture.md, "A recording"), and
`facts.py` can read it back.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

from egoframe.simulator.language import Language


def describe(record: dict[str, Any], language: Language, seed: int = 0) -> str:
    """One description of a recorded action; the wording depends on (seed, narration id) alone.

    It says which hand acts on which object, where that is seen, what moves where, with which tool,
    and what the other hand does.
    """
    rng = random.Random(zlib.crc32(f"{seed} {record['narration_id']}".encode()))
    main = _sentence(record, language, rng)
    other = _other_hand(record, rng)
    text = f"{main} {other}" if rng.random() < 0.7 else f"{main.rstrip('.')}, while {_lower(other)}"
    return text


def _sentence(record: dict[str, Any], language: Language, rng: random.Random) -> str:
    verb, noun, side = record["verb"], record["noun"], record["hands"][0]
    templates = language.sentences.get(f"{verb} {noun}") or language.sentences[verb]
    motion = record["motion"]
    return rng.choice(templates).format(
        who=rng.choice(["The person", "The wearer"]),
        side=side,
        hand=rng.choice([f"with the {side} hand", f"using the {side} hand"]),
        thing=_called(record["item"]),
        tool=_called(record["tool"]) if record["tool"] else "",
        where=_after_space(place(record, language)),
        motion=motion,
        swing=motion if motion in ("up", "down") else f"to the {motion}",
        source=_surface(record["from"]["noun"], language) if record["from"] else "",
        goal=_goal(record["to"]["noun"], language) if record["to"] else "",
        liquid=noun,
    )


def place(record: dict[str, Any], language: Language) -> str:
    """Where the acted thing is seen, in words, from its box: "at the lower left"; nothing where it
    is hidden.
    """
    box = acted_box(record, language)
    if box is None:
        return ""
    x, y = (box["x0"] + box["x1"]) / 2, (box["y0"] + box["y1"]) / 2
    across = "left" if x < 0.4 else "right" if x > 0.6 else ""
    down = "upper" if y < 0.36 else "lower" if y > 0.64 else ""
    if across and down:
        return f"at the {down} {across}"
    if across:
        return f"on the {across}"
    if down:
        return {"upper": "at the top", "lower": "at the bottom"}[down]
    return "in the middle of the view"


def acted_box(record: dict[str, Any], language: Language) -> dict[str, Any] | None:
    """The box that "where" speaks of: the item before the action, or, for what is carried to its
    place, while it happens.
    """
    frame = "pnr" if record["verb"] in language.carried else "pre"
    boxes = record["frames"][frame]["boxes"]
    return next((box for box in boxes if box["label"] == record["item"]["name"]), None)


def _other_hand(record: dict[str, Any], rng: random.Random) -> str:
    other = record["other_hand"]
    side = other["side"]
    if other["doing"] == "hold":
        return rng.choice([f"The {side} hand holds {_called(other['item'])}.",
                           f"The {side} hand keeps hold of {_called(other['item'])}."])  # fmt: skip
    if other["doing"] == "steady":
        return rng.choice([f"The {side} hand steadies {_called(other['item'])}.",
                           f"The {side} hand holds {_called(other['item'])} still."])  # fmt: skip
    return rng.choice([f"The {side} hand rests.", f"The {side} hand stays at rest.",
                       f"The {side} hand does nothing."])  # fmt: skip


def _called(item: dict[str, str]) -> str:
    return f"the {item['color']} {item['noun']}"


def _surface(noun: str, language: Language) -> str:
    return f"the {next((said for said, word in language.surfaces.items() if word == noun), noun)}"


def _goal(noun: str, language: Language) -> str:
    return language.goals.get(noun) or f"onto {_surface(noun, language)}"


def _after_space(words: str) -> str:
    return f" {words}" if words else ""


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
