"""How a teacher is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from egoframe.errors import UserError
from egoframe.pairs import SPLITS

RANGES: dict[str, tuple[float, float]] = {
    "subset": (1, math.inf),
    "concurrency": (1, 1024),
    "examples_per_prompt": (0, 64),
    "temperature": (0, 2),
    "max_tokens": (64, 100_000),
    "retries": (0, 100),
    "timeout": (0.1, 86_400),
    "input_price": (0, 1e9),
    "output_price": (0, 1e9),
    "budget": (0, 1e12),
}


@dataclass(frozen=True)
class TeacherConfig:
    """Which pairs a teacher describes, how it is asked, and for how much money.

    Raises:
        UserError: a value out of its range, or a budget without prices.
    """

    subset: int | None = None  # pairs, balanced over verbs and nouns; all by default
    splits: tuple[Literal["train", "validation"], ...] = SPLITS  # type: ignore[assignment]
    concurrency: int = 8  # pairs that an endpoint is asked about at once
    examples_per_prompt: int = 6
    examples: Path | None = None  # JSONL, instead of those that ship; see teacher/examples.py
    temperature: float | None = 0.3  # null: the model's own
    max_tokens: int = 400  # of an answer
    retries: int = 6  # of a question that gets no answer
    timeout: float = 120.0  # seconds, until an answer must be there
    input_price: float = 0.0  # money for a million tokens
    output_price: float = 0.0
    budget: float | None = None  # money for all answers in the dataset's journal, old and new;
    # a request that timed out may cost some more
    seed: int = 0  # of the subset and of examples that are equally near

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                limits = f"from {low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
                raise UserError(f"{name} {value}: {limits}")
        if not self.splits:
            raise UserError("splits: give train, validation or both")
        if self.budget is not None and not self.input_price + self.output_price > 0:
            raise UserError(
                "a budget needs input_price and output_price, in money for a million tokens"
            )
