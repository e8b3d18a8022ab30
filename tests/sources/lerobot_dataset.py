"""A miniature LeRobot dataset v3.0, with the columns and files that lerobot 0.4 and later write."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FPS = 10
WRIST, FRONT = "observation.images.wrist", "observation.images.front"


def camera(kind: str = "video", **info: Any) -> dict[str, Any]:
    """A feature, as `meta/info.json` tells of it."""
    shape = {"shape": [480, 640, 3], "names": ["height", "width", "channels"]}
    return {"dtype": kind, **shape, "info": {"video.fps": FPS, "video.codec": "av1", **info}}


def number_feature(kind: str = "int64") -> dict[str, Any]:
    return {"dtype": kind, "shape": [1], "names": None}


@dataclass
class Miniature:
    """Episodes of some frames each, with their tasks.

    Attributes:
        files: in which video each episode is; all in the first where nothing is told.
        labels: of each frame of each episode, which is then a column of the data.
    """

    lengths: Sequence[int] = (30, 20, 25)
    tasks: Sequence[list[str]] = (["Pick up the red cube"], ["Open drawer."], ["Close the drawer"])
    files: Sequence[int] = ()
    cameras: Sequence[str] = (WRIST,)
    subtasks: list[str] = field(default_factory=list)
    labels: dict[str, list[list[int | None]]] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Of `meta/episodes`."""
        files = self.files or [0] * len(self.lengths)
        ends = dict.fromkeys(files, 0.0)
        rows, index = [], 0
        for k, (length, tasks, file) in enumerate(
            zip(self.lengths, self.tasks, files, strict=True)
        ):
            begin, ends[file] = ends[file], ends[file] + length / FPS
            row = {
                "episode_index": k, "tasks": tasks, "length": length, "data/chunk_index": 0,
                "data/file_index": 0, "dataset_from_index": index,
                "dataset_to_index": index + length, "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0, "stats/action/mean": [0.5, 0.5],
            }  # fmt: skip
            for name in self.cameras:
                where = f"videos/{name}"
                row |= {f"{where}/chunk_index": 0, f"{where}/file_index": file}
                row |= {f"{where}/from_timestamp": begin, f"{where}/to_timestamp": ends[file]}
            rows.append(row)
            index += length
        return rows

    def describe(self) -> dict[str, Any]:
        """`meta/info.json`."""
        count, frames = len(self.lengths), sum(self.lengths)
        words = sorted({task for tasks in self.tasks for task in tasks})
        features: dict[str, Any] = {name: camera() for name in self.cameras}
        plain = ("frame_index", "episode_index", "index", "task_index", *self.labels)
        features |= {"action": {"dtype": "float32", "shape": [6], "names": None}}
        features |= {name: number_feature() for name in plain}
        return {
            "codebase_version": "v3.0", "robot_type": "so101_follower", "total_episodes": count,
            "total_frames": frames, "total_tasks": len(words), "chunks_size": 1000,
            "data_files_size_in_mb": 100, "video_files_size_in_mb": 200, "fps": FPS,
            "splits": {"train": f"0:{count}"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path":
                "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": features, **self.info,
        }  # fmt: skip

    def write(self, folder: Path, rows: list[dict[str, Any]] | pa.Table | None = None) -> Path:
        """All but the videos; `rows` in place of those of `meta/episodes`."""
        meta, chunk = folder / "meta", folder / "data" / "chunk-000"
        for place in (meta / "episodes" / "chunk-000", chunk):
            place.mkdir(parents=True, exist_ok=True)
        (meta / "info.json").write_text(json.dumps(self.describe(), indent=4))
        rows = self.rows() if rows is None else rows
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
        pq.write_table(table, meta / "episodes" / "chunk-000" / "file-000.parquet")
        words = sorted({task for tasks in self.tasks for task in tasks})
        _write_words(meta / "tasks.parquet", "task", words)
        if self.subtasks:
            _write_words(meta / "subtasks.parquet", "subtask", self.subtasks)
        frames: dict[str, list[Any]] = {
            "episode_index": [k for k, n in enumerate(self.lengths) for _ in range(n)],
            "frame_index": [frame for n in self.lengths for frame in range(n)],
            "action": [[0.0] * 6] * sum(self.lengths),
            "task_index": [0] * sum(self.lengths),
        }
        for name, labels in self.labels.items():
            frames[name] = [label for episode in labels for label in episode]
        pq.write_table(pa.table(frames), chunk / "file-000.parquet")
        return folder


def _write_words(path: Path, kind: str, words: list[str]) -> None:
    """As lerobot does it: the words are the index of a pandas table."""
    index = pd.Index(words, name=kind)
    pd.DataFrame({f"{kind}_index": range(len(words))}, index=index).to_parquet(path)
