"""A stored run and its scores in, the results of its tasks out: a row a metric, filter, model and group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from evalharness.scoring import METRICS
from evalharness.stages.derive import Stored
from evalharness.stages.measure import Column, columns, scored_tasks
from evalharness.stats.groups import Average
from evalharness.stats.intervals import Resampling
from evalharness.stats.scores import means, plain_row
from evalharness.types import Score


def metric_tables(run: Stored, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the rows of ``results`` for the tasks of ``run`` that metrics score: means and corpus values with intervals."""
    by_column: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        by_column.setdefault((score.task, score.metric, score.filter), []).append(score)
    plan = run.run.plan
    return [
        row
        for task in scored_tasks(plan)
        for column in columns(plan, task)
        for row in _rows(run, task, column, by_column.get((column.task, column.name, column.filter), []))
    ]


def _rows(run: Stored, task: Mapping[str, Any], column: Column, scores: Sequence[Score]) -> list[dict[str, Any]]:
    metric, statistics = METRICS[column.metric], run.run.plan["statistics"]
    found = means(
        scores, metric.range, corpus=metric.corpus, average=cast("Average", statistics["average"]),
        how=Resampling(statistics["level"], statistics["rounds"], statistics["seed"]),
        sizes={model["name"]: model["size_b"] for model in run.run.plan["models"]},
    )  # fmt: skip
    about = {
        "judge": None, "task": column.task, "task_version": task["version"], "metric": column.name, "filter": column.filter,
        "chance": column.chance, "headline": column.headline, "range": metric.range,
        "higher_is_better": metric.higher_is_better, "suite_category": task["suite_category"],
    }  # fmt: skip
    return [{**about, **plain_row(mean)} for mean in found]
