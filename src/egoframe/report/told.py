"""What `egoframe data build` told of a dataset: its report.json, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from egoframe.curation.build import BuildConfig, BuildReport
from egoframe.curation.filters import FilterConfig
from egoframe.errors import UserError
from egoframe.pairs import SPLITS, shards
from egoframe.storage import Folder

REPORT = "report.json"
SETTINGS = [field.name for field in fields(BuildConfig)]


@dataclass(frozen=True)
class Told:
    """A report, and the filters in its settings, which the page explains."""

    report: BuildReport
    filters: FilterConfig


def read_report(folder: Folder) -> Told:
    """The report of a finished dataset.

    Raises:
        UserError: no dataset is here, its build is not finished, or the report cannot be used.
    """
    if not folder.exists(REPORT):
        if folder.exists("build.json"):
            raise UserError(
                f"{folder}: not finished; run the same `egoframe data build` command again"
            )
        shards(folder)  # says so if there is no dataset at all
        raise UserError(
            f"{folder}: has pairs but no {REPORT}, which `egoframe data build` writes; only a "
            "dataset that it built can be reported on"
        )
    try:
        values = json.loads(folder.read(REPORT))
        report = BuildReport(**values)
        _check(report)
        return Told(report, _filters(report.settings["filters"]))
    except (ValueError, TypeError, KeyError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{folder.link(REPORT)}: damaged, or of another version of egoframe ({why}); build "
            "the dataset again, into another folder"
        ) from None


def _check(report: BuildReport) -> None:
    _table(report.kept, int, SPLITS)
    for counts in (report.rejected, report.anomalies, {"clips": report.clips}):
        _table(counts, int)
    for words in (report.bad_files, report.notes):
        _table(words, str)
    _table(report.settings, object, SETTINGS)


def _table(values: Any, kind: Any, names: Iterable[str] | None = None) -> None:
    if not isinstance(values, dict) or not all(isinstance(v, kind) for v in values.values()):
        raise TypeError(f"{values!r:.60} is no such table")
    if names is not None and set(values) != set(names):
        raise ValueError(f"{', '.join(values)} instead of {', '.join(names)}")


def _filters(values: dict[str, Any]) -> FilterConfig:
    """Settings with all of their fields: what is absent was not yet a setting."""
    _table(values, (float, int, type(None)), [field.name for field in fields(FilterConfig)])
    return FilterConfig(**values)
