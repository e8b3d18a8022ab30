"""Where the wearer stands and looks, and how a head is never quite still."""

from __future__ import annotations

import numpy as np

from egoframe.simulator.tracks import Track
from egoframe.simulator.world import World

SWAY_ANGLE = 0.0021  # radians, standard deviation of the gaze while the hands work (0.12°)
SWAY_EYE = 0.0015  # metres, of the eye
FREQUENCIES = np.array([0.23, 0.41, 0.67, 1.03])  # hertz
MARGIN = 0.92  # of the picture, within which a still view wants what matters
LOOK_UP = 0.05  # radians: hands come from below, and need no room above
FURTHEST = 1.05  # metres: arms reach no further

View = tuple[np.ndarray, np.ndarray]  # eye (3,), point looked at (3,)


class Gaze:
    """The eye's position and the point it looks at, over time.

    The gaze moves between actions and rests on the target while the hand works: eyes lead hands
    by about half a second (Land et al., 1999). What remains is a slow sway.

    Arguments:
        still: eye and point looked at of a head that does not move at all.
    """

    def __init__(self, world: World, rng: np.random.Generator, still: View | None = None) -> None:
        height = world.style.worktop_height
        eye, ahead = still or (np.array([0.0, -0.35, height + 0.62]), np.array([0.0, 0.25, height]))
        self._still = still is not None
        self._eye, self._ahead = Track(eye), Track(ahead)
        self._phases = rng.uniform(0, 2 * np.pi, (7, len(FREQUENCIES)))
        weights = rng.uniform(0.5, 1.0, (7, len(FREQUENCIES)))
        self._weights = weights * np.sqrt(2) / np.linalg.norm(weights, axis=1, keepdims=True)

    def turn(self, start: float, stop: float, eye: np.ndarray, ahead: np.ndarray) -> float:
        """Step and look somewhere else; returns when that is done, in seconds."""
        if self._still:
            return stop
        self._eye.move(start, stop, eye)
        self._ahead.move(start, stop, ahead)
        return stop

    def steady(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Eye (3,) and the point looked at (3,), without the sway."""
        return self._eye.at(t), self._ahead.at(t)

    def at(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Eye (3,) and the point looked at (3,)."""
        eye, ahead = self.steady(t)
        if self._still:
            return eye, ahead
        sway = self._sway(t)
        distance = np.linalg.norm(ahead - eye)
        return eye + SWAY_EYE * sway[:3], ahead + SWAY_ANGLE * distance * sway[3:6]

    def roll(self, t: float) -> float:
        """Tilt of the head, in radians."""
        return 0.0 if self._still else float(SWAY_ANGLE * self._sway(t)[6])

    def _sway(self, t: float) -> np.ndarray:
        return (self._weights * np.sin(2 * np.pi * FREQUENCIES * t + self._phases)).sum(1)


def still_view(world: World, points: np.ndarray) -> View:
    """A view from which as much as can be of `points` (N, 3) is seen, within the arms' reach."""
    middle = (points.min(0) + points.max(0)) / 2
    best: tuple[float, View] | None = None
    for back in np.arange(0.45, FURTHEST, 0.05):
        eye = np.array([middle[0], points[:, 1].max() - back, world.style.eye_height - 0.10])
        directions = (points - eye) / np.linalg.norm(points - eye, axis=1, keepdims=True)
        pitch = np.arctan2(directions[:, 2], directions[:, 1])
        angle = (pitch.min() + pitch.max()) / 2 + LOOK_UP
        ahead = eye + 0.8 * np.array([0.0, np.cos(angle), np.sin(angle)])
        spread = float(np.abs(seen_at(world, (eye, ahead), points)).max())
        if best is None or spread < best[0]:
            best = spread, (eye, ahead)
        if spread < MARGIN:
            break
    assert best is not None
    return best[1]


def seen_at(world: World, view: View, points: np.ndarray) -> np.ndarray:
    """Where points (N, 3) are seen (N, 2), from −1, left or bottom, to 1; beyond, they are not."""
    eye, ahead = view
    forward = (ahead - eye) / np.linalg.norm(ahead - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    offset = points - eye
    depth = np.maximum(offset @ forward, 0.05) * np.tan(np.radians(world.style.fovy) / 2)
    return np.column_stack([offset @ right, offset @ np.cross(right, forward)]) / depth[:, None]
