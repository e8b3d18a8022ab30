"""The tables of an evaluation, as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

from egoframe.evaluation.summary import BIASED, COLUMNS, COPY, TRUTH, Column

VERB_FIGURES = 2  # of the table by verb: the first ones that were measured
SHOWN_P = 0.001  # smaller ones are not told apart


def shown(report: dict[str, Any]) -> dict[str, Column]:
    """The columns that some row has."""
    known = {key for row in report["rows"].values() for key in row}
    return {key: column for key, column in COLUMNS.items() if key in known}


def main_table(report: dict[str, Any]) -> str:
    """All rows: means with 95 % intervals; the best of each column, but for the truth, stands
    out."""
    columns, rows = shown(report), report["rows"]
    best = {key: _best(key, column, rows) for key, column in columns.items()}
    body = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(_cell(row.get(key), column, name in best[key]) for key, column in columns.items())
        + "</tr>"
        for name, row in rows.items()
    )
    return f"<table class=wide><thead><tr><td></td>{_heads(columns)}</tr></thead>{body}</table>"


def _heads(columns: dict[str, Column]) -> str:
    return "".join(
        f"<th>{escape(column.title)}{', ' + column.unit if column.unit else ''} "
        f"{'↑' if column.higher else '↓'}</th>"
        for column in columns.values()
    )


def _best(key: str, column: Column, rows: dict[str, Any]) -> set[str]:
    values = {
        name: row[key]["mean"]
        for name, row in rows.items()
        if name != TRUTH and row.get(key) and row[key]["mean"] is not None
    }
    if not values:
        return set()
    top = (max if column.higher else min)(values.values())
    return {name for name, value in values.items() if value == top}


def _cell(told: dict[str, Any] | None, column: Column, best: bool) -> str:
    if not told or told["mean"] is None:
        return "<td>–</td>"
    value = column.told(told["mean"])
    value = f"<b>{value}</b>" if best else value
    if told["interval"] is None:
        return f"<td>{value}</td>"
    low, high = map(column.told, told["interval"])
    return f"<td>{value}<small>{low} … {high}</small></td>"


def notes(report: dict[str, Any]) -> str:
    """How it was measured, what could not be, and what to mind."""
    lines = [
        f"<b>{escape(name)}</b>: {escape(told)}" for name, told in report["measured_by"].items()
    ]
    lines += [
        f"<b>{escape(name)}</b> left out: {escape(why)}" for name, why in report["left_out"].items()
    ]
    if "fid" in shown(report) and report["pairs"] < BIASED:
        lines.append(
            f"<b>FID</b> of {report['pairs']:,} pictures lies far above that of many; compare it "
            "at equal numbers alone. KID has no such bias."
        )
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def comparison_table(report: dict[str, Any]) -> str:
    """Models against each other and the copied input; by a paired test over the pairs."""
    rows = []
    for told in report["comparisons"]:
        column = COLUMNS.get(told["figure"])
        if column is None:
            continue
        low, high = (column.told(value) for value in told["interval"])
        p = f"{told['p']:.3f}" if told["p"] >= SHOWN_P else f"&lt; {SHOWN_P}"
        rows.append(
            f"<tr><th>{escape(told['first'])} − {escape(told['second'])}</th>"
            f"<td>{escape(column.title)}</td><td>{column.told(told['difference'])}"
            f"<small>{low} … {high}</small></td><td>{p}</td></tr>"
        )
    return (
        "<table><thead><tr><td></td><th>figure</th><th>difference</th><th>p</th></tr></thead>"
        f"{''.join(rows)}</table>"
    )


def verb_table(report: dict[str, Any]) -> str:
    """By verb: the first figures of what was drawn."""
    columns = dict(list(shown(report).items())[:VERB_FIGURES])
    subjects = list(report["drawn_with"]) or [COPY]
    heads = "".join(
        f"<th>{escape(name)}: {escape(column.title)}</th>"
        for name in subjects
        for column in columns.values()
    )
    body = "".join(
        f"<tr><th>{escape(verb)}</th><td>{told['pairs']}</td>"
        + "".join(
            _plain(told["rows"][name].get(key), column)
            for name in subjects
            for key, column in columns.items()
        )
        + "</tr>"
        for verb, told in report["by_verb"].items()
    )
    return f"<table class=wide><thead><tr><td></td><th>pairs</th>{heads}</tr></thead>{body}</table>"


def _plain(value: float | None, column: Column) -> str:
    return "<td>–</td>" if value is None else f"<td>{column.told(value)}</td>"
