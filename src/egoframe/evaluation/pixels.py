"""Metrics of pixels: PSNR and SSIM.

Shape suffixes: B pictures, 3 colours, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIGMA, RADIUS = 1.5, 5  # of SSIM's Gaussian window of 11 pixels
C1, C2 = 0.01**2, 0.03**2
MIDDLE = 0.5


def psnr(truth_B3HW: Tensor, pictures_B3HW: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB (B,) of pictures from 0 to 1; infinite where they agree."""
    return -10 * (truth_B3HW - pictures_B3HW).square().mean((1, 2, 3)).log10()


def ssim(truth_B3HW: Tensor, pictures_B3HW: Tensor) -> Tensor:
    """Structural similarity (B,) of pictures from 0 to 1, by Gaussian windows that lie within the
    picture, mean over the colours (Wang et al., 2004).

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    if min(truth_B3HW.shape[2:]) < 2 * RADIUS + 1:
        raise ValueError(f"pictures of {2 * RADIUS + 1}² at least: got {tuple(truth_B3HW.shape)}")
    x, y = truth_B3HW - MIDDLE, pictures_B3HW - MIDDLE  # so that few digits are lost
    mean_x, mean_y, squares, xy = map(_blurred, (x, y, x * x + y * y, x * y))
    variances, covariance = squares - mean_x**2 - mean_y**2, xy - mean_x * mean_y
    mean_x, mean_y = mean_x + MIDDLE, mean_y + MIDDLE
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variances + C2)
    return (light * structure).mean((1, 2, 3))


def _blurred(maps: Tensor) -> Tensor:
    """Gaussian means over the windows of (…, H, W) maps that lie within, as matrix products, which
    take a tenth of the time of convolutions on a CPU."""
    height, width = maps.shape[-2:]
    return _windows(height, maps) @ maps @ _windows(width, maps).T


def _windows(size: int, like: Tensor) -> Tensor:
    """A row for each window: its weights (size − 2 · RADIUS, size)."""
    places = torch.arange(size, dtype=like.dtype, device=like.device)
    apart = places - (places[: size - 2 * RADIUS] + RADIUS)[:, None]
    weights = torch.exp(-0.5 * (apart / SIGMA) ** 2) * (apart.abs() <= RADIUS)
    return weights / weights.sum(1, keepdim=True)
