"""Ratings of the same items in; agreement beyond chance, with prompt-clustered intervals, and position bias out.

Categories are numbers from 0 on, -1 where a rating is missing. Intervals are percentiles over clusters drawn with
replacement; under 4 clusters there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stats.intervals import FEWEST, Resampling, percentiles
from evalharness.stats.resample import draws

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Metric = Literal["nominal", "ordinal", "interval"]


class Estimate(NamedTuple):
    """A number, None where it is undefined, and its bounds."""

    value: float | None
    low: float | None = None
    high: float | None = None


def confusion(first: Integers, second: Integers, categories: int, cluster: Integers) -> Floats:
    """Return how often each pair of categories was given, by cluster: [G, k, k]; items with a missing one are left out."""
    both = (first >= 0) & (second >= 0)
    size = 1 + int(cluster.max(initial=-1))
    place = (cluster[both] * categories + first[both]) * categories + second[both]
    counts = np.bincount(place, minlength=size * categories**2).astype(np.float64)
    return counts.reshape(size, categories, categories)


def cohen(tables: Floats, weighted: bool = False) -> Floats:
    """Return Cohen's kappa of each confusion table [..., k, k]: (p_o - p_e) / (1 - p_e); NaN where p_e is 1.

    ``weighted``: disagreements count by the square of their distance (Cohen 1960, 1968).
    """
    k = tables.shape[-1]
    at = np.arange(k)
    cost = (at[:, None] - at) ** 2.0 if weighted else (at[:, None] != at).astype(np.float64)
    total = tables.sum(axis=(-2, -1))
    seen = (tables * cost).sum(axis=(-2, -1))
    chance = tables.sum(axis=-1)[..., :, None] * tables.sum(axis=-2)[..., None, :]
    expected = _ratio((chance * cost).sum(axis=(-2, -1)), total)
    return np.asarray(1.0 - _ratio(seen, expected))


def accuracy(tables: Floats) -> Floats:
    """Return the share of items on which both gave the same category, of each table [..., k, k]."""
    return _ratio(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)))


def fleiss(ratings: Integers, categories: int) -> float | None:
    """Return Fleiss' kappa of ratings [items, raters], of items that all raters rated (Fleiss 1971); None if undefined."""
    full = ratings[(ratings >= 0).all(axis=1)]
    raters = ratings.shape[1]
    if not len(full) or raters < 2:
        return None
    counts = np.stack([(full == c).sum(axis=1) for c in range(categories)], axis=1)
    observed = float(((counts**2).sum(axis=1) - raters).mean() / (raters * (raters - 1)))
    expected = float((counts.mean(axis=0) / raters) @ (counts.mean(axis=0) / raters))
    return None if np.isclose(expected, 1.0) else (observed - expected) / (1.0 - expected)


def coincidences(ratings: Integers, categories: int, cluster: Integers) -> Floats:
    """Return Krippendorff's coincidence tables by cluster [G, k, k] of ratings [items, raters].

    o_ck = sum over items of the ordered pairs of ratings (c, k), divided by the item's number of ratings minus one;
    items with fewer than two ratings hold none.
    """
    counts = np.stack([(ratings == c).sum(axis=1) for c in range(categories)], axis=1).astype(np.float64)
    number = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(categories)
    paired = number > 1
    tables = np.zeros((1 + int(cluster.max(initial=-1)), categories, categories))
    np.add.at(tables, cluster[paired], pairs[paired] / (number[paired] - 1.0)[:, None, None])
    return tables


def krippendorff(tables: Floats, metric: Metric = "nominal", values: Floats | None = None) -> Floats:
    """Return alpha of each coincidence table [..., k, k]; NaN where nothing varies (Krippendorff 2011).

    alpha = 1 - (n - 1) sum o_ck d2_ck / sum n_c n_k d2_ck. ``values`` [k] are what the categories are worth on an
    interval scale, by default their numbers.
    """
    margin = tables.sum(axis=-1)
    n = margin.sum(axis=-1)
    distance = _distance(margin, metric, values)
    observed = (tables * distance).sum(axis=(-2, -1))
    expected = (margin[..., :, None] * margin[..., None, :] * distance).sum(axis=(-2, -1))
    return np.asarray(1.0 - (n - 1.0) * _ratio(observed, expected))


def _distance(margin: Floats, metric: Metric, values: Floats | None) -> Floats:
    k = margin.shape[-1]
    if metric == "nominal":
        return np.asarray(1.0 - np.eye(k))
    if metric == "interval":
        at = np.arange(k, dtype=np.float64) if values is None else values
        return np.asarray((at[:, None] - at) ** 2)
    upto = np.cumsum(margin, axis=-1) - 0.5 * margin
    return np.asarray((upto[..., :, None] - upto[..., None, :]) ** 2)


def estimated(tables: Floats, statistic: Callable[[Floats], Floats], how: Resampling) -> Estimate:
    """Return ``statistic`` (a map of tables [..., k, k] to numbers [...]) of the sum of the tables of clusters [G, k, k]."""
    clusters = tables[tables.sum(axis=(1, 2)) > 0]
    value = float(statistic(clusters.sum(axis=0)[None])[0]) if len(clusters) else np.nan
    if not np.isfinite(value):
        return Estimate(None)
    if len(clusters) < FEWEST:
        return Estimate(value)
    flat, k = clusters.reshape(len(clusters), -1), tables.shape[-1]
    drawn = draws(
        lambda c: statistic((c @ flat).reshape(-1, k, k))[:, None], len(clusters), rounds=how.rounds, seed=how.seed
    ).values[:, 0]
    if not np.isfinite(drawn).all():
        return Estimate(value)
    low, high = percentiles(drawn, len(clusters), how.level)
    return Estimate(value, float(low), float(high))


class PositionBias(NamedTuple):
    """What reading order does to a judge, over ``n`` matches with a verdict in both orders.

    ``consistency``: share whose orders name the same winner. ``first_both`` and ``second_both`` matches went to the same
    slot twice; ``p_value`` is the exact two-sided binomial test that slots are equally liked among them.
    ``first_slot_rate``: share of decided games won by the answer read first. ``kappa``, ``kappa_quadratic``: between the
    orders. ``slot_effect``: mean score of slot one minus slot two.
    """

    n: int
    consistency: Estimate
    first_slot_rate: Estimate
    first_both: int
    second_both: int
    asymmetry: float | None
    p_value: float | None
    kappa: Estimate
    kappa_quadratic: Estimate
    slot_effect: Estimate


def position_bias(first: Floats, second: Floats, cluster: Integers, how: Resampling) -> PositionBias:
    """Return the position bias of matches, told by the score of one model: ``first`` [n] where it was read first.

    ``second`` [n] is its score where it was read second, ``cluster`` [n] the prompt. Score above, at and below one half
    are win, tie and loss.
    """
    one, two = outcomes(first), outcomes(second)
    tables = confusion(one, two, 3, cluster)
    both = tables.sum(axis=0)
    slot_one, slot_two = int(both[2, 0]), int(both[0, 2])
    size = 1 + int(cluster.max(initial=-1))
    slots = np.zeros((size, 2, 2))  # [decided for slot one, for slot two]; [sum of slot one minus two, matches]
    for won, where in ((one == 2, 0), (one == 0, 1), (two == 0, 0), (two == 2, 1)):
        slots[:, 0, where] += np.bincount(cluster[won], minlength=size)
    slots[:, 1, 0] = np.bincount(cluster, (first - second), size)
    slots[:, 1, 1] = np.bincount(cluster, minlength=size)
    n = len(first)
    return PositionBias(
        n=n,
        consistency=estimated(tables, accuracy, how),
        first_slot_rate=estimated(_kept(slots), lambda t: _ratio(t[..., 0, 0], t[..., 0, 0] + t[..., 0, 1]), how),
        first_both=slot_one,
        second_both=slot_two,
        asymmetry=(slot_one - slot_two) / n if n else None,
        p_value=binomial_test(slot_one, slot_one + slot_two),
        kappa=estimated(tables, cohen, how),
        kappa_quadratic=estimated(tables, lambda t: cohen(t, weighted=True), how),
        slot_effect=estimated(_kept(slots), lambda t: _ratio(t[..., 1, 0], t[..., 1, 1]), how),
    )


def _kept(slots: Floats) -> Floats:
    return slots[slots[:, 1, 1] > 0]


def outcomes(score: Floats) -> Integers:
    """Return 2 for a win (above one half), 1 for a tie, 0 for a loss, -1 where the score is NaN."""
    known = np.where(np.isnan(score), 0.5, score)
    return np.where(np.isnan(score), -1, 1 + np.sign(known - 0.5)).astype(np.int64)


def binomial_test(successes: int, trials: int) -> float | None:
    """Return the exact two-sided p-value that a fair coin gives ``successes`` of ``trials``; None of none."""
    if not trials:
        return None
    fewest = min(successes, trials - successes)
    tail = sum(comb(trials, k) for k in range(fewest + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**trials)))


def calibration_error(chance: Floats, truth: Floats, bins: int = 10) -> float | None:
    """Return the expected calibration error: the mean gap, over bins of equal width, of mean ``chance`` and mean ``truth``.

    Both [n] are in [0, 1]; bins weigh as many items as they hold (Naeini et al. 2015). None of no items.
    """
    if not len(chance):
        return None
    at = np.minimum((chance * bins).astype(np.int64), bins - 1)
    gap = np.bincount(at, chance, bins) - np.bincount(at, truth, bins)
    return float(np.abs(gap).sum() / len(chance))


def _ratio(above: Floats, below: Floats) -> Floats:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))
