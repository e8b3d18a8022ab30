"""From raters' answers to figures: scores, win rates and agreement.

An answer chooses one of the models that were shown side by side, or calls it a tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

PRIOR = 10.0  # deviation of scores, so that those of a model that always wins are finite
ROUNDS = 100

Case = tuple[tuple[str, ...], str | None]  # models that are shown, by name, and the chosen one
Counts = Mapping[Case, int]  # how often each was


@dataclass(frozen=True)
class Answer:
    """One answer of one rater."""

    rater: str
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


def counted(answers: Iterable[Answer]) -> Counter[Case]:
    """How often each choice was made, wherever the pictures stood."""
    return Counter((tuple(sorted(answer.shown)), answer.chosen) for answer in answers)


def bradley_terry(counts: Counts) -> Scores:
    """The most likely strengths θ.

    Of the models S that are shown, i is chosen with a probability ∝ exp(θ_i) (Bradley & Terry,
    1952; of more than two, Luce, 1959), and a tie is called with one ∝ exp(τ + mean of θ over S)
    (Davidson, 1970). By Newton's method; the likelihood is concave.
    """
    models = sorted({name for shown, _ in counts for name in shown})
    place = {name: k for k, name in enumerate(models)}
    ties = any(chosen is None for _, chosen in counts)
    groups: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}
    for (shown, chosen), count in counts.items():
        if shown not in groups:  # what each option adds to which parameter; how often it was chosen
            options = np.zeros((len(shown) + ties, len(models) + ties))
            for row, name in enumerate(shown):
                options[row, place[name]] = 1
            if ties:
                options[-1] = options[:-1].mean(0)
                options[-1, -1] = 1
            groups[shown] = options, np.zeros(len(options))
        groups[shown][1][-1 if chosen is None else shown.index(chosen)] += count
    parameters = np.zeros(len(models) + ties)
    for _ in range(ROUNDS):
        slope, curve = -parameters / PRIOR**2, -np.eye(len(parameters)) / PRIOR**2
        for options, often in groups.values():
            weights = np.exp(options @ parameters - (options @ parameters).max())
            weights /= weights.sum()
            mean = weights @ options
            slope += often @ options - often.sum() * mean
            curve -= often.sum() * ((options.T * weights) @ options - np.outer(mean, mean))
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


def win_rates(counts: Counts) -> dict[str, float]:
    """How often each model is chosen where it is shown; a tie counts for all that are shown, in
    equal parts."""
    shown_of: Counter[str] = Counter()
    won: dict[str, float] = {}
    for (shown, chosen), count in counts.items():
        for model in shown:
            part = 1 / len(shown) if chosen is None else float(model == chosen)
            shown_of[model] += count
            won[model] = won.get(model, 0.0) + count * part
    return {model: won[model] / shown_of[model] for model in sorted(won)}


def over_raters(
    answers: Iterable[Answer],
    figures: Callable[[Counts], dict[str, float]],
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, tuple[float, float]]:
    """The 95 % bootstrap intervals of figures, raters drawn anew with all that they answered, for
    answers of one rater are not independent. nan of a single rater."""
    by_rater: dict[str, list[Answer]] = {}
    for answer in answers:
        by_rater.setdefault(answer.rater, []).append(answer)
    own = [counted(theirs) for theirs in by_rater.values()]
    total: Counter[Case] = sum(own, Counter())
    if len(own) < 2:
        return dict.fromkeys(figures(total), (float("nan"), float("nan")))
    cases = list(total)
    table = np.array([[counts[case] for case in cases] for counts in own])  # raters × cases
    times = np.random.default_rng(seed).multinomial(
        len(own), [1 / len(own)] * len(own), size=resamples
    )  # that each rater is drawn
    drawn: dict[str, list[float]] = {}
    for row in (times @ table).tolist():
        counts = {case: count for case, count in zip(cases, row, strict=True) if count}
        for name, value in figures(counts).items():
            drawn.setdefault(name, []).append(value)
    ends = {name: np.percentile(values, (2.5, 97.5)) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


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
