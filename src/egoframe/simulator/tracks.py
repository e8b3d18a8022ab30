"""Tracks: what moves, as pure functions of time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from egoframe.simulator.hands import HandPose


def smooth(u: float) -> float:
    """The minimum-jerk course of a human movement, 0 → 1 (Flash & Hogan, 1985)."""
    u = min(max(u, 0.0), 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


@dataclass
class Track:
    """A value over time: it rests at each key's value, and moves smoothly between moves.

    Each move (start, stop, value) takes it from where it was to `value`.
    """

    first: np.ndarray
    moves: list[tuple[float, float, np.ndarray]] = field(default_factory=list)

    def move(self, start: float, stop: float, value: np.ndarray | float) -> None:
        """Add a move; moves come in the order of time and do not overlap."""
        self.moves.append((start, stop, np.asarray(value, float)))

    def last(self) -> np.ndarray:
        """Where the track ends."""
        return self.moves[-1][2] if self.moves else self.first

    def at(self, t: float) -> np.ndarray:
        """The value at a time."""
        index = bisect_right([move[0] for move in self.moves], t) - 1
        if index < 0:
            return self.first
        start, stop, value = self.moves[index]
        before = self.moves[index - 1][2] if index else self.first
        return before + (value - before) * smooth((t - start) / max(stop - start, 1e-6))


Aim = Callable[[float], HandPose]  # where a hand belongs at a time


@dataclass
class HandTrack:
    """A hand over time: each move (start, stop, aim, lift) brings it to an aim, which may itself
    move, such as the handle of a drawer that opens; `lift` arches the way up, in metres.
    """

    first: Aim
    moves: list[tuple[float, float, Aim, float]] = field(default_factory=list)

    def move(self, start: float, stop: float, aim: Aim, lift: float = 0.0) -> None:
        """Add a move; moves come in the order of time."""
        self.moves.append((start, stop, aim, lift))

    def at(self, t: float) -> HandPose:
        """The hand at a time; the world must be posed for that time already."""
        index = bisect_right([move[0] for move in self.moves], t) - 1
        if index < 0:
            return self.first(t)
        start, stop, aim, lift = self.moves[index]
        u = (t - start) / max(stop - start, 1e-6)
        if u >= 1:
            return aim(t)
        before = self.moves[index - 1][2] if index else self.first
        return blend(before(t), aim(t), smooth(u), lift)


def blend(a: HandPose, b: HandPose, s: float, lift: float) -> HandPose:
    """Between two poses; the hand takes the shape of `b` on its way, open until it is there."""
    position = a.position + (b.position - a.position) * s + np.array([0, 0, 4 * lift * s * (1 - s)])
    grip = b if s > 0.35 else a
    return replace(
        grip,
        position=position,
        palm=_between(a.palm, b.palm, s),
        fingers=_between(a.fingers, b.fingers, s),
        closure=a.closure * (1 - s) if s <= 0.35 else b.closure * max(0.0, (s - 0.85) / 0.15),
    )


def _between(a: np.ndarray, b: np.ndarray, s: float) -> np.ndarray:
    mixed = (1 - s) * a + s * b
    norm = np.linalg.norm(mixed)
    return b if norm < 1e-3 else mixed / norm
