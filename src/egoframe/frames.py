"""Frames as tensors: RGB, uint8 0..255 or float −1..1."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from egoframe.errors import UserError
from egoframe.pairs import FRAMES

if TYPE_CHECKING:
    import datasets


def load_frames(dataset: datasets.Dataset) -> Tensor:
    """Input and action frame of every pair, uint8 (N, 2, 3, H, W).

    Raises:
        UserError: frames of different sizes.
    """
    first = np.asarray(dataset[0]["input_frame"].convert("RGB"))
    frames = torch.empty((len(dataset), 2, 3, *first.shape[:2]), dtype=torch.uint8)

    def load(index: int) -> None:
        row = dataset[index]
        for place, name in enumerate(FRAMES):
            picture = np.asarray(row[name].convert("RGB"))
            if picture.shape != first.shape:
                raise UserError(
                    f"pair {row['pair_id']}: frame of {picture.shape[1]}×{picture.shape[0]} in a "
                    f"dataset of {first.shape[1]}×{first.shape[0]}; build it with one size"
                )
            frames[index, place] = torch.from_numpy(picture.copy()).permute(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(load, range(len(dataset))))
    return frames


def to_signed(frames: Tensor) -> Tensor:
    """uint8 0..255 → float32 −1..1."""
    return frames.float() / 127.5 - 1


def to_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size → (B, 3, H, W) in −1..1."""
    stacked = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return to_signed(torch.from_numpy(stacked).permute(0, 3, 1, 2))


def to_pictures(frames_BCHW: Tensor) -> list[Image.Image]:
    """Frames (B, 3, H, W) in −1..1 → pictures."""
    values = ((frames_BCHW.float() + 1) * 127.5).round().clamp(0, 255).byte()
    return [Image.fromarray(v) for v in values.permute(0, 2, 3, 1).cpu().numpy()]
