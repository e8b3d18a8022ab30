"""Figures of a pair that say whether it is worth keeping, each a small pure function.

Pictures are uint8 RGB arrays (H, W, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class FilterConfig:
    """What is kept; a pair outside any of these is rejected, with the reason."""

    min_similarity: float = 0.20  # less: the scene jumped
    max_similarity: float = 0.9995  # more: nothing happened
    min_sharpness: float = 2.0  # less: blurred
    max_camera_motion: float = 0.20  # more: the head turned; share of the picture's width


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation (−1..1) of the two pictures at 24×24, mean colour removed: 1 for equal ones."""
    a, b = (_small(picture, 24) for picture in (first, second))
    a, b = a - a.mean((0, 1)), b - b.mean((0, 1))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / norm) if norm > 0 else 1.0


def sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of the grey picture, in grey levels squared."""
    grey = picture.astype(np.float32).mean(-1)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    return float(laplacian.var())


def camera_motion(first: np.ndarray, second: np.ndarray) -> float:
    """How far the whole picture moved, as a share of its width, by phase correlation at 64×64
    (Kuglin & Hines, 1975)."""
    window = np.hanning(64)[:, None] * np.hanning(64)
    first_grey, second_grey = _grey(first), _grey(second)
    a = np.fft.fft2((first_grey - first_grey.mean()) * window)
    b = np.fft.fft2((second_grey - second_grey.mean()) * window)
    cross = a * np.conj(b)
    peak = np.fft.ifft2(cross / np.maximum(np.abs(cross), 1e-9)).real
    dy, dx = np.unravel_index(int(peak.argmax()), peak.shape)
    down, across = (d - 64 if d > 32 else d for d in (float(dy), float(dx)))
    return float(np.hypot(down, across) / 64)


def reason_to_reject(figures: dict[str, float], config: FilterConfig) -> str | None:
    """Why a pair of these figures is not kept, or None if it is."""
    if figures["similarity"] < config.min_similarity:
        return "scene jump"
    if figures["similarity"] > config.max_similarity:
        return "nothing happens"
    if figures["sharpness"] < config.min_sharpness:
        return "blurred"
    if figures["camera_motion"] > config.max_camera_motion:
        return "camera moves"
    return None


def _small(picture: np.ndarray, size: int) -> np.ndarray:
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / 255


def _grey(picture: np.ndarray) -> np.ndarray:
    return _small(picture, 64).mean(-1)
