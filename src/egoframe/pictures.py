"""Folders of pictures that somebody drew of a dataset's pairs: one file for each pair, by its id.

A pair's file is `PAIR_ID.png` (or JPEG, WebP), a slash in the id makes a subfolder; or, as LEGO's
release keeps its pictures, the only one in the folder `PAIR_ID/`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from egoframe.errors import UserError
from egoframe.pairs import open_pairs

if TYPE_CHECKING:
    import datasets

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def choose_pairs(
    dataset: str | Path, split: str, count: int | None = None, seed: int = 0
) -> datasets.Dataset:
    """Pairs of a split: all of them, or some at random.

    Raises:
        UserError: there is no such dataset or split.
    """
    import numpy as np

    pairs = open_pairs(dataset, split)
    if count is None:
        return pairs
    return pairs.select(np.random.default_rng(seed).permutation(len(pairs))[:count])


def picture_path(folder: Path, pair_id: str) -> Path:
    """The file that a pair's picture is written to.

    Raises:
        UserError: the id would lead out of the folder.
    """
    path = PurePosixPath(pair_id)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UserError(f"pair id {pair_id!r}: names no file inside a folder")
    return folder / f"{pair_id}.png"


def find_pictures(folder: Path, wanted: Sequence[str], known: Collection[str]) -> list[Path]:
    """The picture of each wanted pair.

    Arguments:
        wanted: ids of pairs.
        known: ids of all pairs that the folder may have pictures of.
    Raises:
        UserError: a picture is missing, belongs to no pair, or a pair has two.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one with a picture for each pair")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        place = path.relative_to(folder)
        name = place.with_name(place.name[: -len(place.suffix)]).as_posix()
        if name not in known and place.parent.as_posix() in known:
            name = place.parent.as_posix()
        if name not in known:
            raise UserError(
                f"{path}: belongs to no pair; pictures are named by their pairs' ids, such as "
                f"{next(iter(known))}.png"
            )
        if name in found:
            raise UserError(f"{path}: pair {name} has another picture, {found[name]}; keep one")
        found[name] = path
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(
            f"{folder}: has no picture of {len(missing)} of {len(wanted)} pairs, such as "
            f"{missing[0]}"
        )
    return [found[name] for name in wanted]
