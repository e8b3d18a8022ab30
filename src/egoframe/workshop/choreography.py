"""How the workshop's actions are done: which hand goes where, and what moves with it."""

from __future__ import annotations

import mujoco
import numpy as np

from egoframe.simulator.actions import Action
from egoframe.simulator.hands import HandPose
from egoframe.simulator.performers import put_down, take
from egoframe.simulator.stage import Stage, Times
from egoframe.simulator.style import Side
from egoframe.simulator.tracks import Aim
from egoframe.simulator.world import World, turned
from egoframe.workshop.actions import TYRE, WHEEL
from egoframe.workshop.dimensions import LYING, RIM, RING
from egoframe.workshop.tools import LEVER, PUMP, SPOUT, WRENCH

MOUTHS = {"bottle": SPOUT}
LIQUIDS = {"chain": (0.90, 0.72, 0.15)}
SLOW = frozenset({"pump", "wipe", "remove", "attach", "insert", "oil", "unscrew", "screw"})


def focus(stage: Stage, action: Action) -> np.ndarray:
    """The point (3,) that the wearer looks at to do an action."""
    stage.settle()
    world = stage.world
    if action.verb == "put-down" and action.target is not None:
        return np.array(world.spots[action.target].position) + [0, 0, 0.04]
    if action.item in (WHEEL, TYRE) or action.noun == "nut":
        middle = world.pose(WHEEL)[0]
        return middle + ([0, -0.03, -0.06] if middle[2] > _bench(world) + 0.1 else [0, 0, 0.06])
    if action.noun == "tube":
        return world.pose(WHEEL)[0] + [0, 0, 0.05]
    return world.corners(action.item).mean(0)


def steadied(action: Action) -> bool:
    """Whether the other hand holds still what is worked upon: tyres take two hands."""
    return action.noun in ("tyre", "wheel") and action.verb in ("remove", "attach")


def _turn_nut(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    sign = _sign(side)
    loosen = action.verb == "unscrew"
    head = stage.world.pose(action.item)[0]
    track = stage.poses[action.tool]
    # Angles of the handle round the nut, from the right hand side upwards, as the wearer sees it.
    low, high = (-75.0, -10.0) if sign > 0 else (190.0, 255.0)
    steps = np.radians(np.linspace(low, high, 5) if loosen else np.linspace(high, low, 5))

    def on_nut(angle: float, out: float) -> np.ndarray:
        along = -np.array([np.cos(angle), 0.0, np.sin(angle)])
        towards = np.array([0.0, -1.0, 0.0])
        frame = np.column_stack([np.cross(along, towards), along, towards])
        return np.array([*(head - WRENCH * along + [0, -0.012 - out, 0]), *_vector(frame)])

    outs = np.linspace(0.0, 0.030, 5) if loosen else np.linspace(0.030, 0.0, 5)
    outs = outs - (0.0 if loosen else 0.030)  # of the nut, from where it stands now
    ends = np.linspace(times["contact"], times["post"], 5)
    track.move(times["start"], times["contact"], on_nut(steps[0], 0.0))
    for k in range(1, 5):
        track.move(ends[k - 1], ends[k], on_nut(steps[k], float(outs[k])))
    stage.openings[action.item].move(times["contact"], times["post"], float(loosen))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    return "anticlockwise" if loosen else "clockwise"


def _move_wheel(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """Out of the fork and onto the mat, or back."""
    assert action.target is not None
    out = action.verb == "remove"
    track = stage.poses[WHEEL]
    goal = np.array(stage.world.spots[action.target].position)
    fork = np.array(track.last()[:3] if out else goal)
    between = np.array([*(fork + [-0.01, -0.17, -0.06]), -0.30, 0, 0])
    stage.hands[side].move(times["start"], times["contact"], stage.aim(WHEEL, side), 0.04)
    track.move(times["contact"], times["pnr"], between)
    rotation = LYING if out else (0.0, 0.0, 0.0)
    track.move(times["pnr"], times["post"], np.array([*goal, *rotation]))
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side), 0.04)
    return "towards" if out else "away"


def _pry_tyre(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """Off the rim with the lever; the other hand hangs it onto the hook."""
    assert action.tool is not None
    assert action.target is not None
    sign = _sign(side)
    centre = stage.last(WHEEL)[:3]
    tip = centre + [sign * RIM * 0.94, -0.045, 0.016]
    tool, track = stage.poses[action.tool], stage.poses[TYRE]

    def prying(direction: tuple[float, float, float], up: float) -> np.ndarray:
        along = np.array(direction) * [sign, 1, 1]
        along /= np.linalg.norm(along)
        across = np.cross(along, [0, 0, 1.0])
        across /= np.linalg.norm(across)
        frame = np.column_stack([across, along, np.cross(across, along)])
        return np.array([*(tip + [0, 0, up] - LEVER * along), *_vector(frame)])

    lean = turned(np.array([0, -sign * 0.42, 0])) @ turned(LYING)
    off = np.array([*(centre + [0.0, 0.0, 0.075]), *_vector(lean)])
    hook = np.array(stage.world.spots[action.target].position)
    stage.part(TYRE, times["contact"])
    tool.move(times["start"], times["contact"], prying((-0.55, 0.45, -0.70), 0.0))
    tool.move(times["contact"], times["pnr"], prying((-0.75, 0.50, 0.30), 0.035))
    track.move(times["contact"], times["pnr"], off)
    track.move(times["pnr"], times["post"], np.array([*hook, 0, 0, 0]))
    tool.move(times["pnr"], times["stop"], stage.carried(side, times["stop"]))
    return "up"


def _fit_tyre(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """From the hook round the rim of the wheel that lies on the mat."""
    sign = _sign(side)
    centre = stage.last(WHEEL)[:3]
    track = stage.poses[TYRE]
    lean = turned(np.array([0, -sign * 0.38, 0])) @ turned(LYING)
    stage.hands[side].move(times["start"], times["contact"], stage.aim(TYRE, side), 0.04)
    track.move(times["contact"], times["pnr"], np.array([*(centre + [0, 0, 0.07]), *_vector(lean)]))
    track.move(times["pnr"], times["post"], np.array([*centre, *LYING]))
    stage.join(TYRE, WHEEL, times["post"])
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side), 0.04)
    return "down"


def _remove_tube(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.target is not None
    sign = _sign(side)
    centre = stage.last(WHEEL)[:3]
    place = np.array(stage.world.spots[action.target].position)
    track = stage.poses[action.item]
    stage.part(action.item, times["contact"])
    lean = turned(np.array([0, -sign * 0.45, 0])) @ turned(LYING)
    lifted = np.array([*(centre + [-sign * 0.01, 0, 0.095]), *_vector(lean)])
    stage.hands[side].move(times["start"], times["contact"], _on_ring(stage, action.item, side))
    track.move(times["contact"], times["pnr"], lifted)
    loose = times["pnr"] + 0.25 * (times["post"] - times["pnr"])
    _show(stage, action.item, loose, mounted=False)
    track.move(times["pnr"], times["post"], np.array([*place, *LYING]))
    hand = stage.hands[side]
    hand.move(times["pnr"] + 0.01, loose + 0.1, stage.aim(action.item, side))
    hand.move(times["post"], times["stop"], stage.rest(side), 0.04)
    return "up"


def _insert_tube(stage: Stage, action: Action, side: Side, times: Times) -> str:
    sign = _sign(side)
    centre = stage.last(WHEEL)[:3]
    track = stage.poses[action.item]
    lean = turned(np.array([0, -sign * 0.50, 0])) @ turned(LYING)
    above = np.array([*(centre + [-sign * 0.01, 0, 0.080]), *_vector(lean)])
    hand = stage.hands[side]
    hand.move(times["start"], times["contact"], stage.aim(action.item, side), 0.04)
    spread = times["contact"] + 0.55 * (times["pnr"] - times["contact"])
    track.move(times["contact"], times["pnr"], above)
    _show(stage, action.item, spread, mounted=True)
    hand.move(spread - 0.05, times["pnr"] - 0.01, _on_ring(stage, action.item, side))
    track.move(times["pnr"], times["post"], np.array([*centre, *LYING]))
    stage.join(action.item, WHEEL, times["post"])
    hand.move(times["post"], times["stop"], stage.rest(side), 0.04)
    return "down"


def _pump(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    sign = _sign(side)
    valve = stage.world.pose(WHEEL)[0] + [0.03 * sign, -0.028, -RIM + 0.006]
    along = np.array([-0.42 * sign, 0.85, 0.20])
    along /= np.linalg.norm(along)
    across = np.cross(along, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    frame = np.column_stack([across, along, np.cross(across, along)])
    track = stage.poses[action.tool]

    def stroke(back: float) -> np.ndarray:
        nozzle = PUMP * along + 0.019 * frame[:, 2]
        return np.array([*(valve - nozzle - back * along), *_vector(frame)])

    track.move(times["start"], times["contact"], stroke(0.0))
    ends = np.linspace(times["contact"], times["post"], 9)
    for k in range(8):
        track.move(ends[k], ends[k + 1], stroke(0.022 if k % 2 == 0 else 0.0))
    half = times["pnr"] - times["contact"]
    stage.effects[TYRE, "air"].move(times["contact"] + 0.1 * half, times["post"], 1.0)
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    return "back-and-forth"


def _deflate(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """A finger on the valve."""
    valve = stage.world.pose(WHEEL)[0] + [0.02 * _sign(side), -0.03, -RIM + 0.004]
    palm, fingers = np.array([0, 0.35, -0.94]), np.array([0, 0.94, 0.35])
    pose = HandPose(valve, palm, fingers, "point", 1.0, 0.0)
    stage.hands[side].move(times["start"], times["contact"], lambda t: pose)
    span = times["post"] - times["contact"]
    air = stage.effects[TYRE, "air"]
    air.move(times["contact"], times["pnr"] - 0.1 * span, 0.0)
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side))
    return "away"


def _squeeze(stage: Stage, action: Action, side: Side, times: Times) -> str:
    stage.hands[side].move(times["start"], times["contact"], stage.aim(TYRE, side))
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side))
    return "none"


def _spin(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """The hand strikes the tyre downwards on its side, and the wheel goes round."""
    sign = _sign(side)
    grasp = stage.world.grasp(WHEEL, side)
    rim = stage.world.pose(WHEEL)[0] + [sign * (RING + 0.005), -0.02, 0.15]
    hand = stage.hands[side]

    def at(drop: float) -> Aim:
        pose = HandPose(rim - [0.012 * sign, 0, drop], grasp.palm, grasp.fingers, "flat", 0.7, 0.04)
        return lambda t: pose

    hand.move(times["start"], times["contact"], at(0.0))
    hand.move(times["contact"], times["post"], at(0.15))
    track = stage.poses[WHEEL]
    here = track.last().copy()
    track.move(times["contact"], times["stop"], here + [0, 0, 0, 0, sign * 2 * np.pi, 0])
    track.move(times["stop"], times["stop"], here)
    hand.move(times["post"], times["stop"], stage.rest(side))
    return "clockwise" if sign > 0 else "anticlockwise"


def _turn_pedal(stage: Stage, action: Action, side: Side, times: Times) -> str:
    hand, turning = stage.hands[side], stage.openings[action.item]
    hand.move(times["start"], times["contact"], stage.aim(action.item, side))
    turning.move(times["contact"], times["post"], 1.0)
    turning.move(times["post"], times["post"], 0.0)
    hand.move(times["post"], times["stop"], stage.rest(side))
    return "clockwise"


def _wipe(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    low, high = (stage.world.pose(action.item)[0] + p for p in ([0.07, 0, 0.07], [0.24, 0, 0.22]))
    track = stage.poses[action.tool]
    upright = np.array([np.pi / 2 * 0.9, 0, 0])  # its back to the wearer, leaning a little
    ends = np.linspace(times["contact"], times["post"], 5)

    def at(point: np.ndarray) -> np.ndarray:
        return np.array([*(point + [0, -0.022, 0]), *upright])

    track.move(times["start"], times["contact"], at(high))
    for k, u in enumerate((0.0, 0.8, 0.1, 0.9)):
        track.move(ends[k], ends[k + 1], at(low + u * (high - low)))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    return "back-and-forth"


def _oil(stage: Stage, action: Action, side: Side, times: Times) -> str:
    assert action.tool is not None
    sign = -1.0 if side == "right" else 1.0
    above = stage.world.pose(action.item)[0] + [-0.13, 0.0, 0.13]
    track = stage.poses[action.tool]

    def tipped(tilt: float) -> np.ndarray:
        vector = np.array([0, sign * tilt, 0])
        return np.array([*(above - turned(vector) @ np.array(SPOUT)), *vector])

    pouring = times["contact"] + 0.3 * (times["post"] - times["contact"])
    track.move(times["start"], times["contact"], tipped(0.4))
    track.move(times["contact"], pouring, tipped(2.0))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.stream(pouring - 0.05, times["post"], "chain", action.tool, action.item)
    return "left" if side == "right" else "right"


def _on_ring(stage: Stage, item: str, side: Side) -> Aim:
    """The hand on a tube that is a ring, wherever that is at the time."""
    reach = np.array([_sign(side) * (RIM + 0.01), 0.0, 0.0])

    def at(t: float) -> HandPose:
        grasp = stage.world.grasp(item, side)
        position, rotation = stage.world.pose(item)
        return HandPose(position + rotation @ reach, grasp.palm, grasp.fingers, "pinch", 1.0, 0.024)

    return at


def _show(stage: Stage, tube: str, t: float, *, mounted: bool) -> None:
    """A tube becomes a ring round the rim, or a loose loop."""
    for effect in stage.world.items[tube].effects:
        stage.effects[tube, effect].move(t, t, float(mounted == (effect == "mounted")))


def _sign(side: Side) -> float:
    return 1.0 if side == "right" else -1.0


def _bench(world: World) -> float:
    return world.style.worktop_height


def _vector(rotation: np.ndarray) -> np.ndarray:
    """The rotation vector (3,) of a rotation matrix (3, 3)."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation, float).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def _remove(stage: Stage, action: Action, side: Side, times: Times) -> str:
    remove = {"wheel": _move_wheel, "tyre": _pry_tyre, "tube": _remove_tube}[action.noun]
    return remove(stage, action, side, times)


def _attach(stage: Stage, action: Action, side: Side, times: Times) -> str:
    attach = {"wheel": _move_wheel, "tyre": _fit_tyre}[action.noun]
    return attach(stage, action, side, times)


def _turn(stage: Stage, action: Action, side: Side, times: Times) -> str:
    return {"wheel": _spin, "pedal": _turn_pedal}[action.noun](stage, action, side, times)


PERFORMERS = {
    "take": take, "put-down": put_down, "unscrew": _turn_nut, "screw": _turn_nut,
    "remove": _remove, "attach": _attach, "insert": _insert_tube, "pump": _pump,
    "deflate": _deflate, "squeeze": _squeeze, "turn": _turn, "wipe": _wipe, "oil": _oil,
}  # fmt: skip
