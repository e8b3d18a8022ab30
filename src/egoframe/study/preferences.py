"""From raters' answers to figures: scores, win rates and agreement.

An answer chooses one of the models that were shown side by side, or calls it a tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

PRIOR = 10.0  # deviation of scores, so that those of a model that always wins are finite
ROUNDS = 100


@dataclass(frozen=True)
class Answer:
    """One answer of one rater."""

    rater: str
    item: str  # the pair and what was asked
    shown: tuple[str, ...]  # names of models
    chosen: str | None  # of them; None is a tie


@dataclass(frozen=True)
class Scores:
    """Strengths of models on a logarithmic scale, of mean 0."""

    of: dict[str, float]
    tie: float  # the logarithm of how likely ties are; nan without any

    def preferred(self, one: str, other: str) -> float:
        """The probability that `one` is chosen of the two, where it is no tie."""
        return float(1 / (1 + np.exp(self.of[other] - self.of[one])))


def bradley_terry(answers: Sequence[Answer]) -> Scores:
    """The most likely strengths θ.

    Of the models S that are shown, i is chosen with a probability ∝ exp(θ_i) (Bradley & Terry,
    1952; of more than two, Luce, 1959), and a tie is called with one ∝ exp(τ + mean of θ over S)
    (Davidson, 1970). By Newton's method; the likelihood is concave.
    """
    models = sorted({name for answer in answers for name in answer.shown})
    place = {name: k for k, name in enumerate(models)}
    ties = any(answer.chosen is None for answer in answers)
    counted = Counter((answer.shown, answer.chosen) for answer in answers)
    cases = []  # what each option adds to which parameter, which was chosen, how often
    for (shown, name_or_tie), count in counted.items():
        options = np.zeros((len(shown) + ties, len(models) + ties))
        for row, name in enumerate(shown):
            options[row, place[name]] = 1
        if ties:
            options[-1] = options[:-1].mean(0)
            options[-1, -1] = 1
        chosen = len(shown) if name_or_tie is None else shown.index(name_or_tie)
        cases.append((options, chosen, count))
    parameters = np.zeros(len(models) + ties)
    for _ in range(ROUNDS):
        slope, curve = -parameters / PRIOR**2, -np.eye(len(parameters)) / PRIOR**2
        for options, chosen, count in cases:
            weights = np.exp(options @ parameters - (options @ parameters).max())
            weights /= weights.sum()
            mean = weights @ options
            slope += count * (options[chosen] - mean)
            curve -= count * ((options.T * weights) @ options - np.outer(mean, mean))
        step = np.linalg.solve(curve, slope)
        step *= min(1.0, 2.0 / np.abs(step).max()) if step.any() else 1.0
        parameters -= step
        if np.abs(step).max() < 1e-10:
            break
    strengths = parameters[: len(models)] - parameters[: len(models)].mean()
    return Scores(
        dict(zip(models, strengths.tolist(), strict=True)),
        float(parameters[-1]) if ties else float("nan"),
    )


def win_rate(answers: Iterable[Answer], model: str) -> float:
    """How often a model is chosen where it is shown; a tie counts for all that are shown, in equal
    parts. nan where it never is."""
    parts = [
        1 / len(answer.shown) if answer.chosen is None else float(answer.chosen == model)
        for answer in answers
        if model in answer.shown
    ]
    return float(np.mean(parts)) if parts else float("nan")


def over_raters(
    answers: Sequence[Answer],
    figure: Callable[[list[Answer]], float],
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a figure, raters drawn anew with all that they answered, for
    answers of one rater are not independent."""
    by_rater: dict[str, list[Answer]] = {}
    for answer in answers:
        by_rater.setdefault(answer.rater, []).append(answer)
    groups = list(by_rater.values())
    random = np.random.default_rng(seed)
    found = [
        figure([answer for k in draw for answer in groups[k]])
        for draw in random.integers(len(groups), size=(resamples, len(groups)))
    ]
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return float(low), float(high)


def agreement(rated: Iterable[tuple[Hashable, Hashable]]) -> float:
    """Krippendorff's alpha of nominal ratings (Krippendorff, 2004, section 11.3): 1 where all
    raters of a unit agree, 0 where they do as by chance.

    Arguments:
        rated: the unit and the value of each rating; units that one rated alone do not count.
    Returns:
        nan where nothing can be compared.
    """
    units: dict[Hashable, Counter[Hashable]] = {}
    for unit, value in rated:
        units.setdefault(unit, Counter())[value] += 1
    compared = [counts for counts in units.values() if counts.total() > 1]
    totals: Counter[Hashable] = sum(compared, Counter())
    n = totals.total()
    observed = sum(
        (counts.total() ** 2 - sum(c**2 for c in counts.values())) / (counts.total() - 1)
        for counts in compared
    )
    expected = (n**2 - sum(c**2 for c in totals.values())) / max(n - 1, 1)
    if not compared:
        return float("nan")
    return 1.0 if expected == 0 else float(1 - observed / expected)
