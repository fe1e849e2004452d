"""Which interval an estimate gets, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from evalharness.stats.intervals import Estimates, Interval, Resampling, clustered_t, intervals
from evalharness.stats.resample import multiplicities

HOW = Resampling(level=0.9, rounds=80, seed=3)


def of(rate: float, error: float, clusters: int, draws: np.ndarray | None = None) -> Interval:
    """Return the interval of one estimate whose draws are ``draws``, undefined where not given."""
    values = np.full(2000, np.nan) if draws is None else draws
    place = iter(range(2000))

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.array([[values[next(place) % len(values)]] for _ in counts])

    return intervals(Estimates(np.array([rate]), np.array([error]), np.array([clusters])), statistic, 5, HOW)[0]


def test_percentiles_of_the_draws() -> None:
    draws = np.random.default_rng(0).normal(0.6, 0.3, 80)
    found = of(0.6, 0.1, 30, draws)
    tail = scipy.stats.norm.cdf(-np.sqrt(30 / 29) * scipy.stats.t.ppf(0.95, 29))
    assert 0.04 < tail < 0.05
    low, high = np.quantile(draws, [tail, 1 - tail])
    assert found[:2] == pytest.approx((max(0.0, low), min(1.0, high)), abs=1e-12)
    assert found[2:] == ("bootstrap", None, 0)
    assert (found.low, found.high) != (0.0, 1.0)


def test_bounds_stay_inside_the_scale() -> None:
    assert of(0.5, 0.1, 30, np.linspace(-1, 2, 80))[:2] == (0.0, 1.0)
    assert clustered_t(0.5, 0.4, 5, 0.95) == (0.0, 1.0)


def test_redrawn_rounds_are_counted() -> None:
    draws = np.where(np.arange(200) % 4 == 0, np.nan, 0.5)
    assert of(0.5, 0.1, 30, draws).redrawn > 0


def test_an_estimate_that_resampling_cannot_give_has_the_analytic_interval() -> None:
    found = of(0.5, 0.1, 30)
    assert found.method == "clustered-t"
    assert (found.low, found.high) == pytest.approx(clustered_t(0.5, 0.1, 30, 0.9))


def test_too_few_clusters_and_no_rate() -> None:
    assert of(0.5, 0.1, 3) == Interval(reason="too_few_prompts")
    assert of(np.nan, np.nan, 50, np.full(80, 0.5)) == Interval()


def test_nothing_is_drawn_for_estimates_that_need_no_draws() -> None:
    def statistic(counts: np.ndarray) -> np.ndarray:
        raise AssertionError("drawn")

    rates = Estimates(np.array([1.0, 0.4]), np.array([0.0, 0.1]), np.array([50, 10]))
    assert [found.method for found in intervals(rates, statistic, 5, HOW)] == ["wilson", "clustered-t"]


def test_near_the_ends_the_t_interval_is_symmetric_in_logits() -> None:
    low, high = clustered_t(0.95, 0.01, 20, 0.95)
    middle = (np.log(low / (1 - low)) + np.log(high / (1 - high))) / 2
    assert middle == pytest.approx(np.log(0.95 / 0.05))
    mirrored = clustered_t(0.05, 0.01, 20, 0.95)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


def test_without_spread_the_interval_is_a_point() -> None:
    assert clustered_t(0.95, 0.0, 20, 0.95) == (0.95, 0.95)


def test_the_draws_are_those_of_the_seed() -> None:
    seen = []

    def statistic(counts: np.ndarray) -> np.ndarray:
        seen.append(counts)
        return counts[:, :1] / 5

    intervals(Estimates(np.array([0.2]), np.array([0.1]), np.array([30])), statistic, 5, HOW)
    assert np.array_equal(np.vstack(seen), multiplicities(3, 0, 80, 5))
