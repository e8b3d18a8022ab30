"""Metrics of pixels: PSNR and SSIM.

Shape suffixes: B pictures, 3 colours, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA, RADIUS = 1.5, 5  # of SSIM's Gaussian window of 11 pixels
C1, C2 = 0.01**2, 0.03**2


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
    x, y = truth_B3HW.double(), pictures_B3HW.double()
    mean_x, mean_y, xx, yy, xy = _blurred(torch.stack((x, y, x * x, y * y, x * y)))
    variances = xx - mean_x**2, yy - mean_y**2
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * (xy - mean_x * mean_y) + C2) / (variances[0] + variances[1] + C2)
    return (light * structure).mean((1, 2, 3))


def _blurred(maps: Tensor) -> Tensor:
    """Gaussian means over the windows of (…, H, W) maps that lie within."""
    places = torch.arange(-RADIUS, RADIUS + 1, dtype=maps.dtype, device=maps.device)
    weights = torch.exp(-0.5 * (places / SIGMA) ** 2)
    weights = weights / weights.sum()
    flat = maps.flatten(0, -3).unsqueeze(1)
    flat = F.conv2d(F.conv2d(flat, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return flat.squeeze(1).unflatten(0, maps.shape[:-2])
