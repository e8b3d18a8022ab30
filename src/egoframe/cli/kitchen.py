"""`egoframe kitchen`: the built-in world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish, progress

app = typer.Typer(no_args_is_help=True, help="The built-in kitchen.")


@app.callback()
def _kitchen() -> None:
    """The built-in kitchen."""


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="Folder to write the recording to.")],
    kitchens: Annotated[int, typer.Option(help="How many kitchens.")] = 10,
    actions: Annotated[int, typer.Option(help="Actions in each kitchen.")] = 40,
    seed: Annotated[int, typer.Option(help="Same seed, same frames.")] = 0,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 256,
    frames_only: Annotated[
        bool, typer.Option("--frames-only", help="Only the two frames of each pair, as JPEG.")
    ] = False,
    validation_share: Annotated[
        float, typer.Option(help="Share of the kitchens that training never sees.")
    ] = 0.1,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Record people at work in procedural kitchens, in the form of EPIC-KITCHENS-100.

    The same command again goes on where it was.

    Examples:

        egoframe kitchen record recording --kitchens 20 --actions 40

        egoframe kitchen record recording --kitchens 300 --frames-only --seed 7
    """
    import time

    from egoframe.kitchen import record as recording

    config = recording.RecordConfig(kitchens, actions, seed, size, frames_only, validation_share)
    started = time.monotonic()
    with progress() as bar:
        task = bar.add_task("kitchens", total=kitchens)
        for _ in recording.record(out, config, workers):
            bar.advance(task)
    seconds = round(time.monotonic() - started, 1)
    finish({"recording": str(out), "actions": kitchens * actions, "seconds": seconds}, json)
