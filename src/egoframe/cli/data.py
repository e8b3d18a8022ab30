"""`egoframe data`: datasets of action pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from egoframe.cli import data_merge, data_push, data_report
from egoframe.cli.output import finish, progress

if TYPE_CHECKING:
    from egoframe.sources.clip import ClipSource

app = typer.Typer(no_args_is_help=True, help="Datasets of action pairs.")
build = typer.Typer(no_args_is_help=True, help="Build a dataset from annotated videos.")
app.add_typer(build, name="build")
app.command("merge")(data_merge.merge)
app.command("report")(data_report.report)
app.command("push")(data_push.push)

Out = Annotated[str, typer.Argument(help="Where to write the dataset: a folder, or a URL.")]
Settings = Annotated[list[str] | None, typer.Argument(help="Such as size=128.")]
Config = Annotated[Path | None, typer.Option(help="A YAML file of settings.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")]
Engine = Annotated[Literal["processes", "ray"], typer.Option(help="What runs them.")]
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
    engine: Engine = "processes",
    json: Json = False,
) -> None:
    """Build action pairs from EPIC-KITCHENS-100, or from a recording of the built-in kitchen.

    Boxes come from VISOR's annotations, where they lie in a folder `visor`. The same command again
    goes on where it was.

    Examples:

        egoframe data build epic recording pairs size=128

        egoframe data build epic EPIC-KITCHENS pairs filters.min_similarity=0.5

        egoframe data build epic EPIC-KITCHENS s3://bucket/pairs --engine ray
    """
    from egoframe.sources.epic import EpicSource

    _build_from(EpicSource(source), out, settings, config, workers, engine, json)


@build.command()
def ego4d(
    source: Annotated[Path, typer.Argument(help="Folder with fho_main.json and the videos.")],
    out: Out,
    settings: Settings = None,
    config: Config = None,
    workers: Workers = None,
    engine: Engine = "processes",
    json: Json = False,
) -> None:
    """Build action pairs from Ego4D's hands and objects (FHO), full videos or clips.

    The same command again goes on where it was.

    Example:

        egoframe data build ego4d ego4d_data/v2 pairs
    """
    from egoframe.sources.ego4d import Ego4dSource

    _build_from(Ego4dSource(source), out, settings, config, workers, engine, json)


@build.command()
def lego(
    source: Annotated[Path, typer.Argument(help="Folder with LEGO's annotations and EgoGen.")],
    out: Out,
    settings: Settings = None,
    config: Config = None,
    workers: Workers = None,
    engine: Engine = "processes",
    json: Json = False,
) -> None:
    """Build action pairs from the dataset that LEGO's authors released, descriptions included.

    Its pairs were chosen with other filters than ours; the second example keeps them all.

    The same command again goes on where it was.

    Examples:

        egoframe data build lego LEGO-Dataset pairs

        egoframe data build lego LEGO-Dataset pairs filters.min_similarity=-1 \\

        filters.max_similarity=2 filters.min_sharpness=null filters.min_exposure=null \\

        filters.max_exposure=null filters.max_camera_motion=null
    """
    from egoframe.sources.lego import LegoSource

    _build_from(LegoSource(source), out, settings, config, workers, engine, json)


@build.command()
def lerobot(
    source: Annotated[Path, typer.Argument(help="Folder of a LeRobot v3 dataset.")],
    out: Out,
    settings: Settings = None,
    camera: Annotated[str | None, typer.Option(help="Which; the one that moves along.")] = None,
    at: Annotated[float, typer.Option(help="Where the action frame lies in an episode.")] = 0.5,
    config: Config = None,
    workers: Workers = None,
    engine: Engine = "processes",
    json: Json = False,
) -> None:
    """Build action pairs from a robot's episodes with their tasks.

    The same command again goes on where it was.

    Example:

        egoframe data build lerobot svla_so101_pickplace pairs --camera observation.images.wrist
    """
    from egoframe.sources.lerobot import LerobotSource

    reader = LerobotSource(source, camera, at)
    _build_from(reader, out, settings, config, workers, engine, json)


@build.command()
def clips(
    source: Annotated[Path, typer.Argument(help="Folder of videos, with a table of actions.")],
    out: Out,
    settings: Settings = None,
    table: Annotated[Path | None, typer.Option(help="A CSV or JSONL; the folder's own.")] = None,
    config: Config = None,
    workers: Workers = None,
    engine: Engine = "processes",
    json: Json = False,
) -> None:
    """Build action pairs from your own videos, or HD-EPIC's.

    The table has the columns video, start, stop and text; times are seconds, or such as 01:02.5.

    The same command again goes on where it was.

    Examples:

        egoframe data build clips my-videos pairs

        egoframe data build clips HD-EPIC/Videos pairs --table narrations.csv
    """
    from egoframe.sources.clips import ClipsSource

    _build_from(ClipsSource(source, table), out, settings, config, workers, engine, json)


def _build_from(
    reader: ClipSource,
    out: str,
    settings: list[str] | None,
    config: Path | None,
    workers: int | None,
    engine: Literal["processes", "ray"],
    json: bool,
) -> None:
    from egoframe.config import load_config
    from egoframe.curation.build import BuildConfig, build_dataset
    from egoframe.curation.build import report as told_of
    from egoframe.storage import Folder

    chosen = load_config(BuildConfig, config, settings or [])
    folder = Folder(out)
    with progress() as bar:
        task = bar.add_task("clips", total=None)
        for done, total in build_dataset(
            reader.clips(), folder, chosen, workers, engine, reader.anomalies
        ):
            bar.update(task, completed=done, total=total)
    told = told_of(folder)
    result = {
        "dataset": out,
        "clips": told.clips,
        "kept": told.kept,
        "rejected": told.rejected,
        "bad_files": told.bad_files if json else len(told.bad_files),
        "anomalies": told.anomalies,
    }
    finish(result, json)
