"""Sums that a metric is computed from in, its values with clustered intervals out: macro over languages, and within each.

The value of a corpus (macro-F1, chrF, bits per byte) is a function of sums over its prompts, not the mean of theirs; a mean is
the case of the sums (score, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evalharness.stats.axes import Integers
from evalharness.stats.games import Floats
from evalharness.stats.intervals import FEWEST_FOR_BOOTSTRAP, Estimates, Interval, Resampling, open_intervals
from evalharness.stats.rates import GroupRates, ratio, with_macro
from evalharness.stats.resample import draws

Corpus = Callable[[Floats], Floats]
Scale = tuple[float, float]

_UNDEFINED = "undefined_without_a_prompt"


def mean(sums: Floats) -> Floats:
    """Return the mean from summed (score, 1) [..., 2], NaN of nothing."""
    return ratio(sums[..., 0], sums[..., 1])


def padded(parts: Sequence[Sequence[float] | None]) -> Floats:
    """Return ``parts`` as one array [n, P], NaN where there are none.

    Shorter ones end in zeros: they are counts of classes or n-grams that a prompt does not have.
    """
    longest = max((len(row) for row in parts if row is not None), default=1)
    nothing = [math.nan] * longest
    rows = [nothing if row is None else [*row, *[0.0] * (longest - len(row))] for row in parts]
    return np.array(rows, dtype=np.float64).reshape(len(parts), longest)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of parts per stratum (a prompt in a language) and column (a model).

    Language l owns rows ``bounds[l]:bounds[l + 1]`` of ``cluster`` [U], ``parts`` [U, K, P] and ``known`` [U, K], the
    scores that were summed; within it clusters ascend and occur once. ``corpus`` maps sums [..., P] to values [...].
    """

    clusters: int
    bounds: tuple[int, ...]
    cluster: Integers
    parts: Floats
    known: Integers
    corpus: Corpus

    @property
    def languages(self) -> int:
        """The number of languages."""
        return len(self.bounds) - 1

    def of(self, language: int) -> slice:
        """Return the rows of ``language``."""
        return slice(self.bounds[language], self.bounds[language + 1])

    def values(self) -> Floats:
        """Return the macro mean over languages, then the value of each: [1 + L, K], NaN where there is none."""
        return with_macro([self._value(self.parts[self.of(at)].sum(axis=0)) for at in range(self.languages)])

    def resampled(self, multiplicity: Floats) -> Floats:
        """Return the values under multiplicities [R, clusters] of the prompts: [R, 1 + L, K]."""
        found = []
        for at in range(self.languages):
            rows = self.of(at)
            parts = self.parts[rows]
            flat = multiplicity[:, self.cluster[rows]] @ parts.reshape(len(parts), -1)
            found.append(self._value(flat.reshape(-1, *parts.shape[1:])))
        return with_macro(found)

    def changes(self) -> Floats:
        """Return how the values change when one prompt is left out, with all its translations: [clusters, 1 + L, K]."""
        out = np.zeros((self.clusters, 1 + self.languages, self.parts.shape[1]))
        for at in range(self.languages):
            rows = self.of(at)
            whole = self.parts[rows].sum(axis=0)
            change = self._value(whole - self.parts[rows]) - self._value(whole)
            here = np.where(self.known[rows] > 0, change, 0.0)
            out[self.cluster[rows], 1 + at] = here
            out[self.cluster[rows], 0] += here / self.languages
        return out

    def present(self) -> Integers:
        """Return the number of prompts with a score, in any language and in each: [1 + L, K]."""
        some = np.zeros((self.clusters, self.parts.shape[1]), dtype=np.bool_)
        counts = np.zeros((1 + self.languages, self.parts.shape[1]), dtype=np.int64)
        for at in range(self.languages):
            here = self.known[self.of(at)] > 0
            some[self.cluster[self.of(at)]] |= here
            counts[1 + at] = here.sum(axis=0)
        counts[0] = some.sum(axis=0)
        return counts

    def _value(self, sums: Floats) -> Floats:
        """Return ``corpus`` of the sums, NaN where nothing was summed or the value is not finite."""
        empty = (sums == 0).all(axis=-1)
        if empty.all():
            return np.full(sums.shape[:-1], np.nan)
        found = np.asarray(self.corpus(sums), dtype=np.float64)
        return np.where(empty | ~np.isfinite(found), np.nan, found)


def summed(
    parts: Floats, prompt: Integers, language: Integers, column: Integers, shape: tuple[int, int], corpus: Corpus
) -> Sums:
    """Return the sums of ``parts`` [n, P] of n scores; a score whose parts are NaN is none.

    ``prompt``, ``language`` and ``column`` [n] say whose they are, ``shape`` how many languages and columns there are.
    """
    languages, columns = shape
    known = np.isfinite(parts).all(axis=1)
    cluster, prompts = pd.factorize(prompt[known], sort=True)
    size = max(len(prompts), 1)
    stratum, strata = pd.factorize(language[known] * size + cluster, sort=True)
    place, cells = stratum * columns + column[known], len(strata) * columns
    sums = [np.bincount(place, parts[known, at], cells) for at in range(parts.shape[1])]
    starts = np.searchsorted(strata, np.arange(languages + 1) * size)
    return Sums(
        clusters=len(prompts),
        bounds=tuple(int(start) for start in starts),
        cluster=strata % size,
        parts=np.array(sums, np.float64).T.reshape(len(strata), columns, parts.shape[1]),
        known=np.bincount(place, minlength=cells).reshape(len(strata), columns).astype(np.int64),
        corpus=corpus,
    )


def jackknifed(changes: Floats, clusters: Integers) -> Floats:
    """Return the standard errors [...] from the ``changes`` [G, ...] of values when one of ``clusters`` prompts is left out.

    (G - 1)/G * sum_q (change_q - mean change)^2 (Efron & Tibshirani 1993, chapter 11), which of a mean is the clustered
    G/(G - 1) * sum_q e_q^2. NaN where a value is undefined without one of its prompts.
    """
    count = np.maximum(clusters, 1)
    squares = (changes**2).sum(axis=0) - changes.sum(axis=0) ** 2 / count
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) * (count - 1) / count))


def corpus_rates(sums: Sums, scale: Scale | None, how: Resampling, each_language: bool = False) -> list[GroupRates]:
    """Return the macro mean over languages of the values of ``sums`` and, if ``each_language``, then each language.

    Intervals draw prompts jointly over languages and columns from 30 prompts on (expanded percentiles), else they are
    value ± t(G - 1) times the jackknife's error; ``scale`` (lowest, highest) keeps them inside. Under 4 prompts there is none.
    """
    groups, columns = 1 + sums.languages if each_language else 1, sums.parts.shape[1]
    value, clusters = sums.values()[:groups], sums.present()[:groups]
    error = jackknifed(sums.changes()[:, :groups], clusters)

    def statistic(multiplicity: Floats) -> Floats:
        return sums.resampled(multiplicity)[:, :groups].reshape(len(multiplicity), -1)

    some = (clusters >= FEWEST_FOR_BOOTSTRAP).any()
    drawn = draws(statistic, sums.clusters, rounds=how.rounds, seed=how.seed) if some else None
    estimates = Estimates(value.ravel(), error.ravel(), clusters.ravel())
    found = [_inside(interval, scale) for interval in open_intervals(estimates, drawn, how)]
    own = [tuple(found[at * columns : (at + 1) * columns]) for at in range(groups)]
    return [GroupRates(*parts) for parts in zip(value, own, clusters, strict=True)]


def _inside(interval: Interval, scale: Scale | None) -> Interval:
    """Return ``interval`` with its bounds inside ``scale``; one without a number for a bound is none."""
    if interval.low is None or interval.high is None:
        return interval
    if math.isnan(interval.low):
        return Interval(reason=_UNDEFINED)
    if scale is None:
        return interval
    return interval._replace(low=max(scale[0], interval.low), high=min(scale[1], interval.high))
