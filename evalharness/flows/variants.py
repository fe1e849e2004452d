"""Stored runs whose models are variants of each other in; how each differs from a base of its size, by category, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.flows.variantruns import Entry, Files, Judged, entries, judged_columns, merged, read
from evalharness.stats.categories import Column, Figure
from evalharness.stats.coded import Coded
from evalharness.stats.intervals import Resampling
from evalharness.stats.scores import plain_row
from evalharness.stats.sizes import size_class
from evalharness.stats.suites import MISSING_TASKS, SCORE, WIN_RATE
from evalharness.stats.variants import Change, TaskScores, change, value_of

STEP = "step"
IS_BASE = "base"
NO_BASE_OF_SIZE, UNKNOWN_SIZE, NO_BASE_AT_STEP = "no_base_of_this_size", "unknown_size", "no_base_at_this_step"


@dataclass(frozen=True, slots=True)
class VariantRow:
    """A variant's figure in a category and how it differs from the base of its size; ``None`` is unknown, reasons say why.

    ``value`` is on all prompts of the model, ``base_value`` and all that follows on those of both (``n_shared``).
    ``relative`` is the ratio of means less 1, ``mean_of_ratios`` its mean over tasks; both are fractions. ``range`` is the
    scale of ``value`` and ``difference``, ``n_missing`` counts answers without a score, or games without a verdict.
    """

    category: str
    kind: str
    judge: str | None
    size_b: float | None
    size_class: str
    variant: str
    model: str
    step: int | None
    base_model: str | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    interval: str | None
    value_reason: str | None
    base_value: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    mean_of_ratios: float | None = None
    mean_of_ratios_low: float | None = None
    mean_of_ratios_high: float | None = None
    difference_interval: str | None = None
    difference_reason: str | None = None
    reason: str | None = None
    mean_of_ratios_reason: str | None = None
    tasks_at_chance: tuple[str, ...] = ()
    n_tasks: int = 0
    n_prompts: int = 0
    n_shared: int = 0
    n_missing: int = 0
    tasks: tuple[str, ...] = ()
    missing_tasks: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Variants:
    """All rows, size by size, and how they came about."""

    base: str
    x: str | None
    level: float
    rounds: int
    seed: int
    average: str
    categories: tuple[str, ...]
    rows: tuple[VariantRow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Category:
    """Tasks that have one figure; of a win rate the columns are made for each size, of a score ``metric`` may choose them."""

    name: str
    kind: str
    tasks: tuple[str, ...]
    weights: Mapping[str, float]
    metric: str | None = None
    judge: str | None = None


class _Pair(NamedTuple):
    """A model and the base it is compared with, or why there is none."""

    entry: Entry
    base: Entry | None
    reason: str | None = None


class _Scores(NamedTuple):
    """The columns of all tasks, with their scores as numbers, the judges' games, and which models are variants."""

    columns: Sequence[Column]
    coded: Mapping[str, Coded]
    judged: Sequence[Judged]
    variants: frozenset[str]


def compare_variants(
    names: Sequence[str],
    root: Path,
    base: str,
    *,
    x: str | None = None,
    baseline: str | None = None,
    average: str = "macro",
    pairs: str = "complete",
    how: Resampling | None = None,
) -> Variants:
    """Return how the variants in the runs ``names`` (of the folder ``root``, or folders) differ from ``base``.

    Models of one variant and size are taken at their latest step; with ``x`` step at every one, against the base at the same.
    Categories are those of the suite that a run was asked through, else ``suite_category`` of the tasks, else the tasks; win
    rates are one of their own, against ``baseline`` (that of the runs), else all other models, else the base itself.
    Raises NotInCatalog for a variant or run that is not there, DataError where files are missing or two models are the same.
    """
    how = how or Resampling()
    notes: list[str] = []
    runs = [read(name, root) for name in dict.fromkeys(names)]
    found = entries(runs, notes)
    if base not in {entry.variant for entry in found}:
        raise NotInCatalog("variant", base, {entry.variant for entry in found})
    chosen = _at_steps(found, x, base, notes)
    variants = frozenset(entry.model for entry in found)
    columns, judged = merged(runs, variants, notes), judged_columns(runs, baseline, pairs)
    scores = _Scores(columns, {column.name: column.coded() for column in columns}, judged, variants)
    categories = _categories(runs, scores)
    if not categories:
        raise DataError(f"no scores and no games in {', '.join(run.name for run in runs)}: there is nothing to compare")
    rows = [
        row
        for size in sorted({entry.size_b for entry in chosen}, key=lambda size: (size is None, size or 0.0))
        for row in _block(
            [entry for entry in chosen if entry.size_b == size], base, x, categories, scores, average, how
        )
    ]
    notes += sorted({_unmatched(row, base) for row in rows if row.reason in (NO_BASE_OF_SIZE, UNKNOWN_SIZE)})
    order = tuple(dict.fromkeys(category.name for category in categories))
    return Variants(base, x, how.level, how.rounds, how.seed, average, order, tuple(rows), tuple(notes))


def _unmatched(row: VariantRow, base: str) -> str:
    if row.size_b is None:
        return f"{row.model}: its size is unknown, so it has no base; say `size_b` in its entry"
    return f"{row.model}: no {base} of {row.size_b:g} B in the runs; it is compared with nothing"


def _at_steps(found: Sequence[Entry], x: str | None, base: str, notes: list[str]) -> list[Entry]:
    """Return the models to show: those of the latest steps, or all of them; a DataError where two are the same."""
    places: dict[tuple[str, float | None], dict[int | None, Entry]] = {}
    for entry in found:
        steps = places.setdefault((entry.variant, entry.size_b), {})
        if (other := steps.get(entry.step)) is not None:
            raise DataError(
                f"{other.model} and {entry.model} are both variant {entry.variant} of one size and step; give each entry a "
                "`variant`, `size_b` or `step` of its own"
            )
        steps[entry.step] = entry
    if x is not None:
        if all(entry.step is None for entry in found):
            raise UsageError("--x step: no model of the runs has a `step` in its entry")
        return sorted(found, key=lambda e: (e.variant != base, e.variant, -1 if e.step is None else e.step))
    latest = {key: max(steps.values(), key=lambda e: -1 if e.step is None else e.step) for key, steps in places.items()}
    for (variant, size), entry in latest.items():
        own = latest.get((base, size))
        if own is not None and own.step != entry.step:
            notes.append(f"{variant} is at step {entry.step}, {base} of the same size at step {own.step}")
    return sorted(latest.values(), key=lambda entry: (entry.variant != base, entry.variant))


def _categories(runs: Sequence[Files], scores: _Scores) -> list[_Category]:
    asked: dict[str, _Category] = {}
    for run in runs:
        for row in run.summary.get("suites") or ():
            for judge in _judges(scores, row["tasks"]) if row["kind"] == WIN_RATE else [None]:
                category = _Category(
                    _named(row["label"], judge, scores), row["kind"], tuple(row["tasks"]),
                    dict(zip(row["tasks"], row["weights"], strict=True)), row.get("metric"), judge,
                )  # fmt: skip
                asked.setdefault(category.name, category)
    return list(asked.values()) or [*_by_task_category(runs, scores), *_win_rates(scores)]


def _by_task_category(runs: Sequence[Files], scores: _Scores) -> list[_Category]:
    said = {task["task"]: task.get("suite_category") for run in runs for task in run.summary["tasks"]}
    members: dict[str, list[str]] = {}
    for task in dict.fromkeys(column.task for column in scores.columns if column.headline):
        members.setdefault(said.get(task) or task, []).append(task)
    return [_Category(name, SCORE, tuple(tasks), {}) for name, tasks in sorted(members.items())]


def _win_rates(scores: _Scores) -> list[_Category]:
    return [
        _Category(_named("win rate", judged.judge, scores), WIN_RATE, judged.tasks, {}, judge=judged.judge)
        for judged in scores.judged
    ]


def _judges(scores: _Scores, tasks: Sequence[str]) -> list[str | None]:
    return [judged.judge for judged in scores.judged if set(judged.tasks) & set(tasks)]


def _named(label: str, judge: str | None, scores: _Scores) -> str:
    return label if judge is None or len(scores.judged) == 1 else f"{label}, {judge}"


def _block(
    size: Sequence[Entry],
    base: str,
    x: str | None,
    categories: Sequence[_Category],
    scores: _Scores,
    average: str,
    how: Resampling,
) -> Iterator[VariantRow]:
    """Yield the rows of the models of one size, category by category."""
    bases = {entry.step: entry for entry in size if entry.variant == base}
    pairs = [_paired(entry, bases, x) for entry in size]
    for category in categories:
        for pair in pairs:
            yield _row(pair, category, scores, average, how)


def _paired(entry: Entry, bases: Mapping[int | None, Entry], x: str | None) -> _Pair:
    if entry.size_b is None:
        return _Pair(entry, None, UNKNOWN_SIZE)
    if not bases:
        return _Pair(entry, None, NO_BASE_OF_SIZE)
    own = bases.get(entry.step) if x is not None else next(iter(bases.values()))
    if own is None:
        return _Pair(entry, None, NO_BASE_AT_STEP)
    return _Pair(entry, None, IS_BASE) if own == entry else _Pair(entry, own)


def _row(pair: _Pair, category: _Category, scores: _Scores, average: str, how: Resampling) -> VariantRow:
    model = pair.entry.model
    other = pair.base.model if pair.base is not None else None
    tested = _tested(category, scores, model, other, is_base=pair.reason == IS_BASE)
    own = _tested(category, scores, model) or tested
    missing = tuple(task for task in category.tasks if task not in own) if category.kind == SCORE else ()
    unshared = tuple(task for task in category.tasks if task not in tested) if category.kind == SCORE else ()
    value, n_prompts = Figure(reason=MISSING_TASKS), 0
    if own and not missing:
        value, n_prompts = value_of(list(own.values()), model, average, how)
    first = next((each.column for each in own.values()), None)
    row = VariantRow(
        category=category.name, kind=category.kind, judge=category.judge, size_b=pair.entry.size_b,
        size_class=size_class(pair.entry.size_b), variant=pair.entry.variant, model=model, step=pair.entry.step,
        base_model=other, value=value.value, ci_low=value.low, ci_high=value.high, interval=value.interval,
        value_reason=value.reason, reason=pair.reason, difference_reason=pair.reason, mean_of_ratios_reason=pair.reason,
        n_tasks=len(category.tasks), n_prompts=n_prompts,
        n_missing=_missing(category, scores, model, own), tasks=category.tasks, missing_tasks=unshared,
        range=_range(list(own.values())), higher_is_better=first.higher_is_better if first else True,
    )  # fmt: skip
    if other is None:
        return row
    if unshared or not tested:
        return replace(row, reason=MISSING_TASKS, difference_reason=MISSING_TASKS, mean_of_ratios_reason=MISSING_TASKS)
    return _changed(row, change(list(tested.values()), model, other, average, how))


def _missing(category: _Category, scores: _Scores, model: str, own: Mapping[str, TaskScores]) -> int:
    if category.kind == WIN_RATE:
        return sum(judged.missing(model, category.tasks) for judged in scores.judged if judged.judge == category.judge)
    return sum(each.coded.missing(model) for each in own.values())


def _range(tested: Sequence[TaskScores]) -> tuple[float, float] | None:
    scales = {each.column.scale for each in tested}
    return scales.pop() if len(scales) == 1 else None if None in scales or not scales else (0.0, 1.0)


def _changed(row: VariantRow, found: Change) -> VariantRow:
    return replace(
        row, base_value=found.base_value.value, difference=found.difference.value, difference_low=found.difference.low,
        difference_high=found.difference.high, relative=found.relative.value, relative_low=found.relative.low,
        relative_high=found.relative.high, mean_of_ratios=found.mean_of_ratios.value,
        mean_of_ratios_low=found.mean_of_ratios.low, mean_of_ratios_high=found.mean_of_ratios.high,
        difference_interval=found.difference.interval, difference_reason=found.difference.reason,
        reason=found.relative.reason, mean_of_ratios_reason=found.mean_of_ratios.reason,
        tasks_at_chance=found.at_chance, n_shared=found.n_shared,
    )  # fmt: skip


def _tested(
    category: _Category, scores: _Scores, model: str, other: str | None = None, *, is_base: bool = False
) -> dict[str, TaskScores]:
    """Return the tasks of ``category`` in which ``model`` (and ``other``, if named) have scores in one column."""
    if category.kind == WIN_RATE:
        judged = next((own for own in scores.judged if own.judge == category.judge), None)
        column = None
        if judged is not None:
            column = judged.column(model, other, scores.variants, category.tasks, is_base=is_base)
        return (
            {}
            if column is None
            else {column.task: TaskScores(column, column.coded(), certain=column.chance is not None)}
        )
    models = {model} if other is None else {model, other}
    found: dict[str, TaskScores] = {}
    for column in scores.columns:
        wanted = column.headline if category.metric is None else column.metric == category.metric
        coded = scores.coded[column.name]
        if wanted and column.task in category.tasks and column.task not in found and models <= set(coded.models):
            found[column.task] = TaskScores(column, coded, category.weights.get(column.task, 1.0))
    return {task: found[task] for task in category.tasks if task in found}


def document(variants: Variants) -> dict[str, Any]:
    """Return what ``evalharness compare --base --json`` prints: plain values, unknown ones None, nothing rounded."""
    return {**plain_row(variants), "rows": [plain_row(row) for row in variants.rows]}
