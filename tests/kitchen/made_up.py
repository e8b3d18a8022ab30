"""Records of actions that never happened, for tests of what is written and read about them."""

import random
from typing import Any

ITEMS = {"open": ("drawer", "cupboard", "microwave", "oven"), "turn-on": ("tap", "hob"),
         "press": ("button",), "take": ("mug", "kettle", "bread"), "put-down": ("pan", "plate"),
         "pour": ("mug", "pan"), "cut": ("bread", "carrot"), "stir": ("pot", "bowl"),
         "wipe": ("cloth", "sponge"), "wash": ("plate", "mug")}  # fmt: skip
ITEMS |= {"close": ITEMS["open"], "turn-off": ITEMS["turn-on"]}
TOOLS = {"pour": "kettle", "cut": "knife", "stir": "spoon"}
COLORS = ("red", "blue", "white", "black", "steel", "wooden", "grey")
SURFACES = ("worktop", "hob", "sink", "board")


def records(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records as a recording holds them, of every verb, with boxes anywhere in the picture."""
    return [_record(number, random.Random(f"{seed} {number}")) for number in range(count)]


def _record(number: int, rng: random.Random) -> dict[str, Any]:
    verb = list(ITEMS)[number % len(ITEMS)]
    item = _item(rng.choice(ITEMS[verb]), rng)
    tool = _item(TOOLS[verb], rng) if verb in TOOLS else item if verb == "wipe" else None
    side, other = rng.choice([("left", "right"), ("right", "left")])
    doing = rng.choice(["rest", "hold", "steady"])
    held = {} if doing == "rest" else {"item": _item("jar", rng)}
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)
    box = {"label": item["name"], "x0": x - 0.1, "x1": x + 0.1, "y0": y - 0.1, "y1": y + 0.1}
    seen = {"boxes": [box] if rng.random() < 0.9 else []}
    surface = {"noun": rng.choice(SURFACES)}
    return {
        "narration_id": f"P01_01_{number}",
        "verb": verb,
        "noun": {"wipe": "counter", "pour": "water"}.get(verb, item["noun"]),
        "item": item,
        "tool": tool,
        "from": surface if verb == "take" else tool if verb == "pour" else None,
        "to": surface if verb == "put-down" else item if verb == "pour" else None,
        "hands": [side],
        "other_hand": {"side": other, "doing": doing, **held},
        "motion": _motion(verb, item["noun"], rng),
        "frames": {"pre": seen, "contact": {}, "pnr": seen, "post": {}},
    }


def _item(noun: str, rng: random.Random) -> dict[str, str]:
    return {"name": f"{noun}_1", "noun": noun, "color": rng.choice(COLORS)}


def _motion(verb: str, noun: str, rng: random.Random) -> str:
    match verb, noun:
        case "open", "drawer":
            return "towards"
        case "close", "drawer":
            return "away"
        case "open" | "close", "oven":
            return "down" if verb == "open" else "up"
        case "turn-on", "tap":
            return "towards"
        case "turn-off", "tap":
            return "away"
        case "turn-on" | "turn-off", _:
            return rng.choice(["clockwise", "anticlockwise"])
        case "open" | "close" | "pour", _:
            return rng.choice(["left", "right"])
    return {"press": "away", "take": "up", "put-down": "down", "cut": "down", "stir": "circular",
            "wipe": "back-and-forth", "wash": "back-and-forth"}[verb]  # fmt: skip
