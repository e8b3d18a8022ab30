"""A storyboard in a folder: it can be stopped, goes on where it was, and any step can be redone.

storyboard.json                                     what is drawn, and the steps
photo.png  1.png  2.png …                           the photo, and a frame for each step
latents.safetensors                                 of every frame, from which the next is drawn
sheet.png  storyboard.gif .mp4 .html                for people: see `guide_files.py`
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egoframe.errors import UserError, first_line
from egoframe.images import generated, make_folder, open_photo, save_png, write_bytes

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from egoframe.generator.pipeline import ActionFramePipeline

RECORD, LATENTS = "storyboard.json", "latents.safetensors"


@dataclass(frozen=True)
class Step:
    """One step of a task."""

    action: str
    description: str | None = None  # how it is done; None until the enhancer has said it
    seed: int = 0


class Guide:
    """The storyboard of a folder.

    Attributes:
        told: what it is drawn from: task, model, hashes of photo and model.
        steps: in order.
    """

    def __init__(self, folder: Path, told: dict[str, Any], steps: Sequence[Step]) -> None:
        self.folder, self.told, self.steps = folder, told, list(steps)

    @classmethod
    def begun(cls, folder: Path, told: dict[str, Any]) -> Guide | None:
        """The one in a folder; None where there is none.

        Raises:
            UserError: the folder holds one that is drawn from something else, or is damaged.
        """
        path = folder / RECORD
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            steps = [Step(**step) for step in record.pop("steps")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: damaged ({first_line(error)}); give another --out") from None
        other = [key for key in told if record.get(key) != told[key]]
        if other:
            raise UserError(
                f"{folder}: holds a storyboard of another {other[0]}; give another --out"
            )
        return cls(folder, record, steps)

    @classmethod
    def create(
        cls, folder: Path, told: dict[str, Any], photo: Image.Image, steps: Sequence[Step]
    ) -> Guide:
        """Begin one in a folder.

        Raises:
            UserError: the folder cannot be written.
        """
        make_folder(folder)
        save_png(photo, folder / "photo.png", {"Software": "egoframe"})
        guide = cls(folder, told, steps)
        guide._write()
        return guide

    @property
    def photo(self) -> Image.Image:
        """What it begins with."""
        return open_photo(self.folder / "photo.png")

    def frame(self, number: int) -> Path:
        """The file of a step's frame; steps count from 1."""
        return self.folder / f"{number}.png"

    def missing(self) -> list[int]:
        """Numbers of the steps that are not drawn yet."""
        kept = self._latents()
        numbers = range(1, len(self.steps) + 1)
        return [n for n in numbers if str(n) not in kept or not self.frame(n).exists()]

    def draw(self, pipe: ActionFramePipeline, numbers: Sequence[int]) -> Iterator[int]:
        """Draw steps, each from the frame before it as it is; yields the number of each.

        Raises:
            UserError: an action that cannot be drawn, or the folder cannot be written.
        """
        from safetensors.torch import save

        from egoframe.generator.chain import begin_chain, continue_chain, show

        start = begin_chain(pipe, self.photo)
        kept = {"0": start.latents_BCHW} | self._latents()
        for number in numbers:
            step = self.steps[number - 1]
            chain, said = continue_chain(
                pipe,
                start.restarted(kept[str(number - 1)]),
                step.action,
                step.description,
                step.seed,
                str(number),
            )
            kept[str(number)] = chain.latents_BCHW
            self.steps[number - 1] = replace(step, description=said)
            save_png(show(pipe, chain), self.frame(number), generated(step.action))
            tensors = {name: one.float().cpu().contiguous() for name, one in kept.items()}
            write_bytes(self.folder / LATENTS, save(tensors))
            self._write()
            yield number

    def change(
        self, number: int, action: str | None, description: str | None, seed: int | None
    ) -> None:
        """Say what is to be different about a step when it is drawn again; without a word, its
        seed.

        Raises:
            UserError: there is no such step.
        """
        if not 1 <= number <= len(self.steps):
            raise UserError(f"--redo {number}: there are steps 1 to {len(self.steps)}")
        old = self.steps[number - 1]
        same = action is None and description is None and seed is None
        self.steps[number - 1] = Step(
            action or old.action,
            description if description or action else old.description,
            old.seed + 1 if same else (old.seed if seed is None else seed),
        )

    def _latents(self) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / LATENTS
        if not path.exists():
            return {}
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: damaged ({first_line(error)}); delete it") from None

    def _write(self) -> None:
        record = {**self.told, "steps": [asdict(step) for step in self.steps]}
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        write_bytes(self.folder / RECORD, text.encode())
