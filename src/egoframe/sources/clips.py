"""Reads your own clips: a folder of videos, with one table of what is done in them; also HD-EPIC's.

```
videos, at any depth: .mp4 .mov .mkv .avi .webm, or folders of frame_0000000001.jpg, …
actions.csv, .tsv or .jsonl        in the folder itself, if it is the only one there; else told
    video                          a video's name or path in the folder, with or without its ending
    start stop                     seconds, or [HH:]MM:SS[.s], from the video's first frame
    text                           what is done: "open the drawer"
    id split participant verb noun description pre contact pnr post fps     # if you have them
```
`COLUMNS` lists the other names that columns may have. Critical times (pre, contact, pnr, post) are
taken for the frames, where they are told; see curation.selection. Frames in a folder need `fps`.

HD-EPIC's narrations (hd-epic/hd-epic-annotations) are read as pandas exports them to CSV or JSONL;
verb and noun are those of the first of its `main_actions`.

Where no `split` is told, about a tenth is held out for validation: whole participants where two or
more are told, else whole videos, but never the only one. They are those whose names have the
smallest SHA-256, so that the same table is always split in the same way.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from egoframe.errors import UserError
from egoframe.sources.clip import ActionClip, flawed
from egoframe.sources.narration import plain_action, verb_and_noun
from egoframe.sources.reading import safe_name, unique
from egoframe.sources.tables import Row, decimal, inside, listed, read_table, seconds, word

SOURCE, HD_EPIC = "clips", "hd-epic"
COLUMNS = {
    "video": ("video", "video_id", "video_uid", "video_name", "filename", "file_name", "file"),
    "start": ("start", "start_timestamp", "start_time", "start_sec", "start_s"),
    "stop": ("stop", "end", "stop_timestamp", "end_timestamp", "stop_time", "end_time",
             "stop_sec", "end_sec", "stop_s", "end_s"),
    "text": ("text", "narration", "narration_text", "action"),
    "id": ("id", "clip_id", "narration_id", "unique_narration_id", "uid"),
    "split": ("split", "subset"),
    "participant": ("participant", "participant_id", "person"),
    "verb": ("verb",),
    "noun": ("noun",),
    "verbs": ("verbs",),
    "nouns": ("nouns",),
    "main_actions": ("main_actions",),
    "description": ("description",),
    "fps": ("fps",),
} | {
    key: (key, f"{key}_timestamp", f"{key}_time", f"{key}_sec")
    for key in ("pre", "contact", "pnr", "post")
}  # fmt: skip
REQUIRED = ("video", "start", "stop", "text")
TABLES = (".csv", ".tsv", ".jsonl", ".pkl")
ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm")
FRAME = re.compile(r"frame_\d{10}\.jpg", re.ASCII)
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "test", "testing", "eval"), "validation"),
}


class Video(NamedTuple):
    """A video, or a folder of frames; where neither is, the place that it should be."""

    name: str  # that any system can give to a file, and no other video here has
    media: Path


@dataclass
class ClipsSource:
    """A folder of videos with a table.

    Attributes:
        table: found in the folder where none is given.
        anomalies: how many annotations have each flaw that costs no pair; counted while reading.
    """

    folder: Path
    table: Path | None = None
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every row of the table, in its order.

        Raises:
            UserError: no such folder, no table or several, or one that cannot be read.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder; give the one that holds the videos")
        return unique(self._clips(self.table or _only_table(self.folder)))

    def _clips(self, table: Path) -> Iterator[ActionClip]:
        videos = Videos(self.folder)
        held_out = _held_out(table, videos)
        for count, row in enumerate(read_table(table, COLUMNS, REQUIRED), 1):
            yield self._clip(table, row, count, videos, held_out)

    def _clip(
        self, table: Path, row: Row, count: int, videos: Videos, held_out: set[str]
    ) -> ActionClip:
        """A row, the count-th, as a clip."""
        source = HD_EPIC if "main_actions" in row.cells else SOURCE
        clip_id, narration = word(row.cells.get("id")), word(row.cells.get("text")) or ""
        told = word(row.cells.get("video")) or ""
        split = self._split(row, videos, held_out)
        try:
            video = _video(row, videos)
            start, stop, critical = _times(row)
            fps = decimal(row.cells.get("fps")) or 0.0
            if video.media.is_dir() and fps <= 0:
                raise ValueError("no fps of the frames in a folder")
            action = plain_action(narration)
        except ValueError as flaw:
            place = f"{safe_name(told)}_{count}" if told else f"{table.name}:{row.line}"
            return flawed(
                clip_id or place, source, split, safe_name(told), self.folder, str(flaw), narration
            )
        verb, noun = _words(row, action)
        description = word(row.cells.get("description"))
        return ActionClip(
            clip_id=clip_id or f"{video.name}_{count}",
            source=source,
            split=split,
            video_id=video.name,
            media=video.media,
            fps=fps if fps > 0 else math.nan,
            start=start,
            stop=stop,
            narration=narration,
            verb=verb,
            noun=noun,
            critical=critical,
            action=action,
            description=description,
            description_source="annotation" if description else None,
        )

    def _split(self, row: Row, videos: Videos, held_out: set[str]) -> str:
        told = word(row.cells.get("split"))
        if told and told.lower() in SPLITS:
            return SPLITS[told.lower()]
        if told:
            self.anomalies["split unknown, chosen as where none is told"] += 1
        return "train" if held_out.isdisjoint(_groups(row, videos)) else "validation"


class Videos:
    """The videos in a folder and below, by any name that a table may call them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = sorted(_media(folder))
        stems = Counter(_safe_stem(path) for path in paths)
        self.by_path: dict[str, list[Video]] = {}  # in the folder
        self.by_name: dict[str, list[Video]] = {}
        for path in paths:
            stem = _safe_stem(path)
            name = stem if stems[stem] == 1 else f"{stem[:80]}_{_digest(path)[:12]}"
            video = Video(name, folder / path)
            for called in _called(path):
                self.by_path.setdefault(called, []).append(video)
            for called in _called(PurePosixPath(path).name):
                self.by_name.setdefault(called, []).append(video)

    def find(self, told: str) -> Video:
        """The video of a name or path.

        Raises:
            ValueError: several are called so, or none can be; says why.
        """
        if not inside(told):
            raise ValueError("video is no path in the folder")
        called = _called(told.replace("\\", "/"))[0]
        found = self.by_path.get(called) or self.by_name.get(called) or []
        if len(found) > 1:
            raise ValueError("several videos of that name")
        return found[0] if found else Video(safe_name(told), self.folder / told)


def _called(path: str) -> list[str]:
    """A path, its ending in lower case, and without it."""
    posix = PurePosixPath(path)
    ending = posix.suffix.lower()
    if ending not in ENDINGS:
        return [str(posix)]
    return [str(posix.with_suffix(ending)), str(posix.with_suffix(""))]


def _media(folder: Path) -> Iterator[str]:
    """Paths in the folder of all videos and folders of frames; links are followed once."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(place)
        here = (status.st_dev, status.st_ino)
        below = Path(place).relative_to(folder)
        frames = place != str(folder) and any(map(FRAME.fullmatch, files))
        if here in seen or frames:
            folders.clear()
        if here in seen:
            continue
        seen.add(here)
        if frames:
            yield below.as_posix()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield (below / name).as_posix()


def _safe_stem(path: str) -> str:
    return safe_name(PurePosixPath(_called(path)[-1]).name)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _only_table(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:10])
        raise UserError(
            f"{folder}: {'several tables here: ' + names if found else 'no .csv, .tsv or .jsonl'}; "
            "tell the one that lists the actions with --table FILE"
        )
    return found[0]


def _held_out(table: Path, videos: Videos) -> set[str]:
    """Groups of rows that are for validation; see the top of this file."""
    people: set[str] = set()
    seen: set[str] = set()
    for row in read_table(table, COLUMNS, REQUIRED):
        if (word(row.cells.get("split")) or "").lower() not in SPLITS:
            person, video = _groups(row, videos)
            people |= {person}
            seen |= {video}
    groups = people if len(people) > 1 else seen
    held = max(1, round(len(groups) / 10)) if len(groups) > 1 else 0
    return set(sorted(groups, key=_digest)[:held])


def _groups(row: Row, videos: Videos) -> tuple[str, str]:
    """What tells a row's participant, and its video, from all others."""
    person, told = word(row.cells.get("participant")) or "", word(row.cells.get("video")) or ""
    try:
        video = videos.find(told).name
    except ValueError:
        video = told
    return f"participant {person}", f"video {video}"


def _video(row: Row, videos: Videos) -> Video:
    if row.flaw:
        raise ValueError(row.flaw)
    told = word(row.cells.get("video"))
    if told is None:
        raise ValueError("no video named")
    return videos.find(told)


def _times(row: Row) -> tuple[float, float, dict[str, float]]:
    """Start, stop and critical times.

    Raises:
        ValueError: they are none, or cannot be; says why.
    """
    start, stop = seconds(row.cells.get("start")), seconds(row.cells.get("stop"))
    told = {key: row.cells.get(key) for key in ("pre", "contact", "pnr", "post")}
    marked = {key: seconds(value) for key, value in told.items() if value not in (None, "")}
    critical = {key: time for key, time in marked.items() if time is not None}
    if start is None or stop is None:
        raise ValueError("time cannot be read")
    if len(critical) < len(marked):
        raise ValueError("critical time cannot be read")
    if min(start, stop, *critical.values()) < 0:
        raise ValueError("negative time")
    if stop <= start:
        raise ValueError("stops before it starts")
    return start, stop, critical


def _words(row: Row, action: str) -> tuple[str, str]:
    """Verb and noun: as told, or else the first of a list, or else of the action's words."""
    verb, noun = word(row.cells.get("verb")), word(row.cells.get("noun"))
    pairs = [listed(pair) for pair in listed(row.cells.get("main_actions"))]
    main = pairs[0] if pairs and len(pairs[0]) == 2 else [None, None]
    first = [next(iter(listed(row.cells.get(key))), None) for key in ("verbs", "nouns")]
    plain = verb_and_noun(action)
    return (
        verb or word(main[0]) or word(first[0]) or plain[0],
        noun or word(main[1]) or word(first[1]) or plain[1],
    )
