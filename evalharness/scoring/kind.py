"""What metrics share: items in (one prompt's choices, answers, likelihood or test results), a Measure out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evalharness.specs.fields import build
from evalharness.specs.reader import Document, Path_

Floats = npt.NDArray[np.float64]

OK = "ok"
CANDIDATE_FAILURE = "candidate_failure"
NO_MATCH = "no_match"
MISSING = "missing"
NO_REFERENCE = "no_reference"


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    """A prompt with fixed ``choices``; ``right`` holds the positions of the correct ones.

    ``logprobs`` has one summed natural-log probability per choice, ``unconditional`` those of the choices without the prompt;
    empty or NaN where they could not be had. ``failure`` says why the prompt counts as wrong without them
    (``candidate_failure``: it is longer than the context).
    """

    language: str
    choices: tuple[str, ...]
    right: frozenset[int]
    logprobs: tuple[float, ...]
    unconditional: tuple[float, ...] | None = None
    failure: str | None = None

    @property
    def chars(self) -> tuple[int, ...]:
        """The lengths of the choices in characters."""
        return tuple(len(choice) for choice in self.choices)

    @property
    def bytes(self) -> tuple[int, ...]:
        """The lengths of the choices in UTF-8 bytes."""
        return tuple(len(choice.encode("utf-8")) for choice in self.choices)


@dataclass(frozen=True, slots=True)
class TextItem:
    """A prompt answered freely n times: ``answers`` holds the n texts, ``None`` where one is missing by our fault.

    ``failures``, empty or as long as ``answers``, says why an answer has the lowest score without being compared:
    ``candidate_failure`` (refused, truncated, over the context) or ``no_match`` (a filter found nothing to read).
    ``references`` are the right answers, any of which will do; ``choices`` are the offered ones and ``letters`` what they are
    called, where the prompt offers some.
    """

    language: str
    answers: tuple[str | None, ...]
    references: tuple[str, ...]
    choices: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    failures: tuple[str | None, ...] = ()

    def failure(self, at: int) -> str | None:
        """Return why answer number ``at`` has the lowest score, an empty answer included; ``None`` where it is compared."""
        if self.failures and (failure := self.failures[at]) is not None:
            return failure
        answer = self.answers[at]
        return CANDIDATE_FAILURE if answer is not None and not answer.strip() else None


@dataclass(frozen=True, slots=True)
class LikelihoodItem:
    """A ``text`` and its summed natural-log probability; ``None`` where it could not be had."""

    language: str
    text: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class CodeItem:
    """A programming problem: whether each of the n samples ``passed`` its tests; ``None`` is missing by our fault."""

    language: str
    passed: tuple[bool | None, ...]


Item = ChoiceItem | TextItem | LikelihoodItem | CodeItem


@dataclass(frozen=True, slots=True)
class Measure:
    """What one prompt scored in a metric: ``value`` is ``None`` where there is none, and ``status`` says why.

    ``candidate_failure`` and ``no_match`` are scored: they have the lowest value. ``parts`` are the sums that the metric's
    ``corpus`` needs, where the value of many prompts is not the mean of theirs. ``answer`` is the answer as it was read (of
    several, the first that was). ``n_missing`` answers are missing by our fault, ``n_unread`` had nothing that a filter or
    the metric could read, ``n_failed`` failed by the candidate's fault.
    """

    value: float | None
    status: str = OK
    parts: tuple[float, ...] | None = None
    answer: str | None = None
    n_missing: int = 0
    n_unread: int = 0
    n_failed: int = 0


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of a metric that has none."""


def plain(score: Callable[[Any], Measure]) -> Callable[[Any, Any], Measure]:
    """Return ``score``, which has no options, in the form of one that has."""
    return lambda item, options: score(item)


Rows = tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``score`` gives the measure of an item under a record of ``options``, whose fields are its settings.

    ``outputs`` are the kinds of task it is for: choice, text, loglikelihood, code. ``corpus`` gives the value of many prompts
    from the sums of their ``parts`` (last axis; NaN where it is undefined); without it the value is the mean over prompts.
    ``range`` is (lowest, highest), ``None`` where the value has no bound. ``split`` gives (name, options) of
    each row where options stand for several rows of a table.
    """

    name: str
    outputs: frozenset[str]
    score: Callable[[Any, Any], Measure]
    description: str
    options: type = NoOptions
    corpus: Callable[[Floats], Floats] | None = None
    range: tuple[float, float] | None = (0.0, 1.0)
    higher_is_better: bool = True
    split: Callable[[Mapping[str, Any]], Rows] | None = None

    def measure(self, item: Item, options: Mapping[str, Any] | None = None) -> Measure:
        """Return the measure of ``item``; ``options`` that are not given have their defaults."""
        return self.score(item, self.options(**(options or {})))

    def rows(self, options: Mapping[str, Any]) -> Rows:
        """Return (name, options) of each row of a table that the metric with these options stands for."""
        return ((self.name, options),) if self.split is None else self.split(options)

    def read_options(self, document: Document, path: Path_) -> Mapping[str, Any]:
        """Return the options at ``path`` of a YAML file, all of them; raises SpecError where one is unknown or wrong."""
        try:
            record: Any = build(self.options, document, path)
        except ValueError as error:
            raise document.error(path, str(error)) from None
        return {f.name: getattr(record, f.name) for f in fields(self.options)}


class Compared(NamedTuple):
    """One answer after comparison: its score and what was compared, for people to see."""

    value: float
    shown: str


def over_answers(item: TextItem, compare: Callable[[str], Compared | None], lowest: float = 0.0) -> Measure:
    """Return the mean over the answers of ``item``: each is compared, or has the lowest value where it cannot be.

    ``compare`` gives ``None`` for an answer without anything to compare. Answers missing by our fault are left out, and
    counted; if all are, there is no value.
    """
    if not item.references:
        return Measure(None, NO_REFERENCE)
    values, shown, statuses = [], [], []
    for at, answer in enumerate(item.answers):
        failure = item.failure(at)
        if failure is None and answer is None:
            statuses.append(MISSING)
            continue
        compared = compare(answer) if failure is None and answer is not None else None
        statuses.append(OK if compared is not None else failure or NO_MATCH)
        values.append(lowest if compared is None else compared.value)
        shown += [] if compared is None else [compared.shown]
    return Measure(
        math.fsum(values) / len(values) if values else None,
        overall(statuses), answer=shown[0] if shown else None, n_missing=statuses.count(MISSING),
        n_unread=statuses.count(NO_MATCH), n_failed=statuses.count(CANDIDATE_FAILURE),
    )  # fmt: skip


def overall(statuses: list[str]) -> str:
    """Return the status of several answers: ok if one is, else that of the first that is not missing."""
    if OK in statuses:
        return OK
    return next((status for status in statuses if status != MISSING), MISSING)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return ``numerator / denominator``, NaN where the denominator is not above zero."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), np.nan)
