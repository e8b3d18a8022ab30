"""The page: figures, comparisons and pictures in a single file that asks nobody for anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from itertools import combinations
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from egoframe.evaluation.report import tables
from egoframe.evaluation.report.gallery import gallery
from egoframe.evaluation.report.scatter import scatter
from egoframe.evaluation.summary import COLUMNS, COPY


def make_page(
    report: dict[str, Any],
    figures: Mapping[str, dict[str, np.ndarray]],
    pair: Callable[[int], dict[str, Any]],
    drawn: Mapping[str, Callable[[int], Image.Image]],
) -> str:
    """The report of an evaluation as HTML.

    Arguments:
        report: as `report.json` holds it.
        figures: of each pair (N,), by subject and name.
        pair: a row of the dataset.
        drawn: opens the picture of a pair, by subject; of those whose pictures are shown.
    """
    ranking = next(key for key in ("psnr_changed", *COLUMNS) if key in figures[COPY])
    column = COLUMNS[ranking]
    sign = 1 if column.higher else -1

    def told(value: float) -> str:
        return f"{column.told(sign * value)} {column.unit}"

    shown = "".join(
        f"<h3>{escape(name)}</h3>{gallery(sign * figures[name][ranking], told, pair, opened)}"
        for name, opened in drawn.items()
    )
    labels = [f"{pair_id}, {action}" for pair_id, action in zip(*report["order"], strict=True)]
    charts = "".join(
        f"<figure>{scatter(figures[a][ranking], figures[b][ranking], (a, b), labels)}</figure>"
        for a, b in combinations([COPY, *drawn], 2)
    )
    style = _file("egoframe.report", "page.css") + _file("egoframe.evaluation.report", "page.css")
    return Template(_file("egoframe.evaluation.report", "page.html")).substitute(
        name=escape(report["name"]),
        lead=escape(
            f"{report['pairs']:,} pairs of the {report['split']} split (seed {report['seed']}), "
            f"protocol {report['protocol']}."
        ),
        style=style,
        table=tables.main_table(report),
        comparisons=tables.comparison_table(report),
        verbs=tables.verb_table(report),
        pictures=shown,
        ranked=escape(column.title),
        scatter=charts,
        notes=tables.notes(report),
    )


def _file(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
