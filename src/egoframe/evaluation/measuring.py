"""Measures drawn pictures, part by part, in this machine's processes or on a Ray cluster.

What is measured is kept under a hash of all that it was measured from, so that the same command
goes on where it was, and a changed picture, metric or protocol is measured anew.

Shapes: N pairs, D features.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image

from egoframe.engine import EngineName, WorkerDied, run_tasks
from egoframe.errors import UserError, first_line
from egoframe.evaluation.batch import Metric, batches, open_drawn
from egoframe.evaluation.metrics import MetricSpec, open_metric
from egoframe.evaluation.protocol import choose_metric_protocol
from egoframe.images import make_folder, write_bytes
from egoframe.pairs import FRAMES
from egoframe.pictures import choose_pairs, find_pictures

if TYPE_CHECKING:
    import datasets

PART = 64  # pairs measured together
Kind = Literal["pictures", "truth", "copy", "mean"]
Figures = dict[str, np.ndarray]  # (N,), and features (N, D), by name


@dataclass(frozen=True)
class Subject:
    """A row of the table: whose pictures are measured."""

    name: str
    kind: Kind = "pictures"
    place: Path | None = None  # a folder of pictures; of "mean", the picture itself


@dataclass(frozen=True)
class Measuring:
    """What is measured, and how."""

    dataset: str
    metrics: tuple[MetricSpec, ...]
    cache: Path
    split: str = "validation"
    pairs: int | None = None  # at random; all, if None
    seed: int = 0
    protocol: str = "corrected"
    stretch: bool = False  # drawn pictures' contrast, as the release does; protocol "paper" alone
    device: str = "cpu"

    def open(self) -> datasets.Dataset:
        """The pairs, frames still encoded."""
        from datasets import Image as Encoded

        pairs = choose_pairs(self.dataset, self.split, self.pairs, self.seed)
        for name in FRAMES:
            pairs = pairs.cast_column(name, Encoded(decode=False))
        return pairs


def measure(
    config: Measuring,
    subjects: Sequence[Subject],
    engine: EngineName = "processes",
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Figures]:
    """Measure the pictures of all subjects, where it was not done before.

    Arguments:
        progress: called with (parts that are done, in all).
    Returns:
        By subject, figures of the pairs in the order of `config.open()`.
    Raises:
        UserError: pictures that are missing, too many, damaged or of another aspect.
    """
    names, paths = find_all(config, subjects)
    parts = [range(k, min(k + PART, len(names))) for k in range(0, len(names), PART)]
    tasks = [
        (part, [(s, [paths[s.name][k] for k in part] if s.name in paths else []) for s in subjects])
        for part in parts
    ]
    make_folder(config.cache)
    if config.device != "cpu":
        workers = 1
    files: dict[int, dict[str, list[str]]] = {}
    work = partial(_measure_part, config)
    progress(0, len(parts))
    for index, result in run_tasks(work, tasks, engine, workers):
        if isinstance(result, WorkerDied):
            raise UserError(
                f"measuring {names[parts[index][0]]} and those after it kills its process "
                f"({result.why}), perhaps for want of memory; give fewer --workers"
            )
        files[index] = result
        progress(len(files), len(parts))
    return {
        subject.name: _gathered(config, [files[k][subject.name] for k in sorted(files)])
        for subject in subjects
    }


def _gathered(config: Measuring, parts: list[list[str]]) -> Figures:
    found: dict[str, list[np.ndarray]] = {}
    for files in parts:
        for file in files:
            try:
                with np.load(config.cache / file) as kept:
                    for figure in kept.files:
                        found.setdefault(figure, []).append(kept[figure])
            except (OSError, ValueError, EOFError, BadZipFile) as error:
                raise UserError(
                    f"{config.cache / file}: is damaged ({first_line(error)}); delete it, and the "
                    "same command measures it anew"
                ) from None
    return {figure: np.concatenate(values) for figure, values in found.items()}


def mean_frame(dataset: str, out: Path, side: int = 256, most: int = 1000) -> Path | None:
    """The mean action frame of the training split, written to `out`; None without such a split."""
    try:
        pairs = choose_pairs(dataset, "train", most)
    except UserError:
        return None
    total = np.zeros((side, side, 3))
    for frame in pairs["action_frame"]:
        total += np.asarray(frame.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray((total / len(pairs)).round().astype(np.uint8)).save(file, "PNG")
    write_bytes(out, file.getvalue())
    return out


def find_all(
    config: Measuring, subjects: Sequence[Subject]
) -> tuple[list[str], dict[str, list[Path]]]:
    """The ids of the pairs; and, of each subject that has them, their pictures.

    Raises:
        UserError: as `find_pictures`.
    """
    names = list(config.open()["pair_id"])
    known = dict.fromkeys(choose_pairs(config.dataset, config.split)["pair_id"])
    return names, {
        subject.name: find_pictures(subject.place, names, known)
        for subject in subjects
        if subject.kind == "pictures" and subject.place is not None
    }


def _measure_part(
    config: Measuring, task: tuple[range, list[tuple[Subject, list[Path]]]]
) -> dict[str, list[str]]:
    """Measure the pictures of a part; the files of each subject's figures."""
    places, drawn_by = task
    pairs = _open(config)[list(places)]
    protocol = choose_metric_protocol(config.protocol)
    told: dict[str, list[str]] = {}
    decoded: dict[str, Any] = {}
    for subject, paths in drawn_by:
        source = _bytes_of(subject, paths)
        files = {spec: _file_of(spec, config.stretch, pairs, source) for spec in config.metrics}
        told[subject.name] = list(files.values())
        todo = {s: f for s, f in files.items() if not (config.cache / f).exists()}
        if not todo:
            continue
        stretch = config.stretch and subject.kind == "pictures"
        decoded = decoded or pairs | {name: list(map(_decoded, pairs[name])) for name in FRAMES}
        grouped = batches(decoded, _pictures(subject, paths, decoded), protocol, stretch)
        for spec, file in todo.items():
            metric = _metric(spec, config.device)
            figures: Figures = {}
            for rows, batch in grouped:
                with torch.inference_mode():
                    found = metric(batch)
                for name, values in found.items():
                    shape = (len(places), *values.shape[1:])
                    figures.setdefault(name, np.full(shape, np.nan))[rows] = values
            kept = io.BytesIO()
            np.savez(kept, **figures)  # type: ignore[arg-type]
            write_bytes(config.cache / file, kept.getvalue())
    return told


def _bytes_of(subject: Subject, paths: list[Path]) -> list[bytes]:
    if subject.kind == "mean" and subject.place is not None:
        return [subject.place.read_bytes()]
    return [path.read_bytes() for path in paths] or [subject.kind.encode()]


def _file_of(spec: MetricSpec, stretch: bool, pairs: dict[str, Any], source: list[bytes]) -> str:
    """Named by a hash of all that the figures come from."""
    digest = hashlib.sha256(json.dumps([spec.identity, stretch]).encode())
    for name in ("pair_id", "action", "description", "action_boxes", "facts"):
        digest.update(json.dumps(pairs[name]).encode())
    for data in (*(row["bytes"] for name in FRAMES for row in pairs[name]), *source):
        digest.update(hashlib.sha256(data).digest())
    return f"{spec.name}-{digest.hexdigest()[:24]}.npz"


def _pictures(subject: Subject, paths: list[Path], pairs: dict[str, Any]) -> list[Image.Image]:
    truth = pairs["action_frame"]
    if subject.kind == "truth":
        return list(truth)
    if subject.kind == "copy":
        return list(pairs["input_frame"])
    if subject.kind == "mean":
        assert subject.place is not None
        mean = Image.open(subject.place).convert("RGB")
        return [mean.resize(frame.size, Image.Resampling.BICUBIC) for frame in truth]
    return [open_drawn(*told) for told in zip(paths, pairs["pair_id"], truth, strict=True)]


def _decoded(row: dict[str, bytes]) -> Image.Image:
    return Image.open(io.BytesIO(row["bytes"])).convert("RGB")


@lru_cache(maxsize=1)
def _open(config: Measuring) -> Any:
    torch.set_num_threads(1 if config.device == "cpu" else os.cpu_count() or 1)
    return config.open()


@lru_cache(maxsize=16)
def _metric(spec: MetricSpec, device: str) -> Metric:
    return open_metric(spec, device)
