"""`egoframe data`: datasets of action pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish, progress

app = typer.Typer(no_args_is_help=True, help="Datasets of action pairs.")
build = typer.Typer(no_args_is_help=True, help="Build a dataset from annotated videos.")
app.add_typer(build, name="build")


@build.callback()
def _build() -> None:
    """Build a dataset of action pairs from annotated videos."""


@build.command()
def epic(
    source: Annotated[Path, typer.Argument(help="Folder with EPIC-KITCHENS-100's annotations.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the dataset to.")],
    settings: Annotated[list[str] | None, typer.Argument(help="Such as size=128.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build action pairs from EPIC-KITCHENS-100, or from a recording of the built-in kitchen.

    The same command again goes on where it was.

    Examples:

        egoframe data build epic recording pairs size=128

        egoframe data build epic EPIC-KITCHENS pairs filters.min_similarity=0.5
    """
    from egoframe.config import load_config
    from egoframe.curation.build import BuildConfig, build_dataset, report
    from egoframe.sources.epic import EpicSource

    chosen = load_config(BuildConfig, config, settings or [])
    reader = EpicSource(source)
    with progress() as bar:
        task = bar.add_task("videos", total=None)
        for done, total in build_dataset(reader.clips(), out, chosen, workers):
            bar.update(task, completed=done, total=total)
    result = report(out)
    told = {
        "dataset": str(out),
        "kept": result.kept,
        "rejected": result.rejected,
        "anomalies": dict(reader.anomalies),
    }
    finish(told, json)
