"""Where the wearer stands and looks, and how a head is never quite still."""

from __future__ import annotations

import numpy as np

from egoframe.kitchen.tracks import Track
from egoframe.kitchen.world import World

SWAY_ANGLE = 0.0021  # radians, standard deviation of the gaze while the hands work (0.12°)
SWAY_EYE = 0.0015  # metres, of the eye
FREQUENCIES = np.array([0.23, 0.41, 0.67, 1.03])  # hertz


class Gaze:
    """The eye's position and the point it looks at, over time.

    The gaze moves between actions and rests on the target while the hand works: eyes lead hands
    by about half a second (Land et al., 1999). What remains is a slow sway.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        height = world.style.worktop_height
        self._eye = Track(np.array([0.0, -0.35, height + 0.62]))
        self._ahead = Track(np.array([0.0, 0.25, height]))
        self._phases = rng.uniform(0, 2 * np.pi, (7, len(FREQUENCIES)))
        weights = rng.uniform(0.5, 1.0, (7, len(FREQUENCIES)))
        self._weights = weights * np.sqrt(2) / np.linalg.norm(weights, axis=1, keepdims=True)

    def turn(self, start: float, stop: float, eye: np.ndarray, ahead: np.ndarray) -> float:
        """Step and look somewhere else; returns when that is done, in seconds."""
        self._eye.move(start, stop, eye)
        self._ahead.move(start, stop, ahead)
        return stop

    def steady(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Eye (3,) and the point looked at (3,), without the sway."""
        return self._eye.at(t), self._ahead.at(t)

    def at(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Eye (3,) and the point looked at (3,)."""
        eye, ahead = self.steady(t)
        sway = self._sway(t)
        distance = np.linalg.norm(ahead - eye)
        return eye + SWAY_EYE * sway[:3], ahead + SWAY_ANGLE * distance * sway[3:6]

    def roll(self, t: float) -> float:
        """Tilt of the head, in radians."""
        return float(SWAY_ANGLE * self._sway(t)[6])

    def _sway(self, t: float) -> np.ndarray:
        return (self._weights * np.sin(2 * np.pi * FREQUENCIES * t + self._phases)).sum(1)


def viewpoint(
    world: World, focus: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where a wearer stands (3,) and looks (3,) to act on `focus` (3,).

    They step sideways to it, lean in over the worktop, back and down for what is low.
    """
    top = world.style.worktop_height
    stand = world.style.eye_height - top  # 0.62 … 0.74
    ahead = focus + rng.normal(0, 1, 3) * [0.035, 0.02, 0.02]
    x = focus[0] + rng.uniform(-0.13, 0.13)
    if focus[2] < top - 0.3:
        eye = np.array([x, focus[1] - 0.62, focus[2] + 0.62])
    elif focus[2] < top - 0.02:
        eye = np.array([x, focus[1] - 0.42, top + stand - 0.16])
    elif focus[2] > top + 0.4:
        eye = np.array([x, focus[1] - 0.56, top + stand - 0.02])
    else:
        eye = np.array([x, max(focus[1] - 0.45, -0.34), top + stand - 0.21])
    return eye + rng.normal(0, 0.015, 3), ahead
