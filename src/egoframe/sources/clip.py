"""`ActionClip`: an annotated action in a video, before any frame of it is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from egoframe.pairs import Box


@dataclass(frozen=True)
class ActionClip:
    """An annotated action. Times are seconds from the start of the video, nan where unknown."""

    clip_id: str
    source: str
    split: str
    video_id: str  # names a file
    media: Path  # the video, or a folder of frame_%010d.jpg, or the one that `stills` lie in
    fps: float  # of the frames in a folder; a video's own times count
    start: float
    stop: float
    narration: str
    verb: str
    noun: str
    critical: dict[str, float] = field(default_factory=dict)  # pre, contact, pnr, post
    boxes: dict[str, list[Box]] = field(default_factory=dict)  # by critical frame
    facts: str | None = None  # JSON, from a simulator
    # Not in the repr, so that datasets built before these existed keep their fingerprint.
    action: str | None = field(default=None, repr=False)  # in plain words; else the narration is
    stills: tuple[str, str] | None = field(default=None, repr=False)  # both frames, chosen already
    description: str | None = field(default=None, repr=False)
    description_source: str | None = field(default=None, repr=False)


class ClipSource(Protocol):
    """A reader.

    Attributes:
        anomalies: how many annotations have each flaw; counted while reading.
    """

    anomalies: Counter[str]

    def clips(self) -> Iterator[ActionClip]:
        """Every annotated action that can be read, always in the same order."""
