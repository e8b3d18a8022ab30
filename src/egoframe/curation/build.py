"""Builds a dataset of action pairs from clips: resumable, on all cores, in a fixed order."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from egoframe.curation import filters
from egoframe.curation.selection import SelectionConfig, choose_times
from egoframe.curation.video import UnreadableMedia, read_frames
from egoframe.errors import UserError
from egoframe.images import open_photo
from egoframe.pairs import (
    SPLITS,
    ActionPair,
    normalise_action,
    read_rows,
    to_row,
    write_pairs,
    write_shard,
)
from egoframe.sources.clip import ActionClip


@dataclass(frozen=True)
class BuildConfig:
    """How frames are chosen, filtered and stored."""

    size: int = 256  # width and height of the stored frames: the whole frame is fitted into it
    jpeg_quality: int = 95  # without chroma subsampling: no loss that shows in the metrics
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    filters: filters.FilterConfig = field(default_factory=filters.FilterConfig)


@dataclass(frozen=True)
class BuildReport:
    """What became of the clips; the counts add up to all of them."""

    kept: dict[str, int]  # by split
    rejected: dict[str, int]  # by reason


def build_dataset(
    clips: Iterable[ActionClip], out: Path, config: BuildConfig, workers: int | None = None
) -> Iterator[tuple[int, int]]:
    """Build the dataset; yields (videos done, videos in all). The same call again goes on, and
    leaves a finished dataset as it is, with the descriptions that were written into it.

    Raises:
        UserError: no clips, other settings or other clips in `out`, or `out` cannot be written.
    """
    videos: dict[str, list[ActionClip]] = {}
    for clip in clips:
        videos.setdefault(clip.video_id, []).append(clip)
    if not videos:
        raise UserError("no annotated actions were found; nothing to build")
    _check(out, config, videos)
    if (out / "report.json").exists():
        yield len(videos), len(videos)
        return
    todo = [name for name in videos if not _part(out, name).exists()]
    done = len(videos) - len(todo)
    yield done, len(videos)
    context = multiprocessing.get_context("spawn")
    count = max(1, min(workers or os.cpu_count() or 1, 32, len(todo)))
    with ProcessPoolExecutor(count, context) as pool:
        waiting = [
            pool.submit(_build_video, videos[name], _part(out, name), config) for name in todo
        ]
        try:
            for future in waiting:
                future.result()
                done += 1
                yield done, len(videos)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what runs writes to the same files: wait for it
            raise
    _merge(out, list(videos))


def report(out: Path) -> BuildReport:
    """What became of the clips of a finished dataset.

    Raises:
        UserError: no pair was kept.
    """
    told = BuildReport(**json.loads((out / "report.json").read_text(encoding="utf-8")))
    if not any(told.kept.values()):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in told.rejected.items())
        raise UserError(f"{out}: no pair was kept ({reasons}); {out / 'rejected.parquet'} has each")
    return told


def _check(out: Path, config: BuildConfig, videos: dict[str, list[ActionClip]]) -> None:
    """A folder holds one dataset: what it is made of is written at the start, and compared."""
    if not 32 <= config.size <= 2048:
        raise UserError(f"size {config.size}: from 32 to 2048 pixels")
    if not 1 <= config.jpeg_quality <= 100:
        raise UserError(f"jpeg_quality {config.jpeg_quality}: from 1 to 100")
    settings = {**asdict(config), "clips_sha256": _fingerprint(videos)}
    path = out / "build.json"
    try:
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before.pop("clips_sha256", None) != settings["clips_sha256"]:
                raise UserError(f"{out}: holds a dataset of other videos; give another folder")
            if before != asdict(config):
                raise UserError(f"{out}: holds a dataset with other settings; give another folder")
            return
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None


def _fingerprint(videos: dict[str, list[ActionClip]]) -> str:
    """SHA-256 over every clip that a dataset is made of, but not over where its frames lie."""
    digest = hashlib.sha256()
    for clip in (clip for clips in videos.values() for clip in clips):
        digest.update(repr(replace(clip, media=Path())).encode())
        told = (clip.action, clip.stills, clip.description, clip.description_source)
        if any(told):
            digest.update(repr(told).encode())
    return digest.hexdigest()


def _part(out: Path, video: str) -> Path:
    return out / "parts" / f"{video}.parquet"


def _build_video(clips: list[ActionClip], part: Path, config: BuildConfig) -> None:
    """Everything of one video: the pairs kept, and those rejected with their reason."""
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for clip in clips:
        pair, reason = _build_pair(clip, config)
        if pair is None:
            rejected.append({"clip_id": clip.clip_id, "video_id": clip.video_id,
                             "split": clip.split, "reason": reason})  # fmt: skip
        else:
            rows.append(to_row(pair))
    part.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in rejected)
    part.with_suffix(".rejected.jsonl").write_text(text, encoding="utf-8")
    write_shard(part, rows)


def _build_pair(clip: ActionClip, config: BuildConfig) -> tuple[ActionPair | None, str]:
    if clip.stop <= clip.start:
        return None, "stops before it starts"
    times = choose_times(clip, config.selection)
    try:
        if clip.stills is None:
            frames = read_frames(clip.media, times, clip.fps)
        else:
            frames = [_read_still(clip.media, name) for name in clip.stills]
    except UnreadableMedia as error:
        return None, f"unreadable: {error}"
    size = (config.size, config.size)
    before, action = (np.asarray(f.resize(size, Image.Resampling.BOX)) for f in frames)
    figures = {
        "similarity": filters.similarity(before, action),
        "sharpness": min(filters.sharpness(before), filters.sharpness(action)),
        "camera_motion": filters.camera_motion(before, action),
    }
    reason = filters.reason_to_reject(figures, config.filters)
    if reason is not None:
        return None, reason
    pair = ActionPair(
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
        input_frame=_encode(before, config.jpeg_quality),
        action_frame=_encode(action, config.jpeg_quality),
        input_time=times[0],
        action_time=times[1],
        input_boxes=clip.boxes.get("pre", []),
        action_boxes=clip.boxes.get("pnr", []),
        facts=clip.facts,
        **figures,
    )
    return pair, ""


def _read_still(folder: Path, name: str) -> Image.Image:
    try:
        return open_photo(folder / name)
    except UserError as error:
        raise UnreadableMedia(str(error).removeprefix(f"{folder}/")) from None


def _encode(picture: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _merge(out: Path, videos: list[str]) -> None:
    """Parts → shards, in the order of the annotations; rejected.parquet, report and card."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def pairs() -> Iterator[ActionPair]:
        for video in videos:
            for row in read_rows(_part(out, video)):
                frames = {k: row[k]["bytes"] for k in ("input_frame", "action_frame")}
                yield ActionPair(**{**row, **frames})

    for split in SPLITS:  # of a merge that was stopped
        shutil.rmtree(out / split, ignore_errors=True)
    kept = write_pairs(out, pairs())
    lines: list[dict[str, str]] = []
    for video in videos:
        text = _part(out, video).with_suffix(".rejected.jsonl").read_text(encoding="utf-8")
        lines += [json.loads(line) for line in text.splitlines()]
    schema = pa.schema([(name, pa.string()) for name in ("clip_id", "video_id", "split", "reason")])
    pq.write_table(pa.Table.from_pylist(lines, schema), out / "rejected.parquet")
    reasons = Counter(line["reason"].partition(":")[0] for line in lines)
    (out / "README.md").write_text(_card(kept), encoding="utf-8")
    told = {"kept": kept, "rejected": dict(reasons)}
    (out / "report.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _card(kept: dict[str, int]) -> str:
    files = "".join(f"  - split: {s}\n    path: {s}/*.parquet\n" for s, n in kept.items() if n)
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        f"{files}---\n\n# Egocentric action pairs\n\nMade by egoframe: a frame shortly before an "
        "action, and one while it happens.\nThe frames keep the licence of the recordings they "
        "come from (`source` names them: pairs of the built-in\n`kitchen` are Apache-2.0, those of "
        "`epic-kitchens-100` and `lego-epic-kitchens-100`\nCC BY-NC 4.0, those of `lego-ego4d` "
        "under Ego4D's licence agreement).\n"
    )
