"""Which two moments of an action make a pair.

Critical frames are taken where somebody annotated them: LEGO takes Ego4D's PRE and PNR frames (Lai
et al., 2024, Sec. 4.1). Elsewhere the moments lie at fixed distances from the annotated start.
Between both, no other action of the video may change the scene.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from egoframe.sources.clip import ActionClip

MERGED = "another action in between"
SHORT = "too short"
DISORDER = "critical frames out of order"


@dataclass(frozen=True)
class SelectionConfig:
    """Where critical frames are not annotated; seconds."""

    before_start: float = 0.25  # the input frame lies this long before the action's start
    after_start: float = 0.60  # and the action frame this long after it, or half way through
    min_gap: float = 0.20  # between both frames
    candidates: int = 1  # further frames looked at on either side; the sharpest is taken
    spread: float = 0.10  # from the moment to the furthest of them
    snap: float = 0.30  # a frame with annotated boxes, this near to the moment, goes before others


@dataclass(frozen=True)
class Moments:
    """Times in seconds, of each frame those at which it may be taken, the wanted one first."""

    before: tuple[float, ...]
    during: tuple[float, ...]


def choose_moments(
    clips: Sequence[ActionClip], config: SelectionConfig
) -> dict[str, Moments | str]:
    """The moments of each clip of one video, by clip_id; or, in words, why it has none.

    An action is taken to change the scene at its PNR frame, or where its action frame would lie.
    If that of another falls between a clip's two moments, the input frame is taken there, not
    before; the clip is left out if too little time remains, or if its frames were annotated. An
    action of the same words at the same time is the same one, told twice.
    """
    changes = sorted((_wanted(clip, config)[1], k) for k, clip in enumerate(clips))
    chosen: dict[str, Moments | str] = {}
    for clip in clips:
        during = _wanted(clip, config)[1]
        here = bisect.bisect_left(changes, (during, -1))
        past, future = range(here - 1, -1, -1), range(here, len(changes))
        previous, following = (
            next((t for t, k in map(changes.__getitem__, way) if not _same(clip, clips[k])), none)
            for way, none in ((past, -math.inf), (future, math.inf))
        )
        chosen[clip.clip_id] = _moments(clip, previous, following, config)
    return chosen


def _moments(
    clip: ActionClip, previous: float, following: float, config: SelectionConfig
) -> Moments | str:
    """Between the changes of the scene by the actions before and after."""
    before, during = _wanted(clip, config)
    if previous > before:
        if "pre" in clip.critical or during - previous < config.min_gap:
            return MERGED
        before = previous
    if during <= before:
        return DISORDER if clip.critical else SHORT
    if during - before < config.min_gap and not clip.critical:
        return SHORT
    inputs: tuple[float, ...] = (before,)
    if "pre" not in clip.critical:
        inputs = _around(before, max(0.0, previous), during - config.min_gap, clip, config)
    if "pnr" in clip.critical:
        return Moments(inputs, (during,))
    last = min(following, max(clip.stop, during))
    return Moments(inputs, _around(during, max(inputs) + config.min_gap, last, clip, config))


def _wanted(clip: ActionClip, config: SelectionConfig) -> tuple[float, float]:
    middle = 0.5 * (clip.stop - clip.start)
    before = clip.critical.get("pre", max(0.0, clip.start - config.before_start))
    return before, clip.critical.get("pnr", clip.start + min(config.after_start, middle))


def _around(
    moment: float, first: float, last: float, clip: ActionClip, config: SelectionConfig
) -> tuple[float, ...]:
    """The frame with annotated boxes that lies near; else the candidates, the nearest first."""
    annotated = [t for t in clip.boxes if abs(t - moment) <= config.snap and first <= t <= last]
    if annotated:
        return (min(annotated, key=lambda t: (abs(t - moment), t)),)
    steps = [config.spread * (k + 1) / config.candidates for k in range(config.candidates)]
    times = [moment + way * step for step in steps for way in (-1, 1)]
    return (moment, *(t for t in times if first <= t <= last))


def _same(clip: ActionClip, other: ActionClip) -> bool:
    words = (clip.verb, clip.noun) == (other.verb, other.noun)
    return words and clip.start < other.stop and other.start < clip.stop
