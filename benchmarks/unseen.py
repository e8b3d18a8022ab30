"""Pairs of kitchens that training never saw, and what is measured on drawn ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from egoframe.contact_sheet import contact_sheet
from egoframe.evaluation.recogniser import PACKAGED, load_recogniser
from egoframe.evaluation.regions import changed_region, region_psnr
from egoframe.evaluation.statistics import bootstrap_interval
from egoframe.pairs import open_pairs

Figures = dict[str, np.ndarray]  # one value for each pair
Row = dict[str, dict[str, object]]


class UnseenPairs:
    """Pairs of the validation split, drawn at random.

    Arguments:
        dataset: a folder.
        count: of pairs.
        seed: of the choice.
        recogniser: a folder; the packaged one where not given.
    """

    def __init__(
        self, dataset: Path, count: int, seed: int = 0, recogniser: Path = PACKAGED
    ) -> None:
        split = open_pairs(dataset, "validation")
        self.pairs = split.select(np.random.default_rng(seed).permutation(len(split))[:count])
        self.names, self.actions = list(self.pairs["pair_id"]), list(self.pairs["action"])
        self.inputs = [frame.convert("RGB") for frame in self.pairs["input_frame"]]
        self.before = stack(self.inputs)
        self.truth = stack([frame.convert("RGB") for frame in self.pairs["action_frame"]])
        self.region = changed_region(self.before, self.truth)
        self.recogniser = load_recogniser(recogniser)

    def __len__(self) -> int:
        return len(self.names)

    def draw(
        self, make: Callable[[slice], list[Image.Image]], batch_size: int = 10
    ) -> tuple[np.ndarray, float]:
        """What `make` draws of some of the pairs, all of them, and the seconds for each picture."""
        drawn: list[Image.Image] = []
        started = time.perf_counter()
        for start in range(0, len(self), batch_size):
            drawn += make(slice(start, start + batch_size))
        return stack(drawn), (time.perf_counter() - started) / len(self)

    def figures(self, pictures: np.ndarray) -> Figures:
        """PSNR where the picture really changes and elsewhere, in dB, and whether the recogniser
        names the action that was asked for."""
        pair = torch.from_numpy(self.before), torch.from_numpy(pictures)
        named = self.recogniser.recognise(*pair)
        right = [name == action for name, action in zip(named, self.actions, strict=True)]
        return {
            "psnr_changed": region_psnr(self.truth, pictures, self.region),
            "psnr_unchanged": region_psnr(self.truth, pictures, ~self.region),
            "recognised": np.array(right, float),
        }

    def sheet(self, pictures: np.ndarray, count: int = 24) -> Image.Image:
        """The first pairs as input, generated and truth."""
        entries = [
            (
                self.actions[k],
                tuple(Image.fromarray(x[k]) for x in (self.before, pictures, self.truth)),
            )
            for k in range(min(count, len(self)))
        ]
        return contact_sheet(entries, ("input", "generated", "truth"), columns=3)


def with_intervals(figures: Figures) -> Row:
    """Means, with 95 % bootstrap intervals over the pairs."""
    return {
        name: {"mean": float(np.nanmean(values)), "interval": bootstrap_interval(values)}
        for name, values in figures.items()
    }


def stack(pictures: list[Image.Image]) -> np.ndarray:
    """Pictures of one size (N, H, W, 3)."""
    return np.stack([np.asarray(picture) for picture in pictures])


def print_table(rows: dict[str, Row]) -> None:
    """Rows on the screen."""
    names = list(next(iter(rows.values())))
    print("".join([f"{'':32}", *(f"{name:>28}" for name in names)]))
    for row, figures in rows.items():
        cells = [
            f"{figures[name]['mean']:.2f} [{figures[name]['interval'][0]:.2f}, "  # type: ignore
            f"{figures[name]['interval'][1]:.2f}]"  # type: ignore
            for name in names
        ]
        print("".join([f"{row:32}", *(f"{cell:>28}" for cell in cells)]))
