"""A stored run in, the programs of its code tasks out: a model's answers, as its filters read them, with the tests around."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evalharness.sandbox import Limits, Program, run_programs
from evalharness.scoring.kind import CANDIDATE_FAILURE, TextItem
from evalharness.stages.derive import Stored
from evalharness.stages.reading import readers
from evalharness.store import Journal
from evalharness.text import canonical
from evalharness.types import Completion, Event, Listener, Result, Target

PASSED = "passed"
STAGE = "run programs"
_OURS = "sandbox"  # its end was no doing of the program


@dataclass(frozen=True, slots=True)
class Tried:
    """One answer as a program: its identity, or why there is none (``failure``: the candidate's)."""

    identity: str | None
    source: str = ""
    failure: str | None = None


def limits(program: Mapping[str, Any]) -> Limits:
    """Return the limits of the programs of a stored task."""
    seconds = float(program["seconds"])
    return Limits(seconds=seconds, wall_seconds=2 * seconds + 5, memory_mb=int(program["memory_mb"]))


def identity(source: str, how: Limits) -> str:
    """Return the identity of running ``source``: its text and the limits."""
    return hashlib.sha256(canonical(["program", source, asdict(how)])).hexdigest()[:32]


def tried(
    answers: Sequence[Completion], target: Target, language: str, read: Callable[[TextItem], TextItem], how: Limits
) -> list[Tried | None]:
    """Return a model's answers to one problem as programs; ``None`` for one that is missing by our fault."""
    item = TextItem(
        language, tuple(None if a.error else a.text for a in answers), ("",),
        failures=tuple(CANDIDATE_FAILURE if a.failure else None for a in answers),
    )  # fmt: skip
    seen = read(item)
    return [_tried(text, seen.failure(at), target, how) for at, text in enumerate(seen.answers)]


def _tried(text: str | None, failure: str | None, target: Target, how: Limits) -> Tried | None:
    if failure is not None:
        return Tried(None, failure=failure)
    if text is None:
        return None
    source = text.join(target.program)
    return Tried(identity(source, how), source)


def programs(run: Stored) -> Iterator[tuple[str, list[Tried]]]:
    """Yield (task, programs) of every answer to a code task, sample by sample."""
    for task in run.run.plan["tasks"]:
        if task.get("output") != "code":
            continue
        how, read = limits(task["program"]), readers(task)
        for sample in run.samples:
            if sample.task != task["task"] or sample.target is None:
                continue
            for answers in run.answers.all_of(sample.position).values():
                for reader in read(sample.language).values():
                    found = tried(answers, sample.target, sample.language, reader, how)
                    yield task["task"], [each for each in found if each is not None and each.identity is not None]


def execute(journal: Journal, run: Stored, listen: Listener, stopped: Callable[[], bool]) -> None:
    """Run every program that was not run yet, in the sandbox, and store its outcome; after ``stopped`` no more are begun.

    Raises SandboxError where there is no sandbox: nothing is run without one.
    """
    for task in run.run.plan["tasks"]:
        if task.get("output") == "code":
            _execute(journal, run, task, listen, stopped)


def _execute(
    journal: Journal, run: Stored, task: Mapping[str, Any], listen: Listener, stopped: Callable[[], bool]
) -> None:
    how = limits(task["program"])
    sources = {each.identity: each.source for name, found in programs(run) if name == task["task"] for each in found}
    known = journal.answered([key for key in sources if key is not None])
    total, done = len(sources), len(known)
    listen(Event(STAGE, task["task"], done, total, reused=done))
    if done == total:
        return

    def missing() -> Iterator[Program]:
        for key, source in sources.items():
            if key is None or key in known:
                continue
            if stopped():
                return
            yield Program(key, source)

    for outcome in run_programs(missing(), how):
        ours = outcome.status == _OURS
        error = outcome.detail if ours else None
        journal.put(
            Result(outcome.id, outcome.detail, outcome.status if not ours else "error", error=error, transient=ours)
        )
        done += 1
        listen(Event(STAGE, task["task"], done, total, reused=len(known)))
    journal.flush()
