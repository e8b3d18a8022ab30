"""Distances of two sets of pictures, by the features of each: FID and KID.

Shape suffixes: N pictures, D features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Estimate(NamedTuple):
    """A figure, and the standard error of its estimate."""

    value: float
    error: float


def frechet_distance(first_ND: Tensor, second_ND: Tensor) -> float:
    """The Fréchet distance of Gaussians with the sets' means and covariances (Heusel et al., 2017,
    eq. 6): ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), in float64.

    The trace of the root is the sum of the singular values of R₁R₂ᵀ, where Σ = RᵀR by the sets' QR
    decompositions: no root of a matrix is taken, and there may be fewer pictures than features. Few
    pictures bias it upwards (Chong & Forsyth, 2020).

    Raises:
        ValueError: a set has fewer than two pictures, or the widths differ.
    """
    sets = _checked(first_ND, second_ND)
    means = [x.mean(0) for x in sets]
    centred = [(x - mean) / (len(x) - 1) ** 0.5 for x, mean in zip(sets, means, strict=True)]
    factors = [torch.linalg.qr(x, mode="r").R for x in centred]
    roots = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    spread = sum(x.square().sum() for x in centred)
    distance = (means[0] - means[1]).square().sum() + spread - 2 * roots
    return max(0.0, float(distance))


def kernel_distance(first_ND: Tensor, second_ND: Tensor) -> Estimate:
    """The squared maximum mean discrepancy under the kernel (x·y/D + 1)³, without bias, and so
    below 0 at times (KID; Bińkowski et al., 2018, eq. 4), over all pictures at once.

    Its standard error is by the jackknife over the pictures of the first set.

    Raises:
        ValueError: as `frechet_distance`.
    """
    x, y = _checked(first_ND, second_ND)
    within_x, within_y, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within_x.fill_diagonal_(0)
    within_y.fill_diagonal_(0)
    n, m = len(x), len(y)
    of_y = within_y.sum() / (m * (m - 1))
    all_x, all_across = within_x.sum(), across.sum()
    value = all_x / (n * (n - 1)) + of_y - 2 * all_across / (n * m)
    if n < 3:
        return Estimate(float(value), float("nan"))
    left_x = (all_x - 2 * within_x.sum(1)) / ((n - 1) * (n - 2))
    left_across = (all_across - across.sum(1)) / ((n - 1) * m)
    left = left_x + of_y - 2 * left_across
    error = ((n - 1) / n * (left - left.mean()).square().sum()).sqrt()
    return Estimate(float(value), float(error))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _checked(*sets: Tensor) -> list[Tensor]:
    if any(x.ndim != 2 or len(x) < 2 for x in sets) or len({x.shape[-1] for x in sets}) > 1:
        shapes = " and ".join(str(tuple(x.shape)) for x in sets)
        raise ValueError(f"features of two pictures at least, of one width: got {shapes}")
    return [x.double() for x in sets]
