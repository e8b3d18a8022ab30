"""Reads EPIC-KITCHENS-100: its annotation tables, with videos or `rgb_frames` beside them.

Times are the truth, not frame numbers: the videos run at 50 and 59.94 frames/s and some were
re-encoded. Where a `simulator.jsonl` lies beside the tables (the built-in kitchen writes one), its
critical frames, boxes and facts come along.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egoframe.errors import UserError
from egoframe.pairs import SPLITS, Box
from egoframe.sources.clip import ActionClip

REQUIRED = (
    "narration_id",
    "video_id",
    "start_timestamp",
    "stop_timestamp",
    "narration",
    "verb",
    "noun",
)
FALLBACK_FPS = 59.94005994


@dataclass
class EpicSource:
    """A folder of EPIC-KITCHENS-100.

    Attributes:
        anomalies: how many annotations have each flaw; counted while reading.
    """

    folder: Path
    anomalies: Counter[str] = field(default_factory=Counter)

    def clips(self) -> Iterator[ActionClip]:
        """Every annotated action whose row can be read, in the order of the tables.

        Raises:
            UserError: no annotations here, or a table that is not EPIC-KITCHENS-100's.
        """
        tables = [(split, self.folder / f"EPIC_100_{split}.csv") for split in SPLITS]
        if not any(path.exists() for _, path in tables):
            raise UserError(
                f"{self.folder}: no EPIC_100_train.csv or EPIC_100_validation.csv here; give the "
                "folder that holds EPIC-KITCHENS-100's annotations"
            )
        info = self._videos()
        simulator = self._simulator()
        seen: set[str] = set()
        for split, path in tables:
            for row in _read_table(path, REQUIRED):
                clip = self._clip(split, row, info, simulator)
                if clip is None:
                    continue
                if clip.clip_id in seen:
                    self.anomalies["narration_id given twice"] += 1
                    continue
                seen.add(clip.clip_id)
                yield clip

    def _clip(
        self,
        split: str,
        row: dict[str, str],
        info: dict[str, tuple[float, float]],
        simulator: dict[str, dict[str, Any]],
    ) -> ActionClip | None:
        if any(row[name] is None for name in REQUIRED):
            self.anomalies["row cut short"] += 1
            return None
        try:
            start, stop = seconds(row["start_timestamp"]), seconds(row["stop_timestamp"])
        except ValueError:
            self.anomalies["timestamp cannot be read"] += 1
            return None
        video = row["video_id"]
        duration, fps = info.get(video, (float("inf"), FALLBACK_FPS))
        if video not in info:
            self.anomalies["video not in EPIC_100_video_info.csv"] += 1
        if stop <= start:
            self.anomalies["stops before it starts"] += 1
        if stop > duration:
            self.anomalies["stops after the video's end"] += 1
        told = simulator.get(row["narration_id"], {})
        return ActionClip(
            clip_id=row["narration_id"],
            source="kitchen" if told else "epic-kitchens-100",
            split=split,
            video_id=video,
            media=self._media(video),
            fps=fps,
            start=start,
            stop=stop,
            narration=row["narration"],
            verb=row["verb"],
            noun=row["noun"],
            critical={k: told["times"][k] for k in ("pre", "contact", "pnr", "post")}
            if told
            else {},
            boxes={
                key: [Box(_called(b), b["x0"], b["y0"], b["x1"], b["y1"]) for b in frame["boxes"]]
                for key, frame in told.get("frames", {}).items()
                if frame
            },
            facts=json.dumps(told) if told else None,
        )

    def _media(self, video: str) -> Path:
        participant = video.partition("_")[0]
        movie = self.folder / "videos" / participant / f"{video}.MP4"
        return movie if movie.exists() else self.folder / "rgb_frames" / participant / video

    def _videos(self) -> dict[str, tuple[float, float]]:
        """Duration in seconds and frames/s of every video that the table knows."""
        path = self.folder / "EPIC_100_video_info.csv"
        rows = _read_table(path, ("video_id", "duration", "fps"))
        try:
            return {row["video_id"]: (float(row["duration"]), float(row["fps"])) for row in rows}
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: a duration or fps is no number ({error})") from None

    def _simulator(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "simulator.jsonl"
        if not path.exists():
            return {}
        try:
            records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            return {record["narration_id"]: record for record in records}
        except (ValueError, KeyError) as error:
            raise UserError(f"{path}: not a kitchen's simulator record ({error})") from None


def seconds(timestamp: str) -> float:
    """Seconds of a timestamp such as 00:01:02.345.

    Raises:
        ValueError: it has another form.
    """
    hours, minutes, rest = timestamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def _read_table(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a CSV table; none if there is no such file."""
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(
                    f"{path}: no column {', '.join(missing)}; is this EPIC-KITCHENS-100's table?"
                )
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def _called(box: dict[str, Any]) -> str:
    """What a box shows, in words: "red mug", "left hand"."""
    return f"{box['color']} {box['noun']}" if "noun" in box else box["label"]
