"""Bradley-Terry against a slow independent fit; the rates it implies against means, and their errors against draws."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalharness import battles
from evalharness.stats import bradley_terry
from evalharness.stats.cells import pair_games, pair_wins
from evalharness.stats.games import coded
from evalharness.stats.intervals import Resampling, percentiles
from evalharness.stats.rank import rank
from evalharness.stats.resample import multiplicities
from evalharness.stats.strengths import Pairings, _errors, balanced, ratings

TABLES = arrays(np.float64, st.integers(2, 5).map(lambda n: (n, n)), elements=st.sampled_from([0, 0, 0.5, 1, 2, 7]))


def minorised(wins: np.ndarray) -> np.ndarray:
    """Fit by the minorisation-maximisation of Hunter (2004), in plain loops."""
    models = range(len(wins))
    strength = np.ones(len(wins))
    for _ in range(20000):
        before = strength.copy()
        for i in models:
            met = sum((wins[i, j] + wins[j, i]) / (strength[i] + strength[j]) for j in models if j != i)
            strength[i] = sum(wins[i, j] for j in models if j != i) / met
        strength /= np.exp(np.log(strength).mean())
        if np.abs(np.log(strength / before)).max() < 1e-12:
            break
    return np.log(strength)


def reachable(wins: np.ndarray, start: int) -> set[int]:
    seen, todo = {start}, [start]
    while todo:
        i = todo.pop()
        new = {j for j in range(len(wins)) if wins[i, j] > 0} - seen
        seen |= new
        todo += new
    return seen


@settings(deadline=None)
@given(TABLES)
def test_the_fit_is_the_maximum_or_unknown(wins: np.ndarray) -> None:
    np.fill_diagonal(wins, 0.0)
    exists = all(len(reachable(wins, i)) == len(wins) for i in range(len(wins)))
    assert bool(bradley_terry.connected(wins)) == exists
    fitted = bradley_terry.fit(wins)
    if exists:
        assert fitted == pytest.approx(minorised(wins), abs=1e-6)
        assert fitted.mean() == pytest.approx(0.0, abs=1e-12)
    else:
        assert np.isnan(fitted).all()


def test_a_stack_of_tables_is_fitted_table_by_table() -> None:
    stack = np.random.default_rng(0).integers(0, 4, (40, 4, 4)).astype(float)
    stack[3] = np.nan
    start = np.array([0.3, -0.2, 0.5, -0.6])
    together = bradley_terry.fit(stack, start)
    for table, row in zip(stack, together, strict=True):
        np.testing.assert_allclose(row, bradley_terry.fit(table), atol=1e-9)
    assert np.isnan(together[3]).all()


def test_a_win_too_small_to_be_computed_with_connects_nothing() -> None:
    assert np.isnan(bradley_terry.fit(np.array([[0.0, 1.0], [1e-130, 0.0]]))).all()


@pytest.mark.parametrize("odds", [10.0, 1e6, 1e9])
def test_two_models_differ_by_the_logarithm_of_their_odds(odds: float) -> None:
    first, second = bradley_terry.fit(np.array([[0.0, odds], [1.0, 0.0]]))
    assert first - second == pytest.approx(np.log(odds), rel=1e-6)


def played(
    pairs: dict[tuple[str, str], tuple[int, float]], language: str = "de", seed: int = 0
) -> list[dict[str, Any]]:
    """Return games of each pair on so many prompts, won by the first with a probability."""
    rng = np.random.default_rng(seed)
    return [
        {"prompt_id": f"{at:03d}", "language": language, "model_a": a, "model_b": b, "score": float(rng.random() < p)}
        for (a, b), (prompts, p) in pairs.items()
        for at in range(prompts)
    ]


def test_with_one_baseline_ratings_are_logits_of_means() -> None:
    rows = played({("a", "base"): (40, 0.7), ("b", "base"): (25, 0.4), ("c", "base"): (60, 0.5)})
    for row in rank(battles.frame(rows), baseline="base", rounds=10).ratings:
        assert row.win_rate is not None
        assert row.rating == pytest.approx(np.log(row.win_rate / (1 - row.win_rate)), abs=1e-9)


def test_languages_weigh_the_same_in_the_fit() -> None:
    rows = played({("a", "b"): (300, 0.9)}, "de") + played({("a", "b"): (30, 0.3)}, "fr")
    result = rank(battles.frame(rows), by=["language"], rounds=10)
    rates = {(row.model, row.group): row for row in result.ratings}
    assert rates["a", "all"].win_rate == pytest.approx((rates["a", "de"].win_rate + rates["a", "fr"].win_rate) / 2)
    gap = rates["a", "all"].rating - rates["b", "all"].rating
    assert gap == pytest.approx(np.log(rates["a", "all"].win_rate / rates["b", "all"].win_rate), abs=1e-9)


def test_the_rating_is_independent_of_the_baseline_but_for_its_zero() -> None:
    frame = battles.frame(played({("a", "b"): (30, 0.6), ("b", "c"): (30, 0.6), ("a", "c"): (30, 0.7)}))
    free = {row.model: row.rating for row in rank(frame, rounds=10).ratings}
    fixed = {row.model: row.rating for row in rank(frame, baseline="b", rounds=10).ratings}
    assert sum(free.values()) == pytest.approx(0.0, abs=1e-12)
    assert fixed["b"] == 0.0
    assert {name: rating - free["b"] for name, rating in free.items()} == pytest.approx(fixed, abs=1e-9)


def test_without_connection_there_is_no_rating_but_a_rate() -> None:
    rows = played({("a", "b"): (10, 1.0), ("b", "c"): (10, 0.5), ("a", "c"): (10, 1.0)})
    for row in rank(battles.frame(rows), rounds=10).ratings:
        assert row.rating is None
        assert row.rating_reason == row.reason == "not_strongly_connected"
        assert row.win_rate is not None


def test_balance_is_that_of_the_games_given_not_of_their_verdicts_or_weights() -> None:
    rows = played({("a", "b"): (9, 0.5), ("b", "c"): (9, 0.5), ("a", "c"): (9, 0.5)})
    assert balanced(pair_games(coded(battles.frame(rows))))
    rows[0]["score"], rows[1]["weight"] = None, 3.0
    assert balanced(pair_games(coded(battles.frame(rows))))
    assert not balanced(pair_games(coded(battles.frame(rows[1:]))))
    other = played({("a", "b"): (4, 0.5)}, "fr")
    assert balanced(pair_games(coded(battles.frame(rows + other)))), "each language by itself, over the models it has"


@settings(deadline=None)
@given(st.integers(0, 50))
def test_in_a_balanced_design_the_implied_rate_is_the_mean(seed: int) -> None:
    rows = played(dict.fromkeys(combinations("abcd", 2), (12, 0.5)), seed=seed)
    frame = battles.frame(rows)
    fitted = ratings(pair_wins(coded(frame)))
    assume(np.isfinite(fitted).all())
    means = {row.model: row.win_rate for row in rank(frame, rounds=1).ratings}
    assert bradley_terry.implied(fitted) == pytest.approx([means[name] for name in "abcd"], abs=1e-9)


def test_an_unbalanced_pairing_is_rated_against_the_pool_and_says_so() -> None:
    rows = played({("a", "b"): (80, 0.6), ("b", "c"): (20, 0.9), ("a", "c"): (10, 0.9)})
    found = {row.model: row for row in rank(battles.frame(rows), rounds=200).ratings}
    strengths = np.array([found[name].rating for name in "abc"])
    implied = [np.mean([1 / (1 + np.exp(strengths[j] - strengths[i])) for j in range(3) if j != i]) for i in range(3)]
    assert [found[name].win_rate for name in "abc"] == pytest.approx(implied)
    assert {row.estimate for row in found.values()} == {"bradley-terry"}
    raw = np.mean([row["score"] for row in rows if row["model_a"] == "a"])
    assert found["a"].raw_win_rate == pytest.approx(raw)
    assert abs(found["a"].win_rate - raw) > 0.01
    assert found["a"].interval == "bootstrap"
    assert found["a"].ci_low < found["a"].win_rate < found["a"].ci_high
    assert {row.estimate for row in rank(battles.frame(rows), baseline="c", rounds=10).ratings} == {"mean", None}


def test_unbalanced_and_not_connected_falls_back_on_the_mean_and_says_so() -> None:
    rows = played({("a", "b"): (8, 1.0), ("b", "c"): (4, 0.5)})
    top = rank(battles.frame(rows), rounds=10).ratings[0]
    assert (top.model, top.win_rate, top.estimate, top.reason) == ("a", 1.0, "mean", "not_strongly_connected")


def unbalanced(prompts: int, languages: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 1, prompts)
    rows = []
    for language in languages:
        for at in range(prompts):
            for (a, b), gap in {("a", "b"): 0.4, ("b", "c"): 0.8, ("a", "c"): 1.2}.items():
                if rng.random() < {"ab": 0.9, "bc": 0.5, "ac": 0.3}[a + b]:
                    won = float(rng.random() < 1 / (1 + np.exp(-gap - ease[at])))
                    names = {"prompt_id": f"{at:03d}", "language": language, "model_a": a, "model_b": b}
                    rows.append({**names, "score": won, "weight": 1.0 + at % 2})
    return battles.frame(rows)


@pytest.mark.parametrize("languages", ["d", "df"])
def test_the_sandwich_of_implied_rates_is_the_spread_of_refitted_draws(languages: str) -> None:
    games = coded(unbalanced(150, languages, 5))
    fitted = ratings(pair_wins(games))
    pairs = Pairings.of(games)
    counts = multiplicities(0, 0, 1500, games.clusters)
    refitted = bradley_terry.implied(bradley_terry.fit(pairs.wins(counts)))
    assert _errors(pairs, fitted).implied == pytest.approx(refitted.std(axis=0), rel=0.08)


def test_the_interval_of_an_implied_rate_is_that_of_refitting_games_drawn_prompt_by_prompt() -> None:
    frame = unbalanced(60, "df", 1)
    rounds, found = 40, {row.model: row for row in rank(unbalanced(60, "df", 1), rounds=40, seed=2).ratings}
    prompts = sorted(frame["prompt_id"].unique())
    drawn = []
    for counts in multiplicities(2, 0, rounds, len(prompts)):
        table = np.zeros((3, 3))
        for language in ("d", "f"):
            own, total = np.zeros((3, 3)), 0.0
            for row in frame[frame["language"] == language].itertuples():
                i, j = "abc".index(row.model_a), "abc".index(row.model_b)
                weight = counts[prompts.index(row.prompt_id)] * row.weight
                own[i, j] += weight * row.score
                own[j, i] += weight * (1 - row.score)
                total += weight
            table += own / total
        drawn.append(bradley_terry.implied(minorised(table)))
    for at, model in enumerate("abc"):
        bounds = percentiles(np.array([draw[at] for draw in drawn]), found[model].n_prompts, 0.95)
        assert (found[model].ci_low, found[model].ci_high) == pytest.approx(tuple(bounds), abs=1e-7)


def test_few_prompts_of_an_unbalanced_pairing_have_an_analytic_interval() -> None:
    found = rank(unbalanced(12, "d", 3), rounds=50).ratings
    assert {row.interval for row in found} == {"clustered-t"}
    assert {row.interval for row in rank(unbalanced(3, "d", 4), rounds=50).ratings} == {None}


def test_resampling_has_defaults() -> None:
    assert Resampling() == (0.95, 1000, 0)
