"""How each action is done: which hand goes where, and what moves with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import mujoco
import numpy as np

from egoframe.kitchen.actions import OPENABLE, Action, Side
from egoframe.kitchen.gaze import Gaze
from egoframe.kitchen.hands import HandPose, rest_pose
from egoframe.kitchen.tracks import HandTrack, Track
from egoframe.kitchen.world import World

LIFT = 0.14  # metres that something taken is raised
HOVER = 0.10  # metres above its place where something put down arrives
MOUTHS = {
    "kettle": (-0.118, 0.0, 0.135),
    "bottle": (0.0, 0.0, 0.228),
}  # where it pours, in its frame
TILTS = {"kettle": 0.95, "bottle": 1.85}  # radians, when it pours
LIQUIDS = {"water": (0.62, 0.80, 0.95), "oil": (0.93, 0.76, 0.15)}
SET_OUT = 0.35  # of the time of a reach: a quarter of its way, which shows whose hand it will be

Times = dict[str, float]
Performance = tuple[Times, str, dict[str, object]]  # times, motion, what the other hand does


class Stage:
    """Every track of an episode; actions are added one after another."""

    def __init__(self, world: World, rng: np.random.Generator, gaze: Gaze) -> None:
        self.world = world
        self.rng = rng
        self.gaze = gaze
        self.openings = {name: Track(np.zeros(())) for name, i in world.items.items() if i.joint}
        self.effects = {
            (name, effect): Track(np.zeros(()))
            for name, item in world.items.items()
            for effect in item.effects
        }
        self.poses = {
            name: Track(np.array([*position, 0.0, 0, 0])) for name, position in world.placed.items()
        }
        self.hands: dict[Side, HandTrack] = {
            side: HandTrack(partial(self._rest, side)) for side in ("left", "right")
        }
        self.held: dict[str, Side] = {}
        self._streams: list[tuple[float, float, str, str, str]] = []
        self._trails: list[tuple[float, float, str]] = []

    @staticmethod
    def placement(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation (3, 3) of a pose track's value (6,)."""
        return value[:3], turned(value[3:])

    def pour(self, t: float) -> None:
        """Show what is poured, and where it was wiped, at a time; the items are posed already."""
        self.world.hide_stream()
        for start, stop, liquid, source, vessel in self._streams:
            if start <= t < stop:
                position, rotation = self.world.pose(source)
                mouth = position + rotation @ np.array(MOUTHS[self.world.items[source].noun])
                bottom = self.world.pose(vessel)[0] + [0, 0, 0.025]
                self.world.show_stream(
                    mouth, np.array([mouth[0], mouth[1], bottom[2]]), LIQUIDS[liquid]
                )
        self.world.hide_trail()
        for start, stop, item in self._trails:
            if start <= t < stop:
                line = [self.poses[item].at(u)[:3] for u in np.linspace(start, t, 12)]
                self.world.show_trail(np.min(line, axis=0), np.max(line, axis=0))

    def focus(self, action: Action) -> np.ndarray:
        """The point (3,) that the wearer looks at to do an action."""
        self._pose_as_it_ends()
        world = self.world
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

    def carry(self, start: float, stop: float) -> None:
        """Take along what is held while the wearer turns."""
        for name, side in self.held.items():
            self.poses[name].move(start, stop, self.carried(side, stop))

    def aim(self, item: str, side: Side) -> Callable[[float], HandPose]:
        """The hand on an item, wherever that is at the time."""

        def at(t: float) -> HandPose:
            grasp = self.world.grasp(item, side)
            return HandPose(grasp.position, grasp.palm, grasp.fingers, grasp.grip, 1.0, grasp.width)

        return at

    def steady(self, item: str, side: Side) -> Callable[[float], HandPose]:
        """The other hand on an item that is worked upon, clear of where it is worked."""
        shift = np.array([-0.055 if side == "left" else 0.055, 0.0, 0.0])

        def at(t: float) -> HandPose:
            grasp = self.world.grasp(item, side)
            position = np.array([self.world.pose(item)[0][0], *grasp.position[1:]]) + shift
            return HandPose(position, grasp.palm, grasp.fingers, grasp.grip, 1.0, grasp.width)

        return at

    def rest(self, side: Side) -> Callable[[float], HandPose]:
        """The hand at rest before the body."""
        return partial(self._rest, side)

    def stream(self, start: float, stop: float, liquid: str, source: str, vessel: str) -> None:
        """Something is poured from start to stop."""
        self._streams.append((start, stop, liquid, source, vessel))

    def trail(self, start: float, stop: float, item: str) -> None:
        """An item leaves a wet trail from start to stop."""
        self._trails.append((start, stop, item))

    def carried(self, side: Side, t: float) -> np.ndarray:
        """The pose (6,) of what a hand holds while nothing is done with it."""
        eye, ahead = self.gaze.steady(t)
        flat = np.array([ahead[0] - eye[0], ahead[1] - eye[1], 0.0])
        flat /= np.linalg.norm(flat)
        across = np.array([flat[1], -flat[0], 0.0])
        sign = -1 if side == "left" else 1
        return np.array([*(eye + 0.29 * flat + sign * 0.15 * across + [0, 0, -0.39]), 0, 0, 0])

    def _rest(self, side: Side, t: float) -> HandPose:
        return rest_pose(side, *self.gaze.steady(t))

    def hold(self, item: str, side: Side) -> None:
        """From now on `side` carries `item`."""
        self.held[item] = side

    def release(self, item: str) -> None:
        """Nobody holds `item` any more."""
        del self.held[item]

    def _pose_as_it_ends(self) -> None:
        for name, track in self.openings.items():
            self.world.set_opening(name, float(track.last()))
        for name, track in self.poses.items():
            self.world.place(name, *self.placement(track.last()))
        self.world.update()


def turned(vector: np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) of a rotation vector (3,), in radians."""
    angle = float(np.linalg.norm(vector))
    quaternion, matrix = np.array([1.0, 0, 0, 0]), np.empty(9)
    if angle > 1e-9:
        mujoco.mju_axisAngle2Quat(quaternion, np.asarray(vector) / angle, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def perform(stage: Stage, action: Action, side: Side, start: float) -> Performance:
    """Add an action to the stage; at `start`, in seconds, the gaze rests on its target."""
    rng = stage.rng
    contact = start + rng.uniform(0.53, 0.78)
    span = rng.uniform(0.7, 1.1) * (1.4 if action.verb in ("cut", "stir", "wipe", "wash") else 1.0)
    post = contact + span
    times = {
        "start": start, "pre": start + SET_OUT * (contact - start), "contact": contact,
        "pnr": contact + span / 2, "post": post, "stop": post + rng.uniform(0.45, 0.6),
    }  # fmt: skip
    other: Side = "left" if side == "right" else "right"
    holds = next((name for name, hand in stage.held.items() if hand == other), None)
    doing: dict[str, object] = {"side": other, "doing": "rest"}
    if holds is not None:
        item = stage.world.items[holds]
        told = {"name": holds, "noun": item.noun, "color": item.color}
        doing = {"side": other, "doing": "hold", "item": told}
    performers = {
        "open": _swing, "close": _swing, "turn-on": _swing, "turn-off": _swing, "press": _press,
        "take": _take, "put-down": _put_down, "pour": _pour, "cut": _cut, "stir": _stir,
        "wipe": _wipe, "wash": _wash,
    }  # fmt: skip
    motion = performers[action.verb](stage, action, side, times)
    if (
        action.verb in ("cut", "stir")
        and holds is None
        and action.noun in ("bread", "tomato", "carrot", "bowl")
    ):
        hand = stage.hands[other]
        hand.move(start, contact, stage.steady(action.item, other), 0.05)
        hand.move(post, times["stop"], stage.rest(other), 0.03)
        item = stage.world.items[action.item]
        told = {"name": item.name, "noun": item.noun, "color": item.color}
        doing = {"side": other, "doing": "steady", "item": told}
    return times, motion, doing


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


def _take(stage: Stage, action: Action, side: Side, times: Times) -> str:
    stage.hands[side].move(times["start"], times["contact"], stage.aim(action.item, side), 0.06)
    track = stage.poses[action.item]
    eye, _ = stage.gaze.steady(times["contact"])
    towards = eye - track.last()[:3]
    lifted = track.last()[:3] + 0.05 * towards / np.linalg.norm(towards) + [0, 0, LIFT]
    track.move(times["contact"], times["post"], np.array([*lifted, 0, 0, 0]))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.hold(action.item, side)
    return "up"


def _put_down(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.target is not None
    track = stage.poses[action.item]
    place = np.array(stage.world.spots[action.target].position)
    track.move(times["start"], times["contact"], np.array([*(place + [0, 0, HOVER]), 0, 0, 0]))
    track.move(times["contact"], times["post"], np.array([*place, 0, 0, 0]))
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side), 0.05)
    stage.release(action.item)
    return "down"


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
