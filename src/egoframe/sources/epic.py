"""Reads EPIC-KITCHENS-100: its annotation tables, with videos or `rgb_frames` beside them.

```
EPIC_100_train.csv EPIC_100_validation.csv          # either or both
EPIC_100_video_info.csv EPIC_100_verb_classes.csv EPIC_100_noun_classes.csv
videos/P01/P01_01.MP4        or P01/videos/P01_01.MP4, as the official script downloads them
rgb_frames/P01/P01_01/       or P01/rgb_frames/P01_01/, of frame_0000000001.jpg, …
visor/                       VISOR's annotations, see visor.py
simulator.jsonl              of built-in scenes: critical frames, boxes and facts
```
Times are the truth, not frame numbers. Videos run at 50 or 59.94 frames/s, a few at 29.97, 47.95
or 90; but the tables' frame numbers count `rgb_frames`, which were all extracted at 60/s (50/s of
the videos that EPIC-KITCHENS-100 added), so that a number is up to seconds away from the video's
frame of that number. The rate of a folder of frames is therefore taken from the table's numbers.

What is odd about the 9,668 annotations of the validation split costs no pair by itself:

| remark | count | why |
|---|---|---|
| overlaps another action | 4236 | narrated by hand, and two hands act; the selection looks to it |
| narrated before or after the action | 4505 | people pause to speak, and bounds were drawn later |
| frames numbered at another rate than the video's | 140 | five videos of 29.97, 47.95 and 90/s |
| no narration time | 70 | added later; the time is not used |
| stops after the video's end | 1 | P29_05_563, by less than a second |
| verb not of its class | 1 | P21_02_54: the class table has no "bring-into" |
"""

from __future__ import annotations

import ast
import bisect
import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from egoframe.errors import UserError, first_line
from egoframe.pairs import SPLITS, Box, normalise_action
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.reading import FILE_NAME, safe_name, unique
from egoframe.sources.visor import Visor

REQUIRED = (
    "narration_id",
    "video_id",
    "start_timestamp",
    "stop_timestamp",
    "narration",
    "verb",
    "noun",
)
SOURCE = "epic-kitchens-100"
RATES = (60.0, 50.0)  # of rgb_frames, frames/s
VISOR_BEFORE, VISOR_AFTER = 2.0, 1.0  # seconds around an action whose annotated frames it gets
TIMESTAMP = re.compile(r"(-?)(\d{1,4}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)", re.ASCII)

FRAMES_APART = 1.5  # between a frame's number and its time, by rounding

Row = dict[str, str]
Boxes = dict[float, list[Box]]  # by time
Classes = dict[str, list[str]]  # words, by a class's number


class Simulated(NamedTuple):
    """What a simulator tells of an action."""

    critical: dict[str, float]
    boxes: Boxes
    facts: str
    scene: str  # which family of built-in scenes


class Simulator:
    """A recording's simulator.jsonl: checked as a whole, and read again where something is wanted.

    Raises:
        UserError: it is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets: dict[str, int] = {}  # by narration_id
        if not path.exists():
            return
        try:
            with path.open("rb") as file:
                offset = 0
                for line in file:
                    told = json.loads(line)
                    _simulated(told)
                    self.offsets[told["narration_id"]] = offset
                    offset += len(line)
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            why = first_line(error)
            raise UserError(f"{path}: not a simulator's record ({why})") from None

    def tell(self, narration_id: str) -> Simulated | None:
        """What is known of an action."""
        if narration_id not in self.offsets:
            return None
        with self.path.open("rb") as file:
            file.seek(self.offsets[narration_id])
            return _simulated(json.loads(file.readline()))


class Video(NamedTuple):
    """Seconds and frames/s; infinite and none where the table does not know it."""

    duration: float = float("inf")
    fps: float | None = None


@dataclass
class EpicSource:
    """A folder of EPIC-KITCHENS-100.

    Attributes:
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    folder: Path
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every annotated action, in the order of the tables.

        Raises:
            UserError: no annotations here, or a table that is not EPIC-KITCHENS-100's.
        """
        tables = [(split, self.folder / f"EPIC_100_{split}.csv") for split in SPLITS]
        if not any(path.exists() for _, path in tables):
            raise UserError(
                f"{self.folder}: no EPIC_100_train.csv or EPIC_100_validation.csv here; give the "
                "folder that holds EPIC-KITCHENS-100's annotations"
            )
        return unique(self._clips(tables))

    def _clips(self, tables: list[tuple[str, Path]]) -> Iterator[ActionClip]:
        videos, simulator = self._videos(), Simulator(self.folder / "simulator.jsonl")
        visor = Visor(self.folder, self.anomalies)
        classes = {kind: self._classes(kind) for kind in ("verb", "noun")}
        for split, path in tables:
            rows = enumerate(_read_table(path, REQUIRED), 2)
            for name, group in groupby(rows, key=lambda numbered: numbered[1]["video_id"] or ""):
                numbered = list(group)
                video = videos.get(name, Video())
                rate = _rate([row for _, row in numbered], video.fps)
                media = self._media(name) if FILE_NAME.fullmatch(name) else self.folder
                boxes = visor.boxes(name, rate, media.is_dir())
                fps = rate if media.is_dir() else video.fps or rate
                clips = []
                for line, row in numbered:
                    told = simulator.tell(row["narration_id"])
                    clip = _clip(split, row, f"{path.name}:{line}", media, fps, told, boxes)
                    clips.append(clip)
                    if clip.flaw is None:
                        self.anomalies.update(_remarks(clip, row, video, rate, classes))
                if overlapping := _overlapping([clip for clip in clips if clip.flaw is None]):
                    self.anomalies["overlaps another action"] += overlapping
                yield from clips

    def _media(self, video: str) -> Path:
        """The video, or a folder of its frames; where neither is, the place that it should be."""
        person = video.partition("_")[0]
        movies = [
            self.folder / place / f"{video}.{ending}"
            for place in (f"videos/{person}", f"{person}/videos")
            for ending in ("MP4", "mp4")
        ]
        frames = [
            self.folder / place / video
            for place in (f"rgb_frames/{person}", f"{person}/rgb_frames")
        ]
        return next((path for path in movies + frames if path.exists()), movies[0])

    def _videos(self) -> dict[str, Video]:
        path = self.folder / "EPIC_100_video_info.csv"
        rows = _read_table(path, ("video_id", "duration", "fps"))
        try:
            return {
                r["video_id"]: Video(_positive(r["duration"]), _positive(r["fps"])) for r in rows
            }
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: a duration or fps is no number ({error})") from None

    def _classes(self, kind: str) -> Classes:
        """The words of each class, by its number."""
        path = self.folder / f"EPIC_100_{kind}_classes.csv"
        try:
            rows = _read_table(path, ("id", "instances"))
            return {row["id"]: list(ast.literal_eval(row["instances"])) for row in rows}
        except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise UserError(f"{path}: instances are no list ({first_line(error)})") from None


def seconds(timestamp: str) -> float | None:
    """Seconds of a timestamp such as 00:01:02.345; None if it has another form."""
    found = TIMESTAMP.fullmatch(timestamp.strip())
    if found is None:
        return None
    sign, hours, minutes, rest = found.groups()
    return (-1 if sign else 1) * (3600 * int(hours) + 60 * int(minutes) + float(rest))


def _clip(
    split: str,
    row: Row,
    line: str,
    media: Path,
    fps: float,
    told: Simulated | None,
    boxes: Boxes,
) -> ActionClip:
    """A row, `line` of its table, as a clip."""
    start, stop = (seconds(row[f"{end}_timestamp"] or "") for end in ("start", "stop"))
    video = row["video_id"] or ""
    flaw = None
    if any(row[name] is None for name in REQUIRED):
        flaw = "row cut short"
    elif not row["narration_id"].strip():
        flaw = "no narration_id"
    elif not FILE_NAME.fullmatch(video):
        flaw = "video_id names no file"
    elif start is None or stop is None:
        flaw = "timestamp cannot be read"
    elif start < 0 or stop < 0:
        flaw = "negative time"
    elif stop <= start:
        flaw = "stops before it starts"
    elif not normalise_action(row["narration"]):
        flaw = "no narration"
    if flaw or start is None or stop is None:
        clip_id, narration = (row["narration_id"] or "").strip() or line, row["narration"] or ""
        return flawed(clip_id, SOURCE, split, safe_name(video), media, flaw or "", narration)
    return ActionClip(
        clip_id=row["narration_id"],
        source=told.scene if told else SOURCE,
        split=split,
        video_id=video,
        media=media,
        fps=fps,
        start=start,
        stop=stop,
        narration=row["narration"],
        verb=row["verb"],
        noun=row["noun"],
        critical=told.critical if told else {},
        boxes=told.boxes if told else _between(boxes, start - VISOR_BEFORE, stop + VISOR_AFTER),
        facts=told.facts if told else None,
    )


def _remarks(
    clip: ActionClip, row: Row, video: Video, rate: float, classes: dict[str, Classes]
) -> Iterator[str]:
    """What is odd about an annotation, but costs no pair by itself."""
    if video.fps is None:
        yield "video not in EPIC_100_video_info.csv"
    elif abs(rate - video.fps) > 0.01 * rate:
        yield "frames numbered at another rate than the video's"
    if clip.stop > video.duration:
        yield "stops after the video's end"
    for kind, known in classes.items():
        words = known.get(row.get(f"{kind}_class") or "")
        if words is not None and row[kind] not in words:
            yield f"{kind} not of its class"
    if "narration_timestamp" in row:
        told = seconds(row["narration_timestamp"] or "")
        if told is None:
            yield "no narration time"
        elif not clip.start <= told <= clip.stop:
            yield "narrated before or after the action"
    for end, time in (("start", clip.start), ("stop", clip.stop)):
        frame = _frame(row, end)
        if frame is not None and abs(frame - time * rate) > FRAMES_APART:
            yield "frame number disagrees with its time"
            break


def _overlapping(clips: Iterable[ActionClip]) -> int:
    """How many actions of a video share time with another."""
    order = sorted(clips, key=lambda clip: (clip.start, clip.stop))
    shared: set[int] = set()
    last = -1  # of those before, the one that stops last
    for k, clip in enumerate(order):
        if last >= 0 and clip.start < order[last].stop:
            shared |= {k, last}
        if last < 0 or clip.stop > order[last].stop:
            last = k
    return len(shared)


def _rate(rows: Iterable[Row], fps: float | None) -> float:
    """At which the frame numbers of a video's annotations count, in frames/s."""
    ends = ((seconds(row["stop_timestamp"] or ""), _frame(row, "stop")) for row in rows)
    told = [(time, frame) for time, frame in ends if time is not None and frame is not None]
    known = [fps] if fps else []
    if not told:
        return (known or RATES)[0]
    time, frame = max(told)
    return min((*known, *RATES), key=lambda rate: abs(rate * time - frame))


def _frame(row: Row, end: str) -> int | None:
    told = row.get(f"{end}_frame") or ""
    return int(told) if re.fullmatch(r"\d{1,10}", told, re.ASCII) else None


def _between(boxes: Boxes, first: float, last: float) -> Boxes:
    """Of frames in order of time, those from a time to another."""
    times = list(boxes)
    here = times[bisect.bisect_left(times, first) : bisect.bisect_right(times, last)]
    return {time: boxes[time] for time in here}


def _simulated(told: dict[str, Any]) -> Simulated:
    from egoframe.scenes import scene_of  # looks for OpenGL

    times = {key: float(told["times"][key]) for key in ("pre", "contact", "pnr", "post")}
    frames = {times[key]: frame["boxes"] for key, frame in told.get("frames", {}).items() if frame}
    boxes = {time: list(map(_box, found)) for time, found in frames.items()}
    return Simulated(times, boxes, json.dumps(told), scene_of(told))


def _box(told: dict[str, Any]) -> Box:
    """Called as in plain words: "red mug", "left hand"."""
    label = f"{told['color']} {told['noun']}" if "noun" in told else str(told["label"])
    x0, y0, x1, y1 = (float(told[key]) for key in ("x0", "y0", "x1", "y1"))
    return Box(label, x0, y0, x1, y1)


def _positive(told: str) -> float:
    value = float(told)
    if not 0 < value < float("inf"):
        raise ValueError(f"{told}: not above 0")
    return value


def _read_table(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a CSV table; none if there is no such file."""
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(
                    f"{path}: no column {', '.join(missing)}; is this EPIC-KITCHENS-100's table?"
                )
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
