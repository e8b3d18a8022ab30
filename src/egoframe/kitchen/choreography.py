"""How the kitchen's actions are done: which hand goes where, and what moves with it."""

from __future__ import annotations

import numpy as np

from egoframe.kitchen.actions import OPENABLE
from egoframe.simulator.actions import Action
from egoframe.simulator.performers import put_down, take
from egoframe.simulator.stage import Stage, Times
from egoframe.simulator.style import Side
from egoframe.simulator.world import World, turned

MOUTHS = {
    "kettle": (-0.118, 0.0, 0.135),
    "bottle": (0.0, 0.0, 0.228),
}  # where it pours, in its frame
TILTS = {"kettle": 0.95, "bottle": 1.85}  # radians, when it pours
LIQUIDS = {"water": (0.62, 0.80, 0.95), "oil": (0.93, 0.76, 0.15)}
SLOW = frozenset({"cut", "stir", "wipe", "wash"})
STEADIED = ("bread", "tomato", "carrot", "bowl")  # by the other hand, when they are cut or stirred


def focus(stage: Stage, action: Action) -> np.ndarray:
    """The point (3,) that the wearer looks at to do an action."""
    stage.settle()
    world = stage.world
    if action.verb == "wash":
        tap = world.pose(_first(world, "tap"))[0]
        return np.array([tap[0] - 0.03, 0.33, world.style.worktop_height - 0.03])
    if action.target is not None:
        return np.array(world.spots[action.target].position) + [0, 0, 0.05]
    corners = world.corners(action.item)
    if not world.items[action.item].fixed or action.noun == "hob":
        return corners.mean(0)
    handle = world.grasp(action.item).position
    if action.noun == "tap":
        return 0.5 * handle + 0.5 * corners.mean(0)
    return 0.6 * handle + 0.4 * corners.mean(0) if action.noun in OPENABLE else handle


def steadied(action: Action) -> bool:
    """Whether the other hand holds still what is worked upon."""
    return action.verb in ("cut", "stir") and action.noun in STEADIED


def _swing(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """Open, close or switch something that stays where it is."""
    on = action.verb in ("open", "turn-on")
    hand = stage.hands[side]
    hand.move(times["start"], times["contact"], stage.aim(action.item, side))
    stage.openings[action.item].move(times["contact"], times["post"], float(on))
    hand.move(times["post"], times["stop"], stage.rest(side))
    span = times["post"] - times["contact"]
    for effect in stage.world.items[action.item].effects:
        begin = times["contact"] + 0.2 * span
        stage.effects[action.item, effect].move(begin, begin + 0.35 * span, float(on))
    if action.noun in ("drawer", "tap"):
        return "towards" if on else "away"
    if action.noun == "hob":
        return "clockwise" if on else "anticlockwise"
    if action.noun == "oven":
        return "down" if on else "up"
    hinge_left = stage.world.model.joint(stage.world.items[action.item].joint).axis[2] < 0
    return "left" if hinge_left == on else "right"


def _press(stage: Stage, action: Action, side: Side, times: Times) -> str:
    hand, pushed = stage.hands[side], stage.openings[action.item]
    hand.move(times["start"], times["contact"], stage.aim(action.item, side))
    middle = times["pnr"]
    pushed.move(times["contact"], middle, 1.0)
    pushed.move(middle + 0.1, times["post"], 0.0)
    hand.move(times["post"], times["stop"], stage.rest(side))
    glow = stage.effects[action.item, "glow"]
    glow.move(middle - 0.15, middle - 0.05, 1.0)
    glow.move(times["stop"] - 0.1, times["stop"], 0.0)
    return "away"


def _pour(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    source = stage.world.items[action.tool].noun
    sign = -1.0 if side == "right" else 1.0
    vessel = stage.world.corners(action.item)
    middle = vessel.mean(0)
    if action.noun == "oil":
        middle = stage.poses[action.item].last()[:3]
    spout = np.array([middle[0], middle[1], vessel[:, 2].max() + 0.05])
    mouth = np.array(MOUTHS[source])

    def above(tilt: float) -> np.ndarray:
        vector = np.array([0, sign * tilt, 0])
        return np.array([*(spout - turned(vector) @ mouth), *vector])

    track = stage.poses[action.tool]
    span = times["post"] - times["contact"]
    pouring = times["contact"] + 0.3 * span
    track.move(times["start"], times["contact"], above(0.3))
    track.move(times["contact"], pouring, above(TILTS[source]))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.stream(pouring - 0.05, times["post"], action.noun, action.tool, action.item)
    stage.effects[action.item, "fill"].move(pouring, times["post"], 1.0)
    return "left" if side == "right" else "right"


def _cut(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    place = stage.poses[action.item].last()[:3]
    height = stage.world.items[action.item].size[2]
    reach = {"bread": 0.050, "tomato": 0.022, "carrot": 0.040}[action.noun]
    down = np.array([place[0] + reach, place[1] - 0.07, place[2] + 0.056])
    upright = np.array([0, np.pi / 2, 0])
    track = stage.poses[action.tool]

    def blade(rise: float, push: float) -> np.ndarray:
        return np.array([*(down + [0, push, rise]), *upright])

    track.move(times["start"], times["contact"], blade(height + 0.015, -0.01))
    track.move(times["contact"], times["pnr"], blade(0.45 * height, 0.035))
    track.move(times["pnr"], times["post"], blade(0.0, -0.02))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.effects[action.item, "cut"].move(times["pnr"], times["post"], 1.0)
    return "down"


def _stir(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    centre = stage.poses[action.item].last()[:3] + [0, 0, 0.035]
    lean = np.array([-1.15, 0, 0])
    head = turned(lean) @ np.array([0, 0.112, 0])
    track = stage.poses[action.tool]

    def stirring(angle: float) -> np.ndarray:
        ring = 0.03 * np.array([np.cos(angle), np.sin(angle), 0])
        return np.array([*(centre + ring - head), *lean])

    high = stirring(0.0) + [0, 0, 0.10, 0, 0, 0]
    track.move(times["start"], times["contact"] - 0.15, high)
    track.move(times["contact"] - 0.15, times["contact"], stirring(0.0))
    steps = np.linspace(times["contact"], times["post"], 9)
    for quarter in range(8):
        track.move(steps[quarter], steps[quarter + 1], stirring((quarter + 1) * np.pi / 2))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    return "circular"


def _wipe(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.target is not None
    place = np.array(stage.world.spots[action.target].position) + [0, 0, 0.002]
    track = stage.poses[action.item]
    sign = 1.0 if side == "right" else -1.0
    quarter = (times["post"] - times["contact"]) / 4
    ends = (-0.10 * sign, 0.09 * sign)
    track.move(times["start"], times["contact"], np.array([*(place + [ends[0], 0, 0]), 0, 0, 0]))
    for stroke in range(4):
        begin = times["contact"] + stroke * quarter
        there = place + [ends[(stroke + 1) % 2], 0.025 * stroke - 0.03, 0]
        track.move(begin, begin + quarter, np.array([*there, 0, 0, 0]))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.trail(times["contact"], times["stop"] + 0.05, action.item)
    return "back-and-forth"


def _wash(stage: Stage, action: Action, side: Side, times: Times) -> str:
    tap = stage.world.pose(_first(stage.world, "tap"))[0]
    sign = 1.0 if side == "right" else -1.0
    under = np.array([tap[0] - 0.03 + 0.02 * sign, 0.34, stage.world.style.worktop_height - 0.07])
    lean = np.array([-0.5, 0.3 * sign, 0])
    track = stage.poses[action.item]
    track.move(times["start"], times["contact"], np.array([*under, *lean]))
    steps = np.linspace(times["contact"], times["post"], 5)
    for half in range(4):
        swing = np.array([0.025 * (-1) ** half, 0, 0])
        track.move(steps[half], steps[half + 1], np.array([*(under + swing), *lean]))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    return "back-and-forth"


def _first(world: World, noun: str) -> str:
    return next(name for name, item in world.items.items() if item.noun == noun)


PERFORMERS = {
    "open": _swing, "close": _swing, "turn-on": _swing, "turn-off": _swing, "press": _press,
    "take": take, "put-down": put_down, "pour": _pour, "cut": _cut, "stir": _stir,
    "wipe": _wipe, "wash": _wash,
}  # fmt: skip
