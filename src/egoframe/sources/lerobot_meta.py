"""What `meta/info.json` tells of a LeRobot dataset: camera, frame rate, paths and splits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egoframe.errors import UserError, printable
from egoframe.sources.reading import mapping, number, read_json, text
from egoframe.sources.tables import count_rows, inside

OURS = re.compile(r"(?<![a-z])(wrist|hand|gripper|head|ego|first_?person)", re.IGNORECASE)
PLACE = re.compile(r"\{(video_key|chunk_index|file_index)(?::0(\d)d)?\}", re.ASCII)
RANGE = re.compile(r"(\d{1,9}):(\d{1,9})", re.ASCII)
MAX_FILES = 10**6  # of a chunk, and chunks
MAX_FPS = 1000.0
MAX_NAMED = 20  # cameras that a message names


@dataclass(frozen=True)
class Dataset:
    """What is true of all episodes."""

    folder: Path
    camera: str
    fps: float
    video_path: str  # templates, within the folder
    data_path: str
    labels: str  # what tells frames of an episode apart: "subtask" or "task"
    tables: list[Path]  # of episodes
    held_out: list[range]  # episodes for validation, by number

    def video(self, chunk: int, file: int) -> Path:
        return self.folder / _fill(self.video_path, self.camera, chunk, file)

    def data(self, chunk: int, file: int) -> Path:
        return self.folder / _fill(self.data_path, self.camera, chunk, file)

    def split(self, episode: int) -> str:
        return "validation" if any(episode in part for part in self.held_out) else "train"


def open_dataset(folder: Path, camera: str | None) -> Dataset:
    """What is in a folder.

    Arguments:
        camera: its name, or the last part of it; else chosen by its name.
    Raises:
        UserError: no dataset here or no episodes, another version, no videos, no such camera or
            several to choose from, or an `info.json` that cannot be.
    """
    path = folder / "meta" / "info.json"
    info = _info(folder, path)
    name = _camera(folder, info, camera)
    fps = number(info.get("fps"))
    if fps is None or not 0 < fps <= MAX_FPS:
        raise UserError(f"{path}: no fps above 0 and up to {MAX_FPS:g}")
    subtasks = (folder / "meta" / "subtasks.parquet").exists()
    tables = sorted(folder.glob("meta/episodes/*/*.parquet"))
    if not tables:
        raise UserError(
            f"{folder}: no meta/episodes/chunk-000/file-000.parquet here; the download is not "
            "complete"
        )
    return Dataset(
        folder,
        name,
        fps,
        _template(path, info, "video_path", name),
        _template(path, info, "data_path", name),
        "subtask" if subtasks and "subtask_index" in mapping(info.get("features")) else "task",
        tables,
        _held_out(mapping(info.get("splits")), sum(map(count_rows, tables))),
    )


def _info(folder: Path, path: Path) -> dict[str, Any]:
    """What the file holds, of a version that is read."""
    if not path.exists():
        raise UserError(
            f"{folder}: no meta/info.json here; give the folder of a LeRobot dataset, as `hf "
            "download --repo-type dataset NAME --local-dir FOLDER` writes it"
        )
    info = read_json(path, dict, "LeRobot's")
    version = printable(text(info.get("codebase_version")) or "of no version")[:20]
    if version.startswith("v2") or (folder / "meta" / "episodes.jsonl").exists():
        raise UserError(
            f"{folder}: LeRobot {version}, v3.0 is read; convert it with `python -m lerobot.scripts"
            f".convert_dataset_v21_to_v30 --repo-id=NAME --root={folder} --push-to-hub=false`"
        )
    if not version.startswith("v3."):
        raise UserError(f"{path}: LeRobot {version}; v3.0 is read")
    if info.get("storage_format") == "lance":
        raise UserError(f"{path}: stored as LanceDB tables; give the dataset in Parquet and MP4")
    return info


def _camera(folder: Path, info: dict[str, Any], wanted: str | None) -> str:
    features = {name: mapping(told) for name, told in mapping(info.get("features")).items()}
    cameras = [
        name for name, told in features.items() if told.get("dtype") == "video" and not _depth(told)
    ]
    if not cameras and any(told.get("dtype") == "image" for told in features.values()):
        raise UserError(
            f"{folder}: its frames are pictures in Parquet files; make videos of them with "
            "`lerobot-edit-dataset --operation.type convert_image_to_video`"
        )
    if not cameras:
        raise UserError(f"{folder}: no camera in the features of meta/info.json")
    if wanted is not None:
        found = [name for name in cameras if wanted in (name, name.rpartition(".")[2])]
    else:
        found = [name for name in cameras if OURS.search(name)] if cameras[1:] else cameras
    if len(found) != 1:
        names = printable(", ".join(cameras[:MAX_NAMED]))
        lacks = f"no camera {wanted}" if wanted is not None and not found else "several cameras"
        raise UserError(f"{folder}: {lacks}; tell one of {names} with --camera NAME")
    return found[0]


def _depth(feature: dict[str, Any]) -> bool:
    told = mapping(feature.get("video_info")) | mapping(feature.get("info"))
    return bool(told.get("is_depth_map") or told.get("video.is_depth_map"))


def _template(path: Path, info: dict[str, Any], key: str, camera: str) -> str:
    """A template of paths that all lie in the folder."""
    told = text(info.get(key)) or ""
    if not told or re.search(r"[{}]", PLACE.sub("", told)):
        raise UserError(f"{path}: {key} cannot be read")
    if not inside(_fill(told, camera, MAX_FILES, MAX_FILES)):
        raise UserError(f"{path}: {key} leads out of the folder")
    return told


def _fill(template: str, camera: str, chunk: int, file: int) -> str:
    """Not by `str.format`: a template from outside could ask it for anything."""
    values = {"video_key": camera, "chunk_index": chunk, "file_index": file}
    return PLACE.sub(lambda found: str(values[found[1]]).zfill(int(found[2] or 0)), template)


def _held_out(splits: dict[str, Any], episodes: int) -> list[range]:
    """What `splits` gives to another than train, or not to train; else the last tenth."""
    held: list[range] = []
    for name, told in splits.items():
        if found := RANGE.fullmatch(text(told) or ""):
            first, last = int(found[1]), int(found[2])
            others = (
                [range(first, last)] if name != "train" else [range(first), range(last, episodes)]
            )
            held += [part for part in others if part and part.start < episodes]
    if not held and episodes > 1:
        held = [range(episodes - max(1, episodes // 10), episodes)]
    return held
