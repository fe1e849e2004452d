"""A variant against its base: laws of points and ratios, and their intervals against independent computations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stats.categories import Column
from evalharness.stats.intervals import Resampling
from evalharness.stats.student import t_quantile
from evalharness.stats.variants import TaskScores, change, value_of
from evalharness.types import Score

HOW = Resampling(rounds=200)


def pair(
    task: str, own: list[float | None], base: list[float | None], chance: float | None = None, factor: float = 1.0
) -> TaskScores:
    scores = [
        Score(task, "1", f"p{at}", "de", model, "acc", "f", None if value is None else factor * value)
        for model, values in (("v", own), ("b", base))
        for at, value in enumerate(values)
    ]
    column = Column(task, "acc", "f", scores, scale=(0.0, factor), chance=chance)
    return TaskScores(column, column.coded())


def drawn(n: int, seed: int, low: float = 0.2) -> list[float | None]:
    draw = random.Random(seed)
    return [draw.uniform(low, 1.0) for _ in range(n)]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([6, 35]), st.integers(0, 500))
def test_a_model_against_itself_is_0_in_points_and_in_both_ratios(n: int, seed: int) -> None:
    tasks = [pair(task, values, values) for task, values in (("x", drawn(n, seed)), ("y", drawn(n, seed + 1)))]
    found = change(tasks, "v", "b", how=HOW)
    assert (found.difference.value, found.relative.value, found.mean_of_ratios.value) == (0.0, 0.0, 0.0)
    assert found.difference.reason == found.relative.reason == "no_spread"


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([6, 35]), st.integers(0, 500), st.floats(0.5, 100))
def test_one_task_makes_both_ratios_equal_and_a_factor_on_all_metrics_changes_neither(
    n: int, seed: int, factor: float
) -> None:
    own, base = drawn(n, seed), drawn(n, seed + 7)
    one = change([pair("x", own, base)], "v", "b", how=HOW)
    assert one.relative == pytest.approx(one.mean_of_ratios)
    other = change([pair("x", own, base, factor=factor)], "v", "b", how=HOW)
    for mine, its in ((one.relative, other.relative), (one.mean_of_ratios, other.mean_of_ratios)):
        assert its[:3] == pytest.approx(mine[:3])
    assert other.difference.value == pytest.approx(factor * (one.difference.value or 0))


def test_the_interval_of_a_ratio_is_the_stratified_jackknife() -> None:
    values = {"x": (drawn(6, 1), drawn(6, 2)), "y": (drawn(8, 3), drawn(8, 4))}
    found = change([pair(task, *both) for task, both in values.items()], "v", "b", how=HOW)
    arrays = {task: np.array(pair, dtype=float) for task, pair in values.items()}

    def relative(data: dict[str, np.ndarray]) -> float:
        own, base = (np.mean([pair[side].mean() for pair in data.values()]) for side in (0, 1))
        return float(own / base - 1)

    def ratios(data: dict[str, np.ndarray]) -> float:
        return float(np.mean([pair[0].mean() / pair[1].mean() - 1 for pair in data.values()]))

    for statistic, figure in ((relative, found.relative), (ratios, found.mean_of_ratios)):
        error, freedom = jackknife(arrays, statistic)
        half = t_quantile(0.975, freedom) * error
        whole = statistic(arrays)
        assert figure[:4] == (
            pytest.approx(whole),
            pytest.approx(whole - half),
            pytest.approx(whole + half),
            "clustered-t",
        )


def jackknife(data: dict[str, np.ndarray], statistic: Callable[[dict[str, np.ndarray]], float]) -> tuple[float, float]:
    """Return error and Satterthwaite's degrees of freedom of ``statistic``, prompt by prompt left out."""
    variances, freedoms = [], []
    for task, pair in data.items():
        n = pair.shape[1]
        without = np.array([statistic({**data, task: np.delete(pair, at, axis=1)}) for at in range(n)])
        variances.append((n - 1) / n * ((without - without.mean()) ** 2).sum())
        freedoms.append(n - 1)
    total = sum(variances)
    return math.sqrt(total), total**2 / sum(v**2 / df for v, df in zip(variances, freedoms, strict=True))


def test_the_same_prompts_are_drawn_for_both() -> None:
    draw = random.Random(4)
    hard = [draw.random() for _ in range(60)]
    found = change([pair("x", [h * 0.5 + 0.3 for h in hard], [h * 0.5 + 0.2 for h in hard])], "v", "b", how=HOW)
    assert found.difference.value == pytest.approx(0.1)
    assert found.difference.reason == "no_spread"  # what makes prompts hard is in both and cancels
    assert found.base_value.low is not None and found.base_value.high - found.base_value.low > 0.03  # type: ignore[operator]


def test_a_base_whose_interval_reaches_chance_is_not_divided_by() -> None:
    coin: list[float | None] = [1.0, 0.0] * 10
    good: list[float | None] = [1.0] * 18 + [0.0] * 2
    found = change([pair("coin", good, coin, chance=0.5)], "v", "b", how=HOW)
    assert found.difference.value == pytest.approx(0.4) and found.difference.low is not None
    assert (found.relative.value, found.relative.reason) == (None, "base_at_chance")
    both = change([pair("coin", good, coin, chance=0.5), pair("ok", good, good, chance=0.1)], "v", "b", how=HOW)
    assert both.relative.value == pytest.approx((0.9 - 0.7) / 0.7)  # the mean of the base is above the mean chance
    assert (both.mean_of_ratios.value, both.mean_of_ratios.reason, both.at_chance) == (
        None,
        "base_at_chance",
        ("coin",),
    )
    zero = change([pair("x", coin, [0.0] * 20)], "v", "b", how=HOW)
    assert zero.relative.reason == zero.mean_of_ratios.reason == "base_at_chance"
    few = change([pair("x", [1.0, 1.0, 0.0], [1.0, 0.0, 1.0])], "v", "b", how=HOW)
    assert (few.relative.value, few.relative.reason) == (None, "too_few_prompts")


def test_only_prompts_of_both_count_and_the_own_value_is_on_all() -> None:
    tasks = [pair("x", [1, 0, 1, 1, None], [None, 1, 0, 1, 1, 1])]
    found = change(tasks, "v", "b", how=HOW)
    assert (found.n_shared, found.base_value.value, found.difference.value) == (
        3,
        pytest.approx(2 / 3),
        pytest.approx(0),
    )
    value, n_prompts = value_of(tasks, "v", how=HOW)
    assert (value.value, n_prompts) == (pytest.approx(0.75), 4)
    apart = change([pair("x", [1, 0, None, None], [None, None, 1, 0])], "v", "b", how=HOW)
    assert (apart.relative.reason, apart.n_shared) == ("no_shared_prompts", 0)
