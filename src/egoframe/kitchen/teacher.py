"""The kitchen's teacher: descriptions of an action, written from ground truth.

LEGO's teacher LLM is prompted with narrations and boxes; in a simulator the same can be said with
certainty. Every fact of a sentence stands in the record (docs/architecture.md, "A recording"), and
`facts.py` can read it back.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

MAX_TOKENS = 75  # a CLIP text model reads 77, two of which mark beginning and end


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
    verb = record["verb"]
    side = record["hands"][0]
    thing, tool = _called(record["item"]), _called(record["tool"]) if record["tool"] else ""
    where = place(record)
    hand = rng.choice([f"with the {side} hand", f"using the {side} hand"])
    who = rng.choice(["The person", "The wearer"])
    motion = record["motion"]
    match verb:
        case "open" | "close" if record["noun"] == "drawer":
            pull = (
                "pulls it out towards the body"
                if verb == "open"
                else "pushes it in, away from the body"
            )
            return rng.choice([
                f"{who} hooks the fingers of the {side} hand over the handle of {thing} {where} and {pull}.",
                f"{who} takes hold of the handle of {thing} {where} {hand} and {pull}.",
                f"The {side} hand reaches for the handle of {thing} {where} and {pull}.",
            ])  # fmt: skip
        case "open" | "close":
            swing = (
                f"swings the door {motion}"
                if motion in ("up", "down")
                else f"swings the door to the {motion}"
            )
            end = "to open it" if verb == "open" else "to close it"
            return rng.choice([
                f"{who} grips the handle of {thing} {where} {hand} and {swing} {end}.",
                f"The {side} hand takes the handle of {thing} {where} and {swing} {end}.",
            ])  # fmt: skip
        case "turn-on" | "turn-off" if record["noun"] == "tap":
            effect = ("water starts to run into the sink" if verb == "turn-on"
                      else "the water stops running")  # fmt: skip
            move = (
                "pulls it towards the body" if verb == "turn-on" else "pushes it away from the body"
            )
            return rng.choice([
                f"{who} grasps the lever of {thing} {where} {hand} and {move}, and {effect}.",
                f"The {side} hand takes the lever of {thing} {where} and {move}; {effect}.",
            ])  # fmt: skip
        case "turn-on" | "turn-off":
            effect = "the ring begins to glow" if verb == "turn-on" else "the ring stops glowing"
            return rng.choice([
                f"{who} turns the knob of {thing} {where} {motion} {hand}, and {effect}.",
                f"The {side} hand pinches the knob of {thing} {where} and turns it {motion}; {effect}.",
            ])  # fmt: skip
        case "press":
            return rng.choice([
                f"{who} stretches the index finger of the {side} hand and presses {thing} {where} of the microwave; the display lights up.",
                f"The {side} hand reaches out and pushes in {thing} {where} of the microwave with one finger; the display lights up.",
            ]).replace(f"{where} of the microwave", f"of the microwave {where}")  # fmt: skip
        case "take":
            source = _surface(record["from"]["noun"])
            return rng.choice([
                f"{who} closes the {side} hand on {thing} {where} and lifts it up from {source}.",
                f"The {side} hand reaches for {thing} {where}, grasps it and raises it from {source}.",
                f"{who} picks up {thing} {where} from {source} {hand}.",
            ])  # fmt: skip
        case "put-down":
            goal = _surface(record["to"]["noun"])
            return rng.choice([
                f"{who} lowers {thing} onto {goal} {where} {hand}.",
                f"The {side} hand, holding {thing}, moves down and sets it on {goal} {where}.",
                f"{who} puts {thing} down on {goal} {where} {hand}.",
            ])  # fmt: skip
        case "pour":
            liquid = record["noun"]
            return rng.choice([
                f"{who} tilts {tool} to the {motion} {hand} and pours {liquid} from it into {thing} {where}.",
                f"The {side} hand holds {tool} above {thing} {where} and tips it to the {motion}, so that {liquid} runs into it.",
            ])  # fmt: skip
        case "cut":
            return rng.choice([
                f"{who} presses {tool} down through {thing} {where} {hand}.",
                f"The {side} hand, holding {tool}, saws down into {thing} {where}.",
            ])  # fmt: skip
        case "stir":
            return rng.choice([
                f"{who} dips {tool} into {thing} {where} and stirs in circles {hand}.",
                f"The {side} hand moves {tool} round in circles inside {thing} {where}.",
            ])  # fmt: skip
        case "wipe":
            return rng.choice([
                f"{who} presses {tool} flat on the worktop {where} {hand} and wipes back and forth.",
                f"The {side} hand slides {tool} back and forth over the worktop {where}, leaving it wet.",
            ])  # fmt: skip
        case "wash":
            return rng.choice([
                f"{who} holds {thing} under the running water {where} {hand} and moves it back and forth.",
                f"The {side} hand turns {thing} back and forth under the running tap {where}.",
            ])  # fmt: skip
    raise ValueError(f"no words for the verb {verb!r}")


def place(record: dict[str, Any]) -> str:
    """Where the acted thing is seen, in words, from its box: "at the lower left"."""
    box = acted_box(record)
    if box is None:
        return "in the middle of the view"
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


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
