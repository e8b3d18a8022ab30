"""One worker's work: the clips of one video, decoded in one pass, as pairs and rejected clips."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from egoframe.curation import filters
from egoframe.curation.selection import Moments
from egoframe.curation.video import UnreadableMedia, VideoFacts, probe, read_frames
from egoframe.errors import UserError
from egoframe.images import open_photo
from egoframe.pairs import (
    ActionPair,
    RejectedClip,
    normalise_action,
    rejected_features,
    to_row,
    write_shard,
)
from egoframe.sources.clip import ActionClip
from egoframe.storage import Folder

if TYPE_CHECKING:
    from egoframe.curation.build import BuildConfig

THUMBNAIL = 96  # pixels, of the frames of rejected clips
ANNOTATIONS_FAULT = ("past the end", "negative time")  # not the file's
Result = ActionPair | RejectedClip
open_models = lru_cache(maxsize=1)(filters.open_models)  # once in a worker's life


@dataclass(frozen=True)
class Unit:
    """Clips of one video, and the moments of those that have any, by clip_id."""

    number: int
    clips: list[ActionClip]
    moments: dict[str, Moments | str]
    folder: str  # in which the media lie, within that of all

    def file(self, name: str) -> str:
        """A file's name that no other has."""
        return (PurePosixPath(self.folder) / name).as_posix()

    def name(self, ending: str) -> str:
        return unit_file(self.number, ending)


def unit_file(number: int, ending: str) -> str:
    """Where in the dataset a unit's result lies: .parquet, .rejected.parquet, and at last .json."""
    return f"parts/{number:06d}.{ending}"


class Frame:
    """The sharpest of some candidates, or why there is none."""

    time: float
    picture: np.ndarray  # size × size × 3
    sharpness = -math.inf
    trouble: UnreadableMedia | None = None  # the first

    @property
    def found(self) -> bool:
        return self.sharpness >= 0

    def offer(self, picture: np.ndarray | UnreadableMedia, time: float) -> None:
        """Take a candidate if it is better."""
        if isinstance(picture, UnreadableMedia):
            self.trouble = self.trouble or picture
        elif (sharpness := filters.sharpness(picture)) > self.sharpness:
            self.time, self.picture, self.sharpness = time, picture, sharpness


def build_unit(unit: Unit, out: str, config: BuildConfig) -> None:
    """Write the pairs of a unit, what was rejected, and at last what became of it.

    Raises:
        UserError: the dataset's folder cannot be written.
    """
    results = dict(_results(unit, config))
    notes = _notes(unit)
    _write(unit, Folder(out), [results[clip.clip_id] for clip in unit.clips], notes)


def give_up(unit: Unit, out: Folder, why: str) -> None:
    """Reject every clip of a unit that no process survives."""
    rejected = [
        _rejected(c, "crashes the decoder", why, unit.file(c.media.name)) for c in unit.clips
    ]
    _write(unit, out, rejected, {})


def _write(unit: Unit, out: Folder, results: Sequence[Result], notes: dict[str, str]) -> None:
    pairs = [r for r in results if isinstance(r, ActionPair)]
    rejected = [r for r in results if isinstance(r, RejectedClip)]
    write_shard(out, unit.name("parquet"), map(to_row, pairs))
    write_shard(out, unit.name("rejected.parquet"), map(to_row, rejected), rejected_features())
    told = {
        "kept": Counter(pair.split for pair in pairs),
        "rejected": Counter(clip.reason for clip in rejected),
        "bad_files": {clip.file: clip.detail for clip in reversed(rejected) if clip.file},
        "notes": notes,
    }
    out.write(unit.name("json"), json.dumps(told))


def _results(unit: Unit, config: BuildConfig) -> Iterator[tuple[str, Result]]:
    """What becomes of each clip, by clip_id."""
    usable = []
    for clip in unit.clips:
        moments = unit.moments.get(clip.clip_id)
        reason = clip.flaw or (moments if isinstance(moments, str) else None)
        if reason:
            yield clip.clip_id, _rejected(clip, reason)
        else:
            usable.append(clip)
    read = []
    for clip, frames in zip(usable, _frames(usable, unit.moments, config.size), strict=True):
        trouble = next((f.trouble for f in frames if not f.found), None)
        if trouble:
            file = None if trouble.reason in ANNOTATIONS_FAULT else unit.file(trouble.file)
            yield clip.clip_id, _rejected(clip, trouble.reason, str(trouble), file)
        else:
            read.append((clip, *frames))
    for (clip, before, during), figures in zip(read, _figures(read, config), strict=True):
        reason = filters.reason_to_reject(figures, config.filters)
        made = (before, during, figures)
        if reason:
            yield clip.clip_id, _rejected(clip, reason, "", None, *made)
        else:
            yield clip.clip_id, _pair(clip, *made, config.jpeg_quality)


def _frames(
    clips: list[ActionClip], moments: dict[str, Moments | str], size: int
) -> list[tuple[Frame, Frame]]:
    """Input and action frame of each clip: of every video one pass, and the sharpest candidate."""
    chosen: list[tuple[Frame, Frame]] = []
    wanted: dict[tuple[Path, float], list[tuple[float, Frame]]] = {}
    for clip in clips:
        frames = Frame(), Frame()
        chosen.append(frames)
        if clip.stills is not None:
            for frame, name, key in zip(frames, clip.stills, ("pre", "pnr"), strict=True):
                frame.offer(_open_still(clip.media, name, size), clip.critical[key])
            continue
        times = moments[clip.clip_id]
        assert isinstance(times, Moments)
        for frame, candidates in zip(frames, (times.before, times.during), strict=True):
            wanted.setdefault((clip.media, clip.fps), []).extend((t, frame) for t in candidates)
    for (media, fps), requests in wanted.items():
        for index, picture in read_frames(media, [time for time, _ in requests], fps, size):
            time, frame = requests[index]
            frame.offer(picture, time)
    return chosen


def _open_still(folder: Path, name: str, size: int) -> np.ndarray | UnreadableMedia:
    try:
        picture = open_photo(folder / name)
    except UserError as error:
        return UnreadableMedia(name, "unreadable", str(error).removeprefix(f"{folder}/"))
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def _figures(
    read: list[tuple[ActionClip, Frame, Frame]], config: BuildConfig
) -> list[filters.Figures]:
    """The figures of every pair; what needs a network is worked out for all of them together."""
    embedding, aesthetic = open_models(config.models)
    before = [frame.picture for _, frame, _ in read]
    during = [frame.picture for _, _, frame in read]
    similarities = embedding.similarity(before, during)
    scores = aesthetic(during) if aesthetic else [None] * len(read)
    return [
        filters.Figures(
            similarity=similarities[k],
            sharpness=min(read[k][1].sharpness, read[k][2].sharpness),
            exposure=filters.exposure(before[k], during[k]),
            camera_motion=filters.camera_motion(before[k], during[k]),
            hands=filters.hands(clip.boxes.get(frame.time)),
            aesthetic=scores[k],
        )
        for k, (clip, _, frame) in enumerate(read)
    ]


def _pair(
    clip: ActionClip, before: Frame, during: Frame, figures: filters.Figures, quality: int
) -> ActionPair:
    return ActionPair(
        pair_id=clip.clip_id,
        source=clip.source,
        split=clip.split,
        video_id=clip.video_id,
        narration=clip.narration,
        action=normalise_action(clip.action or clip.narration),
        verb=clip.verb,
        noun=clip.noun,
        description=clip.description,
        description_source=clip.description_source,
        input_frame=_encode(before.picture, quality),
        action_frame=_encode(during.picture, quality),
        input_time=before.time,
        action_time=during.time,
        input_boxes=clip.boxes.get(before.time, []),
        action_boxes=clip.boxes.get(during.time, []),
        facts=clip.facts,
        **asdict(figures),
    )


def _rejected(
    clip: ActionClip,
    reason: str,
    detail: str = "",
    file: str | None = None,
    before: Frame | None = None,
    during: Frame | None = None,
    figures: filters.Figures | None = None,
) -> RejectedClip:
    return RejectedClip(
        clip_id=clip.clip_id,
        source=clip.source,
        split=clip.split,
        video_id=clip.video_id,
        narration=clip.narration,
        verb=clip.verb,
        noun=clip.noun,
        reason=reason,
        detail=detail,
        file=file,
        input_time=before.time if before else None,
        action_time=during.time if during else None,
        input_frame=_thumbnail(before.picture) if before else None,
        action_frame=_thumbnail(during.picture) if during else None,
        **(asdict(figures) if figures else {}),
    )


def _encode(picture: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _thumbnail(picture: np.ndarray) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return _encode(np.asarray(image), 80)


def _notes(unit: Unit) -> dict[str, str]:
    """What is odd about files that can be read, by file."""
    notes = {}
    for media, fps in {clip.media: clip.fps for clip in unit.clips}.items():
        facts = probe(media) if media.is_file() and not math.isnan(fps) else None
        if isinstance(facts, VideoFacts) and abs(facts.fps - fps) > 0.01 * fps:
            notes[unit.file(media.name)] = (
                f"annotated at {fps:.6g} frames/s, runs at {facts.fps:.6g}; its own times count"
            )
    return notes
