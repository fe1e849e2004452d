"""The columns of a suite's tasks, or ratings, in; one figure a category and model, with its interval, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evalharness.stats.categories import Column, Figure, Part, common_scale, figures, fitted, inside, sums_of
from evalharness.stats.corpus import Scale
from evalharness.stats.games import Floats
from evalharness.stats.intervals import Resampling

SCORE, WIN_RATE = "score", "win-rate"
MISSING_TASKS, MISSING_LANGUAGES, NO_SCORES = "missing_tasks", "missing_languages", "no_scores"
OTHER_TASKS = "rating_covers_other_tasks"
_USUAL = Resampling()


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """A model's figure in a category; ``None`` is unknown, ``reason`` says why.

    ``kind`` is ``score`` (the weighted mean of its tasks' values) or ``win-rate`` (that of a rating, by ``judge``).
    ``missing_tasks`` are those the model has no value in; ``chance`` is the mean of the tasks' chances, ``None`` where one
    is unknown. ``columns`` says what was averaged: task, metric and filter. ``range`` is the scale of ``value``,
    ``n_missing`` counts answers without a score, or games without a verdict.
    """

    suite: str
    category: str
    label: str
    kind: str
    model: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    interval: str | None
    reason: str | None
    n_tasks: int
    n_prompts: int
    missing_tasks: tuple[str, ...]
    chance: float | None
    tasks: tuple[str, ...]
    weights: tuple[float, ...]
    columns: tuple[str, ...] = ()
    range: Scale | None = None
    judge: str | None = None
    metric: str | None = None
    n_missing: int = 0


def task_names(category: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a category's tasks, which may be written with their languages (``xcopa[id,vi]``)."""
    return tuple(dict.fromkeys(str(task).partition("[")[0].strip() for task in category["tasks"]))


def weights_of(category: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the weight of each task, which add up to 1; one that is not named has the weight 1 before that."""
    given = category.get("weights") or {}
    weights = [float(given.get(task, 1.0)) for task in task_names(category)]
    return tuple(weight / sum(weights) for weight in weights)


def chosen(columns: Iterable[Column], model: str, metric: str | None = None) -> dict[str, Column]:
    """Return the column of each task that ``model`` has scores in: the headline's, or that of ``metric``, the first."""
    found: dict[str, Column] = {}
    for column in columns:
        wanted = column.headline if metric is None else column.metric == metric
        if wanted and column.task not in found and any(score.model == model for score in column.scores):
            found[column.task] = column
    return found


def score_rows(
    suite: str,
    name: str,
    category: Mapping[str, Any],
    columns: Sequence[Column],
    models: Sequence[str],
    *,
    average: str = "macro",
    how: Resampling = _USUAL,
) -> list[CategoryRow]:
    """Return a row a model with the weighted mean of its values in the tasks of ``category``.

    ``category`` has ``tasks`` and may have ``weights``, ``metric`` and ``label``. A task's value is the macro mean over its
    languages (pooled with ``average`` micro). A model without a value in a task has none in the category. Values on different
    bounded scales are put on 0..1 first.
    """
    rows = []
    for model in models:
        own = chosen(columns, model, category.get("metric"))
        rows.append(
            _score_row(suite, name, category, [own.get(task) for task in task_names(category)], model, average, how)
        )
    return rows


def _score_row(
    suite: str,
    name: str,
    category: Mapping[str, Any],
    columns: Sequence[Column | None],
    model: str,
    average: str,
    how: Resampling,
) -> CategoryRow:
    tasks, weights = task_names(category), weights_of(category)
    found = [(column, weight) for column, weight in zip(columns, weights, strict=True) if column is not None]
    have = [column for column, _ in found]
    scale, reason = common_scale(have) if have else (None, NO_SCORES)
    coded = [column.coded() for column in have]
    parts = [
        Part(column.task, sums_of(own, [model], column.corpus, average), weight, *fitted(column, scale))
        for (column, weight), own in zip(found, coded, strict=True)
    ]
    known = {part.task for part in parts if np.isfinite(part.values[0])}
    missing = tuple(task for task in tasks if task not in known)
    figure = Figure(reason=reason or (MISSING_TASKS if missing else None))
    if figure.reason is None:
        figure = inside(figures(parts, weighted([part.weight for part in parts]), how)[0], scale)
    return CategoryRow(
        suite=suite, category=name, label=category.get("label") or name, kind=SCORE, model=model, value=figure.value,
        ci_low=figure.low, ci_high=figure.high, interval=figure.interval, reason=figure.reason, n_tasks=len(tasks),
        n_prompts=sum(part.sums.clusters for part in parts), missing_tasks=missing,
        chance=None if len(have) < len(tasks) or reason else chance_of(have, [weight for _, weight in found], scale),
        tasks=tasks, weights=weights, columns=tuple(column.name for column in have), range=scale, metric=category.get("metric"),
        n_missing=sum(own.missing(model) for own in coded),
    )  # fmt: skip


def weighted(weights: Sequence[float]) -> Any:
    """Return the statistic that maps values [..., T, K] to their means over tasks [..., K]."""
    share = np.array(weights) / sum(weights)

    def statistic(values: Floats) -> Floats:
        return np.asarray((values * share[:, None]).sum(axis=-2))

    return statistic


def chance_of(columns: Sequence[Column], weights: Sequence[float], scale: Scale | None) -> float | None:
    """Return the weighted mean of the chances of ``columns`` on ``scale``, ``None`` where one is unknown."""
    total = 0.0
    for column, weight in zip(columns, weights, strict=True):
        if column.chance is None:
            return None
        offset, factor = fitted(column, scale)
        total += weight * (offset + factor * column.chance)
    return total / sum(weights)


def win_rate_rows(
    suite: str,
    name: str,
    category: Mapping[str, Any],
    ratings: Mapping[str, Sequence[Mapping[str, Any]]],
    judged: Mapping[str, Sequence[str]],
    models: Sequence[str],
) -> list[CategoryRow]:
    """Return a row a judge and model with the win rate of its rating and that rating's interval.

    ``ratings`` holds the rows over all games of each judge, ``judged`` its tasks. A judge of none of the category's tasks has
    no rows; one that judges others as well has no value here.
    """
    tasks, weights, rows = task_names(category), weights_of(category), []
    for judge, found in ratings.items():
        if not set(judged.get(judge, ())) & set(tasks):
            continue
        by_model = {row["model"]: row for row in found}
        missing = tuple(task for task in tasks if task not in judged[judge])
        other = bool(set(judged[judge]) - set(tasks))
        for model in models:
            row = by_model.get(model)
            reason = OTHER_TASKS if other else MISSING_TASKS if missing else None if row else NO_SCORES
            value = row if row is not None and reason is None else {}
            rows.append(CategoryRow(
                suite=suite, category=name, label=category.get("label") or name, kind=WIN_RATE, model=model,
                value=value.get("win_rate"), ci_low=value.get("ci_low"), ci_high=value.get("ci_high"),
                interval=value.get("interval"), reason=reason or value.get("reason"), n_tasks=len(tasks),
                n_prompts=value.get("n_prompts", 0), missing_tasks=missing, chance=None, tasks=tasks, weights=weights,
                range=(0.0, 1.0), judge=judge, n_missing=value.get("n_unparsed", 0),
            ))  # fmt: skip
    return rows
