"""`egoframe study`: people compare what models drew, or say whether descriptions fit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from egoframe.cli.output import finish, note, progress
from egoframe.errors import UserError

if TYPE_CHECKING:
    from egoframe.study.design import Study
    from egoframe.study.report import Figure, Report
    from egoframe.study.store import Store

app = typer.Typer(no_args_is_help=True, help="A study with people: which picture is best?")

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of the study.")]
Database = Annotated[
    str | None,
    typer.Option(
        help="For many raters: postgresql://USER@HOST/NAME. The file answers.db in the folder by "
        "default."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def create(
    out: Annotated[Path, typer.Argument(help="A new folder for the study.")],
    dataset: Annotated[str, typer.Argument(help="A dataset of action pairs: a folder or a URL.")],
    drawn: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=PICTURES…", help="A model's name, and a folder as generate-set makes it."
        ),
    ] = None,
    kind: Annotated[
        Literal["choice", "ranking", "alignment"],
        typer.Option(
            help="choice: the best of all models; ranking: the better of two, or about the same; "
            "alignment: whether a description fits."
        ),
    ] = "choice",
    split: Annotated[Literal["train", "validation"], typer.Option(help="Which.")] = "validation",
    pairs: Annotated[
        int | None,
        typer.Option(min=1, help="How many, those that generate-set chooses; all by default."),
    ] = None,
    each: Annotated[
        int | None, typer.Option(min=1, help="Questions of a rater; 30 at most by default.")
    ] = None,
    checks: Annotated[
        int, typer.Option(min=0, help="Questions with a known answer, hidden among them.")
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of pairs and orders.")] = 0,
    json: Json = False,
) -> None:
    """Make a study of pictures that models drew, or of a dataset's descriptions.

    Pictures are copied without metadata, under names that tell nothing. The text that raters agree
    to is `consent` in study.json.

    Examples:

        egoframe study create study pairs lego=drawn-by-lego label=drawn-by-label --pairs 60

        egoframe study create study pairs lego=a label=b copy=c --kind ranking --pairs 100

        egoframe study create texts pairs --kind alignment --pairs 100
    """
    from egoframe.study.create import create_study

    with progress() as bar:
        task = bar.add_task("copying pictures", total=None)
        made = create_study(
            out,
            dataset,
            _folders(drawn or []),
            kind,
            split,
            pairs,
            each,
            checks,
            seed,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    told = {
        "study": str(out),
        "questions": len(made.questions),
        "questions_of_a_rater": made.each + made.checks_each,
        "raters_for_one_answer_to_each": -(-len(made.questions) // made.each),
    }
    finish(told, json)


@app.command()
def invite(
    study: Folder,
    names: Annotated[list[str] | None, typer.Argument(help="Of raters.")] = None,
    raters: Annotated[
        int | None, typer.Option(min=1, help="How many, instead of names: rater-1, rater-2, …")
    ] = None,
    base_url: Annotated[
        str, typer.Option(help="Where raters reach the server.")
    ] = "http://127.0.0.1:8000",
    database: Database = None,
    json: Json = False,
) -> None:
    """Make a personal link for each rater, and print names and links as CSV.

    They are printed this once: the database holds no more than their hashes.

    Examples:

        egoframe study invite study --raters 20 --base-url https://study.example.org > links.csv

        egoframe study invite study ada grace
    """
    import csv
    import sys

    if bool(names) == bool(raters):
        raise UserError("give names of raters, or how many by --raters")
    if not base_url.startswith(("http://", "https://")):
        raise UserError(f"--base-url {base_url}: give one with http:// or https://")
    _, store = _open(study, database)
    tokens = store.invite(names or _new_names(raters or 0, store.names()))
    links = {name: f"{base_url.rstrip('/')}/s/{token}" for name, token in tokens.items()}
    if json:
        finish(links, json)
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["name", "link"])
    table.writerows(links.items())


@app.command()
def serve(
    study: Folder,
    host: Annotated[
        str, typer.Option(help="Of this machine; 0.0.0.0 is reached from others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    database: Database = None,
) -> None:
    """Serve the raters' page until it is stopped.

    An answer is kept once it is acknowledged, even if the server is killed. Put a server that
    speaks HTTPS before it where raters come over the internet.

    Examples:

        egoframe study serve study

        egoframe study serve study --host 0.0.0.0 --database postgresql://me@db.example.org/study
    """
    from egoframe.study.report import questions_of
    from egoframe.study.server import create_app
    from egoframe.study.server import serve as run

    opened, store = _open(study, database)
    questions_of(opened, store.answers())  # before answers to two studies are mixed
    page = create_app(opened, study, store)
    run(page, host, port, lambda url: note(f"serving {study} at {url}; Ctrl-C stops"))


@app.command()
def report(
    study: Folder,
    csv: Annotated[Path | None, typer.Option(help="A file for all answers.")] = None,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Count those who failed the checks too.")
    ] = False,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show who wins how often, and how far raters agree.

    Raters who got more than a quarter of their checks wrong are left out. Intervals are of 95 %, by
    bootstrap over raters. Scores are Bradley–Terry's, their mean is 0. Agreement is Krippendorff's
    alpha: 1 where all choose the same, 0 as by chance.

    Examples:

        egoframe study report study --csv answers.csv
    """
    from egoframe.images import write_bytes
    from egoframe.study.report import as_csv, make_report

    opened, store = _open(study, database)
    answers = store.answers()
    if csv is not None:
        write_bytes(csv, as_csv(opened, answers).encode())
    found = make_report(opened, answers, keep_all)
    if json:
        finish(_plain(asdict(found)), json)
    else:
        _show(found)


def _folders(drawn: list[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for told in drawn:
        name, equals, folder = told.partition("=")
        if not (name and equals and folder):
            raise UserError(f"{told}: give pictures as NAME=FOLDER")
        if name in folders:
            raise UserError(f"{told}: two models have the name {name}")
        folders[name] = Path(folder)
    return folders


def _open(folder: Path, database: str | None) -> tuple[Study, Store]:
    """The study first: no database is made in a folder that has none."""
    from egoframe.study.design import open_study
    from egoframe.study.store import Store

    return open_study(folder), Store(database or folder / "answers.db")


def _new_names(count: int, taken: list[str]) -> list[str]:
    names = (f"rater-{k}" for k in range(1, len(taken) + count + 1))
    return [name for name in names if name not in taken][:count]


def _plain(told: Any) -> Any:
    """The same for JSON, which has no nan."""
    if isinstance(told, dict):
        return {key: _plain(value) for key, value in told.items()}
    return None if told != told else told


def _show(found: Report) -> None:
    print(f"{found.raters} raters, {found.answers} answers")
    if found.left_out:
        print(f"left out, for failing the checks: {', '.join(found.left_out)}")
    print(f"agreement (Krippendorff's alpha): {found.alpha:z.2f}")
    if found.kind == "ranking":
        print(f"ties: {100 * found.ties:.1f} %")
    models = sorted(found.rates, key=lambda model: -found.rates[model].value)
    first = max(map(len, [*models, *found.verbs, "by verb"])) + 1
    title = "fits" if found.kind == "alignment" else "wins"
    print(f"\n{'':{first}} {title:25}{' score' if found.scores else ''}".rstrip())
    for model in models:
        score = _told(found.scores[model], 1, 2) if found.scores else ""
        print(f"{model:{first}} {_told(found.rates[model], 100, 1, ' %'):25} {score}".rstrip())
    print(f"\n{'by verb':{first}} answers  {' '.join(f'{model:19}' for model in models)}".rstrip())
    for verb, own in found.verbs.items():
        rates = (_told(own.rates[m], 100, 0, " %") if m in own.rates else "–" for m in models)
        columns = " ".join(f"{rate:19}" for rate in rates)
        print(f"{verb:{first}} {own.answers:7}  {columns}".rstrip())


def _told(figure: Figure, times: float, digits: int, unit: str = "") -> str:
    """Value and interval."""
    value, low, high = (f"{times * x:z.{digits}f}" for x in (figure.value, figure.low, figure.high))
    interval = "" if figure.low != figure.low else f" ({low} to {high})"
    return f"{value}{unit}{interval}"
