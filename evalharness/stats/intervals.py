"""Estimates, their standard errors and their draws in; intervals, each with its method or why there is none, out."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stats.axes import Integers
from evalharness.stats.games import Floats
from evalharness.stats.resample import Draws, Statistic, draws
from evalharness.stats.student import t_quantile, wilson

BOOTSTRAP, CLUSTERED_T, WILSON = "bootstrap", "clustered-t", "wilson"
TOO_FEW_PROMPTS = "too_few_prompts"
FEWEST_FOR_BOOTSTRAP = 30
FEWEST = 4
_EDGE = 0.1


class Resampling(NamedTuple):
    """How intervals are made: their level, and the rounds and seed of the bootstrap."""

    level: float = 0.95
    rounds: int = 1000
    seed: int = 0


class Estimates(NamedTuple):
    """K rates in [0, 1] (NaN unknown), their clustered standard errors, and the clusters each rests on: [K] each."""

    rate: Floats
    error: Floats
    clusters: Integers


class Interval(NamedTuple):
    """Bounds in [0, 1] and the name of the method, or the reason why there are none; ``redrawn`` counts empty draws."""

    low: float | None = None
    high: float | None = None
    method: str | None = None
    reason: str | None = None
    redrawn: int = 0


def intervals(estimates: Estimates, statistic: Statistic, clusters: int, how: Resampling) -> list[Interval]:
    """Return an interval for each estimate; ``statistic`` maps multiplicities of all ``clusters`` to draws of K rates.

    From 30 clusters on the bootstrap over clusters with ``percentiles``, else ``clustered_t``. A rate of 0 or 1, which has no
    spread to resample, gets Wilson's interval with the clusters for trials. Under 4 clusters there is none.
    """
    some = _resampled(estimates).any()
    drawn = draws(statistic, clusters, rounds=how.rounds, seed=how.seed) if some else None
    return drawn_intervals(estimates, drawn, how)


def drawn_intervals(estimates: Estimates, drawn: Draws | None, how: Resampling) -> list[Interval]:
    """Return the ``intervals`` of estimates whose draws are there already; ``None`` where none is needed."""
    bounds, redrawn = _percentiles(_resampled(estimates), drawn, estimates.clusters, how.level)
    return [
        _percentile(low, high, int(again)) if np.isfinite(low) else _without_draws(rate, error, int(count), how.level)
        for low, high, again, rate, error, count in zip(*bounds, redrawn, *estimates, strict=True)
    ]


def log_intervals(estimates: Estimates, drawn: Draws | None, how: Resampling) -> list[Interval]:
    """Return the intervals of log-strengths, which have no ends: percentiles from 30 clusters on, else rate ± t(G-1) error.

    A draw without a maximum (all games of a model won, say) stands for a strength beyond any bound: it is drawn again and
    counted, and where such draws are more than the tail that the percentiles cut off, they would cut too little; there
    the analytic interval is given. No bound is ever infinite.
    """
    wanted = np.isfinite(estimates.rate) & (estimates.clusters >= FEWEST_FOR_BOOTSTRAP)
    bounds, redrawn = _percentiles(wanted, drawn, estimates.clusters, how.level)
    return [
        Interval(float(low), float(high), BOOTSTRAP, None, int(again))
        if np.isfinite(low) and again <= expanded_tail(how.level, int(count)) * how.rounds
        else _analytic(rate, error, int(count), int(again), how.level)
        for low, high, again, rate, error, count in zip(*bounds, redrawn, *estimates, strict=True)
    ]


def open_intervals(estimates: Estimates, drawn: Draws | None, how: Resampling) -> list[Interval]:
    """Return the intervals of values on any scale: percentiles from 30 clusters on, else value ± t(G-1) error.

    An undefined draw (one without a prompt of some language) is drawn again and counted.
    """
    wanted = np.isfinite(estimates.rate) & (estimates.clusters >= FEWEST_FOR_BOOTSTRAP)
    bounds, redrawn = _percentiles(wanted, drawn, estimates.clusters, how.level)
    return [
        Interval(float(low), float(high), BOOTSTRAP, None, int(again))
        if np.isfinite(low)
        else _analytic(rate, error, int(count), 0, how.level)
        for low, high, again, rate, error, count in zip(*bounds, redrawn, *estimates, strict=True)
    ]


def _resampled(estimates: Estimates) -> NDArray[np.bool_]:
    degenerate = (estimates.rate == 0.0) | (estimates.rate == 1.0)
    return np.asarray(np.isfinite(estimates.rate) & (estimates.clusters >= FEWEST_FOR_BOOTSTRAP) & ~degenerate)


def percentiles(drawn: Floats, clusters: int, level: float) -> Floats:
    """Return the bounds [2, ...] of the statistics whose ``drawn`` [R, ...] values rest on that many clusters.

    They are expanded percentiles (Hesterberg, The American Statistician 69, 2015, section 5.3): plain ones are too narrow by
    sqrt((G - 1)/G) and by the normal's quantile where Student's t(G - 1) belongs, so their tails are cut shorter.
    """
    tail = expanded_tail(level, clusters)
    return np.asarray(np.quantile(drawn, [tail, 1.0 - tail], axis=0))


@lru_cache(maxsize=4096)
def expanded_tail(level: float, clusters: int) -> float:
    """Return the share of draws beyond each bound of an interval: Phi(-sqrt(G/(G-1)) t(G-1)), below (1 - level)/2."""
    reach = math.sqrt(clusters / (clusters - 1)) * t_value(0.5 + 0.5 * level, clusters - 1)
    return 0.5 * math.erfc(reach / math.sqrt(2.0))


def _percentiles(
    wanted: NDArray[np.bool_], drawn: Draws | None, clusters: Integers, level: float
) -> tuple[Floats, Integers]:
    """Return the bounds [2, K] of the ``wanted`` [K] statistics, NaN for others, and how many draws were replaced [K]."""
    bounds = np.full((2, len(wanted)), np.nan)
    if drawn is None or not wanted.any():
        return bounds, np.zeros(len(wanted), dtype=np.int64)
    for count in np.unique(clusters[wanted]):
        some = wanted & (clusters == count)
        bounds[:, some] = percentiles(drawn.values[:, some], int(count), level)
    return bounds, drawn.redrawn


def _analytic(rate: float, error: float, clusters: int, redrawn: int, level: float) -> Interval:
    if math.isnan(rate) or clusters < FEWEST:
        return Interval(reason=None if math.isnan(rate) else TOO_FEW_PROMPTS)
    half = t_value(0.5 + 0.5 * level, clusters - 1) * float(error)
    return Interval(float(rate) - half, float(rate) + half, CLUSTERED_T, None, redrawn)


def clustered_t(rate: float, error: float, clusters: int, level: float) -> tuple[float, float]:
    """Return rate ± t(G - 1) * error, on the logit scale for rates below 0.1 or above 0.9, kept inside [0, 1]."""
    t = t_value(0.5 + 0.5 * level, clusters - 1)
    if error > 0.0 and (rate < _EDGE or rate > 1.0 - _EDGE):
        centre, spread = math.log(rate / (1.0 - rate)), t * error / (rate * (1.0 - rate))
        return _expit(centre - spread), _expit(centre + spread)
    return max(0.0, rate - t * error), min(1.0, rate + t * error)


def _percentile(low: float, high: float, redrawn: int) -> Interval:
    return Interval(max(0.0, float(low)), min(1.0, float(high)), BOOTSTRAP, None, redrawn)


def _without_draws(rate: float, error: float, clusters: int, level: float) -> Interval:
    if math.isnan(rate):
        return Interval()
    if clusters < FEWEST:
        return Interval(reason=TOO_FEW_PROMPTS)
    if rate in (0.0, 1.0):
        return Interval(*wilson(float(rate), clusters, level), method=WILSON)
    return Interval(*clustered_t(float(rate), float(error), clusters, level), method=CLUSTERED_T)


@lru_cache(maxsize=4096)
def t_value(probability: float, df: int) -> float:
    """Return the quantile of Student's t, remembered."""
    return t_quantile(probability, df)


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else 1.0 - 1.0 / (1.0 + math.exp(x))
