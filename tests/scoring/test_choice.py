"""Accuracies of fixed choices by hand, macro-F1 as scikit-learn has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from evalharness.scoring import METRICS
from evalharness.scoring.kind import ChoiceItem

NAN = float("nan")


def item(logprobs: tuple[float, ...], right: int = 0, choices: tuple[str, ...] = ("a", "bcd")) -> ChoiceItem:
    return ChoiceItem("en", choices, frozenset({right}), logprobs)


def test_the_sum_the_mean_per_character_and_the_mean_per_byte_choose_differently() -> None:
    # -4 / -6 / -8: the shortest wins; per character -4 / -2 / -4; per byte -4 / -2 / -1 (the last has 8 bytes)
    prompt = ChoiceItem("ru", ("x", "abc", "яя" * 2), frozenset({1}), (-4.0, -6.0, -8.0))
    assert (prompt.chars, prompt.bytes) == ((1, 3, 4), (1, 3, 8))
    chosen = {name: METRICS[name].measure(prompt).answer for name in ("acc", "acc_norm", "acc_bytes")}
    assert chosen == {"acc": "x", "acc_norm": "abc", "acc_bytes": "яяяя"}
    assert METRICS["acc_norm"].measure(prompt).value == 1
    assert METRICS["acc"].measure(prompt).value == 0


def test_of_equally_likely_choices_the_first_is_taken() -> None:
    assert METRICS["acc"].measure(item((-1.0, -1.0), right=0)).value == 1
    assert METRICS["acc"].measure(item((-1.0, -1.0), right=1)).value == 0


def test_several_choices_may_be_right() -> None:
    prompt = ChoiceItem("en", ("a", "b", "c"), frozenset({1, 2}), (-3.0, -2.0, -1.0))
    assert METRICS["acc"].measure(prompt).value == 1


def test_mutual_information_asks_what_the_prompt_adds() -> None:
    prompt = ChoiceItem("en", ("yes", "no"), frozenset({1}), (-1.0, -2.0), (-0.5, -4.0))
    assert METRICS["acc"].measure(prompt).value == 0
    assert METRICS["acc_pmi"].measure(prompt).value == 1
    assert METRICS["acc_pmi"].measure(item((-1.0, -2.0))).status == "no_unconditional"


@pytest.mark.parametrize("name", ["acc", "acc_norm", "acc_bytes", "acc_pmi", "macro_f1"])
def test_what_could_not_be_had_is_no_value_and_not_wrong(name: str) -> None:
    for logprobs, status in (((), "missing"), ((-1.0, NAN), "missing"), ((-math.inf, -math.inf), "zero_probability")):
        measure = METRICS[name].measure(item(logprobs))
        assert (measure.value, measure.status) == (None, status)


def test_an_impossible_choice_beside_a_possible_one_is_just_not_taken() -> None:
    assert METRICS["acc"].measure(item((-math.inf, -1.0), right=1)).value == 1


def test_a_choice_without_characters_has_no_mean() -> None:
    assert METRICS["acc_norm"].measure(item((-1.0, -2.0), choices=("", "b"))).status == "empty_choice"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metric = METRICS["macro_f1"]
    items = [
        ChoiceItem("en", ("a", "b", "c"), frozenset({true}), tuple(-float(k != taken) for k in range(3)))
        for true, taken in pairs
    ]
    parts = np.array([metric.measure(each).parts for each in items])
    truth, taken = zip(*pairs, strict=True)
    assert metric.corpus is not None
    assert metric.corpus(parts.sum(axis=0)) == pytest.approx(f1_score(truth, taken, average="macro"))
    assert np.allclose(metric.corpus(np.stack([parts.sum(axis=0)] * 4)), f1_score(truth, taken, average="macro"))


def test_the_parts_of_macro_f1_are_hits_false_choices_and_misses_of_each_class() -> None:
    assert METRICS["macro_f1"].measure(item((-1.0, -2.0), right=0)).parts == (1, 0, 0, 0, 0, 0)
    assert METRICS["macro_f1"].measure(item((-1.0, -2.0), right=1)).parts == (0, 1, 0, 0, 0, 1)


def test_macro_f1_of_nothing_is_undefined() -> None:
    assert METRICS["macro_f1"].corpus is not None
    assert np.isnan(METRICS["macro_f1"].corpus(np.zeros(6)))


@pytest.mark.parametrize("name", ["acc", "acc_norm", "acc_bytes", "acc_pmi", "macro_f1"])
def test_a_prompt_longer_than_the_context_counts_as_wrong_in_every_metric(name: str) -> None:
    item = ChoiceItem("de", ("ja", "nein"), frozenset({1}), (), failure="candidate_failure")
    measure = METRICS[name].measure(item)
    assert (measure.value, measure.status, measure.n_failed) == (0.0, "candidate_failure", 1)
    if name == "macro_f1":
        assert measure.parts == (0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
