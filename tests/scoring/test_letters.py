"""The choice an answer declares is found in its language's letters, and a restated question declares nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.scoring import METRICS
from evalharness.scoring.kind import TextItem
from evalharness.scoring.letters import find_choice, find_mentioned

CITIES = ("Paris", "Rome", "Berlin", "Madrid")
LISTED = "A. Paris\nB. Rome\nC. Berlin\nD. Madrid\n"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("B.", "B"), ("**B**", "B"), ("（Ｂ）", "B"), ("B. Rome", "B"), ("B: Rome", "B"),
        ("Answer: B", "B"), ("답: B", "B"), ("答えはBです。", "B"), ("答案是B", "B"), ("คำตอบคือ B", "B"),
        ("Die Antwort ist B", "B"),
        ("The answer is (b)", "B"), (r"Thus $\boxed{\text{C}}$", "C"), ("Respuesta: C) Berlin", "C"), ("I choose C", "C"),
        ("The answer is B because A is wrong", "B"), ("Answer: A. No, wait. Answer: D", "D"), ("(A) is not right, so (C)", "C"),
        ("Let me think.\n\nC", "C"), (LISTED + "Answer: D", "D"), ("(A) x (B) y (C) z (D) w, so (B)", "B"),
        ("Rome", "B"), ("rome.", "B"), ("“Madrid”", "D"),
        (LISTED, None), ("Options: A) x B) y C) z D) w", None), ("A cat is nice", None), ("either A or B", None), ("BB", None),
        ("Lisbon", None), ("", None),
    ],
)  # fmt: skip
def test_letters_of_the_alphabet(text: str, letter: str | None) -> None:
    found = find_choice(text, tuple("ABCD"), CITIES)
    assert (None if found is None else "ABCD"[found]) == letter


@pytest.mark.parametrize(
    ("letters", "text", "position"),
    [
        ("أبجد", "ب", 1), ("أبجد", "الإجابة: ب", 1), ("أبجد", "الإجابة هي ا", 0), ("أبجد", "(ج)", 2), ("أبجد", "B", 1),
        ("कखगघ", "उत्तर: (ग)", 2), ("कखगघ", "ख", 1), ("कखगघ", "कमल", None),
        ("АБВГ", "Ответ: В", 2), ("АБВГ", "Відповідь — Г", 3), ("АБВГ", "B", None),
        ("ΑΒΓΔ", "Απάντηση: Γ", 2), ("אבגד", "תשובה: ג", 2), ("甲乙丙丁", "答案是乙", 1), ("가나다라", "정답: 다", 2),
    ],
)  # fmt: skip
def test_letters_of_other_scripts(letters: str, text: str, position: int | None) -> None:
    assert find_choice(text, tuple(letters)) == position


@given(st.text(max_size=80))
def test_any_text_declares_one_choice_or_none(text: str) -> None:
    assert find_choice(text, tuple("ABCD"), CITIES) in (0, 1, 2, 3, None)


def test_a_flood_of_spaces_and_letters_is_read_at_once() -> None:
    assert find_choice("answer:" + " " * 20_000 + "no", tuple("ABCD")) is None
    assert find_choice("A) " * 5_000, tuple("ABCD")) == 0


def test_the_only_choice_whose_words_occur_is_the_one_mentioned() -> None:
    assert find_mentioned("It must be Rome, I think", CITIES) == 1
    assert find_mentioned("Rome or Paris", CITIES) is None
    assert find_mentioned("New York City", ("York", "New York")) == 1


def test_the_metric_takes_letter_or_words_and_shows_the_letter() -> None:
    letter = METRICS["letter"]
    item = TextItem("en", ("Answer: B", "Rome", "(C)", "who knows"), ("B",), CITIES)
    measure = letter.measure(item)
    assert (measure.value, measure.status, measure.answer, measure.n_unread) == (0.5, "ok", "B", 1)
    assert letter.measure(TextItem("en", ("Rome",), ("Rome",), CITIES)).value == 1
    assert letter.measure(TextItem("ar", ("ب",), ("B",), CITIES, tuple("أبجد"))).value == 1
    assert letter.measure(TextItem("en", ("Rome",), ("Lisbon",), CITIES)).status == "no_reference"
    assert letter.measure(TextItem("en", ("who knows",), ("B",), CITIES)).status == "no_match"
