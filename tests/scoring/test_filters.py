"""Filters read answers step by step; what finds nothing leaves no reading, which is wrong and counted."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import SpecError
from evalharness.scoring import METRICS
from evalharness.scoring import filters as filters_
from evalharness.scoring.filters import reader
from evalharness.scoring.kind import TextItem
from evalharness.specs.fields import Template, convert
from evalharness.specs.reader import read
from evalharness.specs.scoring import FilterSpec, StepWord, check_filters

WORDS = {"answer": "Die Antwort lautet"}


def render(template: Template) -> str:
    """Fill in words as prompts do, for one language."""
    return re.sub(r"\{\{ words\.(\w+) \}\}", lambda m: WORDS[m[1]], template.text)


def filters(steps: str) -> tuple[FilterSpec, ...]:
    document = read(f"filters:\n  - name: strict\n    steps: {steps}\n", "t.yaml")
    specs: tuple[FilterSpec, ...] = convert(tuple[FilterSpec, ...], document.data["filters"], document, ("filters",))
    check_filters(specs, document)
    return specs


def reading(steps: str, *answers: str | None, language: str = "de", choices: tuple[str, ...] = ()) -> TextItem:
    (spec,) = filters(steps)
    return reader(spec, render)(TextItem(language, answers, ("18",), choices))


NUMBER = r"(\-?[0-9\.\,]+)"
FLEXIBLE = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"


@pytest.mark.parametrize(
    ("steps", "text", "read"),
    [
        (f"[{{regex: '{{{{ words.answer }}}} {NUMBER}'}}]", "Die Antwort lautet 17. Nein: Die Antwort lautet 18", "18"),
        (f"[{{regex: '{{{{ words.answer }}}} {NUMBER}', take: first}}]", "Die Antwort lautet 17, Die Antwort lautet 18", "17,"),
        (f"[{{regex: '{NUMBER}', take: all}}]", "1 und 2", "1 2"),
        (f"[{{regex: '{NUMBER}', take: 1}}]", "1 und 2 und 3", "2"),
        (f"[{{regex: '{NUMBER}', take: -2}}]", "1 und 2 und 3", "2"),
        (f"[{{regex: '{NUMBER}', take: 5}}]", "1 und 2 und 3", None),
        (f"[{{regex: '{FLEXIBLE}'}}, strip]", "erst 7 dann 8", "8"),
        ("[{regex: '(a)(b)', group: 2}]", "ab", "b"),
        ("[{regex: 'ANTWORT', ignore_case: true}]", "die Antwort", "Antwort"),
        ("[lower, {map: {ja: 'yes'}}]", "JA", "yes"),
        ("[{map: {ja: 'yes'}}]", "nein", None),
        ("[{map: {ja: 'yes'}, default: 'no'}]", "nein", "no"),
        ("[{after: '####'}, strip]", "17 #### 18 #### 19", "19"),
        ("[{after: '####'}]", "no mark", None),
        ("[{before: '```'}]", "x = 1\n```\nrest", "x = 1\n"),
        ("[{before: '```'}]", "no mark", "no mark"),
        ("[first_line, upper]", "\n  eins \nzwei", "EINS"),
        ("[remove_spaces]", "1 000", "1000"),
        ("[remove_punctuation]", "„Ja!“", "Ja"),
        ("[{remove_punctuation: ascii}]", "„Ja!“", "„Ja“"),
        ("[code_block]", "Hier:\n```python\nx = 1\n```\nUnd ```y```", "x = 1\n"),
        ("[code_block]", "```\nx = 1", "x = 1"),
        ("[code_block]", "x = 1", None),
        ("[number]", "erst 1.500 dann 2.500,5", "2500.5"),
        ("[{number: first}]", "erst 1.500 dann 2.500,5", "1500"),
        ("[letter]", "Antwort: B", "B"),
        ("[multi_choice]", "Es ist wohl Rom.", "B"),
        ("[multi_choice]", "Rom oder Paris", None),
    ],
)  # fmt: skip
def test_steps_by_hand(steps: str, text: str, read: str | None) -> None:
    item = reading(steps, text, choices=("Paris", "Rom"))
    assert (item.answers, item.failures) == ((read,), () if read is not None else ("no_match",))


def test_no_reading_is_wrong_and_a_missing_answer_is_no_value() -> None:
    measure = METRICS["exact_match"].measure(reading("[number]", "18", "achtzehn", None))
    assert (measure.value, measure.status, measure.n_unread, measure.n_missing) == (0.5, "ok", 1, 1)
    assert METRICS["exact_match"].measure(reading("[number]", "achtzehn")).status == "no_match"
    assert METRICS["exact_match"].measure(reading("[number]", None)).status == "missing"


def test_a_failed_answer_is_not_read() -> None:
    (spec,) = filters("[number]")
    item = TextItem("de", ("18", ""), ("18",), failures=("candidate_failure", None))
    assert reader(spec, render)(item).failures == ("candidate_failure", "candidate_failure")


def test_a_majority_of_readings_wins_and_the_first_seen_of_equals() -> None:
    assert reading("[number, majority]", "2", "1", "1", "x").answers == ("1",)
    assert reading("[number, majority]", "2", "1", "x", None).answers == ("2",)
    assert reading("[number, majority]", "x", None).failures == ("no_match",)
    nothing = reading("[majority]", None, None)
    assert (nothing.answers, nothing.failures) == ((None,), ())
    assert reading("[first]", "2", "1").answers == ("2",)
    assert reading("[{first: 3}, majority]", "2", "1", "1", "2", "2").answers == ("1",)


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_the_majority_has_the_most_votes(votes: list[str]) -> None:
    (kept,) = reading("[majority]", *votes).answers
    most = max(Counter(votes).values())
    assert kept == next(vote for vote in votes if votes.count(vote) == most)


def test_a_pattern_without_end_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters_, "PATTERN_SECONDS", 0.05)
    assert reading("[{regex: '(a|a)*$', take: first}]", "a" * 40 + "!").failures == ("no_match",)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[stripp]", "did you mean 'strip'"),
        ("[{regx: a}]", "unknown key; did you mean 'regex'"),
        ("[{take: first}]", "names no operation; use one of"),
        ("[{regex: a, map: {a: b}}]", "names regex and map; give each a step of its own"),
        ("[{number: last, take: first}]", "take: belongs to regex, not to number"),
        ("[{first: 0}]", "0 answers are none"),
        ("[{regex: '(a'}]", "is not a regular expression"),
        ("[{regex: 'a', group: 1}]", "has 0 groups, so there is no group 1"),
        ("[{regex: '(a{5000}){5000}'}]", "repeats more than"),
        ("[{after: ''}]", "is empty"),
    ],
)
def test_a_mistake_names_its_place_and_the_mend(steps: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        reading(steps, "x")
    assert (caught.value.file, caught.value.line) == ("t.yaml", 3)
    assert caught.value.key.startswith("filters[0].steps[0]")


def test_two_filters_of_one_name_are_a_mistake() -> None:
    document = read("filters: [{name: a, steps: []}, {name: a, steps: []}]", "t.yaml")
    specs = convert(tuple[FilterSpec, ...], document.data["filters"], document, ("filters",))
    with pytest.raises(SpecError, match=r"filters\[0\].name: 'a' is used twice"):
        check_filters(specs, document)


def test_every_step_word_is_a_step() -> None:
    for word in get_args(StepWord):
        assert len(reading(f"[{word}]", "x").answers) == 1
