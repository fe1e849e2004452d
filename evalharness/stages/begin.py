"""A plan and its samples in, the run in the journal out: what was asked, with what, and when."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from evalharness.errors import SandboxError, UsageError
from evalharness.plan import Plan
from evalharness.prompts import question
from evalharness.sandbox import available, facts
from evalharness.stages.describe import describe
from evalharness.stages.load import Loaded
from evalharness.stages.programs import limits
from evalharness.store import RunRow, Runs


def begin(runs: Runs, plan: Plan, loaded: Loaded, before: str | None = None, *, programs: bool = False) -> None:
    """Note the run; one of the same name must be the same plan, or the one of the hash ``before`` that it extends.

    Where ``programs`` of code tasks will be run, a SandboxError if they cannot be.
    """
    known = runs.find(plan.name)
    if known is not None and known.plan_hash not in (plan.hash, before):
        raise UsageError(
            f"run {plan.name} was begun with another plan (its tasks, judges, models or sampling differ); "
            "choose another --name, or leave it out"
        )
    met = {
        "versions": _versions(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        **(_sandbox(plan) if programs else {}),
    }
    row = RunRow(
        plan.name,
        plan.hash,
        plan.ask.plain(),
        describe(plan, loaded.uses, loaded.shots),
        met,
        known.created if known else now(),
        None,
    )
    runs.begin(row, loaded.samples, [question(sample) for sample in loaded.samples])


def _sandbox(plan: Plan) -> dict[str, Any]:
    """Return what the programs of code tasks run in; a SandboxError, before anything is asked, where there is nothing."""
    programs = {task.task: task.program for task in plan.tasks if task.output == "code"}
    if not programs:
        return {}
    if (why := available()) is not None:
        raise SandboxError(why)
    return {"sandbox": {name: facts(limits(asdict(program))) for name, program in programs.items()}}


def _versions() -> dict[str, str]:
    return {
        package: version(package) for package in ("evalharness", "pandas", "pyarrow", "jinja2", "datasets", "numpy")
    }


def now() -> str:
    """Return the time in UTC; ``SOURCE_DATE_EPOCH`` sets it, for artefacts that are equal to the byte."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.now(UTC) if fixed is None else datetime.fromtimestamp(int(fixed), UTC)
    return moment.isoformat(timespec="seconds")
