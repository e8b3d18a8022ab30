"""Is a photo, or an action, anything like what a model was trained on?

A picture is summed up by where its colours and edges are; a Gaussian over the training frames says
how far off a picture lies (Mahalanobis, 1936).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FILE = "familiarity.json"
QUANTILE = 0.995  # of the training frames lie within the limit
SLACK = 1.3  # times that distance is still familiar


@dataclass(frozen=True)
class Familiarity:
    """The Gaussian over training frames: mean (D,), inverse covariance (D, D), largest
    distance; and the words of the actions."""

    mean: np.ndarray
    precision: np.ndarray
    limit: float
    words: frozenset[str]  # of the training's actions

    def distance(self, picture: Image.Image) -> float:
        """How far a picture lies from the training frames, in standard deviations."""
        off = descriptor(picture) - self.mean
        return float(np.sqrt(off @ self.precision @ off))

    def knows(self, picture: Image.Image) -> bool:
        """Whether a picture looks like the training frames."""
        return self.distance(picture) <= self.limit

    def strange(self, pictures: Sequence[Image.Image], actions: Sequence[str]) -> Iterator[str]:
        """What to tell about photos and (normalised) actions unlike those of the training."""
        if not all(map(self.knows, pictures)):
            yield (
                "this photo is unlike the pictures that the model was trained on: real photos need "
                "real weights"
            )
        for action in actions:
            unknown = [word for word in action.split() if word not in self.words]
            if unknown:
                some = ", ".join(sorted(self.words)[:: max(1, len(self.words) // 12)])
                yield f"{', '.join(unknown)!r}: not a word that the model learnt; it knows {some} …"


class UnfamiliarWarning(UserWarning):
    """A photo or an action is unlike what the model learnt from; the picture may be poor."""


def descriptor(picture: Image.Image) -> np.ndarray:
    """(44,): in each cell of a 2×2 grid the mean and deviation of the colours, the strength of fine
    and of coarse edges, and their directions' histogram of three bins.
    """
    small = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    values = np.asarray(small, np.float64) / 255
    grey = values.mean(-1)
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    direction = np.mod(np.arctan2(down, across), np.pi)
    coarse = grey.reshape(16, 4, 16, 4).mean((1, 3))
    coarse_edges = np.hypot(*np.gradient(coarse))
    found: list[float] = []
    for i in range(2):
        for j in range(2):
            cell = (slice(32 * i, 32 * i + 32), slice(32 * j, 32 * j + 32))
            found += [*values[cell].mean((0, 1)), *values[cell].std((0, 1))]
            found += [float(np.log(strength[cell].mean() + 1e-3))]
            part = coarse_edges[8 * i : 8 * i + 8, 8 * j : 8 * j + 8]
            found += [float(np.log(part.mean() + 1e-3))]
            bins = ((direction[cell] / np.pi) * 3).astype(int).clip(0, 2)
            counts = np.bincount(bins.ravel(), strength[cell].ravel(), 3)
            found += [*(counts / (counts.sum() + 1e-6))]
    return np.array(found)


def fit(pictures: Sequence[Image.Image], actions: Iterable[str]) -> Familiarity:
    """Learn what is familiar from training frames, some hundreds are enough, and all actions."""
    rows = np.stack([descriptor(picture) for picture in pictures])
    mean = rows.mean(0)
    covariance = np.cov(rows.T) + 1e-4 * np.eye(rows.shape[1])
    precision = np.linalg.inv(covariance)
    off = rows - mean
    distances = np.sqrt(np.einsum("nd,de,ne->n", off, precision, off))
    limit = float(SLACK * np.quantile(distances, QUANTILE))
    words = frozenset(word for action in actions for word in action.split())
    return Familiarity(mean, precision, limit, words)


def save(familiarity: Familiarity, folder: Path) -> None:
    """Write it into a model's folder."""
    told = {
        "mean": np.round(familiarity.mean, 6).tolist(),
        "precision": np.round(familiarity.precision, 4).tolist(),
        "limit": round(familiarity.limit, 4),
        "words": sorted(familiarity.words),
    }
    (folder / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")


def load(folder: str | Path) -> Familiarity | None:
    """What a model's folder says is familiar; None if it says nothing."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    mean, precision = np.array(told["mean"]), np.array(told["precision"])
    return Familiarity(mean, precision, told["limit"], frozenset(told["words"]))
