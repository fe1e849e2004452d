"""A task's filters in, functions that read answers out: the model's text to what the metrics compare, step by step.

A step that finds nothing leaves no reading: the answer is wrong with status ``no_match``, never compared as another text.
Answers that failed or are missing pass through untouched. Every filter sees the answer without the model's thoughts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import regex  # type: ignore[import-untyped]

from evalharness.errors import SpecError
from evalharness.scoring.kind import NO_MATCH, TextItem
from evalharness.scoring.letters import choice_letters, find_choice, find_mentioned
from evalharness.scoring.numbers import find_numbers, shown
from evalharness.scoring.text import PATTERN_SECONDS, remove_punctuation
from evalharness.specs.fields import Template
from evalharness.specs.scoring import FilterSpec, StepSpec

MAX_REPEATS = 10_000  # of all counted repeats of a pattern: they are written out when it is compiled

Render = Callable[[Template], str]
Reader = Callable[[TextItem], TextItem]
_ReadText = Callable[[str, TextItem], str | None]

_FENCE = regex.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)(?:^[ \t]*\1|\Z)", regex.MULTILINE | regex.DOTALL)


class _Answer(NamedTuple):
    """One of the n answers on its way through the steps."""

    text: str | None
    failure: str | None

    @property
    def readable(self) -> bool:
        return self.text is not None and self.failure is None


def reader(spec: FilterSpec, render: Render) -> Reader:
    """Return the function that reads the answers of an item as ``spec`` says; ``render`` gives a template's text.

    The function is for one language: templates are rendered here, once. Raises SpecError for a pattern that is none.
    """
    steps = [_step(step, render) for step in spec.steps]

    def read(item: TextItem) -> TextItem:
        answers = [_Answer(text, item.failure(at)) for at, text in enumerate(item.answers)]
        for step in steps:
            answers = step(answers, item)
        texts, failures = tuple(a.text for a in answers), tuple(a.failure for a in answers)
        return replace(item, answers=texts, failures=failures if any(failures) else ())

    return read


_Step = Callable[[list[_Answer], TextItem], list[_Answer]]


def _step(step: str | StepSpec, render: Render) -> _Step:
    if isinstance(step, str):
        return _WHOLE[step] if step in _WHOLE else _each(_WORDS[step])
    if step.first is not None:
        kept = step.first
        return lambda answers, item: answers[:kept]
    return _each(_SETTINGS[step.operation](step, render))


def _each(read: _ReadText) -> _Step:
    """Return the step that reads each answer by itself."""

    def step(answers: list[_Answer], item: TextItem) -> list[_Answer]:
        return [_one(answer, item, read) for answer in answers]

    return step


def _one(answer: _Answer, item: TextItem, read: _ReadText) -> _Answer:
    if answer.text is None or answer.failure is not None:
        return answer
    found = read(answer.text, item)
    return _Answer(found, None if found is not None and found.strip() else NO_MATCH)


def _majority(answers: list[_Answer]) -> list[_Answer]:
    """Keep the text that most answers have, of equally many the one seen first; answers without a reading have no vote."""
    votes = Counter(answer.text for answer in answers if answer.readable)
    if not votes:
        return [next((a for a in answers if a.failure is not None), answers[0])] if answers else []
    return [_Answer(votes.most_common(1)[0][0], None)]


def _first_line(text: str) -> str | None:
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


def _code_block(text: str) -> str | None:
    """Return what the first code fence holds, up to the end of the text where it is not closed."""
    found = _FENCE.search(text)
    return found[2] if found else None


def _letter(text: str, item: TextItem) -> str | None:
    letters = choice_letters(item)
    at = find_choice(text, letters, item.choices)
    return None if at is None else letters[at]


def _multi_choice(text: str, item: TextItem) -> str | None:
    """Return the letter that is declared, or that of the only choice whose words occur."""
    declared = _letter(text, item)
    at = find_mentioned(text, item.choices) if declared is None else None
    return declared if at is None else choice_letters(item)[at]


def _number(which: int) -> _ReadText:
    def read(text: str, item: TextItem) -> str | None:
        found = find_numbers(text, item.language)
        return shown(found[which]) if found else None

    return read


_WORDS: Mapping[str, _ReadText] = {
    "strip": lambda text, item: text.strip(),
    "lower": lambda text, item: text.lower(),
    "upper": lambda text, item: text.upper(),
    "first_line": lambda text, item: _first_line(text),
    "remove_spaces": lambda text, item: "".join(text.split()),
    "remove_punctuation": lambda text, item: remove_punctuation(text),
    "code_block": lambda text, item: _code_block(text),
    "number": _number(-1),
    "letter": _letter,
    "multi_choice": _multi_choice,
}
_WHOLE: Mapping[str, _Step] = {
    "majority": lambda answers, item: _majority(answers),
    "first": lambda answers, item: answers[:1],
}


def _regex_step(step: StepSpec, render: Render) -> _ReadText:
    template = _given(step.regex)
    pattern = _compiled(template, render(template), step.ignore_case)
    if step.group is not None and not 0 <= step.group <= pattern.groups:
        raise _wrong(template, f"has {pattern.groups} groups, so there is no group {step.group}")

    def read(text: str) -> str | None:
        try:
            matches = [_taken(match, step.group) for match in pattern.finditer(text, timeout=PATTERN_SECONDS)]
        except TimeoutError:
            return None
        return _chosen(matches, step.take)

    return lambda text, item: read(text)


def _taken(match: Any, group: int | None) -> str:
    """Return the group of a match, or the first that is not empty, or (no groups) the whole, without space around it."""
    if group is not None:
        return (match[group] or "").strip()
    groups = match.groups()
    return str(next((found for found in groups if found), "") if groups else match[0]).strip()


def _chosen(matches: list[str], take: str | int) -> str | None:
    if take == "all":
        return " ".join(matches) if matches else None
    at = {"first": 0, "last": -1}.get(take, 0) if isinstance(take, str) else take
    return matches[at] if -len(matches) <= at < len(matches) else None


def _compiled(template: Template, pattern: str, ignore_case: bool) -> regex.Pattern[str]:
    repeats = math.prod(max(1, int(count)) for count in regex.findall(r"\{(\d{1,9})", pattern))
    if repeats > MAX_REPEATS:
        raise _wrong(template, f"repeats more than {MAX_REPEATS:,} times; use smaller counts in {{…}}")
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, RecursionError) as error:
        raise _wrong(template, f"is not a regular expression: {error}") from None


def _wrong(template: Template, message: str) -> SpecError:
    where = template.where
    return SpecError(message, where.file, where.line, where.key)


def _before_step(step: StepSpec, render: Render) -> _ReadText:
    mark = _mark(_given(step.before), render)
    return lambda text, item: text.partition(mark)[0]


def _after_step(step: StepSpec, render: Render) -> _ReadText:
    mark = _mark(_given(step.after), render)
    return lambda text, item: text.rpartition(mark)[2] if mark in text else None


def _mark(template: Template, render: Render) -> str:
    mark = render(template)
    if not mark:
        raise _wrong(template, "is empty; write the text to look for")
    return mark


def _map_step(step: StepSpec) -> _ReadText:
    texts = step.map or {}
    return lambda text, item: texts.get(text.strip(), step.default)


def _given(template: Template | None) -> Template:
    assert template is not None  # the operation is chosen by what is given
    return template


_SETTINGS: Mapping[str, Callable[[StepSpec, Render], _ReadText]] = {
    "regex": _regex_step,
    "before": _before_step,
    "after": _after_step,
    "map": lambda step, render: _map_step(step),
    "number": lambda step, render: _number(0 if step.number == "first" else -1),
    "remove_punctuation": lambda step, render: (
        lambda text, item: remove_punctuation(text, step.remove_punctuation or "unicode")
    ),
}
