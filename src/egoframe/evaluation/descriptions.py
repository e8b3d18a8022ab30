"""How true descriptions are: their checkable facts against what the built-in kitchen knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egoframe.kitchen.facts import check


@dataclass(frozen=True)
class DescriptionScore:
    """Facts that some descriptions tell of one kind, or of all kinds."""

    told: int
    right: int

    @property
    def accuracy(self) -> float:
        """The share of the facts told that are right; 1 where none is told."""
        return self.right / self.told if self.told else 1.0


def score_descriptions(
    descriptions: Sequence[str], records: Sequence[dict[str, Any]]
) -> dict[str, DescriptionScore]:
    """The facts of descriptions, by kind and, under "all", together.

    Arguments:
        descriptions: N texts.
        records: N records of the actions they describe, as `simulator.jsonl` holds them.
    """
    facts = [
        fact
        for text, record in zip(descriptions, records, strict=True)
        for fact in check(text, record)
    ]
    kinds = {kind: [f for f in facts if f.kind == kind] for kind in sorted({f.kind for f in facts})}
    return {
        kind: DescriptionScore(told=len(group), right=sum(fact.right for fact in group))
        for kind, group in {**kinds, "all": facts}.items()
    }
