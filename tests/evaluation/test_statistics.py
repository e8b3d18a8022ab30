"""Intervals and tests against scipy's, and against what is known."""

import math

import numpy as np
import pytest
from scipy import stats

from egoframe.evaluation.statistics import bootstrap_interval, compare


def test_the_interval_is_scipys():
    values = np.random.default_rng(0).gamma(2.0, size=80)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="percentile", random_state=1
    ).confidence_interval
    assert bootstrap_interval(values, resamples=9999) == pytest.approx(expected, abs=0.02)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = [
        low < 0 < high
        for low, high in (
            bootstrap_interval(random.normal(size=60), resamples=300) for _ in range(400)
        )
    ]
    assert 0.90 < np.mean(held) < 0.98


def test_what_is_missing_is_left_out():
    values = np.array([1.0, np.nan, 2.0, 3.0])
    assert bootstrap_interval(values) == bootstrap_interval(np.array([1.0, 2.0, 3.0]))
    assert all(math.isnan(x) for x in bootstrap_interval(np.array([np.nan])))
    found = compare(values, np.array([0.0, 1.0, np.nan, 1.0]))
    assert found.difference == 1.5


def test_the_test_is_scipys():
    random = np.random.default_rng(0)
    first = random.normal(size=40)
    second = first + random.normal(0.2, 0.7, size=40)
    expected = stats.permutation_test(
        (first, second), lambda a, b: np.mean(a - b), permutation_type="samples",
        n_resamples=20_000, random_state=1,
    )  # fmt: skip
    found = compare(first, second, resamples=20_000)
    assert found.difference == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.015)
    low, high = found.interval
    assert low < found.difference < high


def test_models_that_draw_the_same_do_not_differ():
    same = np.arange(5.0)
    found = compare(same, same)
    assert (found.difference, found.interval, found.p) == (0, (0, 0), 1)


def test_figures_of_other_pairs_are_refused():
    with pytest.raises(ValueError, match="figures of other pairs"):
        compare(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="no pair has figures of both"):
        compare(np.array([np.nan]), np.zeros(1))
