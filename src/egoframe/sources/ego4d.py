"""Reads Ego4D's Forecasting + Hands & Objects annotations, with full videos or clips beside them.

```
fho_main.json                here, or in annotations, v2/annotations or v1/annotations
    videos[]: video_uid, video_metadata (fps, width, height)
        annotated_intervals[]: clip_uid, redacted
            narrated_actions[]: uid, start_sec, end_sec, narration_text ("#C C opens the drawer"),
                structured_verb, is_valid_action, is_rejected, is_invalid_annotation, …
                critical_frames: pre_45 pre_30 pre_15 pre_frame contact_frame pnr_frame post_frame
                frames[]: frame_type, frame_number, boxes[] (object_type, structured_noun, bbox)
                clip_start_sec, clip_critical_frames, …    # the same within the clip
fho_*_{train,val,test_unannotated}.json                    # beside it: which clip is of which split
ego4d.json                   asked for splits where there is none of those
full_scale/UID.mp4           or video_540ss; also within v2 or v1
clips/UID.mp4                where a video is not there whole; times are then those of the clip
```
The names are those of Ego4D's published schemas (ego4d-data.org/docs/data/annotations-schemas).

Frame numbers count from 0, at 30/s in every video. `start_sec` and `end_sec` bound a window of
eight seconds around an action, not the action: that lasts from the first of its critical frames to
the last. Where it has none, it starts when it was narrated, and ends with the window.

Ego4D splits its clips, not its videos; a clip of which no file tells is taken for train. Of the
test split nothing is used.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from egoframe.errors import UserError
from egoframe.pairs import Box
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.narration import plain_action
from egoframe.sources.reading import (
    FILE_NAME,
    mapping,
    number,
    safe_name,
    sequence,
    stream_json,
    text,
    unique,
)

SOURCE = "ego4d"
TABLE = "fho_main.json"
ANNOTATIONS = (".", "annotations", "v2/annotations", "v1/annotations")
WHOLE, CUT = ("full_scale", "video_540ss"), ("clips", "clips_540ss")  # folders of videos, of clips
SPLIT_FILE = re.compile(r"fho_\w[\w-]*_(train|val|test)(?:_unannotated)?\.json", re.ASCII)
SPLITS = {"train": "train", "val": "validation"}
NOT_USED = {"test": "of the test split", "multi": "official split unknown"}
FPS = 30.0  # of every video
CRITICAL = {
    "pre_frame": "pre",
    "contact_frame": "contact",
    "pnr_frame": "pnr",
    "post_frame": "post",
}
HANDS = {"left_hand": "left hand", "right_hand": "right hand"}
FLAGS = {  # what is a flaw of an action, and its name
    "is_rejected": (True, "rejected by the annotators"),
    "is_invalid_annotation": (True, "invalid annotation"),
    "is_valid_action": (False, "not a valid action"),
}


class Video(NamedTuple):
    """Where an action is seen."""

    name: str
    media: Path
    cut: bool  # a clip; its own times count
    fps: float
    width: float  # pixels; nan where not told
    height: float


@dataclass
class Ego4dSource:
    """A folder of Ego4D.

    Attributes:
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    folder: Path
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every narrated action, in the order of the file.

        Raises:
            UserError: no annotations here, or a file that is not Ego4D's.
        """
        tables = [self.folder / place / TABLE for place in ANNOTATIONS]
        table = next((path for path in tables if path.exists()), None)
        if table is None:
            raise UserError(
                f"{self.folder}: no {TABLE} here or in annotations, v2/annotations or "
                "v1/annotations; give the folder that Ego4D was downloaded to"
            )
        return unique(self._clips(table))

    def _clips(self, table: Path) -> Iterator[ActionClip]:
        roots = [table.parent.parent, self.folder, self.folder / "v2", self.folder / "v1"]
        splits = _splits_of_clips(table.parent) or _splits_of_videos(roots)
        found = False
        for position, told in enumerate(stream_json(table, "videos.item")):
            intervals = mapping(told).get("annotated_intervals")
            if not isinstance(intervals, list):
                yield self._flawed(f"video_{position}", "train", "", "video cannot be read")
                continue
            found = True
            for k, interval in enumerate(intervals):
                place = f"video_{position}_{k}"
                yield from self._interval(mapping(told), mapping(interval), place, roots, splits)
        if not found:
            raise UserError(f"{table}: no videos with annotated_intervals; is this Ego4D's file?")

    def _interval(
        self,
        told: dict[str, Any],
        interval: dict[str, Any],
        place: str,
        roots: list[Path],
        splits: dict[str, str],
    ) -> Iterator[ActionClip]:
        """The actions of an interval of a video; `place` of the file stands in for a lost uid."""
        uid, clip_uid = text(told.get("video_uid")) or "", text(interval.get("clip_uid")) or ""
        known = splits.get(clip_uid) or splits.get(uid)
        split = SPLITS.get(known or "train", "validation")
        actions = interval.get("narrated_actions")
        if not isinstance(actions, list) or not FILE_NAME.fullmatch(uid):
            yield self._flawed(place, split, uid, "interval cannot be read")
            return
        video = _video(told, uid, clip_uid, roots)
        for k, action in enumerate(map(mapping, actions)):
            clip_id = text(action.get("uid")) or f"{place}_{k}"
            try:
                _check(action, interval, known)
                clip = self._clip(clip_id, split, action, video)
            except ValueError as flaw:
                narration = text(action.get("narration_text")) or ""
                yield self._flawed(clip_id, split, video.name, str(flaw), narration)
                continue
            if known is None:
                self.anomalies["of no official split, taken for train"] += 1
            if not {"pre", "pnr"} <= clip.critical.keys():
                self.anomalies["no PRE or PNR frame"] += 1
            yield clip

    def _flawed(
        self, clip_id: str, split: str, video: str, flaw: str, narration: str = ""
    ) -> ActionClip:
        return flawed(clip_id, SOURCE, split, safe_name(video), self.folder, flaw, narration)

    def _clip(self, clip_id: str, split: str, told: dict[str, Any], video: Video) -> ActionClip:
        """An action as a clip.

        Raises:
            ValueError: no pair can be made of it; says why.
        """
        narration = text(told.get("narration_text"))
        if narration is None:
            raise ValueError("no action in the narration")
        action = plain_action(narration)
        words = action.split()
        start, stop, critical = _times(told, video)
        return ActionClip(
            clip_id=clip_id,
            source=SOURCE,
            split=split,
            video_id=video.name,
            media=video.media,
            fps=video.fps,
            start=start,
            stop=stop,
            narration=narration,
            verb=_head(told.get("structured_verb")) or words[0],
            noun=_noun(told) or (words[-1] if len(words) > 1 else ""),
            critical=critical,
            boxes=self._boxes(told, critical, video),
            action=action,
        )

    def _boxes(
        self, told: dict[str, Any], critical: dict[str, float], video: Video
    ) -> dict[float, list[Box]]:
        """Of every frame that has any, by time."""
        boxes: dict[float, list[Box]] = {}
        for frame in map(mapping, sequence(told.get("frames"))):
            time = critical.get(CRITICAL.get(text(frame.get("frame_type")) or "", ""))
            if time is None:
                time = _time(frame, told, video)
            found = [_box(mapping(box), video) for box in sequence(frame.get("boxes"))]
            sound = [box for box in found if box is not None] if time is not None else []
            if len(sound) < len(found):
                self.anomalies["box cannot be read"] += len(found) - len(sound)
            if time is not None and sound:
                boxes.setdefault(time, []).extend(sound)
        return boxes


def _check(action: dict[str, Any], interval: dict[str, Any], split: str | None) -> None:
    """Raises ValueError for what the annotators, or the official splits, say is of no use."""
    for name, (flaw, called) in FLAGS.items():
        if action.get(name) is flaw:
            raise ValueError(called)
        if not isinstance(action.get(name), bool | None):
            raise ValueError("annotation cannot be read")
    if interval.get("redacted") is True:
        raise ValueError("redacted")
    if split in NOT_USED:
        raise ValueError(NOT_USED[split])


def _times(told: dict[str, Any], video: Video) -> tuple[float, float, dict[str, float]]:
    """Start, stop and critical frames, in seconds.

    Raises:
        ValueError: they are none, or cannot be; says why.
    """
    of = "clip_" if video.cut else ""
    start, stop = number(told.get(f"{of}start_sec")), number(told.get(f"{of}end_sec"))
    frames = mapping(told.get(f"{of}critical_frames"))
    marked = {short: number(frames.get(name)) for name, short in CRITICAL.items()}
    critical = {key: frame / video.fps for key, frame in marked.items() if frame is not None}
    if start is None or stop is None:
        raise ValueError("no start_sec or end_sec")
    if min(start, stop, *critical.values()) < 0:
        raise ValueError("negative time")
    if stop <= start:
        raise ValueError("stops before it starts")
    if critical:
        start = min(critical.values())
        last = max(critical.values())
        return start, last if last > start else max(stop, start + 1 / video.fps), critical
    narrated = number(told.get(f"{of}narration_timestamp_sec"))
    if narrated is not None and start < narrated < stop:
        start = narrated
    return start, stop, critical


def _time(frame: dict[str, Any], told: dict[str, Any], video: Video) -> float | None:
    """Of an annotated frame, in seconds; it has its number in the full video."""
    count = number(frame.get("frame_number"))
    if count is None:
        return None
    time = count / video.fps
    if video.cut:
        here, there = number(told.get("clip_start_sec")), number(told.get("start_sec"))
        if here is None or there is None:
            return None
        time += here - there
    return time if time >= 0 else None


def _box(told: dict[str, Any], video: Video) -> Box | None:
    kind = text(told.get("object_type")) or "object"
    label = HANDS.get(kind) or _head(told.get("structured_noun")) or kind.replace("_", " ")
    corners = mapping(told.get("bbox"))
    x, y, width, height = (number(corners.get(key)) for key in ("x", "y", "width", "height"))
    if x is None or y is None or width is None or height is None:
        return None
    x0, x1 = (min(max(value / video.width, 0.0), 1.0) for value in (x, x + width))
    y0, y1 = (min(max(value / video.height, 0.0), 1.0) for value in (y, y + height))
    return Box(label, x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _noun(told: dict[str, Any]) -> str | None:
    """What the object is called whose state changes."""
    for frame in map(mapping, sequence(told.get("frames"))):
        for box in map(mapping, sequence(frame.get("boxes"))):
            noun = _head(box.get("structured_noun"))
            if noun and box.get("object_type") == "object_of_change":
                return noun
    return None


def _head(taxonomy: Any) -> str | None:
    """The name of a class: "turn on" of "turn_on_(switch_on,_start,_light)"."""
    name = (text(taxonomy) or "").partition("(")[0].replace("_", " ").strip()
    return name if name and name[0].isalpha() else None  # there is "[other]"


def _video(told: dict[str, Any], uid: str, clip_uid: str, roots: list[Path]) -> Video:
    """The whole video, or else the clip; where neither is, the place that it should be."""
    metadata = mapping(told.get("video_metadata"))
    fps, width, height = (number(metadata.get(key)) or 0.0 for key in ("fps", "width", "height"))
    facts = (
        fps if fps > 0 else FPS,
        width if width > 0 else math.nan,
        height if height > 0 else math.nan,
    )
    for root in roots:
        for place in WHOLE:
            if (path := root / place / f"{uid}.mp4").exists():
                return Video(uid, path, False, *facts)
    for root in roots if FILE_NAME.fullmatch(clip_uid) else []:
        for place in CUT:
            if (path := root / place / f"{clip_uid}.mp4").exists():
                return Video(clip_uid, path, True, *facts)
    return Video(uid, roots[0] / WHOLE[0] / f"{uid}.mp4", False, *facts)


def _splits_of_clips(folder: Path) -> dict[str, str]:
    """Of each clip that a split's file lists; what is of several is of the one least trained on."""
    named = ((SPLIT_FILE.fullmatch(path.name), path) for path in sorted(folder.glob("fho_*.json")))
    files = [(found[1], path) for found, path in named if found]
    splits: dict[str, str] = {}
    for split, path in sorted(files, key=lambda file: ("train", "val", "test").index(file[0])):
        clips = "annotations" if path.name.startswith("fho_sta_") else "clips"
        uids = map(text, stream_json(path, f"{clips}.item.clip_uid"))
        splits.update((uid, split) for uid in uids if uid)
    return splits


def _splits_of_videos(roots: list[Path]) -> dict[str, str]:
    """As `ego4d.json` tells: "multi", where a video's clips are of several."""
    places = [root / "ego4d.json" for root in (*roots, roots[0].parent)]
    path = next((path for path in places if path.exists()), None)
    told = map(mapping, stream_json(path, "videos.item")) if path else iter(())
    named = ((text(video.get("video_uid")), text(video.get("split_fho"))) for video in told)
    return {uid: split for uid, split in named if uid and split in {*SPLITS, *NOT_USED}}
