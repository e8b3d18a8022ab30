"""Builds a dataset of action pairs from clips: resumable, on all cores or a cluster, in a fixed
order. The clips are split into units of work, each of one video; a unit's results are files that
are there once all of it is done, and the dataset is put together from them at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from egoframe.curation.card import card
from egoframe.curation.filters import FilterConfig, ModelsConfig, with_own_band
from egoframe.curation.selection import SelectionConfig
from egoframe.curation.unit import build_unit, give_up, unit_file
from egoframe.curation.units import Units
from egoframe.engine import EngineName, WorkerDied, run_tasks
from egoframe.errors import UserError
from egoframe.pairs import (
    SPLITS,
    read_rows,
    rejected_features,
    write_shard,
    write_split,
)
from egoframe.sources.clip import ActionClip
from egoframe.storage import Folder

UNIT_BYTES = 100 * 2**20  # of pictures that a worker holds
MAX_UNIT = 64  # clips
OURS = (*SPLITS, "parts", "report.json", "rejected.parquet", "README.md")  # what a dataset holds


@dataclass(frozen=True)
class BuildConfig:
    """How frames are chosen, filtered and stored."""

    size: int = 256  # width and height of the stored frames: the whole frame is fitted into it
    jpeg_quality: int = 95  # without chroma subsampling: no loss that shows in the metrics
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)


@dataclass(frozen=True)
class BuildReport:
    """What became of the annotations; kept and rejected add up to all of them."""

    clips: int
    kept: dict[str, int]  # by split
    rejected: dict[str, int]  # by reason
    bad_files: dict[str, str]  # why, by file
    anomalies: dict[str, int]  # flaws of annotations that cost no pair
    notes: dict[str, str]  # what is odd about a file that was read
    settings: dict[str, Any]


def build_dataset(
    clips: Iterable[ActionClip],
    out: Folder,
    config: BuildConfig,
    workers: int | None = None,
    engine: EngineName = "processes",
    anomalies: Mapping[str, int] | None = None,
) -> Iterator[tuple[int, int]]:
    """Build the dataset; yields (clips done, clips in all). The same call again goes on, and
    leaves a finished dataset as it is, with the descriptions that were written into it.

    Arguments:
        anomalies: the reader's, looked at once it has read all.
    Raises:
        UserError: no clips, other settings or other clips in `out`, or `out` cannot be written.
    """
    _check_settings(config)
    config = replace(config, filters=with_own_band(config.filters, config.models))
    pictures = 2 * 3 * config.size**2  # bytes of a clip's two frames
    units = Units(clips, max(1, min(MAX_UNIT, UNIT_BYTES // pictures)), config.selection)
    if not units:
        raise UserError("no annotated actions were found; nothing to build")
    _check(out, config, units.clips_sha256)
    if out.exists("report.json"):
        out.delete("parts")  # where it was stopped between the two
        yield units.clips, units.clips
        return
    todo = units.without(set(out.names("parts/*.json")))
    done = units.clips - todo.clips
    yield done, units.clips
    work = partial(build_unit, out=out.link(), config=config)
    for index, result in run_tasks(work, todo, engine, workers):
        if isinstance(result, WorkerDied):
            give_up(todo[index], out, f"kills the process that reads it ({result.why})")
        done += todo.places[index].clips
        yield done, units.clips
    _merge(out, units, config, dict(anomalies or {}))


def report(out: Folder) -> BuildReport:
    """What became of the clips of a finished dataset.

    Raises:
        UserError: no pair was kept.
    """
    told = BuildReport(**json.loads(out.read("report.json")))
    if not any(told.kept.values()):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in told.rejected.items())
        raise UserError(
            f"{out}: no pair was kept ({reasons}); {out.link('rejected.parquet')} has each"
        )
    return told


def _check_settings(config: BuildConfig) -> None:
    if not 32 <= config.size <= 2048:
        raise UserError(f"size {config.size}: from 32 to 2048 pixels")
    if not 1 <= config.jpeg_quality <= 100:
        raise UserError(f"jpeg_quality {config.jpeg_quality}: from 1 to 100")
    for name, value in asdict(config.selection).items():
        if value < 0:
            raise UserError(f"selection.{name} {value}: 0 or more")


def _check(out: Folder, config: BuildConfig, clips: str) -> None:
    """A folder holds one dataset: what it is made of is written at the start, and compared."""
    settings = json.loads(json.dumps(asdict(config), default=str))
    begun = out.exists("report.json") or bool(out.names("parts/*.json"))
    if not out.exists("build.json"):
        for name in OURS:
            if out.exists(name):
                raise UserError(f"{out}: holds something else, {name}; give another folder")
    if not (begun and out.exists("build.json")):
        told = {"settings": settings, "clips_sha256": clips}
        out.write("build.json", json.dumps(told, indent=1) + "\n")
        return
    try:
        before = json.loads(out.read("build.json"))
        same = before["settings"] == settings
        if before["clips_sha256"] != clips:
            raise UserError(f"{out}: holds a dataset of other clips; give another folder")
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{out}: holds something else; give another folder") from None
    if not same:
        raise UserError(f"{out}: holds a dataset with other settings; give another folder")


def _merge(out: Folder, units: Units, config: BuildConfig, anomalies: dict[str, int]) -> None:
    """Parts → shards, in the order of the units; rejected.parquet, card and report."""
    numbers = [place.number for place in units.places]
    told = [json.loads(out.read(unit_file(number, "json"))) for number in numbers]

    def rows(split: str) -> Iterator[dict[str, Any]]:
        for number, result in zip(numbers, told, strict=True):
            if result["kept"].get(split):
                found = read_rows(out, unit_file(number, "parquet"))
                yield from (row for row in found if row["split"] == split)

    def rejected() -> Iterator[dict[str, Any]]:
        for number, result in zip(numbers, told, strict=True):
            if result["rejected"]:
                yield from read_rows(out, unit_file(number, "rejected.parquet"))

    kept = {}
    for split in SPLITS:
        for pattern in ("*.parquet", ".*.writing"):  # of a merge that was stopped
            for name in out.names(f"{split}/{pattern}"):
                out.delete(name)
        kept[split] = write_split(out, split, rows(split))
    write_shard(out, "rejected.parquet", rejected(), rejected_features())
    reasons: Counter[str] = Counter()
    bad_files: dict[str, str] = {}
    notes: dict[str, str] = {}
    for result in told:
        reasons.update(result["rejected"])
        bad_files |= {
            file: why for file, why in result["bad_files"].items() if file not in bad_files
        }
        notes |= result["notes"]
    summary = BuildReport(
        clips=units.clips,
        kept=kept,
        rejected=dict(reasons.most_common()),
        bad_files=bad_files,
        anomalies=anomalies,
        notes=notes,
        settings=json.loads(json.dumps(asdict(config), default=str)),
    )
    if summary.clips != sum(kept.values()) + sum(reasons.values()):
        raise RuntimeError(f"{out}: the counts do not add up: {summary}")
    out.write("README.md", card(out, asdict(summary)))
    out.write("report.json", json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n")
    out.delete("parts")
