"""Cells in; the mean score of each column with its clustered interval out: macro over languages, and within each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evalharness.stats.axes import Integers
from evalharness.stats.cells import Cells
from evalharness.stats.games import Floats
from evalharness.stats.intervals import Estimates, Interval, Resampling, intervals


class GroupRates(NamedTuple):
    """The rates [K] of a group's models or pairs (NaN unknown), and an interval and the number of prompts for each."""

    rate: Floats
    intervals: tuple[Interval, ...]
    n_prompts: Integers


def mean_rates(cells: Cells, how: Resampling, each_language: bool = False) -> list[GroupRates]:
    """Return the macro mean over languages of ``cells`` and, if ``each_language``, then each language.

    theta_l = sum(w*s) / sum(w); macro = mean of theta_l, NaN for a column that has no game in some language. A
    bootstrap round draws one multiplicity a cluster for all languages and columns.
    """
    groups, columns = 1 + cells.languages if each_language else 1, cells.weight.shape[1]
    rate, error, clusters = _estimates(cells)
    rate, error, clusters = rate[:groups], error[:groups], clusters[:groups]

    def statistic(multiplicity: Floats) -> Floats:
        sums = [cells.resampled(language, multiplicity) for language in range(cells.languages)]
        return with_macro([ratio(score, weight) for score, weight in sums])[:, :groups].reshape(len(multiplicity), -1)

    found = intervals(Estimates(rate.ravel(), error.ravel(), clusters.ravel()), statistic, cells.clusters, how)
    own = [tuple(found[at * columns : (at + 1) * columns]) for at in range(groups)]
    return [GroupRates(*parts) for parts in zip(rate, own, clusters, strict=True)]


def _estimates(cells: Cells) -> tuple[Floats, Floats, Integers]:
    """Return rates, standard errors and numbers of clusters [1 + L, K] each: of the macro mean, then of each language.

    With e_ql = sum_q w(s - theta_l) / W_l the variances are G/(G-1) * sum_q e_ql^2 for a language and
    G/(G-1) * sum_q (mean_l e_ql)^2 for the macro mean, which keeps the covariance between translations of one prompt.
    """
    languages, columns = cells.languages, cells.weight.shape[1]
    rates, squares = np.empty((languages, columns)), np.empty((1 + languages, columns))
    influence = np.zeros((cells.clusters, columns))
    for language in range(languages):
        rows = cells.of(language)
        score, weight = cells.totals(language)
        rates[language] = ratio(score, weight)
        deviation = ratio(cells.score[rows] - rates[language] * cells.weight[rows], weight)
        squares[1 + language] = (deviation**2).sum(axis=0)
        influence[cells.cluster[rows]] += deviation / languages
    squares[0] = (influence**2).sum(axis=0)
    clusters = np.vstack([cells.present_anywhere(), cells.present()])
    error = np.sqrt(ratio(clusters * squares, np.asarray(clusters - 1.0)))
    return with_macro(list(rates)), error, clusters


def with_macro(rates: list[Floats]) -> Floats:
    """Return the rates of L languages, [..., K] each, as [..., 1 + L, K] with their mean in front."""
    stacked = np.stack(rates, axis=-2)
    return np.concatenate([stacked.mean(axis=-2, keepdims=True), stacked], axis=-2)


def ratio(above: Floats, below: Floats) -> Floats:
    """Return ``above / below``, NaN where ``below`` is not positive."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.asarray(np.divide(above, below, out=out, where=below > 0))
