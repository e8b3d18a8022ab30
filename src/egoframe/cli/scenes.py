"""What `egoframe kitchen` and `egoframe workshop` share: recording scenes of a family."""

from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.output import finish, progress

HELP = """Record people at work in procedural {scene}s, in the form of EPIC-KITCHENS-100.

The same command again goes on where it was.

Examples:

    egoframe {scene} record recording --{scene}s 20 --actions 40

    egoframe {scene} record recording --{scene}s 300 --frames-only --seed 7 --tasks 0.5

    egoframe {scene} record storyboards --{scene}s 50 --frames-only --still
"""


def scene_app(scene: str, task: str) -> typer.Typer:
    """The commands of a family of scenes; `task` is one of its tasks, in words."""
    app = typer.Typer(no_args_is_help=True, help=f"The built-in {scene}.")

    @app.callback()
    def _group() -> None:
        pass

    @app.command(help=HELP.format(scene=scene))
    def record(
        out: Annotated[Path, typer.Argument(help="Folder to write the recording to.")],
        scenes: Annotated[int, typer.Option(f"--{scene}s", help=f"How many {scene}s.")] = 10,
        actions: Annotated[int, typer.Option(help=f"Actions in each {scene}.")] = 40,
        seed: Annotated[int, typer.Option(help="Same seed, same frames.")] = 0,
        size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 256,
        frames_only: Annotated[
            bool, typer.Option("--frames-only", help="Only the two frames of each pair, as JPEG.")
        ] = False,
        validation_share: Annotated[
            float, typer.Option(help=f"Share of the {scene}s that training never sees.")
        ] = 0.1,
        tasks: Annotated[
            float, typer.Option(help=f"Share of the videos that play tasks, such as: {task}.")
        ] = 0.0,
        still: Annotated[
            bool,
            typer.Option(
                "--still",
                help="One whole task a video, before an eye that does not move; a step's input "
                "frame is the step before. --actions and --tasks do not count.",
            ),
        ] = False,
        workers: Annotated[
            int | None, typer.Option(min=1, help="Processes; all cores by default.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    ) -> None:
        import time

        from egoframe.scenes import open_family
        from egoframe.simulator import record as recording
        from egoframe.simulator.tables import count_actions

        config = recording.RecordConfig(
            scenes, actions, seed, size, frames_only, validation_share, tasks, still
        )
        started = time.monotonic()
        with progress() as bar:
            task = bar.add_task(f"{scene}s", total=scenes)
            for _ in recording.record(out, config, open_family(scene), workers):
                bar.advance(task)
        seconds = round(time.monotonic() - started, 1)
        finish({"recording": str(out), "actions": count_actions(out), "seconds": seconds}, json)

    return app
