"""A stored run and its tasks as they are written now in, the run with their metrics, filters and targets out; nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evalharness.errors import UsageError
from evalharness.specs.task import TaskSpec
from evalharness.stages.describe import prompt_hash, scoring
from evalharness.store import RunRow, SampleRow
from evalharness.types import Sample, Target


def rescored(row: RunRow, tasks: Sequence[TaskSpec], when: str) -> RunRow:
    """Return the run ``row`` with the scoring of ``tasks``; a UsageError where a task's prompts are no longer those asked."""
    parts: dict[str, list[TaskSpec]] = {}
    for task in tasks:
        parts.setdefault(task.task, []).append(task)
    stored = [_rescored(task, parts.get(task["task"], ()), row.name) for task in row.plan["tasks"]]
    return replace(row, plan={**row.plan, "tasks": stored, "rescored": when})


def _rescored(stored: Mapping[str, Any], parts: Sequence[TaskSpec], run: str) -> dict[str, Any]:
    if not parts:
        raise UsageError(f"run {run} cannot be scored again: its task {stored['task']} is not there any more")
    if prompt_hash(parts) != stored["prompt_hash"]:
        raise UsageError(
            f"run {run} cannot be scored again: the prompts of task {stored['task']} were changed since it was asked; "
            "ask anew with `evalharness run`"
        )
    fresh = scoring(parts)
    if (fresh["output"], fresh["n"]) != (stored["output"], stored["n"]):
        raise UsageError(
            f"run {run} cannot be scored again: task {stored['task']} asks for another output or number of answers now; "
            "ask anew with `evalharness run`"
        )
    return {**stored, **fresh}


def targets(rows: Sequence[SampleRow], samples: Sequence[Sample]) -> list[tuple[int, Target | None]]:
    """Return (position, target) of every stored sample, as its row says now; a UsageError where a row is not there any more."""
    now = {(sample.task, sample.language, sample.prompt_id): sample.target for sample in samples}
    out = []
    for row in rows:
        key = (row.task, row.language, row.prompt_id)
        if key not in now:
            raise UsageError(f"prompt {row.prompt_id} of {row.task}[{row.language}] is not in the data set any more")
        out.append((row.position, now[key]))
    return out
