"""The pictures of a study: PNG files without metadata, whose names tell neither pair nor model."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from egoframe.errors import UserError
from egoframe.images import open_photo

if TYPE_CHECKING:
    import datasets
    from PIL import Image

Column = Literal["input_frame", "action_frame"]
COLUMNS: tuple[Column, ...] = ("input_frame", "action_frame")


class Album:
    """What is to be shown, by the names that it gets.

    Arguments:
        frames: a split of a dataset.
        dataset: its name, for messages.
    """

    def __init__(self, frames: datasets.Dataset, dataset: str) -> None:
        from datasets import Image

        self.encoded, self.dataset = frames, dataset
        for column in COLUMNS:
            self.encoded = self.encoded.cast_column(column, Image(decode=False))
        self.secret = secrets.token_hex()  # or who knows pair and model could tell the name
        self.wanted: dict[str, Path | tuple[int, Column]] = {}  # a file, or a frame of a pair

    def drawing(self, path: Path) -> str:
        """The name of a model's picture."""
        return self._name(path, str(path))

    def frame(self, place: int, column: Column, use: str = "") -> str:
        """The name of the frame of a pair; another for each use, lest it be known again."""
        return self._name((place, column), str(place), column, use)

    def _name(self, source: Path | tuple[int, Column], *told: str) -> str:
        words = "\0".join((self.secret, *told))
        name = f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.png"
        self.wanted[name] = source
        return name

    def pictures(self) -> Iterator[tuple[str, Image.Image]]:
        """Name and picture of each.

        Raises:
            UserError: one is damaged, or not of the size of the dataset's first frame.
        """
        size = self._frame(0, "input_frame")[0].size
        for name, source in self.wanted.items():
            if isinstance(source, Path):
                picture, told = open_photo(source), str(source)
            else:
                picture, told = self._frame(*source)
            if picture.size != size:
                raise UserError(
                    f"{told}: has {picture.width}×{picture.height} pixels, the dataset's first "
                    f"frame {size[0]}×{size[1]}; a study shows all at one size"
                )
            yield name, picture

    def _frame(self, place: int, column: Column) -> tuple[Image.Image, str]:
        """A frame, and where it is from."""
        row = self.encoded[place]
        told = f"{self.dataset}: {column} of pair {row['pair_id']}"
        try:
            return open_photo(row[column]["bytes"]), told
        except UserError as error:
            raise UserError(f"{told}: {error}") from None
