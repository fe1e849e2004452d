"""A stored run in, what every answer scored in every metric of its task out; nobody is asked and nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalharness.scoring import METRICS
from evalharness.scoring.filters import Reader
from evalharness.scoring.kind import CANDIDATE_FAILURE, ChoiceItem, CodeItem, Item, LikelihoodItem, Measure, TextItem
from evalharness.specs.scoring import MetricSpec, headline
from evalharness.stages.derive import Stored
from evalharness.stages.programs import PASSED, Tried, limits, tried
from evalharness.stages.reading import readers
from evalharness.store import Journal, SampleRow
from evalharness.types import Completion, Result, Score, Target

LIKELIHOOD, GENERATED = "likelihood", "generated"
_LETTER = MetricSpec("letter", headline=True)
_UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a task's results: a metric with its options, the answers read by one filter.

    ``name`` is that of its rows in tables (``pass@10``); ``headline`` marks the task's first one.
    """

    task: str
    name: str
    metric: str
    filter: str
    options: Mapping[str, Any]
    headline: bool
    chance: float | None


def scored_tasks(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks of a stored plan that metrics score."""
    return [task for task in plan["tasks"] if task.get("metrics")]


def columns(plan: Mapping[str, Any], task: Mapping[str, Any]) -> list[Column]:
    """Return the columns of ``task``: likelihoods and written answers are never in one."""
    ways = {model["ways"][task["task"]] for model in plan["models"]}
    metrics = [MetricSpec(**{**metric, "options": _options(metric["options"])}) for metric in task["metrics"]]
    out: list[Column] = []
    if task["output"] in ("choice", "loglikelihood") and "likelihood" in ways:
        out += _columns(task, metrics, [LIKELIHOOD])
    if task["output"] == "choice" and "text" in ways:
        chance = next((metric.chance for metric in metrics if metric.chance is not None), None)
        out += _columns(task, [replace(_LETTER, chance=chance)], _filters(task) or [GENERATED])
    if task["output"] in ("text", "code"):
        out += _columns(task, metrics, _filters(task) or ["none"])
    return out


def _options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the YAML gave them: JSON has lists for tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}


def _filters(task: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(spec["name"] for specs in task["filters"].values() for spec in specs))


def _columns(task: Mapping[str, Any], metrics: Sequence[MetricSpec], filters: Sequence[str]) -> Iterator[Column]:
    marked = headline(metrics)
    for metric in metrics:
        for at, (name, options) in enumerate(METRICS[metric.name].rows(metric.options)):
            for number, filter_name in enumerate(filters):
                first = metric is marked and at == 0 and number == 0
                yield Column(task["task"], name, metric.name, filter_name, options, first, metric.chance)


def measured(journal: Journal, run: Stored) -> Iterator[Score]:
    """Yield every score of ``run``: task by task, sample by sample, model by model, column by column."""
    for task in scored_tasks(run.run.plan):
        yield from _task_scores(journal, run, task)


def _task_scores(journal: Journal, run: Stored, task: Mapping[str, Any]) -> Iterator[Score]:
    own, read = columns(run.run.plan, task), readers(task)
    ways = {model["name"]: model["ways"][task["task"]] for model in run.run.plan["models"]}
    outcomes = _Outcomes(journal, task) if task["output"] == "code" else None
    for sample in run.samples:
        if sample.task != task["task"] or sample.target is None:
            continue
        for model, answers in run.answers.all_of(sample.position).items():
            items = dict(_items(task, sample, answers, ways[model], read(sample.language), outcomes))
            for column in own:
                if column.filter in items:
                    measure = _measure(column, items[column.filter])
                    yield _score(sample, model, column, measure)


def _items(
    task: Mapping[str, Any],
    sample: SampleRow,
    answers: Sequence[Completion],
    way: str,
    read: Mapping[str, Reader],
    outcomes: _Outcomes | None,
) -> Iterator[tuple[str, Item | Measure]]:
    """Yield what each filter gives the metrics to measure; a Measure where there is nothing to."""
    target = sample.target
    assert target is not None
    if way == "likelihood":
        yield LIKELIHOOD, _likelihood_item(task, sample, target, answers[0])
        return
    for name, reader in read.items():
        if outcomes is not None:
            yield (
                name,
                CodeItem(
                    sample.language, outcomes.of(tried(answers, target, sample.language, reader, outcomes.limits))
                ),
            )
            continue
        label = GENERATED if task["output"] == "choice" and not task["filters"] else name
        yield label, reader(_text_item(task, sample, target, answers))


def _text_item(task: Mapping[str, Any], sample: SampleRow, target: Target, answers: Sequence[Completion]) -> TextItem:
    choice = task["output"] == "choice"
    right = tuple(target.letters[at] for at in target.right) if choice else target.texts
    failures = tuple(CANDIDATE_FAILURE if answer.failure else None for answer in answers)
    return TextItem(
        target.language or sample.language, tuple(None if a.error else a.text for a in answers), right, target.choices,
        target.letters[: len(target.choices)] if choice else target.letters, failures if any(failures) else (),
    )  # fmt: skip


def _likelihood_item(task: Mapping[str, Any], sample: SampleRow, target: Target, answer: Completion) -> Item | Measure:
    found = answer.logprobs or ()
    failure = None if answer.failure is None else CANDIDATE_FAILURE  # the prompt is longer than the context
    if task["output"] == "loglikelihood":
        if failure is not None:
            return Measure(None, failure)
        return LikelihoodItem(sample.language, target.text or "", found[0] if found else None)
    number = len(target.choices)
    rest = found[number:]
    return ChoiceItem(sample.language, target.choices, frozenset(target.right), found[:number], rest or None, failure)


def _measure(column: Column, item: Item | Measure) -> Measure:
    return item if isinstance(item, Measure) else METRICS[column.metric].measure(item, column.options)


def _score(sample: SampleRow, model: str, column: Column, measure: Measure) -> Score:
    return Score(
        task=sample.task, task_version=sample.version, prompt_id=sample.prompt_id, language=sample.language, model=model,
        metric=column.name, filter=column.filter, value=measure.value, status=measure.status, category=sample.category,
        target_language=sample.target.language if sample.target else None, chance=column.chance, parts=measure.parts,
        answer=measure.answer,
    )  # fmt: skip


class _Outcomes:
    """How the programs of a task ended, as far as they were run."""

    def __init__(self, journal: Journal, task: Mapping[str, Any]) -> None:
        self._journal = journal
        self.limits = limits(task["program"])

    def of(self, found: Sequence[Tried | None]) -> tuple[bool | None, ...]:
        """Return whether each program passed; ``None`` where it was not run, or its sandbox ended under it."""
        known = self._journal.results([each.identity for each in found if each is not None and each.identity])
        return tuple(self._passed(each, known) for each in found)

    def _passed(self, each: Tried | None, known: Mapping[str, Result]) -> bool | None:
        if each is None:
            return None
        if each.identity is None:
            return False
        result = known.get(each.identity)
        return None if result is None or result.error is not None else result.finish == PASSED
