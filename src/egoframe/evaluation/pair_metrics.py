"""Figures of each pair that need no network: of pixels, by region.

Shapes: B pairs, H height, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from egoframe.evaluation.batch import Batch, to_bytes
from egoframe.evaluation.pixels import psnr, ssim
from egoframe.evaluation.regions import changed_region, psnr_within, squared_error

MOST = 60.0  # dB, of pictures that agree


def pixels(batch: Batch) -> dict[str, np.ndarray]:
    """PSNR in dB, at most 60, and SSIM, of the whole frame; PSNR where the action changes it and
    elsewhere, and inside the boxes of hands and of things."""
    truth = to_bytes(batch.truth)
    error = squared_error(truth, to_bytes(batch.fitted))
    changed = changed_region(to_bytes(batch.before), truth)
    hands, things = box_regions(batch)
    return {
        "psnr": psnr(batch.truth, batch.fitted).clamp(max=MOST).numpy(),
        "ssim": ssim(batch.truth, batch.fitted).numpy(),
        "psnr_changed": psnr_within(error, changed),
        "psnr_unchanged": psnr_within(error, ~changed),
        "psnr_hands": psnr_within(error, hands),
        "psnr_things": psnr_within(error, things),
    }


def box_regions(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Bools (B, H, W): pixels in the boxes of hands, and in those of other things, hands left
    out."""
    height, width = batch.truth.shape[2:]
    hands, things = np.zeros((2, len(batch), height, width), bool)
    for k, boxes in enumerate(batch.boxes):
        for box in boxes:
            region = hands if is_hand(box) else things
            rows = slice(round(box["y0"] * height), round(box["y1"] * height))
            region[k, rows, round(box["x0"] * width) : round(box["x1"] * width)] = True
    return hands, things & ~hands


def is_hand(box: dict[str, Any]) -> bool:
    """Whether a box is that of a hand: "left hand", "right hand" and the like."""
    return box["label"].split()[-1:] == ["hand"]
