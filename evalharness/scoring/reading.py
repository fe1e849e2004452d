"""Answers in which a number or a choice is read in, whether it is the right one out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalharness.scoring.kind import NO_REFERENCE, Compared, Measure, Metric, TextItem, over_answers, plain
from evalharness.scoring.letters import choice_letters, find_choice, reference_choice
from evalharness.scoring.numbers import find_numbers, reference_number, shown

_TEXT = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class NumberOptions:
    """``take`` says which number of an answer counts, where it has several."""

    take: Literal["first", "last"] = "last"


def number(item: TextItem, options: NumberOptions) -> Measure:
    """Return the share of answers whose last (or first) number equals a reference exactly, as numbers."""
    right = {value for text in item.references if (value := reference_number(text, item.language)) is not None}
    if not right:
        return Measure(None, NO_REFERENCE)

    def compare(answer: str) -> Compared | None:
        found = find_numbers(answer, item.language)
        taken = found[-1 if options.take == "last" else 0] if found else None
        return None if taken is None else Compared(float(taken in right), shown(taken))

    return over_answers(item, compare)


def letter(item: TextItem) -> Measure:
    """Return the share of answers that declare a right choice, by its letter or its words (``letters.find_choice``)."""
    letters = choice_letters(item)
    named = (reference_choice(text, letters, item.choices) for text in item.references)
    right = {at for at in named if at is not None}
    if not right:
        return Measure(None, NO_REFERENCE)

    def compare(answer: str) -> Compared | None:
        at = find_choice(answer, letters, item.choices)
        return None if at is None else Compared(float(at in right), letters[at])

    return over_answers(item, compare)


METRICS = {
    "number": Metric(
        "number", _TEXT, number, "share of answers whose number is the reference's", options=NumberOptions
    ),
    "letter": Metric("letter", _TEXT, plain(letter), "share of answers that choose the right letter"),
}
