"""Corpus values: by hand, against independent computations, with intervals of resampled prompts, missing ones counted."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.scoring.choice import corpus_macro_f1
from evalharness.scoring.likelihood import corpus_bits, corpus_perplexity
from evalharness.stats.corpus import jackknifed, padded
from evalharness.stats.intervals import Resampling, percentiles, t_value
from evalharness.stats.resample import multiplicities
from evalharness.stats.scores import Mean, means
from evalharness.types import Score

HOW = Resampling(rounds=200)


def text(prompt: int, nats: float | None, units: float = 1.0, language: str = "de", model: str = "m") -> Score:
    """Return the score of a text of ``units`` bytes with that many nats; ``None`` is missing."""
    parts = None if nats is None else (nats, units)
    value = None if nats is None else nats / units / math.log(2)
    status = "missing" if nats is None else "ok"
    return Score("t", "1", f"p{prompt:03d}", language, model, "bits", "f", value, status, "c", parts=parts)


def bits(scores: list[Score], **options: object) -> list[Mean]:
    return means(scores, None, corpus=corpus_bits, how=HOW, **options)  # type: ignore[arg-type]


def only(rows: list[Mean], by: str = "all", group: str = "all", model: str = "m") -> Mean:
    (row,) = [row for row in rows if (row.by, row.group, row.model) == (by, group, model)]
    return row


def made(n: int, seed: int = 0) -> list[Score]:
    draw = random.Random(seed)
    return [
        text(p, draw.choice([None, *[draw.uniform(1, 90)] * 5]), draw.randint(10, 60), language, model)
        for p in range(n) for language in ("de", "ar") for model in ("m", "n")
    ]  # fmt: skip


def test_bits_per_byte_are_ratios_of_sums_in_a_language_and_means_over_languages() -> None:
    # de: (2 + 6) nats over (1 + 3) bytes = 2 nats a byte; ar: 9 over 3 = 3. The mean of the texts of de would be 2 too,
    # so the second text is longer: (2 + 12) / (1 + 6) = 2, and the mean of the texts (2 + 2) / 2; a third one parts them.
    scores = [text(0, 2, 1), text(1, 12, 6), text(2, 7, 1), text(0, 9, 3, "ar"), text(1, None, language="ar")]
    rows = bits(scores)
    de, ar = 21 / 8 / math.log(2), 3 / math.log(2)
    assert only(rows, "language", "de").value == pytest.approx(de)
    assert only(rows, "language", "ar").value == pytest.approx(ar)
    whole = only(rows)
    assert whole.value == pytest.approx((de + ar) / 2)
    assert only(bits(scores, average="micro")).value == pytest.approx(30 / 11 / math.log(2))
    assert (whole.n_prompts, whole.n_scores, whole.n_missing, whole.reason) == (3, 5, 1, "too_few_prompts")


def test_values_without_bounds_stay_on_their_own_scale() -> None:
    scores = [text(p, 700.0 + p, 1) for p in range(5)]
    row = only(bits(scores))
    assert row.value == pytest.approx(702 / math.log(2))
    assert row.ci_low is not None and 1000 < row.ci_low < row.value
    plain = only(means([replace(s, value=s.value and -s.value, parts=None) for s in scores], None))
    assert plain.value == pytest.approx(-702 / math.log(2))
    assert plain.ci_low is not None and plain.ci_high is not None and plain.ci_low < plain.value < plain.ci_high < 0


def test_few_prompts_get_the_jackknife_interval_with_student_s_t() -> None:
    nats, units = [3.0, 8.0, 2.0, 9.0, 5.0], [2.0, 3.0, 1.0, 5.0, 2.0]
    row = only(bits([text(p, n, u) for p, (n, u) in enumerate(zip(nats, units, strict=True))]))
    whole = sum(nats) / sum(units)
    without = [(sum(nats) - n) / (sum(units) - u) for n, u in zip(nats, units, strict=True)]
    centre = sum(without) / 5
    error = math.sqrt(4 / 5 * sum((w - centre) ** 2 for w in without))
    half = t_value(0.975, 4) * error / math.log(2)
    assert row.interval == "clustered-t"
    assert (row.ci_low, row.ci_high) == pytest.approx((whole / math.log(2) - half, whole / math.log(2) + half))


def test_translations_of_a_prompt_are_one_cluster() -> None:
    texts = [(3.0, 2.0), (8.0, 3.0), (2.0, 1.0), (9.0, 5.0), (5.0, 2.0)]
    one = only(bits([text(p, *own) for p, own in enumerate(texts)]))
    two = only(bits([text(p, *own, code) for p, own in enumerate(texts) for code in ("de", "ar")]))
    assert (two.n_prompts, two.n_scores) == (5, 10)
    assert (two.value, two.ci_low, two.ci_high) == pytest.approx((one.value, one.ci_low, one.ci_high))


def test_many_prompts_get_percentiles_of_redrawn_prompts_all_languages_of_one_together() -> None:
    draw = random.Random(3)
    nats = {(p, code): draw.uniform(1, 9) for p in range(40) for code in ("de", "ar")}
    row = only(bits([text(p, n, 2, code) for (p, code), n in nats.items()]))
    counts = multiplicities(0, 0, 200, 40)
    values = [
        np.mean([sum(c[p] * nats[p, code] for p in range(40)) / 80 / math.log(2) for code in ("de", "ar")])
        for c in counts
    ]
    assert row.interval == "bootstrap"
    assert (row.ci_low, row.ci_high) == pytest.approx(tuple(percentiles(np.array(values), 40, 0.95)))


def test_the_jackknife_of_a_mean_is_the_clustered_error() -> None:
    values = np.array([1.0, 4.0, 2.0, 7.0, 3.0])
    changes = (values.sum() - values) / 4 - values.mean()
    assert jackknifed(changes[:, None], np.array([5]))[0] == pytest.approx(values.std(ddof=1) / math.sqrt(5))


def test_macro_f1_of_classes_that_not_every_language_has() -> None:
    # Class by class: hits, false, missed. de: class 0 has F1 2/3, class 1 2/3; mean 2/3. ar has a third class: all right, 1.
    def of(prompt: int, language: str, parts: list[float]) -> Score:
        return Score("t", "1", str(prompt), language, "m", "macro_f1", "f", 1.0, parts=tuple(parts))

    scores = [
        of(0, "de", [1, 0, 0, 0, 0, 0]), of(1, "de", [0, 0, 0, 1, 0, 0]), of(2, "de", [0, 1, 0, 0, 0, 1]),
        of(0, "ar", [1, 0, 0, 0, 0, 0, 0, 0, 0]), of(1, "ar", [0, 0, 0, 0, 0, 0, 1, 0, 0]),
    ]  # fmt: skip
    rows = means(scores, (0.0, 1.0), corpus=corpus_macro_f1)
    assert only(rows, "language", "de").value == pytest.approx(2 / 3)
    assert only(rows).value == pytest.approx(5 / 6)
    assert padded([(1.0,), None, (1.0, 2.0)])[0].tolist() == [1.0, 0.0]


def test_bounds_stay_inside_a_scale_and_equal_prompts_tell_no_spread() -> None:
    scores = [
        Score("t", "1", str(p), "de", "m", "macro_f1", "f", 1.0, parts=(1.0, 0.0, 0.0) if p else (0.0, 1.0, 1.0))
        for p in range(6)
    ]
    row = only(means(scores, (0.0, 1.0), corpus=corpus_macro_f1))
    assert row.ci_high == 1.0 and row.value == pytest.approx(10 / 12)
    assert only(bits([text(p, 4, 2) for p in range(40)])).reason == "no_spread"


def test_prompts_without_parts_are_missing_and_one_that_alone_overflows_is_not() -> None:
    scores = [text(p, 5 + p, 2) for p in range(6)]
    huge = replace(scores[0], value=None, status="overflow", parts=(2000.0, 2.0))
    lost = replace(scores[1], parts=None)
    row = only(means([huge, lost, *scores[2:]], None, corpus=corpus_perplexity))
    assert (row.n_missing, row.n_prompts) == (1, 5)
    assert row.value == pytest.approx(math.exp((2000 + 7 + 8 + 9 + 10) / 10))
    nothing = only(means([replace(score, parts=None) for score in scores], None, corpus=corpus_bits))
    assert (nothing.value, nothing.reason, nothing.n_missing) == (None, "no_verdicts", 6)


def test_groups_of_languages_are_means_over_theirs_and_say_which() -> None:
    codes = {"de": 2.0, "fr": 4.0, "ar": 9.0, "fa": 1.0, "und": 5.0}
    rows = bits([text(p, n, 1, code) for code, n in codes.items() for p in range(5)])
    family = only(rows, "family", "Indo-European")
    assert family.value == pytest.approx((2 + 4 + 1) / 3 / math.log(2))
    assert family.languages == ("de", "fa", "fr")
    assert only(rows, "script", "Arab").languages == ("ar", "fa")
    assert only(rows, "resource", "unknown").languages == only(rows, "family", "unknown").languages == ("und",)
    assert {row.group for row in rows if row.by == "resource"} == {"high", "unknown"}


@pytest.mark.parametrize("n", [12, 40])
def test_the_order_of_rows_changes_nothing(n: int) -> None:
    scores = [replace(score, repeat=r) for r in range(3) for score in made(n)]
    shuffled = list(scores)
    random.Random(7).shuffle(shuffled)
    assert bits(shuffled) == bits(scores)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.floats(0.1, 50))
def test_another_unit_of_text_moves_values_and_bounds_with_it(seed: int, factor: float) -> None:
    scores = made(35, seed)
    moved = [s if s.parts is None else replace(s, parts=(factor * s.parts[0], s.parts[1])) for s in scores]
    for row, other in zip(bits(scores), bits(moved), strict=True):
        for one, two in ((row.value, other.value), (row.ci_low, other.ci_low), (row.ci_high, other.ci_high)):
            assert two == (None if one is None else pytest.approx(factor * one))


def test_a_mean_computed_from_sums_is_that_of_rates_and_so_is_its_bootstrap() -> None:
    draw = random.Random(5)
    scores = [
        Score("t", "1", str(p), code, "m", "acc", "f", draw.choice([0.0, 0.25, 1.0])) for p in range(40)
        for code in ("de", "ar")
    ]  # fmt: skip
    sums = [replace(score, parts=(score.value or 0.0, 1.0)) for score in scores]
    for row, other in zip(
        means(scores, (0.0, 1.0), how=HOW), means(sums, None, corpus=ratio_of_two, how=HOW), strict=True
    ):
        assert (other.value, other.ci_low, other.ci_high) == pytest.approx((row.value, row.ci_low, row.ci_high))


def ratio_of_two(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])
