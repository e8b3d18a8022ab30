"""`evaluate`: models or folders of pictures against a dataset, with baselines, as one report.

In the order of work: `metrics` (what can be measured here) → `generator.bulk` (draw what models
are given) → `measuring` (figures of pairs) → `summary` → `report`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from egoframe.engine import EngineName
from egoframe.errors import UserError
from egoframe.evaluation.measuring import (
    Figures,
    Measuring,
    Subject,
    find_all,
    mean_frame,
    measure,
)
from egoframe.evaluation.metrics import ASKED_FOR, METRICS, PIXELS, available
from egoframe.evaluation.protocol import choose_metric_protocol
from egoframe.evaluation.report.page import make_page
from egoframe.evaluation.summary import (
    COPY,
    TRUTH,
    by_verb,
    comparisons,
    rows_of,
    with_similarities,
)
from egoframe.generator.bulk import SETTINGS, SetConfig, generate_set
from egoframe.images import make_folder, open_photo, write_bytes
from egoframe.models import DEFAULT
from egoframe.pictures import choose_pairs, find_pictures
from egoframe.released import RELEASES, home

MEAN = "mean frame"
Progress = Callable[[str, int, int], None]  # what is done, how far, and of how much


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Arguments:
        subjects: names, and models or folders of pictures.
        metrics: None takes all that can be had here, but captions and judges.
        weights: of metrics, by their names.
    """

    dataset: str
    subjects: dict[str, str]
    split: str = "validation"
    pairs: int | None = None
    seed: int = 0
    protocol: str = "corrected"
    stretch: bool = False
    metrics: tuple[str, ...] | None = None
    weights: dict[str, str] | None = None
    device: str = "cpu"


def evaluate(
    request: Request,
    out: Path,
    engine: EngineName = "processes",
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure, and write `report.json`, `report.html` and `pairs.csv` into `out`; resumable.

    Returns:
        What `report.json` holds.
    Raises:
        UserError: what is asked for cannot be had or does not fit together.
    """
    protocol = choose_metric_protocol(request.protocol)
    if request.stretch and not protocol.stretches:
        raise UserError(f"--stretch: protocol {protocol.name} leaves pictures as they are")
    for name in request.subjects:
        if name in (TRUTH, COPY, MEAN) or "/" in name or name.startswith("."):
            raise UserError(f"{name}: is no name for what is measured; give another, as NAME=…")
    pairs = choose_pairs(request.dataset, request.split, request.pairs, request.seed)
    known = dict.fromkeys(choose_pairs(request.dataset, request.split)["pair_id"])
    for what in filter(_is_pictures, request.subjects.values()):  # before networks are fetched
        find_pictures(Path(what), list(pairs["pair_id"]), known)
    chosen = request.metrics or tuple(name for name in METRICS if name not in ASKED_FOR)
    wanted = tuple(dict.fromkeys((PIXELS, *chosen)))  # pictures are ranked by their pixels
    specs, left_out = available(wanted, request.protocol, request.weights or {}, request.device)
    if request.metrics and left_out:
        raise UserError(next(iter(left_out.values())))
    config = Measuring(
        request.dataset, tuple(specs), out / "measured", request.split, request.pairs,
        request.seed, request.protocol, request.stretch, request.device,
    )  # fmt: skip
    subjects = [Subject(TRUTH, "truth"), Subject(COPY, "copy")]
    mean = mean_frame(request.dataset, make_folder(out) / "mean.png")
    if mean is None:
        left_out[MEAN] = "the dataset has no train split to take it from"
    else:
        subjects.append(Subject(MEAN, "mean", mean))
    for name, what in request.subjects.items():
        place = _drawn(request, name, what, out, engine, workers, progress)
        subjects.append(Subject(name, "pictures", place))
    measured = measure(config, subjects, engine, workers, partial(progress, "measuring"))
    report = {
        "name": Path(request.dataset.rstrip("/")).name,
        "split": request.split,
        "pairs": len(pairs),
        "seed": request.seed,
        "protocol": request.protocol + (", contrast stretched" if request.stretch else ""),
        "measured_by": {spec.name: spec.measured_by for spec in specs},
        "left_out": {name: why.replace(str(home()), "CACHE") for name, why in left_out.items()},
        "drawn_with": {s.name: _settings(s) for s in subjects if s.kind == "pictures"},
        "rows": rows_of(measured),
        "comparisons": comparisons(measured),
        "by_verb": by_verb(measured, pairs["verb"]),
    }
    _write(report, measured, pairs, find_all(config, subjects)[1], out)
    return report


def _is_pictures(what: str) -> bool:
    return Path(what).is_dir() and not (Path(what) / "model_index.json").exists()


def _drawn(
    request: Request,
    name: str,
    what: str,
    out: Path,
    engine: EngineName,
    workers: int | None,
    progress: Progress,
) -> Path:
    """The folder of a subject's pictures, which a model draws first."""
    if _is_pictures(what):
        return Path(what)
    if not Path(what).exists() and what.count("/") != 1 and what not in (DEFAULT, *RELEASES):
        raise UserError(f"{what}: no folder of pictures, nor a model")
    config = SetConfig(
        request.dataset, what, request.split, request.pairs, seed=request.seed,
        protocol=request.protocol, device=request.device,
    )  # fmt: skip
    place = out / "drawn" / name
    for done, total in generate_set(config, place, engine, workers):
        progress(f"drawing {name}", done, total)
    return place


def _settings(subject: Subject) -> Any:
    """How pictures were drawn, where `egoframe generate-set` did."""
    assert subject.place is not None
    path = subject.place / SETTINGS
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except ValueError:
        return None


def _write(
    report: dict[str, Any],
    measured: dict[str, Figures],
    pairs: Any,
    paths: dict[str, list[Path]],
    out: Path,
) -> None:
    figures = with_similarities(measured)
    names, actions = list(pairs["pair_id"]), list(pairs["action"])
    drawn = {name: partial(_opened, files) for name, files in paths.items()}
    page = make_page({**report, "order": (names, actions)}, figures, pairs.__getitem__, drawn)
    write_bytes(out / "report.html", page.encode())
    write_bytes(out / "report.json", (json.dumps(report, indent=1) + "\n").encode())
    write_bytes(out / "pairs.csv", _table(figures, names, actions).encode())


def _opened(files: Sequence[Path], place: int) -> Image.Image:
    return open_photo(files[place])


def _table(figures: dict[str, Figures], names: list[str], actions: list[str]) -> str:
    keys = sorted({key for own in figures.values() for key in own})
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["subject", "pair_id", "action", *keys])
    for subject, own in figures.items():
        for k, (name, action) in enumerate(zip(names, actions, strict=True)):
            values = [own[key][k] if key in own else np.nan for key in keys]
            told = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
            writer.writerow([subject, name, action, *told])
    return file.getvalue()
