"""The scores of several tasks in, figures of a category with intervals out: prompts are drawn again within each task.

A category's figure is the mean over its tasks, so its error is made of theirs, which are independent of each other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from evalharness.stats.coded import Coded, coded_scores, parts_of
from evalharness.stats.corpus import Corpus, Scale, Sums, mean, summed
from evalharness.stats.games import Floats
from evalharness.stats.intervals import (
    BOOTSTRAP,
    CLUSTERED_T,
    FEWEST,
    FEWEST_FOR_BOOTSTRAP,
    TOO_FEW_PROMPTS,
    Resampling,
    percentiles,
)
from evalharness.stats.resample import draws
from evalharness.stats.student import t_quantile
from evalharness.types import Score

NO_SPREAD = "no_spread"
UNDEFINED = "undefined_without_a_prompt"
_POINT = 1e-9


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a task's results with the scores behind it.

    ``scale`` is (lowest, highest), ``None`` without bounds; ``chance`` is what guessing scores, ``corpus`` as in a Metric.
    """

    task: str
    metric: str
    filter: str
    scores: Sequence[Score]
    scale: Scale | None = (0.0, 1.0)
    corpus: Corpus | None = None
    chance: float | None = None
    headline: bool = True
    higher_is_better: bool = True

    @property
    def name(self) -> str:
        """Task, metric and filter as one word."""
        return f"{self.task} {self.metric}/{self.filter}"

    def coded(self) -> Coded:
        """Return the scores as numbers."""
        return coded_scores(self.scores, [parts_of(score, self.corpus) for score in self.scores])[0]


@dataclass(frozen=True, slots=True)
class Part:
    """A task's share in a category: its ``sums``, a column a model, and the place of its scale in that of the category.

    A value v of the task is ``offset + factor * v`` in the category.
    """

    task: str
    sums: Sums
    weight: float = 1.0
    offset: float = 0.0
    factor: float = 1.0

    @property
    def values(self) -> Floats:
        """The macro mean over languages [K], on the category's scale."""
        return np.asarray(self.offset + self.factor * self.sums.values()[0])


class Figure(NamedTuple):
    """A number with its interval; ``None`` is unknown, ``reason`` says why."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    reason: str | None = None


def sums_of(coded: Coded, models: Sequence[str], corpus: Corpus | None, average: str, *, shared: bool = False) -> Sums:
    """Return the sums of ``models``, a column each; of ``shared`` prompts only those that all of them have a score for.

    With ``average`` micro all languages are taken for one.
    """
    place = np.full(len(coded.models), -1, dtype=np.int64)
    place[[coded.models.index(model) for model in models]] = range(len(models))
    rows = place[coded.model] >= 0
    if shared:
        key = coded.prompt * len(coded.languages) + coded.language
        have = [np.unique(key[coded.known & (place[coded.model] == at)]) for at in range(len(models))]
        rows &= np.isin(key, reduce(np.intersect1d, have))
        coded, rows = coded.where(rows), np.ones(int(rows.sum()), dtype=np.bool_)
    own = coded if average == "macro" else coded.pooled()
    shape = (len(own.languages), len(models))
    return summed(own.parts[rows], own.prompt[rows], own.language[rows], place[own.model[rows]], shape, corpus or mean)


def common_scale(columns: Sequence[Column]) -> tuple[Scale | None, str | None]:
    """Return the scale on which values of ``columns`` have a mean, and why there is none.

    It is theirs where they have the same one, and 0..1 where they have different ones that are bounded and for all of
    which higher is better. Values without bounds have a mean only with those of the same metric.
    """
    scales = {column.scale for column in columns}
    one_way = len({column.higher_is_better for column in columns}) == 1
    if len(scales) == 1 and one_way:
        scale = scales.pop()
        same = scale is not None or len({column.metric for column in columns}) == 1
        return scale, None if same else "no_common_scale"
    bounded = None not in scales and one_way and columns[0].higher_is_better
    return ((0.0, 1.0), None) if bounded else (None, "no_common_scale")


def fitted(column: Column, scale: Scale | None) -> tuple[float, float]:
    """Return (offset, factor) that take a value of ``column`` to ``scale``."""
    if column.scale is None or scale is None or column.scale == scale:
        return 0.0, 1.0
    (low, high), (first, last) = column.scale, scale
    factor = (last - first) / (high - low)
    return first - low * factor, factor


def figures(parts: Sequence[Part], statistic: Callable[[Floats], Floats], how: Resampling) -> list[Figure]:
    """Return M statistics of the tasks' values; ``statistic`` maps values [..., T, K] to [..., M].

    All columns of a part must have the same prompts. Where each task has 30 prompts or more, intervals are expanded
    percentiles of draws, independent from task to task; else statistic ± t times the error of the jackknife, stratified by
    task, with Satterthwaite's degrees of freedom. Where a task has under 4 prompts there is none.
    """
    values = np.stack([part.values for part in parts])
    found = statistic(values)
    fewest = min(part.sums.clusters for part in parts)
    if fewest < FEWEST:
        return [Figure(_known(value), reason=TOO_FEW_PROMPTS) for value in found]
    if fewest >= FEWEST_FOR_BOOTSTRAP:
        drawn = statistic(np.stack([_drawn(part, how) for part in parts], axis=1))
        bounds = percentiles(drawn, fewest, how.level)
        return [_figure(value, low, high, BOOTSTRAP) for value, low, high in zip(found, *bounds, strict=True)]
    error, freedom = _error(parts, values, statistic)
    return [
        _figure(value, value - half, value + half, CLUSTERED_T)
        for value, half in zip(found, _halves(error, freedom, how.level), strict=True)
    ]


def _drawn(part: Part, how: Resampling) -> Floats:
    """Return draws [R, K] of a task's values; its seed is made of the run's and its name, whatever stands beside it."""
    seed = int.from_bytes(hashlib.sha256(f"{how.seed} {part.task}".encode()).digest()[:8], "big")

    def statistic(multiplicity: Floats) -> Floats:
        return part.sums.resampled(multiplicity)[:, 0]

    drawn = draws(statistic, part.sums.clusters, rounds=how.rounds, seed=seed).values
    return part.offset + part.factor * drawn


def _error(parts: Sequence[Part], values: Floats, statistic: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Return errors and degrees of freedom [M]: Var = sum_t Var_t, df = Var^2 / sum_t (Var_t^2 / (G_t - 1))."""
    variances, counts = [], []
    for at, part in enumerate(parts):
        changed = np.repeat(values[None], part.sums.clusters, axis=0)
        changed[:, at] += part.factor * part.sums.changes()[:, 0]
        without = statistic(changed)
        count = part.sums.clusters
        variances.append((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        counts.append(count)
    each = np.stack(variances)
    whole = each.sum(axis=0)
    below = (each**2 / (np.array(counts)[:, None] - 1)).sum(axis=0)
    return np.sqrt(whole), np.where(below > 0, whole**2 / np.where(below > 0, below, 1.0), 1.0)


def _halves(error: Floats, freedom: Floats, level: float) -> list[float]:
    return [
        t_quantile(0.5 + 0.5 * level, float(df)) * float(one) if math.isfinite(one) else math.nan
        for one, df in zip(error, freedom, strict=True)
    ]


def _figure(value: float, low: float, high: float, method: str) -> Figure:
    if not math.isfinite(value):
        return Figure()
    if not (math.isfinite(low) and math.isfinite(high)):
        return Figure(float(value), reason=UNDEFINED)
    if high - low <= _POINT:
        return Figure(float(value), reason=NO_SPREAD)
    return Figure(float(value), float(low), float(high), method)


def inside(figure: Figure, scale: Scale | None) -> Figure:
    """Return ``figure`` with its bounds kept inside ``scale``."""
    if scale is None or figure.low is None or figure.high is None:
        return figure
    return figure._replace(low=max(scale[0], figure.low), high=min(scale[1], figure.high))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
