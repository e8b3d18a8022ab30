"""How sure a mean over pairs is, and whether two models differ.

Shapes: N pairs; figures that a pair lacks are nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """One model against another on the same pairs."""

    difference: float  # of the means
    interval: tuple[float, float]  # 95 %
    p: float  # of so large a difference by chance


def bootstrap_interval(
    values: np.ndarray, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """The percentile bootstrap 95 % interval of the mean of `values` (N,), nan left out; nan where
    nothing is left."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[draws].mean(1), (2.5, 97.5))
    return float(low), float(high)


def compare(
    first: np.ndarray, second: np.ndarray, seed: int = 0, resamples: int = 10_000
) -> Comparison:
    """Two models' figures (N,) of the same pairs, of which those that both have count.

    The test flips the signs of the pairs' differences at random (Fisher's; two-sided).

    Raises:
        ValueError: the figures are not of the same pairs, or of none.
    """
    if first.shape != second.shape:
        raise ValueError(f"figures of other pairs: {first.shape} and {second.shape}")
    apart = (first - second).astype(float)
    apart = apart[~np.isnan(apart)]
    if not len(apart):
        raise ValueError("no pair has figures of both")
    mean = float(apart.mean())
    random = np.random.default_rng(seed)
    rows = max(1, 2**22 // len(apart))  # at once
    beyond = 0
    for start in range(0, resamples, rows):
        signs = random.choice((-1.0, 1.0), (min(rows, resamples - start), len(apart)))
        beyond += int((np.abs(signs @ apart / len(apart)) >= abs(mean) * (1 - 1e-9)).sum())
    return Comparison(mean, bootstrap_interval(apart, seed), (beyond + 1) / (resamples + 1))
