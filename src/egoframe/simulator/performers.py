"""How things are taken and put down, in any scene."""

from __future__ import annotations

import numpy as np

from egoframe.simulator.actions import Action
from egoframe.simulator.stage import Stage, Times
from egoframe.simulator.style import Side

LIFT = 0.14  # metres that something taken is raised
HOVER = 0.10  # metres above its place where something put down arrives


def take(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """Lift something from where it is, and keep it in the hand."""
    stage.hands[side].move(times["start"], times["contact"], stage.aim(action.item, side), 0.06)
    track = stage.poses[action.item]
    eye, _ = stage.gaze.steady(times["contact"])
    towards = eye - track.last()[:3]
    lifted = track.last()[:3] + 0.05 * towards / np.linalg.norm(towards) + [0, 0, LIFT]
    track.move(times["contact"], times["post"], np.array([*lifted, *track.last()[3:]]))
    track.move(times["post"], times["stop"], stage.carried(side, times["stop"]))
    stage.hold(action.item, side)
    return "up"


def put_down(stage: Stage, action: Action, side: Side, times: Times) -> str:
    """Bring what is held to its spot, and let go."""
    assert action.target is not None
    track = stage.poses[action.item]
    place = np.array(stage.world.spots[action.target].position)
    track.move(times["start"], times["contact"], np.array([*(place + [0, 0, HOVER]), 0, 0, 0]))
    track.move(times["contact"], times["post"], np.array([*place, 0, 0, 0]))
    stage.hands[side].move(times["post"], times["stop"], stage.rest(side), 0.05)
    stage.release(action.item)
    return "down"
