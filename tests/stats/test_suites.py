"""Figures of categories: means over tasks by hand, their intervals, chance, what is missing, and win rates beside them."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalharness.scoring.likelihood import corpus_bits
from evalharness.stats.categories import Column, Part, figures, sums_of
from evalharness.stats.intervals import Resampling, percentiles
from evalharness.stats.student import t_quantile
from evalharness.stats.suites import CategoryRow, score_rows, weighted, win_rate_rows
from evalharness.types import Score

HOW = Resampling(rounds=300)


def column(task: str, values: list[float], model: str = "m", metric: str = "acc", **more: Any) -> Column:
    scores = [Score(task, "1", f"p{at}", "de", model, metric, "none", value) for at, value in enumerate(values)]
    return Column(task, metric, "none", scores, **more)


def row(columns: list[Column], model: str = "m", **category: Any) -> CategoryRow:
    tasks = {"tasks": list(dict.fromkeys(each.task for each in columns))}
    (found,) = score_rows("s", "c", {**tasks, **category}, columns, [model], how=HOW)
    return found


def test_a_category_is_the_mean_of_its_tasks_with_their_errors_put_together() -> None:
    # a: 4 of 5, variance of the mean .16 * 5/4 / 5 = .04; b: 1 of 4, .1875 * 4/3 / 4 = .0625. Mean (.8 + .25) / 2 = .525,
    # variance (.04 + .0625) / 4; degrees of freedom (.1025)^2 / (.04^2 / 4 + .0625^2 / 3).
    found = row([column("a", [1, 1, 1, 1, 0], chance=0.25), column("b", [1, 0, 0, 0], chance=0.5)])
    half = t_quantile(0.975, 0.1025**2 / (0.04**2 / 4 + 0.0625**2 / 3)) * math.sqrt(0.1025 / 4)
    assert found.value == pytest.approx(0.525)
    assert (found.ci_low, found.ci_high) == pytest.approx((max(0, 0.525 - half), min(1, 0.525 + half)))
    assert (found.interval, found.n_tasks, found.n_prompts, found.chance) == ("clustered-t", 2, 9, pytest.approx(0.375))
    assert found.columns == ("a acc/none", "b acc/none")


def test_weights_are_of_tasks_and_selectors_may_name_languages() -> None:
    columns = [column("a", [1, 1, 1, 1, 0], chance=0.0), column("b", [1, 0, 0, 0], chance=0.4)]
    found = row(columns, tasks=["a[de,fr]", "b"], weights={"a": 3.0})
    assert (found.value, found.chance) == (pytest.approx((3 * 0.8 + 0.25) / 4), pytest.approx(0.1))
    assert found.weights == (0.75, 0.25)


def test_many_prompts_are_drawn_again_in_each_task_by_itself() -> None:
    draw = random.Random(1)
    columns = [column(task, [float(draw.random() < 0.6) for _ in range(n)]) for task, n in (("a", 40), ("b", 90))]
    found = row(columns)
    assert found.interval == "bootstrap" and found.ci_low is not None and found.ci_high is not None
    variance = sum(np.var([s.value for s in each.scores], ddof=1) / len(each.scores) for each in columns) / 4
    assert (found.ci_high - found.ci_low) / (2 * 1.96 * math.sqrt(variance)) == pytest.approx(1, abs=0.15)
    assert row(columns[::-1]) == replace(found, columns=found.columns[::-1], tasks=found.tasks[::-1])
    # a draw of a task is the same whatever stands beside it
    parts = [Part(each.task, sums_of(each.coded(), ["m"], None, "macro")) for each in columns]
    alone = figures(parts[:1], weighted([1]), HOW)[0]
    drawn = figures(parts, lambda values: values[..., 0, :], HOW)[0]
    assert (drawn.low, drawn.high) == (alone.low, alone.high)


def test_percentiles_are_those_of_the_means_of_independent_draws() -> None:
    draw = random.Random(2)
    same = [draw.random() for _ in range(35)]
    columns = [column(task, same) for task in "ab"]
    parts = [Part(each.task, sums_of(each.coded(), ["m"], None, "macro")) for each in columns]
    seen: list[np.ndarray] = []

    def statistic(values: np.ndarray) -> np.ndarray:
        seen.append(values)
        return np.asarray(values.mean(axis=-2))

    (found,) = figures(parts, statistic, HOW)
    values = seen[-1]
    assert values.shape == (300, 2, 1)
    assert abs(np.corrcoef(values[:, 0, 0], values[:, 1, 0])[0, 1]) < 0.2
    assert (found.low, found.high) == pytest.approx(tuple(percentiles(values.mean(axis=(1, 2)), 35, 0.95)))


def test_a_model_without_one_of_the_tasks_has_no_figure_and_says_which() -> None:
    columns = [column("a", [1, 0, 1, 1]), column("b", [1, 0, 1, 1], model="other")]
    found = row(columns)
    assert (found.value, found.reason, found.missing_tasks, found.chance) == (None, "missing_tasks", ("b",), None)
    nothing = row(columns, model="none at all")
    assert (nothing.value, nothing.reason, nothing.missing_tasks) == (None, "no_scores", ("a", "b"))
    few = row([column("a", [1, 0, 1, 1]), column("b", [1, 0, 1])])
    assert (few.value, few.ci_low, few.reason) == (pytest.approx((0.75 + 2 / 3) / 2), None, "too_few_prompts")


def test_different_scales_meet_on_0_to_1_and_values_without_bounds_only_among_their_own() -> None:
    acc = column("a", [1, 1, 1, 0], chance=0.5)
    stars = column("b", [1, 4, 2, 3], metric="stars", scale=(1.0, 5.0), chance=2.0)
    found = row([acc, stars])
    assert found.value == pytest.approx((0.75 + (2.5 - 1) / 4) / 2)
    assert (found.range, found.chance) == ((0.0, 1.0), pytest.approx((0.5 + 0.25) / 2))
    assert row([stars]).range == (1.0, 5.0)

    def texts(task: str, nats: list[float]) -> Column:
        made = column(task, nats, metric="bits", scale=None, corpus=corpus_bits, higher_is_better=False)
        return replace(made, scores=[replace(s, parts=(s.value or 0.0, 2.0)) for s in made.scores])

    assert row([texts("a", [2, 4, 6, 8]), texts("b", [1, 2, 3, 4])]).value == pytest.approx(
        (2.5 + 1.25) / 2 / math.log(2)
    )
    mixed = row([acc, texts("b", [1, 2, 3, 4])])
    assert (mixed.value, mixed.reason, mixed.chance) == (None, "no_common_scale", None)
    worse = row([acc, replace(acc, task="c", higher_is_better=False)])
    assert worse.reason == "no_common_scale"


def test_a_category_may_name_its_metric_and_takes_the_headline_else() -> None:
    columns = [column("a", [1, 1, 1, 0]), column("a", [0, 0, 1, 0], metric="f1", headline=False)]
    assert row(columns).value == 0.75
    assert row(columns, metric="f1").value == 0.25


def test_win_rates_are_those_of_the_rating_and_never_of_other_tasks() -> None:
    rating = {"win_rate": 0.6, "ci_low": 0.5, "ci_high": 0.7, "interval": "bootstrap", "reason": None, "n_prompts": 40}
    ratings = {"j": [{"model": "m", **rating}], "k": [{"model": "m", **rating}]}
    category = {"tasks": ["open"], "label": "win rate"}
    judged = {"j": ["open"], "k": ["other"]}
    (found, none) = win_rate_rows("s", "open-ended", category, ratings, judged, ["m", "n"])
    assert (found.value, found.ci_low, found.n_prompts, found.judge, found.kind) == (0.6, 0.5, 40, "j", "win-rate")
    assert (none.value, none.reason) == (None, "no_scores")
    (wide,) = win_rate_rows("s", "c", category, ratings, {"j": ["open", "more"]}, ["m"])
    assert (wide.value, wide.reason) == (None, "rating_covers_other_tasks")
    (part,) = win_rate_rows("s", "c", {"tasks": ["open", "x"]}, ratings, {"j": ["open"]}, ["m"])
    assert (part.value, part.reason, part.missing_tasks) == (None, "missing_tasks", ("x",))
