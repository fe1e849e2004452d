"""Programs in, outcomes out as they come: sandboxes that stay warm, a process of its own for every program."""

from __future__ import annotations

import json
import os
import platform
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from evalharness.errors import SandboxError, UsageError
from evalharness.sandbox.bubblewrap import command, environment, no_sandbox
from evalharness.sandbox.filter import filter_for
from evalharness.sandbox.records import Limits, Outcome, Program
from evalharness.text import clean_text, one_line

DETAIL_CHARACTERS = 300
START_SECONDS = 30.0
GRACE_SECONDS = 10.0  # beyond a program's wall time, after which its sandbox is taken to be dead
TRIES = 2
DEFAULT = Limits()


def run_programs(
    programs: Iterable[Program], limits: Limits = DEFAULT, workers: int | None = None
) -> Iterator[Outcome]:
    """Yield one outcome a program, in the order in which they end; ``programs`` are taken as sandboxes become free.

    ``workers`` sandboxes (default: one a processor) run side by side and end with the generator, or with this process.
    A program whose sandbox ends under it is run once more, in a new one. Raises SandboxError where none can be made, and
    UsageError where a ``stdin`` is larger than ``limits.file_mb``.
    """
    count = workers or len(os.sched_getaffinity(0))
    source = iter(programs)
    with _Pool(limits, count) as pool:
        for program in islice(source, count):
            pool.give(program)
        while pool.busy:
            for outcome in pool.ended():
                for program in islice(source, 1):
                    pool.give(program)
                yield outcome


def available() -> str | None:
    """Return why no sandbox can be made here, with the mend; ``None`` if one can. Runs a program in one."""
    try:
        outcome = next(run_programs([Program("probe", "pass")], workers=1))
    except SandboxError as error:
        return str(error)
    return None if outcome.status == "passed" else f"a program that does nothing: {outcome.status}: {outcome.detail}"


@dataclass(frozen=True, slots=True)
class _Job:
    program: Program
    tries: int
    deadline: float


class _Pool:
    """Sandboxes by slot, each with the job it runs."""

    def __init__(self, limits: Limits, count: int) -> None:
        self._limits = limits
        self._free = list(range(count))
        self._sandboxes: dict[int, _Sandbox] = {}
        self._jobs: dict[int, _Job] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def busy(self) -> bool:
        """Whether a program runs."""
        return bool(self._jobs)

    def give(self, program: Program) -> None:
        """Run ``program`` in a free slot; there must be one."""
        if len(program.stdin.encode("utf-8", "replace")) > self._limits.file_mb << 20:
            raise UsageError(f"program {program.id}: its stdin is larger than the limit of {self._limits.file_mb} MB")
        self._begin(self._free.pop(), program, 1)

    def ended(self) -> Iterator[Outcome]:
        """Wait until a sandbox answers or is overdue; yield the outcomes that this brings, none or some."""
        first = min(job.deadline for job in self._jobs.values())
        ready = [key.data for key, _ in self._selector.select(max(0.0, first - time.monotonic()))]
        now = time.monotonic()  # the caller may let any time pass at a yield, and the answers wait
        late = [slot for slot, job in self._jobs.items() if job.deadline <= now and slot not in ready]
        for slot in ready:
            answer = self._sandboxes[slot].read()
            if answer is not None:
                yield from self._take(slot, answer)
        for slot in late:
            yield from self._take(slot, {})

    def _begin(self, slot: int, program: Program, tries: int) -> None:
        if slot not in self._sandboxes:
            self._sandboxes[slot] = sandbox = _Sandbox(self._limits, slot)
            self._selector.register(sandbox.output, selectors.EVENT_READ, slot)
        wait = self._limits.wall_seconds + GRACE_SECONDS + START_SECONDS
        self._jobs[slot] = _Job(program, tries, time.monotonic() + wait)
        self._sandboxes[slot].send({"source": program.source, "stdin": program.stdin})

    def _take(self, slot: int, answer: dict[str, Any]) -> Iterator[Outcome]:
        """Take an answer, empty where the sandbox has ended or is overdue."""
        job, said = self._jobs.pop(slot), ""
        if answer.get("worn", True):
            ready, said = self._end(slot)
            if "broken" in answer or not ready:
                raise no_sandbox(answer.get("broken", said))
        if not answer and job.tries < TRIES:
            self._begin(slot, job.program, job.tries + 1)
            return
        self._free.append(slot)
        yield _outcome(job.program, answer) if answer else _lost(job.program, said)

    def _end(self, slot: int) -> tuple[bool, str]:
        """End the sandbox of ``slot``; return whether it was ever ready, and what it said beside its answers."""
        sandbox = self._sandboxes.pop(slot)
        self._selector.unregister(sandbox.output)
        return sandbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in list(self._sandboxes):
            self._end(slot)
        self._selector.close()


class _Sandbox:
    """One bubblewrap with the fork server in it, and the pipes to it."""

    def __init__(self, limits: Limits, slot: int) -> None:
        read, write = os.pipe()
        os.write(write, filter_for(platform.machine()) or b"")
        os.close(write)
        try:
            words = command(limits, slot, read)
            self._log = tempfile.TemporaryFile()  # noqa: SIM115
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0,
                env=environment(), pass_fds=(read,), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(read)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self.output = self._process.stdin, self._process.stdout
        self._buffer = bytearray()
        self._ready = False

    def send(self, message: dict[str, Any]) -> None:
        """Write ``message``; one that has ended is noticed when its answer is read."""
        rest = memoryview(json.dumps(message).encode("ascii") + b"\n")
        try:
            while rest:
                rest = rest[self._input.write(rest) :]
        except BrokenPipeError:
            return

    def read(self) -> dict[str, Any] | None:
        """Read once; return the answer if it is complete, ``{}`` at the end of the pipe, else ``None``."""
        part = self.output.read(1 << 16)
        if not part:
            return {}
        self._buffer += part
        while b"\n" in self._buffer:
            text, _, self._buffer = self._buffer.partition(b"\n")
            message: dict[str, Any] = json.loads(text)
            if "ready" not in message:
                return message
            self._ready = True
        return None

    def close(self) -> tuple[bool, str]:
        """Kill the sandbox with all in it; return whether it was ever ready, and what it said on stderr."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self.output.close()
        self._log.seek(0)
        said = self._log.read(1 << 14).decode("utf-8", "replace")
        self._log.close()
        return self._ready, said


def _outcome(program: Program, answer: dict[str, Any]) -> Outcome:
    own = _last_line(answer["detail"]) if answer["status"] in ("failed", "memory") else ""
    return Outcome(program.id, answer["status"], own or one_line(answer["why"]), answer["seconds"])


def _lost(program: Program, said: str) -> Outcome:
    last = _last_line(said)
    return Outcome(program.id, "sandbox", f"its sandbox ended, twice{': ' if last else ''}{last}", 0.0)


def _last_line(text: str) -> str:
    """Return the last line of ``text`` that holds anything, safe to print."""
    lines = [line for line in clean_text(text).splitlines() if line.strip()]
    return one_line(lines[-1], DETAIL_CHARACTERS) if lines else ""
