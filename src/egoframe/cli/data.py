"""`egoframe data`: datasets of action pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egoframe.cli.output import finish, progress

if TYPE_CHECKING:
    from egoframe.sources.clip import ClipSource

app = typer.Typer(no_args_is_help=True, help="Datasets of action pairs.")
build = typer.Typer(no_args_is_help=True, help="Build a dataset from annotated videos.")
app.add_typer(build, name="build")

Out = Annotated[Path, typer.Argument(help="Folder to write the dataset to.")]
Settings = Annotated[list[str] | None, typer.Argument(help="Such as size=128.")]
Config = Annotated[Path | None, typer.Option(help="A YAML file of settings.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@build.callback()
def _build() -> None:
    """Build a dataset of action pairs from annotated videos."""


@build.command()
def epic(
    source: Annotated[Path, typer.Argument(help="Folder with EPIC-KITCHENS-100's annotations.")],
    out: Out,
    settings: Settings = None,
    config: Config = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Build action pairs from EPIC-KITCHENS-100, or from a recording of the built-in kitchen.

    The same command again goes on where it was.

    Examples:

        egoframe data build epic recording pairs size=128

        egoframe data build epic EPIC-KITCHENS pairs filters.min_similarity=0.5
    """
    from egoframe.sources.epic import EpicSource

    _build_from(EpicSource(source), out, settings, config, workers, json)


@build.command()
def lego(
    source: Annotated[Path, typer.Argument(help="Folder with LEGO's annotations and EgoGen.")],
    out: Out,
    settings: Settings = None,
    config: Config = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Build action pairs from the dataset that LEGO's authors released, descriptions included.

    Its pairs were chosen with other filters than ours; the second example keeps them all.

    The same command again goes on where it was.

    Examples:

        egoframe data build lego LEGO-Dataset pairs

        egoframe data build lego LEGO-Dataset pairs filters.min_similarity=-1 \\

        filters.max_similarity=2 filters.min_sharpness=0 \\

        filters.max_camera_motion=1
    """
    from egoframe.sources.lego import LegoSource

    _build_from(LegoSource(source), out, settings, config, workers, json)


def _build_from(
    reader: ClipSource,
    out: Path,
    settings: list[str] | None,
    config: Path | None,
    workers: int | None,
    json: bool,
) -> None:
    from egoframe.config import load_config
    from egoframe.curation.build import BuildConfig, build_dataset, report

    chosen = load_config(BuildConfig, config, settings or [])
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
