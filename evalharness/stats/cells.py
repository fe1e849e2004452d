"""Games in, sufficient statistics out: sums of w and w*s per (language, cluster) and model or pair, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from evalharness.stats.axes import Integers
from evalharness.stats.games import Flags, Floats, Games
from evalharness.stats.matches import DISAGREED, LOST, NO_MATCH, TIED, WON


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over games per stratum (a cluster in a language) and column (a model, or a pair of models).

    Language l owns rows ``bounds[l]:bounds[l + 1]`` of ``cluster`` [U], ``weight`` [U, K] (sums of w) and ``score``
    [U, K] (sums of w*s); within it clusters ascend and occur once.
    """

    clusters: int
    bounds: tuple[int, ...]
    cluster: Integers
    weight: Floats
    score: Floats

    @property
    def languages(self) -> int:
        return len(self.bounds) - 1

    def of(self, language: int) -> slice:
        """Return the rows of ``language``."""
        return slice(self.bounds[language], self.bounds[language + 1])

    def totals(self, language: int) -> tuple[Floats, Floats]:
        """Return the sums of w*s and of w over a language: [K] each."""
        rows = self.of(language)
        return self.score[rows].sum(axis=0), self.weight[rows].sum(axis=0)

    def resampled(self, language: int, multiplicity: Floats) -> tuple[Floats, Floats]:
        """Return both sums over a language under multiplicities [R, clusters]: [R, K] each."""
        rows = self.of(language)
        drawn = multiplicity[:, self.cluster[rows]]
        return drawn @ self.score[rows], drawn @ self.weight[rows]

    def present(self) -> Integers:
        """Return the number of clusters with games, per language and column: [L, K]."""
        counts = [np.count_nonzero(self.weight[self.of(language)], axis=0) for language in range(self.languages)]
        return np.array(counts, dtype=np.int64).reshape(self.languages, self.weight.shape[1])

    def present_anywhere(self) -> Integers:
        """Return the number of clusters with games in any language, per column: [K]."""
        found = np.zeros((self.clusters, self.weight.shape[1]), dtype=np.bool_)
        for language in range(self.languages):
            rows = self.of(language)
            found[self.cluster[rows]] |= self.weight[rows] > 0
        return np.asarray(found.sum(axis=0), dtype=np.int64)


def model_cells(games: Games) -> Cells:
    """Return the cells of the rated games, a column per model: a game is in both models' columns, from its view."""
    rated = games.where(games.rated)
    return _cells(rated, len(games.models), [(rated.first, rated.score), (rated.second, 1.0 - rated.score)])


class Met(NamedTuple):
    """The pairs that met: ``lower`` [P] and ``higher`` [P] model of each, ``pair`` [n] the pair of each game.

    ``swapped`` [n] are the games whose first model is the higher-numbered one.
    """

    lower: Integers
    higher: Integers
    pair: Integers
    swapped: Flags


def pairs_met(games: Games) -> Met:
    """Return the pairs of models that have a game, with or without a verdict, in the order of their numbers."""
    swapped = games.first > games.second
    lower, higher = np.where(swapped, games.second, games.first), np.where(swapped, games.first, games.second)
    pair, keys = _renumbered(lower * len(games.models) + higher, len(games.models) ** 2)
    return Met(keys // len(games.models), keys % len(games.models), pair, swapped)


def _renumbered(keys: Integers, size: int) -> tuple[Integers, Integers]:
    """Return ``keys`` below ``size`` as numbers without gaps, and the key of each number, ascending."""
    if size > 1 << 22 and size > len(keys):
        codes, used = pd.factorize(keys, sort=True)
        return codes.astype(np.int64), used
    used = np.flatnonzero(np.bincount(keys, minlength=size))
    place = np.zeros(size, dtype=np.int64)
    place[used] = np.arange(len(used))
    return place[keys], used


def pair_cells(games: Games, met: Met) -> Cells:
    """Return the cells of the rated games, a column per pair of ``met``; scores are the shares of the lower model."""
    rated = games.where(games.rated)
    share = np.where(met.swapped[games.rated], 1.0 - rated.score, rated.score)
    return _cells(rated, len(met.lower), [(met.pair[games.rated], share)])


def pair_wins(games: Games) -> Floats:
    """Return the weight each model won from each other, ties as half, over the rated games: [L, M, M]."""
    rated = games.where(games.rated)
    size = len(games.models)
    base = rated.language * size * size
    won = np.zeros(len(games.languages) * size * size)
    won += np.bincount(base + rated.first * size + rated.second, rated.weight * rated.score, len(won))
    won += np.bincount(base + rated.second * size + rated.first, rated.weight * (1.0 - rated.score), len(won))
    return won.reshape(len(games.languages), size, size)


def pair_games(games: Games) -> Integers:
    """Return how many games each pair was given, with or without a verdict: [L, M, M], symmetric."""
    size = len(games.models)
    shape = (len(games.languages), size, size)
    base = games.language * size * size
    met = np.bincount(base + games.first * size + games.second, minlength=int(np.prod(shape))).reshape(shape)
    return met + met.transpose(0, 2, 1)


def counts(games: Games) -> dict[str, Integers]:
    """Return the counts of a Rating, by name, per language and model, each from the model's own view: [L, M] each."""
    sign = np.sign(np.where(games.rated, games.score, np.nan) - 0.5)
    both_views: dict[str, tuple[Flags, Flags]] = {
        "wins": (sign > 0, sign < 0),
        "losses": (sign < 0, sign > 0),
        "ties": (sign == 0, sign == 0),
        "prompt_wins": (games.agreed == WON, games.agreed == LOST),
        "prompt_losses": (games.agreed == LOST, games.agreed == WON),
        "prompt_ties": (games.agreed == TIED, games.agreed == TIED),
        "inconsistent": (games.agreed == DISAGREED, games.agreed == DISAGREED),
        "n_games": (games.agreed <= NO_MATCH, games.agreed <= NO_MATCH),
        "n_unparsed": (np.isnan(games.score), np.isnan(games.score)),
        "n_unpaired": (games.unpaired, games.unpaired),
    }
    size = len(games.models)
    places = games.language * size + games.first, games.language * size + games.second
    cells = len(games.languages) * size
    return {
        name: sum(
            (np.bincount(place[rows], minlength=cells) for place, rows in zip(places, views, strict=True)),
            start=np.zeros(cells, dtype=np.int64),
        ).reshape(len(games.languages), size)
        for name, views in both_views.items()
    }


def _cells(rated: Games, columns: int, views: Sequence[tuple[Integers, Floats]]) -> Cells:
    """Return the cells of ``rated``; each view names the column and the score of every game."""
    most = max(rated.clusters, 1)
    stratum, strata = _renumbered(rated.language * most + rated.cluster, len(rated.languages) * most)
    shape = (len(strata), columns)
    weight, score = np.zeros(len(strata) * columns), np.zeros(len(strata) * columns)
    for column, share in views:
        place = stratum * columns + column
        weight += np.bincount(place, rated.weight, len(weight))
        score += np.bincount(place, rated.weight * share, len(score))
    starts = np.searchsorted(strata, np.arange(len(rated.languages) + 1) * max(rated.clusters, 1))
    return Cells(
        clusters=rated.clusters,
        bounds=tuple(int(start) for start in starts),
        cluster=strata % max(rated.clusters, 1),
        weight=weight.reshape(shape),
        score=score.reshape(shape),
    )
