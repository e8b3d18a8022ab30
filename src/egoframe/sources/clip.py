"""`ActionClip`: an annotated action in a video, before any frame of it is chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from egoframe.pairs import Box


@dataclass(frozen=True)
class ActionClip:
    """An annotated action. Times are seconds from the start of the video."""

    clip_id: str
    source: str
    split: str
    video_id: str
    media: Path  # the video, or a folder of frame_%010d.jpg
    fps: float  # of the frames in a folder; a video's own times count
    start: float
    stop: float
    narration: str
    verb: str
    noun: str
    critical: dict[str, float] = field(default_factory=dict)  # pre, contact, pnr, post
    boxes: dict[str, list[Box]] = field(default_factory=dict)  # by critical frame
    facts: str | None = None  # JSON, from a simulator
