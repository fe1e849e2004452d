"""Exact match and token F1: what is made alike before comparing, and what n answers come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.scoring import METRICS, text
from evalharness.scoring.kind import TextItem


def exact(answer: str, reference: str, language: str = "en", **options: Any) -> float | None:
    return METRICS["exact_match"].measure(TextItem(language, (answer,), (reference,)), options).value


@pytest.mark.parametrize(
    ("answer", "reference", "options"),
    [
        (" Paris ", "Paris", {}),
        ("PARIS", "paris", {"ignore_case": True}),
        ("St. Louis!", "St Louis", {"ignore_punctuation": True}),
        ("¿Qué?", "Qué", {"ignore_punctuation": True}),
        ("the Beatles", "Beatles", {"ignore_articles": "leading"}),
        ("king of the hill", "king of hill", {"ignore_articles": "anywhere"}),
        ("room 101", "room ", {"ignore_numbers": True}),
        ("about 5 km", "5 km", {"regexes_to_ignore": ("about ",)}),
        ("The  quick, brown fox.", "quick brown fox", {"normalise": "squad"}),
        ("jean-luc", "jean luc", {"normalise": "trivia"}),
        ("cafe\u0301", "café", {}),
    ],
)
def test_what_is_made_alike_is_equal_and_without_it_is_not(
    answer: str, reference: str, options: dict[str, Any]
) -> None:
    assert exact(answer, reference, **options) == 1
    if options:
        assert exact(answer, reference) == 0


def test_articles_are_known_of_english_alone_unless_listed() -> None:
    assert exact("the king of the hill", "king of the hill", ignore_articles="leading") == 1
    assert exact("der Hund", "Hund", "de", ignore_articles="leading") == 0
    assert exact("der Hund", "Hund", "de", ignore_articles="leading", articles=("der", "die", "das")) == 1
    assert exact("a casa", "casa", "pt", normalise="squad") == 0
    assert exact("another", "nother", ignore_articles="anywhere") == 0


def test_punctuation_of_ascii_alone_leaves_that_of_other_scripts() -> None:
    assert exact("猫。", "猫", "ja", ignore_punctuation=True) == 1
    assert exact("猫。", "猫", "ja", ignore_punctuation="ascii") == 0
    assert exact("-5", "5", ignore_punctuation="ascii") == 1  # why numbers are compared by the metric `number`


def test_any_reference_will_do_and_answers_are_averaged() -> None:
    item = TextItem("en", ("a", "b", "c", None), ("a", "b"))
    measure = METRICS["exact_match"].measure(item)
    assert (measure.value, measure.n_missing, measure.answer) == (2 / 3, 1, "a")


def test_the_candidates_failures_are_wrong_and_ours_are_no_value() -> None:
    def measured(*answers: str | None, failures: tuple[str | None, ...] = ()) -> tuple[float | None, str]:
        measure = METRICS["exact_match"].measure(TextItem("en", answers, ("a",), failures=failures))
        return measure.value, measure.status

    assert measured("  ") == (0.0, "candidate_failure")
    assert measured("a", failures=("candidate_failure",)) == (0.0, "candidate_failure")
    assert measured("a", failures=("no_match",)) == (0.0, "no_match")
    assert measured(None) == (None, "missing")
    assert measured(None, "a") == (1.0, "ok")
    assert METRICS["exact_match"].measure(TextItem("en", ("a",), ())).status == "no_reference"


def test_a_pattern_without_end_is_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PATTERN_SECONDS", 0.05)
    item = TextItem("en", ("a" * 40 + "!",), ("b",))
    measure = METRICS["exact_match"].measure(item, {"regexes_to_ignore": (r"(a|a)*$",)})
    assert (measure.value, measure.status) == (0.0, "no_match")


@pytest.mark.parametrize(
    ("answer", "reference", "language", "f1"),
    [
        ("the cat sat", "a cat sat down", "en", 0.8),  # 2 of 2 and 2 of 3
        ("cat", "dog", "en", 0.0),
        ("黒い猫", "白い猫", "ja", 2 / 3),
        ("แมวดำ", "แมวขาว", "th", 6 / 11),
        ("der Hund", "der Hund", "de", 1.0),
    ],
)
def test_token_f1_by_hand(answer: str, reference: str, language: str, f1: float) -> None:
    item = TextItem(language, (answer,), ("zzz", reference))
    assert METRICS["f1"].measure(item).value == pytest.approx(f1)


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["en", "de", "ja"]))
def test_f1_lies_between_nothing_and_exact_match(answer: str, reference: str, language: str) -> None:
    item = TextItem(language, (answer,), (reference,))
    f1 = METRICS["f1"].measure(item).value
    same = METRICS["exact_match"].measure(item, {"normalise": "squad"}).value
    assert f1 is not None and same is not None
    assert 0 <= same <= f1 <= 1


def test_numbers_are_compared_as_numbers() -> None:
    number = METRICS["number"]
    item = TextItem("de", ("Das macht 1.500,50 €.", "1500.5", "15005", "viel"), ("1500.5",))
    measure = number.measure(item)
    assert (measure.value, measure.answer, measure.n_unread) == (0.5, "1500.5", 1)
    assert number.measure(TextItem("bn", ("উত্তর ১৮",), ("18",))).value == 1
    assert number.measure(TextItem("en", ("-5",), ("5",))).value == 0
    assert number.measure(TextItem("en", ("18, not 19",), ("18",)), {"take": "first"}).value == 1
    assert number.measure(TextItem("en", ("18",), ("eighteen",))).status == "no_reference"
