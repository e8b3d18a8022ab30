"""The kitchen's teacher: descriptions of an action, written from ground truth.

LEGO's teacher LLM is prompted with narrations and boxes; in a simulator the same can be said with
certainty. Every fact of a sentence stands in the record (docs/architecture.md, "A recording"), and
`facts.py` can read it back.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

# What is said of each verb, or of one action of it, in several grammatical shapes.
SENTENCES: dict[str, list[str]] = {
    "open drawer": [
        "{who} hooks the fingers of the {side} hand over the handle of {thing}{where} and pulls "
        "it out towards the body.",
        "{who} takes hold of the handle of {thing}{where} {hand} and pulls it towards the body.",
        "The {side} hand reaches for the handle of {thing}{where} and pulls it towards the body.",
    ],
    "close drawer": [
        "{who} lays the fingers of the {side} hand on the handle of {thing}{where} and pushes it "
        "in, away from the body.",
        "{who} takes the handle of {thing}{where} {hand} and pushes it away from the body.",
        "The {side} hand reaches for {thing}{where} and pushes it shut, away from the body.",
    ],
    "open": [
        "{who} grips the handle of {thing}{where} {hand} and swings the door {swing} to open it.",
        "The {side} hand takes the handle of {thing}{where} and swings the door {swing} to open "
        "it.",
    ],
    "close": [
        "{who} grips the handle of {thing}{where} {hand} and swings the door {swing} to close it.",
        "The {side} hand takes the handle of {thing}{where} and swings the door {swing} to close "
        "it.",
    ],
    "turn-on tap": [
        "{who} grasps the lever of {thing}{where} {hand} and pulls it towards the body, and water "
        "starts to run into the sink.",
        "The {side} hand takes the lever of {thing}{where} and pulls it towards the body; water "
        "begins to flow.",
    ],
    "turn-off tap": [
        "{who} grasps the lever of {thing}{where} {hand} and pushes it away from the body, and "
        "the water stops running.",
        "The {side} hand takes the lever of {thing}{where} and pushes it away from the body; the "
        "water stops.",
    ],
    "turn-on": [
        "{who} turns the knob of {thing}{where} {motion} {hand}, and the ring begins to glow.",
        "The {side} hand pinches the knob of {thing}{where} and turns it {motion}; the ring "
        "begins to glow.",
    ],
    "turn-off": [
        "{who} turns the knob of {thing}{where} {motion} {hand}, and the ring stops glowing.",
        "The {side} hand pinches the knob of {thing}{where} and turns it {motion}; the ring "
        "stops glowing.",
    ],
    "press": [
        "{who} stretches the index finger of the {side} hand and presses {thing} of the "
        "microwave{where}; the display lights up.",
        "The {side} hand reaches out and pushes in {thing} of the microwave{where} with one "
        "finger; the display lights up.",
    ],
    "take": [
        "{who} closes the {side} hand on {thing}{where} and lifts it up from {source}.",
        "The {side} hand reaches for {thing}{where}, grasps it and raises it from {source}.",
        "{who} picks up {thing}{where} from {source} {hand}.",
    ],
    "put-down": [
        "{who} lowers {thing} {goal}{where} {hand}.",
        "The {side} hand, holding {thing}, moves down and sets it {goal}{where}.",
        "{who} puts {thing} down {goal}{where} {hand}.",
    ],
    "pour": [
        "{who} tilts {tool} to the {motion} {hand} and pours {liquid} from it into {thing}{where}.",
        "The {side} hand holds {tool} above {thing}{where} and tips it to the {motion}, so that "
        "{liquid} runs into it.",
    ],
    "cut": [
        "{who} presses {tool} down through {thing}{where} {hand}.",
        "The {side} hand, holding {tool}, saws down into {thing}{where}.",
    ],
    "stir": [
        "{who} dips {tool} into {thing}{where} and stirs in circles {hand}.",
        "The {side} hand moves {tool} round in circles inside {thing}{where}.",
    ],
    "wipe": [
        "{who} presses {tool} flat on the worktop{where} {hand} and wipes back and forth.",
        "The {side} hand slides {tool} back and forth over the worktop{where}, leaving it wet.",
    ],
    "wash": [
        "{who} holds {thing} under the running water{where} {hand} and moves it back and forth.",
        "The {side} hand turns {thing} back and forth under the running tap{where}.",
    ],
}


def describe(record: dict[str, Any], seed: int = 0) -> str:
    """One description of a recorded action; the wording depends on (seed, narration id) alone.

    It says which hand acts on which object, where that is seen, what moves where, with which tool,
    and what the other hand does.
    """
    rng = random.Random(zlib.crc32(f"{seed} {record['narration_id']}".encode()))
    main = _sentence(record, rng)
    other = _other_hand(record, rng)
    text = f"{main} {other}" if rng.random() < 0.7 else f"{main.rstrip('.')}, while {_lower(other)}"
    return text


def _sentence(record: dict[str, Any], rng: random.Random) -> str:
    verb, noun, side = record["verb"], record["noun"], record["hands"][0]
    templates = SENTENCES.get(f"{verb} {noun}") or SENTENCES[verb]
    motion = record["motion"]
    return rng.choice(templates).format(
        who=rng.choice(["The person", "The wearer"]),
        side=side,
        hand=rng.choice([f"with the {side} hand", f"using the {side} hand"]),
        thing=_called(record["item"]),
        tool=_called(record["tool"]) if record["tool"] else "",
        where=_after_space(place(record)),
        motion=motion,
        swing=motion if motion in ("up", "down") else f"to the {motion}",
        source=_surface(record["from"]["noun"]) if record["from"] else "",
        goal=_goal(record["to"]["noun"]) if record["to"] else "",
        liquid=noun,
    )


def place(record: dict[str, Any]) -> str:
    """Where the acted thing is seen, in words, from its box: "at the lower left"; nothing where it
    is hidden.
    """
    box = acted_box(record)
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


def acted_box(record: dict[str, Any]) -> dict[str, Any] | None:
    """The box that "where" speaks of: the item before the action, or, for what is carried to its
    place, while it happens.
    """
    frame = "pnr" if record["verb"] in ("put-down", "wipe", "wash") else "pre"
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


def _surface(noun: str) -> str:
    return {"board": "the chopping board"}.get(noun, f"the {noun}")


def _goal(noun: str) -> str:
    return "into the sink" if noun == "sink" else f"onto {_surface(noun)}"


def _after_space(words: str) -> str:
    return f" {words}" if words else ""


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
