"""Scores and agreement against closed forms, a published example, and known preferences."""

import math
from itertools import combinations

import numpy as np
import pytest

from egoframe.study.preferences import (
    Answer,
    agreement,
    bradley_terry,
    counted,
    over_raters,
    win_rates,
)


def duel(a: int, b: int, ties: int = 0) -> list[Answer]:
    shown = ("a", "b")
    return [Answer("r", shown, chosen) for chosen in ["a"] * a + ["b"] * b + [None] * ties]


@pytest.mark.parametrize("ties", [0, 20])
def test_two_models_have_their_closed_form(ties):
    scores = bradley_terry(counted(duel(60, 30, ties)))
    assert scores.of["a"] - scores.of["b"] == pytest.approx(math.log(2), abs=1e-3)
    assert scores.preferred("a", "b") == pytest.approx(2 / 3, abs=1e-3)
    if ties:
        assert scores.tie == pytest.approx(math.log(20 / math.sqrt(60 * 30)), abs=1e-3)
    else:
        assert math.isnan(scores.tie)


def test_the_gradient_of_the_likelihood_vanishes():
    """Three models, shown in twos and threes: the expected wins are those that were counted."""
    random = np.random.default_rng(0)
    sets = [("a", "b"), ("b", "c"), ("a", "b", "c")]
    answers = []
    for k in range(400):
        shown = sets[k % 3]
        answers.append(Answer("r", shown, str(random.choice(shown))))
    scores = bradley_terry(counted(answers)).of
    for model in "abc":
        expected = sum(
            math.exp(scores[model]) / sum(math.exp(scores[m]) for m in answer.shown)
            for answer in answers
            if model in answer.shown
        )
        assert expected == pytest.approx(sum(a.chosen == model for a in answers), abs=0.01)


def test_a_model_that_always_wins_has_a_finite_score():
    scores = bradley_terry(counted(duel(50, 0))).of
    assert 5 < scores["a"] - scores["b"] < 50


def simulated(strengths: dict[str, float], raters: int, each: int) -> list[Answer]:
    random = np.random.default_rng(1)
    pairs = list(combinations(strengths, 2))
    answers = []
    for rater in range(raters):
        for _ in range(each):
            shown = pairs[random.integers(len(pairs))]
            weights = np.exp(
                [*(strengths[m] for m in shown), np.mean([strengths[m] for m in shown]) - 1]
            )
            chosen = (*shown, None)[random.choice(3, p=weights / weights.sum())]
            answers.append(Answer(str(rater), shown, chosen))
    return answers


def test_known_preferences_lie_in_the_intervals():
    strengths = {"copy": -0.8, "label": 0.1, "lego": 0.7}
    answers = simulated(strengths, 60, 30)
    for model, (low, high) in over_raters(answers, lambda n: bradley_terry(n).of).items():
        assert low < strengths[model] < high
        assert high - low < 0.5
    assert bradley_terry(counted(answers)).tie == pytest.approx(-1, abs=0.15)


def test_win_rates_share_ties():
    assert win_rates(counted(duel(6, 2, 2))) == pytest.approx({"a": 0.7, "b": 0.3})


def test_where_a_picture_stood_does_not_matter():
    answers = [Answer("r", ("a", "b"), "a"), Answer("r", ("b", "a"), "a")]
    assert counted(answers) == {(("a", "b"), "a"): 2}


def test_intervals_are_over_raters_not_over_answers():
    """Two of four raters always choose a: any draw of four has from none to four of them."""
    answers = [Answer(str(r), ("a", "b"), "ab"[r % 2]) for r in range(4) for _ in range(100)]
    assert over_raters(answers, win_rates)["a"] == (0, 1)
    same = [Answer(str(r), ("a", "b"), "ab"[k % 2]) for r in range(4) for k in range(100)]
    assert over_raters(same, win_rates)["a"] == (0.5, 0.5)
    low, high = over_raters(answers[:100], win_rates)["a"]  # one rater
    assert math.isnan(low)
    assert math.isnan(high)


def test_agreement_is_that_of_krippendorffs_example():
    """Four raters, twelve units, some missing: 0.743 (Krippendorff, Computing alpha, 2011)."""
    table = ("123321412...", "123322412 5.3".replace(" ", ""), ".33323422 51.".replace(" ", ""),
             "123324412 51.".replace(" ", ""))  # fmt: skip
    rated = [(unit, value) for row in table for unit, value in enumerate(row) if value != "."]
    assert agreement(rated) == pytest.approx(0.743, abs=5e-4)


def test_agreement_at_its_ends():
    assert agreement([(u, u % 2) for u in range(6) for _ in range(3)]) == 1
    assert math.isnan(agreement([(u, 0) for u in range(6)]))
    random = np.random.default_rng(0)
    by_chance = [(u, int(random.integers(3))) for u in range(3000) for _ in range(3)]
    assert abs(agreement(by_chance)) < 0.02
