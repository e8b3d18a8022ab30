"""What a run tells: a line of JSON for people and scripts, trackers, and progress on the screen."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL.Image import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from egoframe.errors import UserError, first_line
from egoframe.training.checkpoints import write_whole
from egoframe.training.config import flat


def check_trackers(names: tuple[str, ...]) -> None:
    """Raises:
    UserError: no such tracker, or it is not installed.
    """
    for name in names:
        if name not in ("tensorboard", "wandb"):
            raise UserError(f"loop.trackers: {name!r} is neither tensorboard nor wandb")
        if importlib.util.find_spec(name) is None:
            wanted = '"egoframe[train]"' if name == "tensorboard" else name
            raise UserError(
                f"loop.trackers: {name} is not installed; pip install {wanted}, or loop.trackers=[]"
            )


class Log:
    """`log.jsonl` and the trackers of a run, in the main process; in others, nothing."""

    def __init__(self, accelerator: Any, stage: Any, begun: int) -> None:
        self.accelerator, self.stage, self.begun = accelerator, stage, begun
        self.file: IO[str] | None = None

    def __enter__(self) -> Log:
        if self.accelerator.is_main_process:
            path = self.stage.out / "log.jsonl"
            write_whole(path, "".join(line + "\n" for line in _lines_up_to(path, self.begun)))
            self.file = path.open("a", encoding="utf-8")
        settings = {key: str(value) for key, value in flat(asdict(self.stage)).items()}
        purge = {"tensorboard": {"purge_step": self.begun + 1}} if self.begun else {}
        self.accelerator.init_trackers(self.stage.out.name, settings, init_kwargs=purge)
        return self

    def __exit__(self, *error: object) -> None:
        if self.file:
            self.file.close()
        for tracker in self.accelerator.trackers:  # not end_training, which ends the processes too
            tracker.finish()

    def write(self, step: int, record: dict[str, float]) -> None:
        """Tell how a step went.

        Raises:
            UserError: there is no room.
        """
        self.accelerator.log(record, step=step)
        if self.file is None:
            return
        try:
            self.file.write(json.dumps({"step": step, **record}) + "\n")
            self.file.flush()
        except OSError as error:
            raise UserError(f"{self.file.name}: cannot be written ({error.strerror})") from None

    def pictures(self, step: int, pictures: Mapping[str, Image]) -> None:
        """Keep sample pictures under `samples/`, and show them in the trackers.

        Raises:
            UserError: they cannot be written.
        """
        folder = self.stage.out / "samples"
        for name, picture in pictures.items():
            try:
                folder.mkdir(exist_ok=True)
                picture.save(folder / f"{step:08d}-{name}.jpg", quality=90)
            except OSError as error:
                raise UserError(
                    f"{folder}: cannot be written ({first_line(error)}); make room, and the same "
                    "command goes on"
                ) from None
            for tracker in self.accelerator.trackers:
                form = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                tracker.log_images({name: np.asarray(picture)[None]}, step=step, **form)


def _lines_up_to(path: Path, step: int) -> list[str]:
    """The lines of a log, without those that a killed run wrote after its last checkpoint."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]


def new_progress(shown: bool) -> Progress:
    """A bar on the screen's error stream, in one process of many."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
