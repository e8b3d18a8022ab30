"""`ActionClip`: an annotated action in a video, before any frame of it is chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from egoframe.pairs import Box


@dataclass(frozen=True, slots=True)
class ActionClip:
    """An annotated action. Times are seconds from the video's first frame, nan where unknown."""

    clip_id: str
    source: str
    split: str
    video_id: str  # names a file
    media: Path  # the video, or a folder of frame_%010d.jpg, or the one that `stills` lie in
    fps: float  # as annotated; counts for the frames in a folder, a video's own times for its own
    start: float
    stop: float
    narration: str
    verb: str
    noun: str
    critical: dict[str, float] = field(default_factory=dict)  # pre, contact, pnr, post
    boxes: dict[float, list[Box]] = field(default_factory=dict)  # of annotated frames, by time
    facts: str | None = None  # JSON, from a simulator
    action: str | None = None  # in plain words; else the narration is
    stills: tuple[str, str] | None = None  # both frames, chosen already
    description: str | None = None
    description_source: str | None = None
    flaw: str | None = None  # why no pair can be made of it, as the annotation tells


def flawed(
    clip_id: str,
    source: str,
    split: str,
    video_id: str,
    media: Path,
    flaw: str,
    narration: str = "",
) -> ActionClip:
    """An annotation of which no pair can be made: counted, and named in `rejected.parquet`."""
    return ActionClip(
        clip_id, source, split, video_id, media, fps=math.nan, start=math.nan, stop=math.nan,
        narration=narration, verb="", noun="", flaw=flaw,
    )  # fmt: skip


class ClipSource(Protocol):
    """A reader.

    Attributes:
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    anomalies: Counter[str]

    def clips(self) -> Iterator[ActionClip]:
        """Every annotation, always in the same order; those of no use with their `flaw`."""
