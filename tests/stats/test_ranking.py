"""Win rates: laws they obey, numbers computed by hand, and slow loops that compute the same another way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness import battles
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.stats.intervals import percentiles
from evalharness.stats.rank import Ranking, rank
from evalharness.stats.resample import multiplicities
from evalharness.stats.student import t_quantile, wilson
from evalharness.types import Rating

T9 = 2.2621571627982053


def both(prompt: int | str, first: float | None, second: float | None, **more: Any) -> list[dict[str, Any]]:
    """Return a match of a against b: the score of a where a was read first, and where b was."""
    names = {"prompt_id": str(prompt), "language": "de", "model_a": "a", "model_b": "b", "judge": "j", **more}
    return [{**names, "order": "ab", "score": first}, {**names, "order": "ba", "score": second}]


def rows_of(ranking: Ranking) -> dict[tuple[str, str], Rating]:
    return {(row.model, row.group): row for row in ranking.ratings}


def of(rows: list[dict[str, Any]], model: str = "a", **options: Any) -> Rating:
    """Return the row of ``model`` over all games."""
    return rows_of(rank(battles.frame(rows), **{"rounds": 100, **options}))[model, "all"]


def error(row: Rating) -> float:
    """Return the standard error that a clustered t interval was made of."""
    assert row.interval == "clustered-t"
    assert row.ci_low is not None
    assert row.ci_high is not None
    return (row.ci_high - row.ci_low) / 2 / t_quantile(0.975, row.n_prompts - 1)


@st.composite
def games(draw: st.DrawFn) -> pd.DataFrame:
    """Draw games of three models in two orders, with soft scores, weights, nulls, and missing games."""
    scores = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
    rows = []
    for prompt in range(draw(st.integers(1, 5))):
        for language in draw(st.sampled_from([["de"], ["de", "fr"]])):
            for a, b in draw(st.sets(st.sampled_from([("a", "b"), ("b", "c"), ("c", "a")]), min_size=1)):
                weight = draw(st.sampled_from([1.0, 3.0, 0.7]))
                both_orders = both(prompt, draw(scores), draw(scores), model_a=a, model_b=b, language=language)
                rows += [{**row, "weight": weight} for row in both_orders]
    return battles.frame(rows)


@settings(max_examples=30, deadline=None)
@given(games(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(frame: pd.DataFrame, random: Any) -> None:
    shuffled = frame.iloc[random.sample(range(len(frame)), len(frame))]
    options: dict[str, Any] = {"rounds": 20, "by": ["language"], "pairs": "any"}
    assert rank(frame, **options) == rank(shuffled, **options)


@settings(max_examples=30, deadline=None)
@given(games())
def test_telling_a_game_from_the_other_side_changes_nothing(frame: pd.DataFrame) -> None:
    mirrored = frame.rename(columns={"model_a": "model_b", "model_b": "model_a"})
    mirrored["score"] = 1 - frame["score"]
    mirrored["order"] = frame["order"].map({"ab": "ba", "ba": "ab"})
    for here, there in zip(rank(frame, rounds=20).ratings, rank(mirrored, rounds=20).ratings, strict=True):
        assert_close(here, there)


@settings(max_examples=30, deadline=None)
@given(games())
def test_renaming_models_permutes_the_table(frame: pd.DataFrame) -> None:
    names = {"a": "y", "b": "x", "c": "z"}
    renamed = frame.assign(model_a=frame["model_a"].map(names), model_b=frame["model_b"].map(names))
    table = rows_of(rank(renamed, rounds=20))
    for row in rank(frame, rounds=20).ratings:
        assert_close(replace(row, model=names[row.model]), table[names[row.model], "all"])


@settings(max_examples=30, deadline=None)
@given(games())
def test_two_models_share_the_win(frame: pd.DataFrame) -> None:
    pair = frame[frame["model_a"].isin(["a", "b"]) & frame["model_b"].isin(["a", "b"])]
    if pair.empty:
        return
    a, b = (rows_of(rank(pair, rounds=20))[model, "all"] for model in "ab")
    if a.win_rate is None:
        assert b.win_rate is None
        return
    assert a.win_rate + b.win_rate == pytest.approx(1.0)
    assert (a.wins, a.losses, a.ties) == (b.losses, b.wins, b.ties)
    assert (a.prompt_wins, a.prompt_losses, a.inconsistent) == (b.prompt_losses, b.prompt_wins, b.inconsistent)
    if a.ci_low is not None:
        assert a.ci_low + b.ci_high == pytest.approx(1.0)
        assert a.ci_high + b.ci_low == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(games(), st.sampled_from(["complete", "any"]))
def test_every_game_is_counted_once_and_every_number_has_an_interval_or_a_reason(
    frame: pd.DataFrame, pairs: str
) -> None:
    for row in rank(frame, rounds=20, by=["language"], pairs=pairs).ratings:
        left_out = row.n_unparsed + (row.n_unpaired if pairs == "complete" else 0)
        assert row.wins + row.losses + row.ties + left_out == row.n_games
        assert (row.win_rate is None) == (row.estimate is None)
        assert row.interval is not None or row.reason is not None
        assert row.rating is not None or row.rating_reason is not None
        if row.ci_low is not None:
            assert 0 <= row.ci_low <= row.win_rate + 1e-12
            assert row.win_rate - 1e-12 <= row.ci_high <= 1


MEASURED = ("win_rate", "ci_low", "ci_high", "rating", "rating_low", "rating_high", "raw_win_rate")


def assert_close(here: Rating, there: Rating) -> None:
    for name in MEASURED:
        # a strength close to infinity is flat: the last digits of where Newton stops depend on the order of the models
        tolerance = 1e-6 if name.startswith("rating") else 1e-9
        found, wanted = getattr(here, name), getattr(there, name)
        assert found == (None if wanted is None else pytest.approx(wanted, rel=tolerance, abs=1e-9)), name
    blank = dict.fromkeys(MEASURED)
    assert replace(here, **blank) == replace(there, **blank)


def test_rates_by_hand() -> None:
    rows = both(1, 1.0, 1.0) + both(2, 0.5, 0.5) + both(3, 1.0, 0.0) + both(4, 0.0, 0.5) + both(5, None, 1.0)
    row = of(rows)
    assert row.win_rate == (2 + 1 + 1 + 0.5) / 8
    assert (row.wins, row.losses, row.ties) == (3, 2, 3)
    assert (row.prompt_wins, row.prompt_losses, row.prompt_ties, row.inconsistent) == (1, 0, 1, 2)
    assert (row.n_games, row.n_unparsed, row.n_unpaired, row.n_prompts) == (10, 1, 1, 4)
    survivor = of(rows, pairs="any")
    assert survivor.win_rate == (2 + 1 + 1 + 0.5 + 1) / 9
    assert (survivor.n_unpaired, survivor.n_prompts, survivor.wins) == (1, 5, 4)


def test_weights_weigh() -> None:
    assert of(both(1, 1.0, 1.0, weight=3.0) + both(2, 0.0, 0.0)).win_rate == 0.75


def test_a_judge_that_always_picks_the_first_slot_is_a_coin() -> None:
    row = of([game for prompt in range(40) for game in both(prompt, 1.0, 0.0)])
    assert (row.win_rate, row.ci_low, row.ci_high) == (0.5, 0.5, 0.5)
    assert row.inconsistent == 40


def test_identical_models_are_even() -> None:
    row = of([game for prompt in range(8) for game in both(prompt, 0.5, 0.5)])
    assert (row.win_rate, row.rating, row.prompt_ties) == (0.5, 0.0, 8)


def test_a_null_touches_its_match_and_the_coverage_only() -> None:
    rng = np.random.default_rng(0)
    rows = [game for prompt in range(40) for game in both(prompt, *rng.choice([0, 0.5, 1], 2))]
    lost = [{**row, "score": None} if at == 7 else row for at, row in enumerate(rows)]
    without = [row for row in rows if row["prompt_id"] != "3"]
    with_null, absent = of(lost), of(without)
    assert replace(with_null, n_games=78, n_unparsed=0, n_unpaired=0) == absent
    assert (with_null.n_games, with_null.n_unparsed, with_null.n_unpaired) == (80, 1, 1)


def test_all_games_without_a_verdict_are_no_rate_at_all() -> None:
    row = of(both(1, None, None))
    assert (row.win_rate, row.rating, row.reason, row.rating_reason) == (None, None, "no_verdicts", "no_verdicts")
    assert (row.n_games, row.n_unparsed, row.missing_languages) == (2, 2, ("de",))


def shared(prompts: int, copies: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return matches of which ``copies`` share each prompt."""
    rng = np.random.default_rng(seed)
    scores = [(float(x), float(x)) for x in rng.choice([0, 0.5, 1], prompts)]
    return [game for at, pair in enumerate(scores) for k in range(copies) for game in both(at, *pair, judge_repeat=k)]


def test_repeating_all_games_of_each_prompt_changes_no_interval_but_spreading_them_does() -> None:
    once, thrice = of(shared(9, 1)), of(shared(9, 3))
    assert error(thrice) == pytest.approx(error(once), rel=1e-12)
    spread = [{**row, "prompt_id": f"{row['prompt_id']}-{row['judge_repeat']}"} for row in shared(9, 3)]
    assert error(of(spread)) < 0.7 * error(once), "the same games of other prompts say more"
    many, spread_many = (
        of(shared(40, 3)),
        [{**r, "prompt_id": f"{r['prompt_id']}-{r['judge_repeat']}"} for r in shared(40, 3)],
    )
    assert many.interval == "bootstrap"
    wide, narrow = (row.ci_high - row.ci_low for row in (many, of(spread_many)))
    assert wide > 1.3 * narrow


def test_one_game_a_prompt_has_the_ordinary_standard_error() -> None:
    scores = np.array([1, 0, 0.5, 1, 1, 0, 0.5, 0.5, 1, 0])
    rows = [{"prompt_id": str(at), "model_a": "a", "model_b": "b", "score": score} for at, score in enumerate(scores)]
    assert error(of(rows)) == pytest.approx(scores.std(ddof=1) / math.sqrt(10))
    low, high = 0.55 - T9 * scores.std(ddof=1) / math.sqrt(10), 0.55 + T9 * scores.std(ddof=1) / math.sqrt(10)
    assert (of(rows).ci_low, of(rows).ci_high) == pytest.approx((low, high))


def test_the_macro_mean_of_identical_languages_has_the_error_of_one() -> None:
    german = shared(12, 1)
    french = [{**row, "language": "fr"} for row in german]
    assert error(of(german + french)) == pytest.approx(error(of(german)), rel=1e-12)
    other = [{**row, "prompt_id": f"fr-{row['prompt_id']}"} for row in french]
    unrelated = of(german + other)
    assert unrelated.n_prompts == 24
    assert error(unrelated) < 0.8 * error(of(german)), "prompts of their own are further evidence"


def random_frame(prompts: int, seed: int, models: str = "ab") -> pd.DataFrame:
    """Return games with soft scores, weights and gaps in two languages, all against ``base``."""
    rng = np.random.default_rng(seed)
    rows = []
    for language in ("de", "fr"):
        for prompt in range(prompts):
            ease = rng.normal(0, 0.2)
            for model in models:
                if rng.random() < 0.9:
                    scores = np.clip(rng.normal(0.5 + ease, 0.2, 2), 0.05, 0.95)
                    names = {
                        "model_a": model,
                        "model_b": "base",
                        "language": language,
                        "weight": rng.choice([1.0, 3.0]),
                    }
                    rows += both(prompt, *scores, **names)
    return battles.frame(rows)


def slow_rate(frame: pd.DataFrame, counts: dict[str, float], average: str) -> float:
    """Return the rate of a frame of games of model_a, in loops, with so many copies of each prompt."""
    above: dict[str, float] = {}
    below: dict[str, float] = {}
    for row in frame.itertuples():
        stratum = row.language if average == "macro" else "all"
        above[stratum] = above.get(stratum, 0.0) + counts[row.prompt_id] * row.weight * row.score
        below[stratum] = below.get(stratum, 0.0) + counts[row.prompt_id] * row.weight
    return float(np.mean([above[name] / below[name] for name in below]))


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_bootstrap_against_loops_with_the_same_draws(average: str) -> None:
    frame = random_frame(35, 1)
    prompts = sorted(frame["prompt_id"].unique())
    draws = multiplicities(5, 0, 60, len(prompts))
    ranking = rank(frame, baseline="base", rounds=60, seed=5, level=0.9, average=average, by=["language"])
    for (model, group), row in rows_of(ranking).items():
        own = frame[(frame["model_a"] == model) & ((group == "all") | (frame["language"] == group))]
        if model == "base":
            continue
        assert row.win_rate == pytest.approx(slow_rate(own, dict.fromkeys(prompts, 1.0), average))
        rates = [slow_rate(own, dict(zip(prompts, counts, strict=True)), average) for counts in draws]
        assert row.interval == "bootstrap"
        assert (row.ci_low, row.ci_high) == pytest.approx(tuple(percentiles(np.array(rates), row.n_prompts, 0.9)))


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_analytic_error_against_leaving_out_one_prompt_at_a_time(average: str) -> None:
    """The infinitesimal jackknife is the derivative of the rate by each prompt's weight, taken here numerically."""
    frame = random_frame(14, 2)
    prompts = sorted(frame["prompt_id"].unique())
    row = rows_of(rank(frame, baseline="base", average=average))["a", "all"]
    own = frame[frame["model_a"] == "a"]
    clusters = own["prompt_id"].nunique()
    nudge, ones = 1e-6, dict.fromkeys(prompts, 1.0)
    slopes = [
        (slow_rate(own, {**ones, name: 1 + nudge}, average) - slow_rate(own, {**ones, name: 1 - nudge}, average))
        / (2 * nudge)
        for name in prompts
    ]
    assert row.n_prompts == clusters
    assert error(row) == pytest.approx(math.sqrt(clusters / (clusters - 1) * np.sum(np.square(slopes))), rel=1e-6)


def test_extreme_rates_have_an_interval_on_the_logit_scale() -> None:
    scores = [0.0] * 9 + [0.5]
    rows = [{"prompt_id": str(at), "model_a": "a", "model_b": "b", "score": score} for at, score in enumerate(scores)]
    row, se = of(rows), np.std(scores, ddof=1) / math.sqrt(10)
    spread = T9 * se / (0.05 * 0.95)
    centre = math.log(0.05 / 0.95)
    assert (row.ci_low, row.ci_high) == pytest.approx(
        [1 / (1 + math.exp(-centre - side)) for side in (-spread, spread)]
    )


@pytest.mark.parametrize("prompts", [10, 40])
def test_winning_everything_is_not_certainty(prompts: int) -> None:
    row = of([game for prompt in range(prompts) for game in both(prompt, 1.0, 1.0)])
    assert (row.win_rate, row.interval) == (1.0, "wilson")
    assert (row.ci_low, row.ci_high) == pytest.approx(wilson(1.0, prompts, 0.95))
    assert row.rating_reason == "not_strongly_connected"


@pytest.mark.parametrize(
    ("prompts", "interval"), [(3, None), (4, "clustered-t"), (29, "clustered-t"), (30, "bootstrap")]
)
def test_the_method_of_the_interval_depends_on_the_number_of_prompts(prompts: int, interval: str | None) -> None:
    row = of([game for at in range(prompts) for game in both(at, float(at % 2), 0.5)])
    assert row.interval == interval
    assert row.reason == ("too_few_prompts" if interval is None else None)
    assert (row.ci_low is None) == (interval is None)
    assert row.n_prompts == prompts


def test_a_model_without_a_language_has_no_macro_mean_and_says_which() -> None:
    rows = both(1, 1.0, 1.0) + both(1, 1.0, 0.0, language="fr") + both(1, 0.0, 1.0, model_b="c") + both(2, 1.0, 1.0)
    row = of(rows, "c")
    assert (row.win_rate, row.rating, row.missing_languages) == (None, None, ("fr",))
    assert row.reason == row.rating_reason == "missing_languages"
    assert of(rows, "c", average="micro").raw_win_rate == 0.5
    assert of(rows, "c", average="micro").missing_languages == ("fr",)
    assert of(rows, "a").win_rate is not None


def test_macro_weighs_languages_and_micro_games() -> None:
    rows = both(1, 1.0, 1.0) + both(2, 1.0, 1.0) + both(3, 1.0, 1.0) + both(1, 0.0, 0.0, language="fr")
    assert of(rows).win_rate == 0.5
    assert of(rows, average="micro").win_rate == 0.75
    assert of(rows).n_prompts == 3, "a prompt and its translation are one cluster"


def test_only_games_against_the_baseline_enter_rates_against_it() -> None:
    against = both(1, 1.0, 0.5, model_b="base") + both(2, 0.0, 1.0, model_b="base")
    among = both(1, 0.0, 0.0, model_b="c") + both(3, 0.0, 0.0, model_b="c")
    with_others = of(against + among, baseline="base")
    assert with_others.win_rate == of(against, baseline="base").win_rate == 0.625
    assert with_others.n_games == 4
    lonely = of(against + among, "c", baseline="base")
    assert (lonely.win_rate, lonely.n_games, lonely.reason) == (None, 0, "no_verdicts")
    base = of(against + among, "base", baseline="base")
    assert (base.win_rate, base.rating, base.ci_low, base.ci_high, base.reason) == (0.5, 0.0, None, None, "baseline")
    assert (base.wins, base.losses, base.n_games) == (1, 2, 4)


def test_groups() -> None:
    rows = [
        {**game, "category": category, "task": task}
        for at, (category, task) in enumerate([("math", "t"), ("math", "t"), ("code", "u"), (None, "u")])
        for language in ("de", "fr")
        for game in both(at, 1.0, float(at % 2), language=language)
    ]
    ranking = rank(battles.frame(rows), by=["size", "language", "category", "task"], rounds=50, sizes={"a": 8.0})
    table = [(row.by, row.group, row.model) for row in ranking.ratings if row.model == "a" or row.by == "size"]
    assert table == [
        ("all", "all", "a"),
        ("size", "4-10", "a"), ("size", "unknown", "b"),
        ("language", "de", "a"), ("language", "fr", "a"),
        ("category", "code", "a"), ("category", "math", "a"), ("category", "unknown", "a"),
        ("task", "t", "a"), ("task", "u", "a"),
    ]  # fmt: skip
    found = rows_of(ranking)
    assert (found["a", "math"].win_rate, found["a", "code"].win_rate, found["a", "unknown"].win_rate) == (
        0.75,
        0.5,
        1.0,
    )
    assert found["a", "math"].n_prompts == 2
    assert found["a", "4-10"].win_rate == found["a", "all"].win_rate
    assert (found["a", "all"].size_b, found["a", "all"].size_class) == (8.0, "4-10")


def test_a_group_is_ranked_over_the_languages_it_has() -> None:
    rows = [{**game, "category": "x"} for game in both(1, 1.0, 1.0)]
    rows += [{**game, "category": "y"} for game in both(2, 0.0, 1.0) + both(2, 1.0, 1.0, language="fr")]
    assert rows_of(rank(battles.frame(rows), by=["category"]))["a", "x"].win_rate == 1.0


def test_the_method_ranks() -> None:
    """c beats weak b often; a beats c a little, but loses more to b than c does."""
    rng = np.random.default_rng(0)
    rows = []
    for (a, b), (prompts, p) in {("a", "c"): (90, 0.52), ("a", "b"): (10, 0.9), ("c", "b"): (90, 0.8)}.items():
        rows += [
            game for at in range(prompts) for game in both(at, *[float(rng.random() < p)] * 2, model_a=a, model_b=b)
        ]
    frame = battles.frame(rows)
    for method, number in (("winrate", "win_rate"), ("bradley-terry", "rating")):
        values = [getattr(row, number) for row in rank(frame, method=method, rounds=20).ratings]
        assert values == sorted(values, reverse=True)


def test_the_seed_moves_bounds_and_nothing_else() -> None:
    frame = random_frame(40, 3)
    one, same, other = (rank(frame, baseline="base", rounds=50, seed=seed).ratings[0] for seed in (1, 1, 2))
    assert one == same
    assert one.ci_low != other.ci_low
    bounds = {name: getattr(one, name) for name in ("ci_low", "ci_high", "rating_low", "rating_high")}
    assert replace(other, **bounds) == one


@pytest.mark.parametrize(
    ("options", "error_type", "message"),
    [
        ({"baseline": "bb"}, NotInCatalog, "no model named 'bb'"),
        ({"by": ["lang"]}, UsageError, "--by lang: .* 'language'"),
        ({"method": "elo"}, UsageError, "--method elo"),
        ({"average": "mean"}, UsageError, "--average mean"),
        ({"pairs": "all"}, UsageError, "--pairs all"),
        ({"level": 1.0}, UsageError, "--level 1.0"),
        ({"rounds": 0}, UsageError, "--rounds 0"),
        ({"seed": -1}, UsageError, "--seed -1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], error_type: type[Exception], message: str) -> None:
    with pytest.raises(error_type, match=message):
        rank(battles.frame(both(1, 1.0, 1.0)), **options)


def test_nothing_to_rank() -> None:
    with pytest.raises(DataError, match="no battles"):
        rank(battles.frame([]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_soft_scores_are_summed_the_same_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [game for at in range(30) for game in both(at, *rng.random(2), weight=rng.random() + 0.1)]
    frame = battles.frame(rows)
    shuffled = frame.sample(frac=1, random_state=seed)
    assert rank(frame, rounds=20) == rank(shuffled, rounds=20)


def test_families_scripts_and_resources_are_means_over_their_languages() -> None:
    shares = {"de": 1.0, "fa": 0.0, "fr": 0.5, "ar": 1.0, "und": 0.0}
    rows = [game for code, share in shares.items() for p in range(5) for game in both(p, share, share, language=code)]
    ranking = rank(battles.frame(rows), by=["family", "script", "resource"], rounds=50)
    found = {(row.by, row.group): row.win_rate for row in ranking.ratings if row.model == "a"}
    assert found["family", "Indo-European"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["script", "Arab"] == pytest.approx((0 + 1) / 2)
    assert found["family", "unknown"] == 0.0
    assert ranking.language_groups["script"] == {"Arab": ("ar", "fa"), "Latn": ("de", "fr"), "unknown": ("und",)}
