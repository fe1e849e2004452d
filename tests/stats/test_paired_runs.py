"""Paired differences of one model's rates in two frames: estimate, clustered error, interval, p-value, and their laws."""

from __future__ import annotations

import math
import random
from statistics import mean, stdev
from typing import Any

import pandas as pd
import pytest
import statsmodels.api as sm

from evalharness import battles
from evalharness.stats.paired import PairedTest
from evalharness.stats.paired_runs import PairedDifference, paired_difference, prompt_scores
from evalharness.stats.rank import rank
from evalharness.stats.student import t_quantile, t_upper_tail, wilson


def games(scores: dict[tuple[str, str], float | None], **more: Any) -> list[dict[str, Any]]:
    """One game of m against b by (prompt, language)."""
    return [
        {"prompt_id": prompt, "language": language, "model_a": "m", "model_b": "b", "score": score, "order": None,
         "judge": "j", **more}
        for (prompt, language), score in scores.items()
    ]  # fmt: skip


def drawn(
    seed: int, prompts: int = 40, languages: tuple[str, ...] = ("de", "fr")
) -> dict[tuple[str, str], float | None]:
    draw = random.Random(seed)
    return {(str(p), lang): draw.choice([0.0, 0.5, 1.0]) for p in range(prompts) for lang in languages}


def difference(one: list[dict[str, Any]], two: list[dict[str, Any]], **options: Any) -> PairedDifference:
    found = paired_difference(*(prompt_scores(battles.frame(rows), "m", ["b", "c"]) for rows in (one, two)), **options)
    assert found is not None
    return found


def test_one_language_is_the_paired_t_test() -> None:
    one, two = drawn(1, languages=("de",)), drawn(2, languages=("de",))
    found = difference(games(one), games(two))
    d = [(two[key] or 0.0) - (one[key] or 0.0) for key in one]
    error = stdev(d) / math.sqrt(len(d))
    assert found.difference == pytest.approx(mean(d), abs=1e-14)
    assert found.error == pytest.approx(error, abs=1e-14)
    reach = t_quantile(0.975, len(d) - 1) * error
    assert (found.test.low, found.test.high) == pytest.approx((mean(d) - reach, mean(d) + reach))
    assert found.test.p == pytest.approx(2 * t_upper_tail(abs(mean(d)) / error, len(d) - 1))
    assert found.n_prompts == 40 and found.test.reason is None


def test_translations_are_one_prompt_and_languages_weigh_the_same() -> None:
    one, two = drawn(3), drawn(4)
    copied = {**one, **{(p, "it"): s for (p, lang), s in one.items() if lang == "fr"}}
    alone = {key: s for key, s in one.items() if key[1] == "fr"}
    again = {key: s for key, s in two.items() if key[1] == "fr"}
    double = difference(
        games({**alone, **{(p, "it"): s for (p, _), s in alone.items()}}),
        games({**again, **{(p, "it"): s for (p, _), s in again.items()}}),
    )
    single = difference(games(alone), games(again))
    assert double.error == pytest.approx(single.error) and double.difference == pytest.approx(single.difference)
    assert copied != one
    both = difference(games(one), games(two))
    parts = [
        difference(*(games({k: s for k, s in side.items() if k[1] == lang}) for side in (one, two)))
        for lang in ("de", "fr")
    ]
    assert both.difference == pytest.approx(mean(part.difference for part in parts))


@pytest.mark.parametrize("languages", [("de",), ("de", "fr", "it")])
def test_the_error_is_that_of_clustered_least_squares_on_a_constant(languages: tuple[str, ...]) -> None:
    one, two = drawn(12, 25, languages), drawn(13, 25, languages)
    rng = random.Random(14)
    for key in rng.sample(sorted(one), 10 * len(languages) // 3):  # prompts with fewer translations than others
        del one[key]
    rows = [(key, (two[key] or 0.0) - (one[key] or 0.0)) for key in one]
    prompts = pd.factorize(pd.Series([prompt for (prompt, _), _ in rows]))[0]
    fit = sm.OLS([d for _, d in rows], [1.0] * len(rows)).fit(cov_type="cluster", cov_kwds={"groups": prompts})
    found = difference(games(one), games(two), average="micro")
    assert found.difference == pytest.approx(fit.params[0])
    assert found.error == pytest.approx(fit.bse[0]), "both with G/(G-1)"


def test_only_shared_prompts_count_and_the_rates_are_those_of_rank() -> None:
    one, two = drawn(5, 30), drawn(6, 50)
    two[("0", "de")] = None
    found = difference(games(one), games(two))
    shared = {key: s for key, s in two.items() if key in one and s is not None}
    assert found.n_prompts == 30
    ranked = rank(battles.frame(games(shared)), baseline="b", rounds=100)
    assert found.second == pytest.approx(next(r.win_rate for r in ranked.ratings if r.model == "m"))


def test_laws_of_symmetry() -> None:
    one, two = games(drawn(7)), games(drawn(8))
    there, back = difference(one, two), difference(two, one)
    assert back.difference == -there.difference and back.error == there.error and back.test.p == there.test.p
    assert (back.test.low, back.test.high) == (-(there.test.high or 0), -(there.test.low or 0))
    swapped = [{**row, "model_a": "b", "model_b": "m", "score": 1 - row["score"]} for row in one]
    assert difference(swapped, two) == there
    assert difference(random.Random(0).sample(one, len(one)), two) == there


def test_a_run_against_itself_differs_by_nothing_and_tells_nothing_of_the_spread() -> None:
    found = difference(games(drawn(9)), games(drawn(9)))
    assert (found.difference, found.test, found.correlation) == (
        0,
        PairedTest(p=1.0, reason="no_spread"),
        pytest.approx(1),
    )


def test_too_few_or_all_alike_have_no_interval() -> None:
    few = difference(games(drawn(1, 3)), games(drawn(2, 3)))
    assert (few.test.low, few.test.p, few.test.reason) == (None, None, "too_few_prompts")
    ones, zeros = ({(str(p), "de"): value for p in range(9)} for value in (1.0, 0.0))
    alike = difference(games(ones), games(zeros))
    low, high = wilson(0.0, 9, 0.95)
    assert (alike.difference, alike.test.interval, alike.test.p) == (-1.0, "wilson", 2.0**-8)
    assert (alike.test.low, alike.test.high) == pytest.approx((2 * low - 1, 2 * high - 1))


def test_opponents_and_tasks_have_to_match() -> None:
    one, two = drawn(1), drawn(2)
    others = [{**row, "model_b": "c"} for row in games(two)]
    assert paired_difference(*(prompt_scores(battles.frame(r), "m", ["b", "c"]) for r in (games(one), others))) is None
    named = games(two, task="t")
    assert paired_difference(*(prompt_scores(battles.frame(r), "m", ["b"]) for r in (games(one), named))) is None


def test_an_unpaired_game_is_left_out_unless_any_counts() -> None:
    rows = [{**row, "order": order} for row in games(drawn(1, 4)) for order in ("ab", "ba")]
    rows[0]["score"] = None
    frame = battles.frame(rows)
    assert len(prompt_scores(frame, "m", ["b"])) == 7 and len(prompt_scores(frame, "m", ["b"], "any")) == 8


def test_weights_weigh() -> None:
    rows = [{**row, "weight": 3.0 if row["score"] == 1 else 1.0} for row in games(drawn(11, languages=("de",)))]
    found = difference(rows, games(drawn(11, languages=("de",))))
    expected = sum(r["weight"] * r["score"] for r in rows) / sum(r["weight"] for r in rows)
    assert found.first == pytest.approx(expected)


def test_coverage_of_the_interval() -> None:
    draw = random.Random(0)
    hits = 0
    for _ in range(100):
        sides: list[list[dict[str, Any]]] = [[], []]
        for p in range(25):
            easy = draw.random()
            for side in sides:
                side.append({"prompt_id": str(p), "language": "de", "opponent": "b", "task": "", "task_version": "",
                             "weight": 1.0, "score": float(draw.random() < easy)})  # fmt: skip
        found = paired_difference(*(pd.DataFrame(side) for side in sides))
        assert found is not None and found.test.low is not None and found.test.high is not None
        hits += found.test.low <= 0.0 <= found.test.high
    assert 88 <= hits <= 99
