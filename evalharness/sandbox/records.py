"""What goes into the sandbox and what comes out of it: a program, its limits, its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "timeout", "memory", "crashed", "output", "sandbox"]


@dataclass(frozen=True, slots=True)
class Program:
    """Python source, whole: what a model wrote and, after it, the tests. It passes if its last statement is reached."""

    id: str
    source: str
    stdin: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use; all of it belongs to the result, since a slower machine reaches ``seconds`` sooner.

    ``seconds`` are processor time of a process, rounded up to whole ones; ``wall_seconds`` bound the program and all it
    started. ``memory_mb`` bounds the address space of each process and the resident memory of all together;
    ``processes`` counts threads too; ``file_mb`` is the size of a file and of each of the folders that can be written
    (/tmp, /dev/shm); ``output_kb`` bounds stdout and stderr together.
    """

    seconds: float = 5.0
    wall_seconds: float = 15.0
    memory_mb: int = 1024
    processes: int = 32
    file_mb: int = 32
    output_kb: int = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, after ``seconds`` of wall time; only ``passed`` is a pass.

    ``failed``: an exception, or an end before the last statement. ``timeout``, ``memory``, ``output``: over that limit.
    ``crashed``: killed by a signal. ``sandbox``: its sandbox ended under it, twice. ``detail`` is the last line of stderr,
    or what there is to say without one.
    """

    id: str
    status: Status
    detail: str
    seconds: float
