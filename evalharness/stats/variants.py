"""The columns of two models' tasks in, how a variant differs from its base in a category out: points and ratios.

After Aryabumi et al. 2024, "To Code, or Not To Code?" (arXiv 2408.10914).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evalharness.stats.categories import Column, Figure, Part, common_scale, figures, fitted, inside, sums_of
from evalharness.stats.coded import Coded
from evalharness.stats.corpus import Scale
from evalharness.stats.games import Floats
from evalharness.stats.intervals import Resampling
from evalharness.stats.rates import ratio
from evalharness.stats.suites import MISSING_LANGUAGES, MISSING_TASKS

BASE_AT_CHANCE = "base_at_chance"
NO_SHARED_PROMPTS = "no_shared_prompts"
_USUAL = Resampling()


@dataclass(frozen=True, slots=True)
class TaskScores:
    """A task of a category: its column, the scores as numbers, its weight; ``certain`` marks a base that is 1/2 by definition."""

    column: Column
    coded: Coded
    weight: float = 1.0
    certain: bool = False

    @property
    def floor(self) -> float:
        """What a base must be above to be divided by: chance, else the lowest value, else 0."""
        column = self.column
        return column.chance if column.chance is not None else column.scale[0] if column.scale is not None else 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """How a variant differs from its base on the prompts of both.

    With S the weighted mean over tasks, ``difference`` is S(variant) - S(base), ``relative`` that over S(base) (the ratio of
    means), ``mean_of_ratios`` the mean over tasks of (m(variant) - m(base)) / m(base). Both are fractions, and ``None`` with
    the reason ``base_at_chance`` where the interval of the base reaches chance or below; ``at_chance`` names those tasks.
    """

    base_value: Figure
    difference: Figure
    relative: Figure
    mean_of_ratios: Figure
    at_chance: tuple[str, ...] = ()
    n_shared: int = 0


def value_of(
    tested: Sequence[TaskScores], model: str, average: str = "macro", how: Resampling = _USUAL
) -> tuple[Figure, int]:
    """Return the weighted mean over tasks of the values of ``model``, and the number of its prompts."""
    scale, reason = common_scale([each.column for each in tested])
    if reason:
        return Figure(reason=reason), 0
    parts = [_part(each, [model], scale, average) for each in tested]
    n_prompts = sum(part.sums.clusters for part in parts)
    if not all(np.isfinite(part.values).all() for part in parts):
        return Figure(reason=MISSING_LANGUAGES if n_prompts else MISSING_TASKS), n_prompts
    return inside(figures(parts, _mean(parts), how)[0], scale), n_prompts


def change(
    tested: Sequence[TaskScores], model: str, base: str, average: str = "macro", how: Resampling = _USUAL
) -> Change:
    """Return how ``model`` differs from ``base`` in the tasks ``tested``, on the prompts and languages of both.

    Each draw takes the same prompts for both. The mean of ratios of one task is the ratio of means.
    """
    scale, reason = common_scale([each.column for each in tested])
    parts = [] if reason else [_part(each, [model, base], scale, average, shared=True) for each in tested]
    if reason or not all(part.sums.clusters for part in parts):
        none = Figure(reason=reason or NO_SHARED_PROMPTS)
        return Change(none, none, none, none)
    _, of_base, difference, relative, ratios, *bases = figures(parts, _statistic(parts), how)
    floors = [part.offset + part.factor * each.floor for part, each in zip(parts, tested, strict=True)]
    weights = np.array([part.weight for part in parts])
    whole = float((weights * np.array(floors)).sum() / weights.sum())
    faults = [
        None if each.certain else _unfit(own, floor) for each, own, floor in zip(tested, bases, floors, strict=True)
    ]
    fault = None if all(each.certain for each in tested) else _unfit(of_base, whole)
    worst = BASE_AT_CHANCE if BASE_AT_CHANCE in faults else next((each for each in faults if each), None)
    least = (-1.0, math.inf) if scale is not None and scale[0] >= 0 else None
    return Change(
        base_value=inside(of_base, scale),
        difference=inside(difference, None if scale is None else (scale[0] - scale[1], scale[1] - scale[0])),
        relative=Figure(reason=fault) if fault else inside(relative, least),
        mean_of_ratios=Figure(reason=worst) if worst else inside(ratios, least),
        at_chance=tuple(
            each.column.task for each, found in zip(tested, faults, strict=True) if found == BASE_AT_CHANCE
        ),
        n_shared=sum(part.sums.clusters for part in parts),
    )


def _part(each: TaskScores, models: Sequence[str], scale: Scale | None, average: str, *, shared: bool = False) -> Part:
    sums = sums_of(each.coded, models, each.column.corpus, average, shared=shared)
    return Part(each.column.task, sums, each.weight, *fitted(each.column, scale))


def _shares(parts: Sequence[Part]) -> Floats:
    weights = np.array([part.weight for part in parts])
    return np.asarray(weights / weights.sum())


def _mean(parts: Sequence[Part]) -> Callable[[Floats], Floats]:
    share = _shares(parts)[:, None]
    return lambda values: np.asarray((values * share).sum(axis=-2))


def _statistic(parts: Sequence[Part]) -> Callable[[Floats], Floats]:
    """Return the map of values [..., T, 2] (variant, base) to both means, the difference, both ratios, and T base values."""
    share = _shares(parts)

    def statistic(values: Floats) -> Floats:
        own, base = values[..., 0], values[..., 1]
        mean, of_base = (own * share).sum(axis=-1), (base * share).sum(axis=-1)
        ratios = (ratio(own - base, base) * share).sum(axis=-1)
        numbers = [mean, of_base, mean - of_base, ratio(mean - of_base, of_base), ratios]
        return np.concatenate([np.stack(numbers, axis=-1), base], axis=-1)

    return statistic


def _unfit(base: Figure, floor: float) -> str | None:
    """Return why nothing is divided by ``base``: its interval reaches ``floor`` or below, or it has none."""
    if base.value is not None and base.value <= floor:
        return BASE_AT_CHANCE
    if base.low is None:
        return base.reason or NO_SHARED_PROMPTS
    return BASE_AT_CHANCE if base.low <= floor else None
