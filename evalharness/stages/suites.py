"""The tables of a run and its single scores in, the rows of its suites out: a figure a category and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evalharness.scoring import METRICS
from evalharness.stats.categories import Column
from evalharness.stats.intervals import Resampling
from evalharness.stats.scores import plain_row
from evalharness.stats.suites import SCORE, WIN_RATE, score_rows, win_rate_rows
from evalharness.tables import ALL
from evalharness.types import Score


def score_columns(results: Iterable[Mapping[str, Any]], scores: Iterable[Score]) -> list[Column]:
    """Return the columns of the rows of ``results``, each with its ``scores``, in their order."""
    by_column: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        by_column.setdefault((score.task, score.metric, score.filter), []).append(score)
    about = {(row["task"], row["metric"], row["filter"]): row for row in results if row["by"] == ALL}
    return [
        Column(
            task=row["task"], metric=row["metric"], filter=row["filter"], scores=by_column.get(key, []),
            scale=None if row["range"] is None else (row["range"][0], row["range"][1]),
            corpus=METRICS[row["metric"]].corpus if row["metric"] in METRICS else None, chance=row["chance"],
            headline=row["headline"], higher_is_better=row["higher_is_better"],
        )
        for key, row in about.items()
    ]  # fmt: skip


def suite_tables(
    suites: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], scores: Iterable[Score]
) -> list[dict[str, Any]]:
    """Return the rows of ``suites`` (of a stored plan: ``suite`` and ``categories``) for the models of ``summary``.

    ``scores`` are those of metrics and of judges of single answers; of ``summary`` the results, ratings, judges, models and
    statistics are used. A category of ``kind`` win-rate takes the win rates of the ratings; without a kind it has those of
    what its tasks have: scores, games, or both.
    """
    if not suites:
        return []
    statistics = summary["statistics"]
    how = Resampling(statistics["level"], statistics["rounds"], statistics["seed"])
    columns = score_columns(summary["results"], scores)
    models = [model["name"] for model in summary["models"]]
    ratings = {judge: axes[ALL] for judge, axes in summary["ratings"].items()}
    judged = {judge["name"]: judge["tasks"] for judge in summary["judges"]}
    scored = {column.task for column in columns}
    rows = []
    for suite in suites:
        for name, category in suite["categories"].items():
            kind = category.get("kind")
            tasks = {str(task).partition("[")[0] for task in category["tasks"]}
            if kind == SCORE or (kind is None and tasks & scored):
                rows += score_rows(
                    suite["suite"], name, category, columns, models, average=statistics["average"], how=how
                )
            if kind in (WIN_RATE, None):
                rows += win_rate_rows(suite["suite"], name, category, ratings, judged, models)
    versions = {suite["suite"]: suite.get("version") for suite in suites}
    return [{**plain_row(row), "version": versions[row.suite]} for row in rows]
