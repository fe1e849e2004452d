"""Differences of two models, p-values and ranges: laws they obey, SciPy, and slow loops that compute them another way."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from evalharness import battles
from evalharness.stats.comparisons import Difference, ranges, tie_groups
from evalharness.stats.paired import holm
from evalharness.stats.rank import Ranking, rank

GAP = ("difference", "ci_low", "ci_high", "p", "p_adjusted", "correlation")


def scores(model: str, values: list[float | None], language: str = "de", other: str = "base") -> list[dict[str, Any]]:
    """Return a game a prompt in which ``model`` has these scores against ``other``."""
    names = {"language": language, "model_a": model, "model_b": other}
    return [{**names, "prompt_id": f"q{at:03d}", "score": value} for at, value in enumerate(values)]


def pair(ranking: Ranking, a: str, b: str, group: str = "all") -> Difference:
    return next(each for each in ranking.pairs if (each.model_a, each.model_b, each.group) == (a, b, group))


def of(rows: list[dict[str, Any]], **options: Any) -> Ranking:
    return rank(battles.frame(rows), **{"rounds": 20, **options})


def test_against_a_baseline_it_is_the_paired_t_test_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random(25), rng.random(25)
    found = pair(of(scores("a", x.tolist()) + scores("b", y.tolist()), baseline="base"), "a", "b")
    test = stats.ttest_rel(x, y)
    assert found.difference == pytest.approx((x - y).mean())
    assert found.p == pytest.approx(test.pvalue, rel=1e-9)
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert (found.n_prompts, found.interval) == (25, "clustered-t")
    assert found.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_face_to_face_it_is_the_test_of_one_half() -> None:
    x = np.random.default_rng(2).random(12)
    found = pair(of(scores("a", x.tolist(), other="b")), "a", "b")
    assert found.p == pytest.approx(stats.ttest_1samp(x, 0.5).pvalue, rel=1e-9)
    assert found.difference == pytest.approx(x.mean() - 0.5)
    base = pair(of(scores("a", x.tolist(), other="b"), baseline="b"), "a", "b")
    assert replace(base, correlation=None) == found


def test_only_shared_prompts_are_compared() -> None:
    rows = scores("a", [1.0, 0.0, 1.0, 1.0, 0.5, None]) + scores("b", [0.0, 0.0, 0.5, 1.0, None, 1.0])
    found = pair(of(rows, baseline="base"), "a", "b")
    assert (found.difference, found.n_prompts) == (pytest.approx(1.5 / 4), 4)


def test_languages_weigh_the_same_and_translations_are_one_prompt() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 2, 9))
    rows = [row for at, code in enumerate(("de", "fr")) for row in scores("a", x[at].tolist(), code)]
    rows += [row for at, code in enumerate(("de", "fr")) for row in scores("b", y[at].tolist(), code)]
    ranking = of(rows, baseline="base", by=["language"])
    per_prompt = (x - y).mean(axis=0)
    assert pair(ranking, "a", "b").p == pytest.approx(stats.ttest_1samp(per_prompt, 0.0).pvalue)
    assert pair(ranking, "a", "b", "fr").p == pytest.approx(stats.ttest_rel(x[1], y[1]).pvalue)
    lacking = [row for row in rows if row["model_a"] == "a" or row["language"] == "de"]
    assert pair(of(lacking, baseline="base", by=["language"]), "a", "b", "de").difference is not None
    assert not [each for each in of(lacking, baseline="base").pairs if "b" in (each.model_a, each.model_b)], "no rate"


def test_a_star_without_a_baseline_is_compared_by_its_centre() -> None:
    rng = np.random.default_rng(4)
    rows = [row for name in "abc" for row in scores(name, rng.choice([0.0, 0.5, 1.0], 20).tolist())]
    free, fixed = of(rows), of(rows, baseline="base")
    assert {(p.model_a, p.model_b): p.difference for p in free.pairs} == {
        (p.model_a, p.model_b): p.difference for p in fixed.pairs
    }


def test_models_that_never_met_have_no_difference_and_count_as_possible() -> None:
    coin = [0.0, 1.0] * 10
    rows = scores("a", coin, other="b") + scores("b", coin, other="c") + scores("c", coin, other="d")
    ranking = of(rows)
    assert ("a", "d") not in {(each.model_a, each.model_b) for each in ranking.pairs}
    assert {(row.rank_low, row.rank_high) for row in ranking.ratings} == {(1, 4)}


@pytest.mark.parametrize("baseline", [None, "b"])
@pytest.mark.parametrize(("score", "difference"), [(1.0, 0.5), (0.0, -0.5)])
def test_winning_every_prompt_has_the_exact_p_value_and_wilsons_interval(
    score: float, difference: float, baseline: str | None
) -> None:
    found = pair(of(scores("a", [score] * 10, other="b"), baseline=baseline), "a", "b")
    assert (found.difference, found.interval, found.p) == (difference, "wilson", 2.0**-9)
    low, high = stats.binomtest(10 if score else 0, 10).proportion_ci(method="wilson")
    assert (found.ci_low, found.ci_high) == pytest.approx((low - 0.5, high - 0.5))


def test_the_same_difference_on_every_prompt_has_no_interval() -> None:
    found = pair(of(scores("a", [1.0] * 8) + scores("b", [0.5] * 8), baseline="base"), "a", "b")
    assert (found.difference, found.ci_low, found.reason, found.p) == (0.5, None, "no_spread", 2.0**-7)


def test_few_prompts_have_no_p_value_and_no_rank() -> None:
    ranking = of(scores("a", [1.0, 0.0, 1.0], other="b"))
    assert (ranking.pairs[0].p, ranking.pairs[0].reason) == (None, "too_few_prompts")
    assert {(row.rank_low, row.rank_high, row.rank_reason, row.tie_group) for row in ranking.ratings} == {
        (None, None, "too_few_prompts", None)
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, None, 0.3]), min_size=4, max_size=12))
def test_identical_models_differ_by_exactly_nothing(values: list[float | None]) -> None:
    ranking = of(scores("a", values) + scores("b", values), baseline="base", sign_flips=50)
    for found in ranking.pairs:
        if (found.model_a, found.model_b) == ("a", "b") and found.p is not None:
            assert (found.difference, found.p, found.p_adjusted, found.p_sign_flip) == (0.0, 1.0, 1.0, 1.0)


def test_the_sign_flip_agrees_with_all_flips_and_with_t() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.random(10), rng.random(10) + 0.0
    found = pair(of(scores("a", x.tolist()) + scores("b", y.tolist()), baseline="base", sign_flips=20_000), "a", "b")
    d = x - y
    signs = 1 - 2 * ((np.arange(1024)[:, None] >> np.arange(10)) & 1)
    exact = np.mean(np.abs((signs * d).sum(axis=1)) >= abs(d.sum()) - 1e-12)
    assert found.p_sign_flip == pytest.approx(exact, abs=0.012)
    assert found.p_sign_flip == pytest.approx(found.p, abs=0.05)
    assert of(scores("a", x.tolist()), baseline="base").pairs[0].p_sign_flip is None


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def row_of(a: str, b: str, difference: float, p: float | None) -> Difference:
    return Difference(
        a, b, "all", difference, None, None, p, p, 50, reason=None if p is not None else "too_few_prompts"
    )


def test_models_are_told_apart_by_the_adjusted_p_value() -> None:
    row = row_of("a", "b", 0.1, 0.01)
    assert row.better(0.95) == "a" and replace(row, difference=-0.1).better(0.95) == "b"
    assert replace(row, p_adjusted=0.06).better(0.95) is None and replace(row, p_adjusted=0.06).better(0.9) == "a"


def test_ranges_and_tie_groups_by_hand() -> None:
    pairs = [
        row_of("a", "b", 0.1, 0.5), row_of("a", "c", 0.2, 0.01), row_of("a", "d", 0.3, 0.001),
        row_of("b", "c", 0.1, 0.6), row_of("b", "d", 0.2, 0.02), row_of("c", "d", 0.1, 0.3),
        row_of("a", "e", 0.1, None), row_of("b", "e", 0.1, None),
    ]  # fmt: skip
    found = ranges("abcde", pairs, 0.95)
    assert {model: tuple(each) for model, each in found.items()} == {
        "a": (1, 3, 1, None), "b": (1, 4, 1, None), "c": (2, 5, 2, None), "d": (3, 5, 2, None),
        "e": (None, None, None, "too_few_prompts"),
    }  # fmt: skip
    assert tie_groups("abc", {("a", "c")}) == {"a": 1, "b": 1, "c": 2}
    assert tuple(ranges(["a"], [], 0.95)["a"])[:2] == (1, 1)


def games(seed: int, prompts: int = 12, languages: str = "df") -> pd.DataFrame:
    """Return games of a, b, c with nulls and weights against base."""
    rng = np.random.default_rng(seed)
    rows = []
    for code in languages:
        for name in "abc":
            values = rng.choice([0.0, 0.5, 1.0, np.nan], prompts, p=[0.3, 0.1, 0.5, 0.1]).tolist()
            rows += [
                {**row, "weight": float(rng.choice([1.0, 3.0]))}
                for row in scores(name, [None if value != value else value for value in values], code)
            ]
    return battles.frame(rows)


def close(here: Difference, there: Difference) -> None:
    for name in (*GAP, "p_sign_flip"):
        assert getattr(here, name) == pytest.approx(getattr(there, name), abs=1e-9), name
    assert here.n_prompts == there.n_prompts


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500), st.booleans(), st.permutations("abc"))
def test_relabelling_permutes_differences_p_values_and_ranks(seed: int, based: bool, names: list[str]) -> None:
    frame, renamed = games(seed), dict(zip("abc", names, strict=True)) | {"base": "base"}
    other = frame.assign(model_a=frame["model_a"].map(renamed))
    options: dict[str, Any] = {"rounds": 20, "baseline": "base" if based else None, "by": ["language"]}
    here, there = rank(frame, **options), rank(other, **options)
    found = {(each.model_a, each.model_b, each.group): each for each in there.pairs}
    for each in here.pairs:
        a, b = renamed[each.model_a], renamed[each.model_b]
        if a < b:
            close(each, found[a, b, each.group])
            continue
        turned = found[b, a, each.group]
        assert (each.difference is None) == (turned.difference is None)
        assert (each.difference or 0.0) == pytest.approx(-(turned.difference or 0.0), abs=1e-12)
        assert each.p_adjusted == pytest.approx(turned.p_adjusted, abs=1e-9)
    places = {(row.model, row.group): (row.rank_low, row.rank_high) for row in there.ratings}
    assert all(places[renamed[row.model], row.group] == (row.rank_low, row.rank_high) for row in here.ratings)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit_of_pairs(seed: int, random: Any) -> None:
    frame = games(seed)
    shuffled = frame.iloc[random.sample(range(len(frame)), len(frame))]
    options: dict[str, Any] = {"rounds": 20, "baseline": "base", "by": ["language"], "sign_flips": 30}
    assert rank(frame, **options).pairs == rank(shuffled, **options).pairs


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500), st.integers(2, 4))
def test_duplicated_games_of_a_prompt_do_not_narrow_its_difference(seed: int, copies: int) -> None:
    frame = games(seed)
    more = battles.validated(pd.concat([frame] * copies, ignore_index=True))
    for here, there in zip(
        rank(frame, rounds=20, baseline="base").pairs, rank(more, rounds=20, baseline="base").pairs, strict=True
    ):
        close(here, there)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500))
def test_games_between_others_leave_what_is_measured_by_the_baseline(seed: int) -> None:
    frame = games(seed)
    others = battles.frame(scores("a", [1.0] * 12, "d", other="b"))
    more = battles.validated(pd.concat([frame, others], ignore_index=True))
    here, there = (rank(each, rounds=20, baseline="base") for each in (frame, more))
    assert here.pairs == there.pairs
    rates = [[(row.model, row.win_rate, row.rank_low) for row in each.ratings] for each in (here, there)]
    assert rates[0] == rates[1]


@settings(max_examples=15, deadline=None)
@example(270, 24)  # sums in another order: the last digit of a correlation differs
@given(st.integers(0, 500), st.integers(0, 35))
def test_a_null_touches_only_the_pairs_of_its_model(seed: int, row: int) -> None:
    frame = games(seed, languages="d")
    nulled = frame.assign(score=frame["score"].where(np.arange(len(frame)) != row))
    name = frame["model_a"].iloc[row]
    here, there = (rank(each, rounds=20, baseline="base").pairs for each in (frame, nulled))
    for one, other in zip(here, there, strict=True):
        if name not in (one.model_a, one.model_b):
            close(replace(one, p_adjusted=None), replace(other, p_adjusted=None))
            assert (one.n_prompts, one.interval, one.reason) == (other.n_prompts, other.interval, other.reason)


def test_all_ranks_lie_in_the_table_and_sizes_are_ranked_among_themselves() -> None:
    sizes = {"a": 1.0, "b": 2.0, "c": 50.0}
    ranking = rank(games(1, 40), baseline="base", by=["size", "language"], sizes=sizes, rounds=20)
    for row in ranking.ratings:
        members = [each for each in ranking.ratings if (each.by, each.group) == (row.by, row.group)]
        assert 1 <= row.rank_low <= row.rank_high <= len(members)
    assert {(each.model_a, each.model_b) for each in ranking.pairs if each.by == "size"} == {("a", "b")}
    only = next(row for row in ranking.ratings if (row.by, row.model) == ("size", "c"))
    assert (only.rank_low, only.rank_high) == (1, 1)


def test_a_clear_order_is_found_whatever_the_names() -> None:
    rng = np.random.default_rng(0)
    for names in permutations("xyz"):
        rows = []
        for name, chance in zip(names, (0.9, 0.5, 0.1), strict=True):
            rows += scores(name, (rng.random(200) < chance).astype(float).tolist())
        found = {row.model: (row.rank_low, row.rank_high) for row in of(rows, baseline="base").ratings}
        assert [found[name] for name in names] == [(1, 1), (2, 3), (4, 4)]
        assert found["base"] == (2, 3)
