"""What is counted in a dataset, and which examples are worth a look: one pass, without frames."""

from __future__ import annotations

import hashlib
import math
from array import array
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from egoframe.pairs import SPLITS, read_rows
from egoframe.report.thresholds import Threshold, thresholds
from egoframe.report.told import Told, read_report
from egoframe.storage import Folder
from egoframe.teacher.subset import balanced

FIGURES = ("similarity", "sharpness", "exposure", "camera_motion", "hands", "aesthetic")
GROUPS = ("split", "source", "verb", "noun")
WRITTEN = ("description", "description_source", "description_flags")
REJECTED = "rejected.parquet"
NEAREST = 6  # examples on either side of a threshold
SHOWN, NAMED = 12, 8  # rejected clips of a reason: with their pictures, and without any


@dataclass
class Values:
    """What is known of one figure, and for how many clips nothing is."""

    kept: array[float] = field(default_factory=lambda: array("d"))
    rejected_for_it: array[float] = field(default_factory=lambda: array("d"))
    rejected_else: array[float] = field(default_factory=lambda: array("d"))
    unknown_kept: int = 0
    unknown_rejected: int = 0

    @property
    def rejected(self) -> array[float]:
        return self.rejected_for_it + self.rejected_else


class First:
    """Those of many that come first by a key."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.found: list[tuple[Any, Any]] = []

    def offer(self, key: Any, item: Any) -> None:
        insort(self.found, (key, item), key=lambda entry: entry[0])
        del self.found[self.count :]

    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in self.found)


@dataclass
class Near:
    """What lies on either side of a threshold.

    Attributes:
        kept, rejected: ids of the nearest clips, the nearest first; `rejected` for this threshold.
        worst_kept, best_rejected: their figures nearest to the other side, or beyond.
    """

    threshold: Threshold
    kept: First = field(default_factory=lambda: First(NEAREST))
    rejected: First = field(default_factory=lambda: First(NEAREST))
    worst_kept: float | None = None
    best_rejected: float | None = None

    def see_kept(self, name: str, value: float, draw: bytes) -> None:
        worse = min if self.threshold.least else max
        self.worst_kept = value if self.worst_kept is None else worse(value, self.worst_kept)
        self.kept.offer((abs(value - self.threshold.bound), draw), name)

    def see_rejected(self, name: str, value: float, draw: bytes) -> None:
        better = max if self.threshold.least else min
        best = self.best_rejected
        self.best_rejected = value if best is None else better(value, best)
        self.rejected.offer((abs(value - self.threshold.bound), draw), name)

    @property
    def doubtful(self) -> bool:
        """Clips were kept or rejected that this threshold would not: it was not the one."""
        bound = float(np.float32(self.threshold.bound))  # as exact as the figures are stored
        sign = 1 if self.threshold.least else -1
        kept, rejected = self.worst_kept, self.best_rejected
        return (kept is not None and sign * kept < sign * bound) or (
            rejected is not None and sign * rejected > sign * bound
        )


@dataclass
class Gallery:
    """Some clips that were rejected for one reason."""

    pictured: First = field(default_factory=lambda: First(SHOWN))  # ids
    named: First = field(default_factory=lambda: First(NAMED))  # rows without pictures
    unpictured: int = 0


@dataclass
class Facts:
    """A dataset in numbers, and the ids of the examples to show."""

    told: Told
    thresholds: list[Threshold]
    shards: list[str]
    kept: dict[str, Counter[str]]  # by group, then by its value
    rejected: dict[str, Counter[str]]
    reasons: Counter[str] = field(default_factory=Counter)
    values: dict[str, Values] = field(default_factory=lambda: {name: Values() for name in FIGURES})
    described: Counter[str] = field(default_factory=Counter)  # by who wrote it
    flagged: Counter[str] = field(default_factory=Counter)
    invented: Counter[str] = field(default_factory=Counter)  # what flags name
    near: list[Near] = field(default_factory=list)
    gallery: dict[str, Gallery] = field(default_factory=dict)  # by reason
    sample: set[str] = field(default_factory=set)

    @property
    def pairs(self) -> int:
        """How many the shards hold."""
        return self.kept["split"].total()


def read_facts(folder: Folder, pairs: int, seed: int) -> Facts:
    """Count what a dataset holds.

    Arguments:
        pairs: how many are chosen as a sample, evenly over verbs and nouns.
        seed: of the choice.
    Raises:
        UserError: it is no finished dataset, or a file of it cannot be read.
    """
    told = read_report(folder)
    rules = thresholds(told)
    facts = Facts(
        told,
        rules,
        [name for split in SPLITS for name in folder.names(f"{split}/*.parquet")],
        kept={group: Counter() for group in GROUPS},
        rejected={group: Counter() for group in GROUPS},
        near=[Near(rule) for rule in rules],
        gallery={reason: Gallery() for reason in told.report.rejected},
    )
    _count_kept(folder, facts, pairs, seed)
    _count_rejected(folder, facts, seed)
    return facts


def _count_kept(folder: Folder, facts: Facts, pairs: int, seed: int) -> None:
    names = []
    for shard in facts.shards:
        for row in read_rows(folder, shard, ("pair_id", *GROUPS, *WRITTEN, *FIGURES)):
            names.append((row["pair_id"], row["verb"], row["noun"]))
            _count(row, facts.kept)
            _count_description(row, facts)
            figures = known(row)
            for name, values in facts.values.items():
                if (value := figures[name]) is None:
                    values.unknown_kept += 1
                else:
                    values.kept.append(value)
            for near in facts.near:
                if (value := figures[near.threshold.figure]) is not None:
                    near.see_kept(row["pair_id"], value, _draw(seed, row["pair_id"]))
    facts.sample = balanced(names, pairs, seed)


def _count_rejected(folder: Folder, facts: Facts, seed: int) -> None:
    columns = ("clip_id", *GROUPS, "narration", "reason", "detail", "input_time", *FIGURES)
    for row in read_rows(folder, REJECTED, columns):
        _count(row, facts.rejected)
        reason, draw = row["reason"], _draw(seed, row["clip_id"])
        facts.reasons[reason] += 1
        gallery = facts.gallery.setdefault(reason, Gallery())
        if row["input_time"] is None:  # no frame was decoded
            gallery.unpictured += 1
            gallery.named.offer(draw, row)
        else:
            gallery.pictured.offer(draw, row["clip_id"])
        figures = known(row)
        blamed = {rule.figure for rule in facts.thresholds if rule.reason == reason}
        for name, values in facts.values.items():
            if (value := figures[name]) is None:
                values.unknown_rejected += 1
            else:
                chosen = values.rejected_for_it if name in blamed else values.rejected_else
                chosen.append(value)
        for near in facts.near:
            value = figures[near.threshold.figure]
            if value is not None and near.threshold.reason == reason:
                near.see_rejected(row["clip_id"], value, draw)


def _count(row: dict[str, Any], counts: dict[str, Counter[str]]) -> None:
    for group, counter in counts.items():
        counter[row[group] or ""] += 1


def _count_description(row: dict[str, Any], facts: Facts) -> None:
    if row["description"] is None:
        return
    writer = row["description_source"] or ""
    facts.described[writer] += 1
    if row["description_flags"]:
        facts.flagged[writer] += 1
        facts.invented.update(row["description_flags"])


def known(row: dict[str, Any]) -> dict[str, float | None]:
    """The figures of a row; None for what is unknown, not a number or infinite."""
    values = {name: row[name] for name in FIGURES}
    return {n: v if v is not None and math.isfinite(v) else None for n, v in values.items()}


def _draw(seed: int, name: str) -> bytes:
    """Chooses among equals at random, the same on every machine."""
    return hashlib.blake2b(repr((seed, name)).encode(errors="replace"), digest_size=8).digest()
