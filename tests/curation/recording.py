"""A recording of many little videos in the form of EPIC-KITCHENS-100, some of them spoilt."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np

FPS = 25
SECONDS = 8
ACTIONS = 4
COLUMNS = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "narration",
           "verb", "noun")  # fmt: skip


def picture(video: int, frame: int) -> np.ndarray:
    """96×160: a board of its own for each video, upon which a square goes its way."""
    board = np.random.default_rng(video).integers(0, 2, (6, 10)) * 120 + 60
    values = np.kron(board, np.ones((16, 16), int)).astype(np.uint8)
    left = frame * (160 - 24) // (SECONDS * FPS)
    values[36:60, left : left + 24] = 255
    return np.repeat(values[..., None], 3, -1)


def write_video(path: Path, video: int) -> None:
    """Eight seconds at 25 frames/s, the index in front, so that the end can be cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = {"g": "50", "preset": "ultrafast", "bf": "2", "crf": "18"}
        for frame in range(SECONDS * FPS):
            rgb = av.VideoFrame.from_ndarray(picture(video, frame), format="rgb24")
            container.mux(stream.encode(rgb))
        container.mux(stream.encode(None))


def write_recording(folder: Path, videos: int) -> list[Path]:
    """Write the recording, and return its videos; a tenth of them is for validation."""
    names = [f"P{k:02d}_01" for k in range(1, videos + 1)]
    paths = [folder / "videos" / name[:3] / f"{name}.MP4" for name in names]
    rows: dict[str, list[list[str]]] = {"train": [], "validation": []}
    for k, (name, path) in enumerate(zip(names, paths, strict=True)):
        write_video(path, k)
        split = "validation" if k % 10 == 9 else "train"
        for action in range(ACTIONS):
            start = 0.5 + 2 * action
            times = [f"00:00:{start:05.2f}", f"00:00:{start + 1.4:05.2f}"]
            rows[split].append([f"{name}_{action}", name, *times, "open drawer", "open", "drawer"])
    for split, table in rows.items():
        _write_table(folder / f"EPIC_100_{split}.csv", COLUMNS, table)
    info = [[name, str(SECONDS), str(FPS)] for name in names]
    _write_table(folder / "EPIC_100_video_info.csv", ("video_id", "duration", "fps"), info)
    return paths


def named(path: Path) -> str:
    """As reports name a file: by its place in the folder of all videos."""
    return f"{path.parent.name}/{path.name}"


def spoil(folder: Path, paths: list[Path]) -> dict[str, str]:
    """5 videos truncated, 3 missing, 2 no videos, 1 empty, 1 with another fps in the annotations.

    Returns what is wrong, by name of the file.
    """
    wrong = {}
    for path in paths[:5]:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        wrong[named(path)] = "truncated"
    for path in paths[5:8]:
        path.unlink()
        wrong[named(path)] = "missing"
    paths[8].write_bytes(b"<html>404: not found</html>" * 99)
    paths[10].write_bytes(bytes(5000))
    paths[11].write_bytes(b"")
    wrong |= {named(paths[8]): "no video", named(paths[10]): "no video"}
    wrong[named(paths[11])] = "empty"
    info = folder / "EPIC_100_video_info.csv"
    name = paths[12].stem
    text = info.read_text(encoding="utf-8")
    info.write_text(text.replace(f"{name},{SECONDS},{FPS}", f"{name},{SECONDS},59.94"))
    wrong[named(paths[12])] = "fps"
    return wrong


def _write_table(path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
