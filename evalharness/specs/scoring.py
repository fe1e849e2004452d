"""The ``metrics`` and ``filters`` of a task's YAML in, frozen MetricSpec and FilterSpec out; the metrics are in ``scoring``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evalharness.specs.fields import Template
from evalharness.specs.reader import Document, Path_

StepWord = Literal[
    "strip", "lower", "upper", "first_line", "remove_spaces", "remove_punctuation", "code_block", "number", "letter",
    "multi_choice", "majority", "first",
]  # fmt: skip

_OPERATIONS = ("regex", "before", "after", "map", "number", "first", "remove_punctuation")
_BELONGS = {"group": "regex", "take": "regex", "ignore_case": "regex", "default": "map"}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric of a task: its ``name``, its own ``options``, and what guessing would score (``chance``).

    ``headline`` marks the one that tables and ranks show first; without a mark it is the first of the list.
    """

    name: str
    headline: bool = False
    chance: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a filter with settings of its own: exactly one of the keys that name an operation.

    ``regex`` finds a pattern: ``take`` chooses among its matches (a whole number counts from 0, from the end below 0; ``all``
    joins them with a space), ``group`` a group of the match (without it the first that is not empty, or the whole match).
    ``before`` cuts at the first place of a text, where there is one; ``after`` keeps what follows its last place. ``map``
    gives other texts for whole texts, and ``default`` for the rest. ``number`` takes the first or last number. ``first`` keeps
    that many answers. ``remove_punctuation`` is that of ASCII or of all scripts.
    """

    regex: Template | None = None
    group: int | None = None
    take: Literal["first", "last", "all"] | int = "last"
    ignore_case: bool = False
    before: Template | None = None
    after: Template | None = None
    map: Mapping[str, str] | None = None
    default: str | None = None
    number: Literal["first", "last"] | None = None
    first: int | None = None
    remove_punctuation: Literal["unicode", "ascii"] | None = None

    @property
    def operation(self) -> str:
        """Return the name of what this step does."""
        return next(name for name in _OPERATIONS if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """How an answer is read: ``steps`` from the model's text to what the metrics see. Each filter gives rows of its own."""

    name: str
    steps: tuple[StepWord | StepSpec, ...]


def metric_specs(lines: Iterable[str | MetricSpec]) -> tuple[MetricSpec, ...]:
    """Return the metrics of a YAML list, in which a plain name stands for a metric without settings."""
    return tuple(MetricSpec(line) if isinstance(line, str) else line for line in lines)


def headline(metrics: Iterable[MetricSpec]) -> MetricSpec | None:
    """Return the metric that is shown first: the marked one, or the first; ``None`` where there is none."""
    listed = tuple(metrics)
    return next((metric for metric in listed if metric.headline), listed[0] if listed else None)


def check_metrics(metrics: tuple[MetricSpec, ...], document: Document, path: Path_ = ("metrics",)) -> None:
    """Raise a SpecError where ``metrics`` (the list at ``path``) repeats a metric, or marks two as the headline."""
    marked = [i for i, metric in enumerate(metrics) if metric.headline]
    if len(marked) > 1:
        raise document.error((*path, marked[1], "headline"), f"'{metrics[marked[0]].name}' is it; mark one alone")
    for i, metric in enumerate(metrics):
        if metric in metrics[:i] or any((m.name, m.options) == (metric.name, metric.options) for m in metrics[:i]):
            raise document.error((*path, i), f"'{metric.name}' is listed twice with the same options; remove one")


def check_filters(filters: tuple[FilterSpec, ...], document: Document, path: Path_ = ("filters",)) -> None:
    """Raise a SpecError where two ``filters`` (the list at ``path``) share a name, or a step is not one operation."""
    names = Counter(each.name for each in filters)
    for i, each in enumerate(filters):
        if names[each.name] > 1:
            raise document.error((*path, i, "name"), f"'{each.name}' is used twice; call one of them otherwise")
        for j, step in enumerate(each.steps):
            if isinstance(step, StepSpec):
                _check_step(step, document, (*path, i, "steps", j))


def _check_step(step: StepSpec, document: Document, path: Path_) -> None:
    named = [name for name in _OPERATIONS if getattr(step, name) is not None]
    if len(named) != 1:
        found = f"names {' and '.join(named)}" if named else "names no operation"
        mend = "give each a step of its own" if named else f"use one of {', '.join(_OPERATIONS)}"
        raise document.error(path, f"{found}; {mend}")
    for key, operation in _BELONGS.items():
        if key in _written(document, path) and operation != named[0]:
            raise document.error((*path, key), f"belongs to {operation}, not to {named[0]}; remove it")
    if step.first is not None and step.first < 1:
        raise document.error((*path, "first"), f"{step.first} answers are none; keep at least 1")


def _written(document: Document, path: Path_) -> Any:
    data: Any = document.data
    for part in path:
        data = data[part]
    return data
