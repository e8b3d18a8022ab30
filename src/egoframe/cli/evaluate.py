"""`egoframe evaluate`: models or folders of pictures against a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from egoframe.cli.options import Device, Engine, Pairs, Split, Workers
from egoframe.cli.output import finish, note, progress
from egoframe.errors import UserError


def evaluate(
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    out: Annotated[Path, typer.Argument(help="Folder for the report.")],
    subjects: Annotated[
        list[str] | None,
        typer.Argument(help="Models, or folders with a picture for each pair; or NAME=ONE."),
    ] = None,
    split: Split = "validation",
    pairs: Pairs = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice, and of what models draw.")] = 0,
    protocol: Annotated[
        str, typer.Option(help="corrected, or paper: as the authors' code draws and measures.")
    ] = "corrected",
    stretch: Annotated[
        bool, typer.Option("--stretch", help="Stretch contrast as the release; protocol paper.")
    ] = False,
    metrics: Annotated[
        str | None, typer.Option(help="Such as pixels,clip; all that can be had by default.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="A metric's file or folder, such as clip=FOLDER.")
    ] = None,
    engine: Engine = "processes",
    workers: Workers = None,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Measure drawn pictures, beside the copied input and the mean frame.

    Writes OUT/report.html, report.json and pairs.csv. A model is drawn first, as `egoframe
    generate-set` does. The same command again goes on where it was; what changed is measured anew.

    Examples:

        egoframe evaluate pairs report kitchen --pairs 500

        egoframe evaluate pairs report ours=runs/a/pipeline theirs=their-pictures

        egoframe evaluate pairs report lego-epic --protocol paper --stretch \\

        --weights egovlp-epic=epic_mir_plus.pth
    """
    from egoframe.evaluation.evaluate import Request
    from egoframe.evaluation.evaluate import evaluate as run
    from egoframe.evaluation.summary import COLUMNS
    from egoframe.models import usable_device

    request = Request(
        dataset, _named(subjects or []), split, pairs, seed, protocol, stretch,
        tuple(metrics.split(",")) if metrics else None, _pairs(weights or [], "--weights"),
        str(usable_device(device)),
    )  # fmt: skip
    with progress() as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        report = run(request, out, engine, workers, show)
    for name, why in report["left_out"].items():
        note(f"left out: {name} ({why})")
    if json:
        finish(report, json)
        return
    told: dict[str, Any] = {"report": str(out / "report.html"), "pairs": report["pairs"]}
    for name, row in report["rows"].items():
        told[name] = ", ".join(
            f"{column.title} {column.told(row[key]['mean'])} {column.unit}".rstrip()
            for key, column in COLUMNS.items()
            if key in row and row[key]["mean"] is not None
        )
    finish(told, json)


def _named(subjects: list[str]) -> dict[str, str]:
    """Models and folders by name; without one, by their own."""
    named: dict[str, str] = {}
    for subject in subjects:
        name, equals, what = subject.partition("=")
        if not equals:
            name, what = Path(subject.rstrip("/")).name, subject
        if not name or name in named:
            raise UserError(f"{subject}: give each another name, as NAME={what or subject}")
        named[name] = what
    return named


def _pairs(given: list[str], option: str) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise UserError(f"{option} {text}: has the form NAME=FILE")
    return dict(text.split("=", 1) for text in given)  # type: ignore[misc]
