"""Several datasets as one, such as two families of scenes to train on together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from egoframe.curation.build import BuildReport
from egoframe.curation.card import card
from egoframe.errors import UserError
from egoframe.pairs import (
    SPLITS,
    read_rows,
    rejected_features,
    shards,
    write_shard,
    write_split,
)
from egoframe.storage import Folder


def merge_datasets(out: Folder, parts: Sequence[Folder]) -> BuildReport:
    """Write the pairs and rejected clips of built datasets into one, part after part.

    Descriptions and whatever else their rows hold come along.

    Raises:
        UserError: fewer than two, one that is no built dataset, or was built with other settings, a
            pair that two of them have, or `out` is not empty or cannot be written.
    """
    if len(parts) < 2:
        raise UserError("merging takes two datasets or more")
    if out.names("*"):
        raise UserError(f"{out}: is not empty; give another folder")
    reports = [_report(part) for part in parts]
    for part, report in zip(parts, reports, strict=True):
        for name, value in report.settings.items():
            if value != reports[0].settings[name]:
                raise UserError(
                    f"{part}: was built with other {name} than {parts[0]}; build them alike"
                )
    _check_ids(parts)

    def rows(split: str) -> Iterator[dict[str, Any]]:
        for part, report in zip(parts, reports, strict=True):
            if report.kept[split]:
                for name in shards(part, (split,)):
                    yield from read_rows(part, name)

    def rejected() -> Iterator[dict[str, Any]]:
        for part in parts:
            yield from read_rows(part, "rejected.parquet")

    kept = {split: write_split(out, split, rows(split)) for split in SPLITS}
    write_shard(out, "rejected.parquet", rejected(), rejected_features())
    summary = BuildReport(
        clips=sum(report.clips for report in reports),
        kept=kept,
        rejected=_added([report.rejected for report in reports]),
        bad_files={file: why for report in reports for file, why in report.bad_files.items()},
        anomalies=_added([report.anomalies for report in reports]),
        notes={file: note for report in reports for file, note in report.notes.items()},
        settings=reports[0].settings,
    )
    out.write("README.md", card(out, asdict(summary)))
    out.write("report.json", json.dumps(asdict(summary), indent=1, ensure_ascii=False) + "\n")
    return summary


def _report(part: Folder) -> BuildReport:
    if not part.exists("report.json"):
        raise UserError(f"{part}: no finished dataset here; build it with `egoframe data build`")
    try:
        return BuildReport(**json.loads(part.read("report.json")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{part.link('report.json')}: damaged ({error})") from None


def _check_ids(parts: Sequence[Folder]) -> None:
    seen: dict[str, Folder] = {}
    for part in parts:
        for name in shards(part):
            for row in read_rows(part, name, ["pair_id"]):
                if (other := seen.get(row["pair_id"])) is not None:
                    raise UserError(f"pair {row['pair_id']}: both {other} and {part} have it")
                seen[row["pair_id"]] = part


def _added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter[str]()).most_common())
