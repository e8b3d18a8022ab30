"""From figures of pairs to a report: means with intervals, distances of sets, models compared.

Shapes: N pairs, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from egoframe.evaluation.distributions import frechet_distance, kernel_distance
from egoframe.evaluation.measuring import Figures
from egoframe.evaluation.statistics import bootstrap_interval, compare

TRUTH, COPY = "truth", "copy of the input"
SIMILARITIES = ("clip", "egovlp-ego4d", "egovlp-plus-ego4d", "egovlp-epic", "egovlp-plus-epic")
SETS = "inception"  # the features whose sets are compared
BIASED = 10_000  # pairs, below which a Fréchet distance is far too large


@dataclass(frozen=True)
class Column:
    """A figure of the table."""

    title: str
    unit: str = ""  # "dB", "%", or nothing
    higher: bool = True  # is better
    digits: int = 3

    def told(self, value: float) -> str:
        """The value as people read it."""
        return f"{value * 100:.1f}" if self.unit == "%" else f"{value:.{self.digits}f}"


COLUMNS = {
    "recognised": Column("action recognised", "%"),
    "state": Column("state changed", "%"),
    "judge action": Column("action shown, says the judge", "%"),
    "judge hands": Column("hands seen, says the judge", "%"),
    "judge places": Column("hands in their places, says the judge", "%"),
    "psnr_changed": Column("PSNR where it changes", "dB", digits=2),
    "psnr_unchanged": Column("PSNR elsewhere", "dB", digits=2),
    "psnr_hands": Column("PSNR of hands", "dB", digits=2),
    "psnr_things": Column("PSNR of things", "dB", digits=2),
    "psnr": Column("PSNR", "dB", digits=2),
    "ssim": Column("SSIM"),
    "egovlp-ego4d": Column("EgoVLP", "%"),
    "egovlp-plus-ego4d": Column("EgoVLP+", "%"),
    "egovlp-epic": Column("EgoVLP of EPIC", "%"),
    "egovlp-plus-epic": Column("EgoVLP+ of EPIC", "%"),
    "clip": Column("CLIP", "%"),
    "lpips-alex": Column("LPIPS, AlexNet", higher=False),
    "lpips-vgg": Column("LPIPS, VGG", higher=False),
    "lpips-squeeze": Column("LPIPS, SqueezeNet", higher=False),
    "lpips-alex changed": Column("LPIPS where it changes", higher=False),
    "lpips-alex unchanged": Column("LPIPS elsewhere", higher=False),
    "blip-base-ego4d": Column("BLIP-B", "%"),
    "blip-large-ego4d": Column("BLIP-L", "%"),
    "blip-base-epic": Column("BLIP-B of EPIC", "%"),
    "blip-large-epic": Column("BLIP-L of EPIC", "%"),
    "fid": Column("FID", higher=False, digits=2),
    "kid": Column("KID", higher=False, digits=4),
}


def with_similarities(measured: Mapping[str, Figures]) -> dict[str, Figures]:
    """Figures of pairs alone (N,), features turned into their cosine with the truth's; without
    those that no pair has."""
    truth = measured[TRUTH]
    told = {}
    for name, own in measured.items():
        told[name] = {
            key: values
            for key, values in own.items()
            if values.ndim == 1 and not np.isnan(values).all()
        }
        for feature in SIMILARITIES:
            if feature in own:
                told[name][feature] = _cosine(own[feature], truth[feature])
    return told


def _cosine(first_ND: np.ndarray, second_ND: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(first_ND, axis=1) * np.linalg.norm(second_ND, axis=1)
    return (first_ND * second_ND).sum(1) / np.maximum(norms, 1e-12)


def rows_of(measured: Mapping[str, Figures]) -> dict[str, dict[str, Any]]:
    """By subject and figure: mean, 95 % interval and the number of pairs; of sets the distance."""
    rows: dict[str, dict[str, Any]] = {}
    for name, own in with_similarities(measured).items():
        rows[name] = {key: _mean(values) for key, values in own.items()}
    for name, own in measured.items():
        if SETS in own and len(own[SETS]) > 1:
            sets = (torch.from_numpy(measured[TRUTH][SETS]), torch.from_numpy(own[SETS]))
            kid, count = kernel_distance(*sets), len(own[SETS])
            error = 1.96 * kid.error
            rows[name]["fid"] = {"mean": frechet_distance(*sets), "interval": None, "pairs": count}
            interval = [kid.value - error, kid.value + error]
            rows[name]["kid"] = {"mean": kid.value, "interval": interval, "pairs": count}
    return rows


def _mean(values: np.ndarray) -> dict[str, Any]:
    count = int((~np.isnan(values)).sum())
    mean = float(np.nanmean(values)) if count else None
    interval = list(bootstrap_interval(values)) if count else None
    return {"mean": mean, "interval": interval, "pairs": count}


def by_verb(measured: Mapping[str, Figures], verbs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By verb, the commonest first, and subject: the means of figures, and the number of pairs."""
    figures, kinds = with_similarities(measured), np.array(verbs)
    counts = {str(verb): int((kinds == verb).sum()) for verb in dict.fromkeys(verbs)}
    return {
        verb: {
            "pairs": counts[verb],
            "rows": {
                name: {
                    key: None if np.isnan(part := values[kinds == verb]).all()
                    else float(np.nanmean(part))
                    for key, values in own.items()
                }
                for name, own in figures.items()
            },
        }
        for verb in sorted(counts, key=lambda verb: (-counts[verb], verb))
    }  # fmt: skip


def comparisons(measured: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Each two subjects, but for the truth, on each figure of the pairs that both have: the mean
    difference, its 95 % interval, and p of a paired test."""
    figures = with_similarities(measured)
    found = []
    for first, second in combinations([name for name in figures if name != TRUTH], 2):
        for key, values in figures[first].items():
            other = figures[second].get(key)
            if other is None or np.isnan(values - other).all():
                continue
            told = compare(values, other)
            found.append(
                {
                    "first": first, "second": second, "figure": key,
                    "difference": told.difference, "interval": list(told.interval), "p": told.p,
                }
            )  # fmt: skip
    return found
