"""Named grips: the joint angles with which the fingers close round something of a given width.

The fingers of a wrapping grip are laid, bone after bone, tangent to the thing they hold, in closed
form. The thumb, and the fingers of a pinch, are brought to their contact points by damped least
squares. All of it is in the frame of the left hand (see `hand_skeleton`), and cached.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from egoframe.errors import UserError
from egoframe.simulator.hand_skeleton import FINGERS, PALM_DEPTH, THUMB, Digit, pad_point

GRIPS = ("relaxed", "flat", "point", "pinch", "hook", "power", "cylinder")

MAX_WIDTH = 0.11
"""Metres. What a hand spans between thumb and fingers; wider things are held as if this wide."""

_OPEN = np.array(
    [
        [0.10, 0.10, 0.25, 0.15],
        [0.02, 0.10, 0.25, 0.15],
        [-0.06, 0.12, 0.28, 0.15],
        [-0.12, 0.15, 0.30, 0.15],
        [0.10, -0.10, 0.05, 0.05],
    ]
)
"""(5, 4) joint angles of a hand that is about to take something."""

_RELAXED = np.array(
    [
        [0.02, 0.35, 0.50, 0.25],
        [0.00, 0.42, 0.60, 0.30],
        [0.00, 0.50, 0.66, 0.32],
        [0.02, 0.58, 0.66, 0.32],
        [-0.05, 0.20, 0.20, 0.25],
    ]
)
_FLAT = np.array(
    [
        [0.03, 0.05, 0.10, 0.06],
        [0.00, 0.05, 0.10, 0.06],
        [0.00, 0.05, 0.10, 0.06],
        [-0.02, 0.05, 0.12, 0.06],
        [-0.05, -0.25, 0.10, 0.05],
    ]
)
_FIST = np.array([0.0, 1.25, 1.60, 0.85])


@dataclass(frozen=True)
class Grip:
    """A grip on something of one width."""

    centre: np.ndarray  # (3,) of the thing held, in the hand's frame
    open: np.ndarray  # (5, 4) joint angles before it closes
    closed: np.ndarray  # (5, 4)

    def angles(self, closure: float) -> np.ndarray:
        """(5, 4) joint angles at a closure from 0, open, to 1, closed."""
        return self.open + (self.closed - self.open) * float(np.clip(closure, 0.0, 1.0))


def solve_grip(grip: str, width: float) -> Grip:
    """The grip on something `width` metres across.

    Raises:
        UserError: `grip` is none of `GRIPS`, or the width is negative or not a number.
    """
    if grip not in GRIPS:
        raise UserError(f"unknown grip {grip!r}: choose one of {', '.join(GRIPS)}")
    if not 0.0 <= width < np.inf:
        raise UserError(f"a grip's width must be a length in metres, not {width}")
    return _solve(grip, round(min(width, MAX_WIDTH) * 2000))


@lru_cache(maxsize=1024)
def _solve(grip: str, half_millimetres: int) -> Grip:
    width = half_millimetres / 2000
    match grip:
        case "relaxed":
            return Grip(np.array([0.095, -0.004, 0.035]), _RELAXED * 0.7, _RELAXED)
        case "flat":
            return Grip(np.array([0.095, -0.004, PALM_DEPTH + width / 2]), _OPEN, _FLAT)
        case "point":
            return _point()
        case "pinch":
            return _pinch(width)
        case "hook":
            return _wrap(width / 2, 0.118, thumb=False)
        case _:
            return _wrap(width / 2, 0.088 - 0.10 * width, thumb=True)


def _point() -> Grip:
    """The index finger stretched, its tip on the button; the others are a fist."""
    closed = np.array([[0.0, 0.10, 0.12, 0.08], _FIST, _FIST, _FIST, [-0.35, 0.45, 0.55, 0.60]])
    tip, _ = pad_point(FINGERS[0], closed[0])
    return Grip(tip, _RELAXED, closed)


def _pinch(width: float) -> Grip:
    """Thumb against index and middle finger, the other two following loosely."""
    centre = np.array([0.108, 0.020, 0.048])
    across = np.array([0.80, 0.0, -0.60])  # from the thumb's pad to the fingers' pads
    rest = np.array([0.0, 0.75, 0.75, 0.35])
    side = np.array([0.0, 0.009, 0.0])
    contact = centre + across * width / 2
    index = _reach(FINGERS[0], contact + side, -across, rest)
    middle = _reach(FINGERS[1], contact - side, -across, rest)
    thumb = _reach(THUMB, centre - across * width / 2, across, np.array([0.0, 0.3, 0.2, 0.2]))
    loose = np.array([0.0, 0.12, 0.10, 0.05])
    closed = np.array([index, middle, middle + loose, middle + 1.6 * loose, thumb])
    closed[2:4, 0] = 0.0
    spread_out = np.array([0.0, -0.25, -0.20, -0.10])
    opened = closed + spread_out * np.array([1.0, 1.0, 1.0, 1.0, 1.2])[:, None]
    return Grip(centre, opened, closed)


def _wrap(radius: float, x: float, *, thumb: bool) -> Grip:
    """Fingers round a bar that lies across the palm, its axis at `x` along the hand.

    With `thumb`, the thumb comes round from the other side, and lies over the fingers of a fist.
    """
    centre = np.array([x, -0.004, PALM_DEPTH + radius])
    closed = np.array([_tangent(digit, centre, radius) for digit in FINGERS])
    if not thumb:
        return Grip(centre, _OPEN, np.vstack([closed, _RELAXED[4]]))
    # A thin handle leaves the fingertips in the thumb's way: it then rests on their backs. The
    # thicker the thing, the further back along it the thumb comes to lie.
    over = float(np.clip((0.022 - radius) / 0.012, 0.0, 1.0))
    angle = np.deg2rad(95 + 55 * np.clip((radius - 0.010) / 0.031, 0.0, 1.0))
    away = np.array([np.cos(angle), 0.0, np.sin(angle)])
    target = centre + away * (radius + over * 0.017) + np.array([0.0, 0.026 - 0.010 * over, 0.0])
    rest = np.array([0.0, 0.35, 0.30, 0.35])
    return Grip(centre, _OPEN, np.vstack([closed, _reach(THUMB, target, -away, rest)]))


def _tangent(digit: Digit, centre: np.ndarray, radius: float) -> np.ndarray:
    """(4,) angles that lay a finger's bones one by one tangent to a circle in its plane."""
    joint = np.array([digit.root[0], digit.root[2]])
    heading = 0.0
    angles = [0.0]
    for length, thickness, limit in zip(digit.lengths, digit.radii, digit.limits[1:], strict=False):
        to_centre = centre[[0, 2]] - joint
        distance = np.hypot(*to_centre)
        reach = np.arcsin(min(1.0, (radius + thickness) / distance))
        tangent = np.arctan2(to_centre[1], to_centre[0]) - reach
        # The angle is in (-pi, pi]; a finger that has gone half round continues upwards.
        turn = (tangent - heading + np.pi) % (2 * np.pi) - np.pi
        angles.append(float(np.clip(turn, *limit)))
        heading += angles[-1]
        joint = joint + length * np.array([np.cos(heading), np.sin(heading)])
    return np.array(angles)


def _reach(digit: Digit, target: np.ndarray, facing: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(4,) angles that bring a digit's pad to `target`, its normal near to `facing`.

    Levenberg–Marquardt on the pad's position, with weak terms (metres per radian) for the direction
    of the pad and for staying near to `rest`.
    """
    low, high = np.transpose(digit.limits)

    def residual(angles: np.ndarray) -> np.ndarray:
        point, normal = pad_point(digit, angles)
        return np.concatenate([point - target, 0.003 * (normal - facing), 0.001 * (angles - rest)])

    angles = np.clip(rest, low, high)
    value, damping, step = residual(angles), 1e-5, 1e-5
    for _ in range(60):
        jacobian = np.column_stack(
            [(residual(angles + step * unit) - value) / step for unit in np.eye(4)]
        )
        normal_matrix = jacobian.T @ jacobian + damping * np.eye(4)
        trial = np.clip(angles - np.linalg.solve(normal_matrix, jacobian.T @ value), low, high)
        tried = residual(trial)
        if tried @ tried < value @ value:
            angles, value, damping = trial, tried, damping / 3
        else:
            damping = damping * 4
    return angles
