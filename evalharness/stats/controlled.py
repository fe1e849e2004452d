"""Games and features of their answers in; win rates at equal features, and the features' effects, with intervals out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evalharness.stats import bradley_terry
from evalharness.stats.cells import model_cells, pairs_met
from evalharness.stats.games import Floats, Games
from evalharness.stats.groups import BRADLEY_TERRY, MEAN
from evalharness.stats.intervals import (
    BOOTSTRAP,
    FEWEST,
    FEWEST_FOR_BOOTSTRAP,
    TOO_FEW_PROMPTS,
    Interval,
    Resampling,
    clustered_t,
    percentiles,
)
from evalharness.stats.logistic import Pairs, expit, paired_logistic
from evalharness.stats.rates import GroupRates, mean_rates
from evalharness.stats.resample import draws
from evalharness.stats.student import t_quantile

REFIT_T = "refit-t"
# Lets a model that won every game have a strength; it moves a rate of n games by less than 0.01/n.
_EXISTS = 1e-4


class Control(NamedTuple):
    """Features [n, K] of games, row for row and told from the first model, their names, and the ridge on their effects."""

    names: tuple[str, ...]
    values: Floats
    ridge: float = _EXISTS


class Value(NamedTuple):
    """A number (NaN unknown) and its interval."""

    value: float
    interval: Interval


class ControlledGroup(NamedTuple):
    """A group's rates at equal features, by model, and the effect of each feature on the log-odds of winning."""

    name: str
    rates: tuple[Value, ...]
    effects: tuple[Value, ...]


def controlled(
    games: Games, control: Control, baseline: int | None, estimate: str, how: Resampling
) -> list[ControlledGroup]:
    """Return the macro mean over the languages of ``games``, then each language.

    In each language the rated games are fitted by logit P(i beats j) = b_i - b_j + x'phi, one phi for all models, with
    a ridge on phi. A model's rate is sigma(b - b_baseline); without a baseline the mean of sigma(b_i - b_j) over its
    own games, or, where ``estimate`` is bradley-terry, over all other models alike. With phi = 0 these are the raw rates.
    Intervals refit every bootstrap draw of prompts, which languages and models share: percentiles from 30 prompts on,
    below that t(G - 1) times the spread of the refits. Features keep the scale of the full table.
    """
    rated = games.where(games.rated)
    if baseline is not None:
        against = (rated.first == baseline) | (rated.second == baseline)
        rated, kept = rated.where(against), np.flatnonzero(games.rated)[against]
    else:
        kept = np.flatnonzero(games.rated)
    languages = [_Language(rated, at, control, control.values[kept]) for at in range(len(games.languages))]
    models, count = len(games.models), len(control.names)

    def statistic(multiplicity: Floats) -> Floats:
        parts = [language.estimates(multiplicity, baseline, estimate) for language in languages]
        stacked = np.stack(parts, axis=1)
        return np.concatenate([stacked.mean(axis=1, keepdims=True), stacked], axis=1).reshape(len(multiplicity), -1)

    point = statistic(np.ones((1, games.clusters)))[0]
    drawn = draws(statistic, games.clusters, rounds=how.rounds, seed=how.seed)
    prompts = _prompts(rated, models)
    clusters = np.hstack([prompts, np.repeat(prompts.max(axis=1, initial=0)[:, None], count, axis=1)]).ravel()
    found = [
        _value(*at, how.level, rate=index % (models + count) < models)
        for index, at in enumerate(zip(point, drawn.values.T, drawn.redrawn, clusters, strict=True))
    ]
    rows = [found[at : at + models + count] for at in range(0, len(found), models + count)]
    names = ("all", *games.languages)
    return [ControlledGroup(n, tuple(r[:models]), tuple(r[models:])) for n, r in zip(names, rows, strict=True)]


def longer_wins(games: Games, gap: Floats, how: Resampling) -> list[GroupRates]:
    """Return what each model's rate were if the longer answer had won every game: the macro mean, then each language.

    ``gap`` [n] is the length of the first model's answer minus the second's.
    """
    share = np.where(games.rated, 0.5 + 0.5 * np.sign(gap), np.nan)
    return mean_rates(model_cells(replace(games, score=share)), how, each_language=True)


class _Language:
    """The rated games of one language, sorted by pair, and the fit to all of them, where refits start."""

    def __init__(self, rated: Games, language: int, control: Control, features: Floats) -> None:
        own = rated.language == language
        games, features = rated.where(own), features[own]
        met = pairs_met(games)
        order = np.argsort(met.pair, kind="stable")
        sign = np.where(met.swapped, -1.0, 1.0)
        share = np.where(met.swapped, 1.0 - games.score, games.score)
        self.weight, self.cluster = games.weight[order], games.cluster[order]
        starts = np.searchsorted(met.pair[order], np.arange(len(met.lower)))
        pairs = met.lower, met.higher, starts.astype(np.int64)
        self.pairs = Pairs(len(games.models), *pairs, (features * sign[:, None])[order], share[order])
        self.penalty = np.concatenate(
            [np.full(len(games.models), _EXISTS), np.full(len(control.names), max(control.ridge, _EXISTS))]
        )
        self.start = None if not len(order) else paired_logistic(self.pairs, self.weight[None, :], self.penalty)[0]

    def estimates(self, multiplicity: Floats, baseline: int | None, estimate: str) -> Floats:
        """Return rates and effects [R, M + K] under multiplicities of clusters [R, clusters]; NaN without games."""
        if self.start is None:
            return np.full((len(multiplicity), len(self.penalty)), np.nan)
        weight = self.weight * multiplicity[:, self.cluster]
        fitted = paired_logistic(self.pairs, weight, self.penalty, self.start)
        strength, effect = fitted[:, : self.pairs.models], fitted[:, self.pairs.models :]
        incidence, of_pair = self.pairs.incidence(), self.pairs.summed(weight)
        own = of_pair @ np.abs(incidence)
        rates = self._rates(strength, of_pair, own, baseline, estimate)
        return np.hstack(
            [np.where(own > 0, rates, np.nan), np.where(own.sum(axis=1, keepdims=True) > 0, effect, np.nan)]
        )

    def _rates(self, strength: Floats, of_pair: Floats, own: Floats, baseline: int | None, estimate: str) -> Floats:
        if baseline is not None:
            return expit(strength - strength[:, baseline, None])
        if estimate == BRADLEY_TERRY:
            return bradley_terry.implied(strength)
        assert estimate == MEAN
        incidence = self.pairs.incidence()
        lower = expit(strength @ incidence.T)
        won = (of_pair * lower) @ (incidence > 0) + (of_pair * (1.0 - lower)) @ (incidence < 0)
        return np.asarray(np.divide(won, own, out=np.full_like(won, np.nan), where=own > 0))


def _prompts(rated: Games, models: int) -> Floats:
    """Return the clusters with a game of each model: over all languages, then in each: [1 + L, M]."""
    table = np.zeros((len(rated.languages), max(rated.clusters, 1), models), dtype=np.bool_)
    for player in (rated.first, rated.second):
        table[rated.language, rated.cluster, player] = True
    return np.vstack([table.any(axis=0).sum(axis=0)[None], table.sum(axis=1)]).astype(np.float64)


def _value(point: float, values: Floats, redrawn: int, clusters: float, level: float, rate: bool) -> Value:
    """Return a number with the interval that its refits [R] give it."""
    number = float(point)
    if not np.isfinite(number):
        return Value(number, Interval())
    if clusters < FEWEST or not np.isfinite(values).all():
        return Value(number, Interval(reason=TOO_FEW_PROMPTS))
    if clusters >= FEWEST_FOR_BOOTSTRAP:
        low, high = percentiles(values, int(clusters), level)
        return Value(number, Interval(float(low), float(high), BOOTSTRAP, None, int(redrawn)))
    spread = float(values.std(ddof=1))
    if rate:
        return Value(number, Interval(*clustered_t(number, spread, int(clusters), level), REFIT_T, None, int(redrawn)))
    margin = t_quantile(0.5 + 0.5 * level, clusters - 1) * spread
    return Value(number, Interval(number - margin, number + margin, REFIT_T, None, int(redrawn)))
