"""Which two moments of a clip make a pair.

LEGO takes Ego4D's PRE and PNR frames, and for EPIC-KITCHENS, which has none, moments at a fixed
distance from the annotated start.
"""

from __future__ import annotations

from dataclasses import dataclass

from egoframe.sources.clip import ActionClip


@dataclass(frozen=True)
class SelectionConfig:
    """Where critical frames are not annotated; seconds."""

    before_start: float = 0.25  # the input frame lies this long before the action's start
    after_start: float = 0.60  # and the action frame this long after it, or half way through


def choose_times(clip: ActionClip, config: SelectionConfig) -> tuple[float, float]:
    """The times of input and action frame, in seconds."""
    if "pre" in clip.critical and "pnr" in clip.critical:
        return clip.critical["pre"], clip.critical["pnr"]
    middle = 0.5 * (clip.stop - clip.start)
    return max(0.0, clip.start - config.before_start), clip.start + min(config.after_start, middle)
