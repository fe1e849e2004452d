"""Means of scores: by hand, on any scale, whatever the order of rows, with the intervals of rates."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stats.intervals import Resampling, clustered_t
from evalharness.stats.scores import Mean, means
from evalharness.stats.student import wilson
from evalharness.types import Score

SCALE = (1.0, 10.0)
HOW = Resampling(rounds=200)


def score(prompt: int, value: float | None, language: str = "de", model: str = "m", **more: str) -> Score:
    given = {"status": "ok" if value is not None else "unparsed", "category": "c", **more}
    return Score("t", "1", f"p{prompt:03d}", language, model, "judge_score", "j", value, **given)


def only(rows: list[Mean], by: str = "all", group: str = "all", model: str = "m") -> Mean:
    (row,) = [row for row in rows if (row.by, row.group, row.model) == (by, group, model)]
    return row


def made(n: int, seed: int = 0, languages: tuple[str, ...] = ("de", "ar")) -> list[Score]:
    """Return scores of two models on ``n`` prompts, some missing."""
    draw = random.Random(seed)
    return [
        score(p, draw.choice([None, *map(float, range(2, 10))]), language, model, category="xy"[p % 2])
        for p in range(n)
        for language in languages
        for model in ("m", "n")
    ]


def test_macro_and_micro_means_by_hand() -> None:
    scores = [score(0, 2), score(1, 4), score(2, 9), score(0, 8, "ar"), score(1, None, "ar")]
    row = only(means(scores, SCALE))
    assert row.value == pytest.approx((5 + 8) / 2)
    assert only(means(scores, SCALE, average="micro")).value == pytest.approx(23 / 4)
    assert only(means(scores, SCALE), "language", "de").value == pytest.approx(5)
    assert only(means(scores, SCALE, average="micro"), "language", "ar").value == pytest.approx(8)
    assert (row.n_prompts, row.n_scores, row.n_missing, row.n_failed) == (3, 5, 1, 0)
    assert (row.ci_low, row.reason) == (None, "too_few_prompts")


def test_the_interval_is_the_clustered_t_of_the_prompts() -> None:
    values = [3.0, 5.0, 6.0, 7.0, 4.0]
    row = only(means([score(p, v) for p, v in enumerate(values)], SCALE))
    unit = [(v - 1) / 9 for v in values]
    mean = sum(unit) / 5
    error = (sum((u - mean) ** 2 for u in unit) / 4 / 5) ** 0.5
    low, high = clustered_t(mean, error, 5, 0.95)
    assert (row.ci_low, row.ci_high) == pytest.approx((1 + 9 * low, 1 + 9 * high))
    assert row.interval == "clustered-t"
    assert only(means([score(p, values[p % 5]) for p in range(30)], SCALE, how=HOW)).interval == "bootstrap"


def test_translations_of_a_prompt_are_one_cluster() -> None:
    values = [3.0, 5.0, 6.0, 7.0, 4.0]
    one = only(means([score(p, v) for p, v in enumerate(values)], SCALE))
    two = only(means([score(p, v, language) for p, v in enumerate(values) for language in ("de", "ar")], SCALE))
    assert (two.n_prompts, two.n_scores) == (5, 10)
    assert (two.value, two.ci_low, two.ci_high) == pytest.approx((one.value, one.ci_low, one.ci_high))


def test_scores_at_the_end_of_the_scale_get_a_wide_interval_and_equal_ones_between_none() -> None:
    top = only(means([score(p, 10) for p in range(40)], SCALE, how=HOW))
    low, _ = wilson(1.0, 40, 0.95)
    assert (top.value, top.ci_high, top.interval) == (10, pytest.approx(10), "wilson")
    assert top.ci_low == pytest.approx(1 + 9 * low)
    for n in (10, 40):
        flat = only(means([score(p, 7) for p in range(n)], SCALE, how=HOW))
        assert (flat.value, flat.ci_low, flat.reason) == (pytest.approx(7), None, "no_spread")


def test_a_language_without_scores_leaves_no_overall_mean() -> None:
    scores = [score(p, 5 + p % 2) for p in range(8)] + [score(p, None, "ar") for p in range(8)]
    row = only(means(scores, SCALE))
    assert (row.value, row.reason, row.missing_languages, row.n_missing) == (None, "missing_languages", ("ar",), 8)
    assert only(means(scores, SCALE), "language", "ar").reason == "no_verdicts"
    assert only(means([score(0, None)], SCALE)).reason == "no_verdicts"
    assert means([], SCALE) == []


def test_failed_answers_are_counted() -> None:
    scores = [score(0, 1, status="candidate_failure"), score(1, 8), score(2, None)]
    row = only(means(scores, SCALE))
    assert (row.n_failed, row.n_missing, row.value) == (1, 1, pytest.approx(4.5))


def test_groups_are_languages_size_classes_and_categories() -> None:
    rows = means(made(12), SCALE, sizes={"m": 8.0})
    assert {(row.by, row.group) for row in rows} == {
        ("all", "all"), ("language", "ar"), ("language", "de"), ("size", "4-10"), ("size", "unknown"), ("category", "x"),
        ("category", "y"), ("family", "Afro-Asiatic"), ("family", "Indo-European"), ("script", "Arab"), ("script", "Latn"),
        ("resource", "high"),
    }  # fmt: skip
    assert only(rows, "size", "4-10").value == only(rows).value
    part = [s for s in made(12) if s.category == "x"]
    assert only(rows, "category", "x").value == only(means(part, SCALE)).value


@pytest.mark.parametrize("n", [12, 40])
def test_the_order_of_rows_changes_nothing(n: int) -> None:
    draw = random.Random(1)
    scores = [replace(score, repeat=r, value=draw.uniform(1, 10)) for r in range(5) for score in made(n)]
    shuffled = list(scores)
    random.Random(7).shuffle(shuffled)
    assert means(shuffled, SCALE, how=HOW) == means(scores, SCALE, how=HOW)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([12, 40]), st.integers(0, 50), st.floats(-50, 50), st.floats(0.5, 100))
def test_another_scale_moves_means_and_intervals_with_it(n: int, seed: int, low: float, span: float) -> None:
    scores = made(n, seed)
    moved = [s if s.value is None else replace(s, value=low + (s.value - 1) / 9 * span) for s in scores]
    for row, other in zip(means(scores, SCALE, how=HOW), means(moved, (low, low + span), how=HOW), strict=True):
        for one, two in ((row.value, other.value), (row.ci_low, other.ci_low), (row.ci_high, other.ci_high)):
            assert two == (None if one is None else pytest.approx(low + (one - 1) / 9 * span, abs=1e-6 * span))
        assert row.reason == other.reason


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_mean_lies_in_its_interval_and_the_interval_in_the_scale(seed: int) -> None:
    for row in means(made(35, seed), SCALE, how=HOW):
        if row.ci_low is not None and row.ci_high is not None and row.value is not None:
            assert 1 <= row.ci_low <= row.value <= row.ci_high <= 10


def test_another_models_scores_change_nothing() -> None:
    both = means(made(40), SCALE, how=HOW)
    alone = means([s for s in made(40) if s.model == "m"], SCALE, how=HOW)
    assert only(alone).value == only(both).value
    assert only(alone).n_prompts == only(both).n_prompts
