"""PSNR inside and outside the region that an action really changes.

A whole-frame PSNR rewards copying the input: most of a first-person frame stays as it was.
Splitting the frame by what changes between the true input and the true action frame separates
drawing the action from keeping the kitchen.

Shapes: N pictures, H height, W width; pictures are uint8 RGB arrays (N, H, W, 3).
"""

from __future__ import annotations

import numpy as np

CHANGE_THRESHOLD = 0.06  # mean absolute difference over a 5×5 window and the channels, of 0..1


def changed_region(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The pixels that differ between the true input and the true action frame.

    The difference is averaged over a 5×5 window, so that grain and a shift of a fraction of a
    pixel do not count, and the region is grown by the same window, so that it covers the borders
    of what moved.

    Arguments:
        before: true input frames, uint8 (N, H, W, 3).
        after: true action frames, uint8 (N, H, W, 3).
    Returns:
        bool (N, H, W), True where the frames differ.
    """
    if before.shape != after.shape:
        raise ValueError(f"frames differ in shape: {before.shape} and {after.shape}")
    difference = np.abs(before.astype(np.float32) - after.astype(np.float32)).mean(-1) / 255
    changed = _box_mean(difference) > CHANGE_THRESHOLD
    return _box_mean(changed.astype(np.float32)) > 1e-6


def region_psnr(truth: np.ndarray, pictures: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio over the pixels of a region, in dB, per picture.

    Arguments:
        truth: uint8 (N, H, W, 3).
        pictures: uint8 (N, H, W, 3).
        region: bool (N, H, W).
    Returns:
        float64 (N,): NaN where the region is empty; 60 at most, for a lossless copy has no finite
        PSNR and a mean needs one.
    """
    return psnr_within(squared_error(truth, pictures), region)


def squared_error(truth: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Mean over the channels of the squared differences of 0..1, float32 (N, H, W)."""
    apart = truth.astype(np.int16) - pictures
    return np.square(apart, dtype=np.int32).sum(-1, dtype=np.int32).astype(np.float32) / (
        3 * 255**2
    )


def psnr_within(error: np.ndarray, region: np.ndarray) -> np.ndarray:
    """As `region_psnr`, from `squared_error`, (N, H, W)."""
    pixels = region.sum((1, 2))
    mean = (error * region).sum((1, 2), dtype=np.float64) / np.maximum(pixels, 1)
    return np.where(pixels > 0, -10 * np.log10(np.maximum(mean, 1e-6)), np.nan)


def _box_mean(maps: np.ndarray, radius: int = 2) -> np.ndarray:
    """Mean over a (2·radius+1)² window of (N, H, W) maps, edges repeated."""
    padded = np.pad(maps, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    height, width = maps.shape[1:]
    side = 2 * radius + 1
    rows = padded[:, :height].copy()
    for k in range(1, side):
        rows += padded[:, k : k + height]
    total = rows[:, :, :width].copy()
    for k in range(1, side):
        total += rows[:, :, k : k + width]
    return total / side**2
