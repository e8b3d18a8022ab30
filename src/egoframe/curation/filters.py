"""Figures of a pair that say whether it is worth keeping, each a small pure function.

Pictures are uint8 RGB arrays (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from egoframe.curation.embedding import ClipEmbedding, Embedding, open_embedding, own_band
from egoframe.errors import UserError
from egoframe.pairs import Box

if TYPE_CHECKING:
    from egoframe.curation.aesthetic import AestheticScore

HANDS = ("left hand", "right hand")

# Of camera_motion. Pixels: the picture's width and height, a tile's, and from tile to tile.
GRID, TILE, STEP = 40, 10, 5
REACH = GRID - TILE + 1  # places of a tile, either way
TEXTURE = 2.0  # grey levels, standard deviation; a tile of less says nothing
TEXTURED = 0.25  # share of the tiles that must say something
ALIKE = 0.8  # correlation from which a tile is found again
IN_VIEW = 0.6  # share of the tiles; movements that leave fewer in view are held against these
AGREE = 0.15  # share of the tiles that makes their movement the camera's
NEARER = 0.2  # of distances, subtracted from that share up to this: rest goes before motion


@dataclass(frozen=True)
class FilterConfig:
    """What is kept; a pair outside any of these is rejected. None: that filter is off."""

    min_similarity: float | None = None  # less: the scene jumped; None: the embedding's own
    max_similarity: float | None = None  # more: nothing happened; None: the embedding's own
    min_sharpness: float | None = 2.0  # less: blurred
    min_exposure: float | None = 0.08  # less: too dark
    max_exposure: float | None = 0.92  # more: too bright
    max_camera_motion: float | None = 0.20  # more: the head turned; share of the picture's width
    require_hand: bool = True  # in the action frame, where somebody annotated boxes
    min_aesthetic: float | None = None  # less: not pleasing


@dataclass(frozen=True)
class ModelsConfig:
    """Networks that tell figures; without them, likeness is told from pixels."""

    clip: str | None = None  # "pixels", or folder or hub id of a CLIP model
    aesthetic: Path | None = None  # a LAION predictor for that CLIP, as safetensors


@dataclass(frozen=True)
class Figures:
    """What the filters look at; the fields of the same names in `ActionPair`."""

    similarity: float  # of both frames, see curation.embedding
    sharpness: float  # of the less sharp one
    exposure: float
    camera_motion: float
    hands: int | None = None  # in the action frame; None: nobody looked
    aesthetic: float | None = None  # of the action frame


def open_models(config: ModelsConfig) -> tuple[Embedding, AestheticScore | None]:
    """The networks that are set.

    Raises:
        UserError: one cannot be opened, or an aesthetic predictor lacks its CLIP.
    """
    embedding = open_embedding(config.clip)
    if config.aesthetic is None:
        return embedding, None
    from egoframe.curation.aesthetic import AestheticScore

    if not isinstance(embedding, ClipEmbedding):
        raise UserError(
            f"models.aesthetic {config.aesthetic}: it judges by CLIP's embeddings; "
            "give models.clip too"
        )
    return embedding, AestheticScore(config.aesthetic, embedding)


def sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of the grey picture, in grey levels squared."""
    red, green, blue = np.moveaxis(picture.astype(np.int16), -1, 0)
    total = red + green + blue  # three times the grey; whole numbers are quick and exact
    laplacian = (
        total[:-2, 1:-1]
        + total[2:, 1:-1]
        + total[1:-1, :-2]
        + total[1:-1, 2:]
        - 4 * total[1:-1, 1:-1]
    )
    return float(laplacian.var()) / 9


def exposure(first: np.ndarray, second: np.ndarray) -> float:
    """Mean grey level (0 black, 1 white) of that frame whose mean lies further from 0.5."""
    return max((float(p.mean()) / 255 for p in (first, second)), key=lambda mean: abs(mean - 0.5))


def hands(boxes: Sequence[Box] | None) -> int | None:
    """How many boxes are hands; None where nobody annotated the frame."""
    return None if boxes is None else sum(box.label in HANDS for box in boxes)


def camera_motion(first: np.ndarray, second: np.ndarray) -> float:
    """How far the view moved, as a share of the picture's width; 1 where it became another one.

    Tiles of the first picture are looked for all over the second by normalised correlation, and
    each votes for every movement that would take it to a place like it (a generalised Hough
    transform, Ballard, 1981): an edge for all movements along it, a corner for one. The movement
    with the largest share of the tiles still in view wins, rest going before motion: an arm or a
    door loses against the scene behind, unless it covers more of the view than what is seen of that
    scene in both pictures. Where too few agree on any movement, as after a turn of more than about
    15° or a zoom of 1.3, the figure is 1; before a plain wall, which tells nothing, it is 0.
    """
    tiles, texture = _windows(_grey(first))
    starts = range(0, REACH, STEP)
    chosen = [k for y in starts for x in starts if texture[k := y * REACH + x] >= TEXTURE]
    if len(chosen) < TEXTURED * len(starts) ** 2:
        return 0.0
    alike = (tiles[chosen] @ _windows(_grey(second))[0].T).reshape(-1, REACH, REACH)
    alike[alike < ALIKE] = 0
    alike = 0.5 * (alike + _maximum3(alike))  # a pixel beside the place counts half
    votes = np.zeros((2 * REACH - 1, 2 * REACH - 1), np.float32)  # by movement
    in_view = np.zeros_like(votes)
    for k, places in zip(chosen, alike, strict=True):
        y, x = divmod(k, REACH)
        moves = np.s_[REACH - 1 - y : 2 * REACH - 1 - y, REACH - 1 - x : 2 * REACH - 1 - x]
        votes[moves] += places
        in_view[moves] += 1
    share = votes / np.maximum(in_view, IN_VIEW * len(chosen))
    if share.max() < AGREE:
        return 1.0
    steps = np.arange(1 - REACH, REACH) / GRID
    distance = np.hypot(steps[:, None], steps)
    return float(distance.flat[(share - np.minimum(distance, NEARER)).argmax()])


def with_own_band(config: FilterConfig, models: ModelsConfig) -> FilterConfig:
    """The same filters, with the embedding's bounds of the likeness where none are set."""
    low, high = own_band(models.clip)
    return replace(
        config,
        min_similarity=low if config.min_similarity is None else config.min_similarity,
        max_similarity=high if config.max_similarity is None else config.max_similarity,
    )


def reason_to_reject(figures: Figures, config: FilterConfig) -> str | None:
    """Why a pair of these figures is not kept, or None if it is; what is unknown never rejects."""
    if _below(figures.similarity, config.min_similarity):
        return "scene jump"
    if _above(figures.similarity, config.max_similarity):
        return "nothing happens"
    if _below(figures.sharpness, config.min_sharpness):
        return "blurred"
    if _below(figures.exposure, config.min_exposure):
        return "too dark"
    if _above(figures.exposure, config.max_exposure):
        return "too bright"
    if _above(figures.camera_motion, config.max_camera_motion):
        return "camera moves"
    if config.require_hand and figures.hands == 0:
        return "no hand in the action frame"
    if _below(figures.aesthetic, config.min_aesthetic):
        return "not pleasing"
    return None


def _below(figure: float | None, bound: float | None) -> bool:
    return figure is not None and bound is not None and figure < bound


def _above(figure: float | None, bound: float | None) -> bool:
    return figure is not None and bound is not None and figure > bound


def _grey(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture).convert("L").resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(image, np.float32)


def _windows(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All tiles (places, pixels) of mean 0 and length 1, and their standard deviations."""
    windows = sliding_window_view(grey, (TILE, TILE)).reshape(-1, TILE * TILE)
    windows = windows - windows.mean(1, keepdims=True)
    deviation = np.sqrt(np.einsum("ij,ij->i", windows, windows) / TILE**2)
    windows /= (np.maximum(deviation, TEXTURE / 2) * TILE)[:, None]  # the plainest: shorter
    return windows, deviation


def _maximum3(maps: np.ndarray) -> np.ndarray:
    """Of each place and its eight neighbours, in each of the maps (n, y, x)."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    return np.maximum(np.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
