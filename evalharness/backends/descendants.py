"""The mark of an engine in, the processes that carry it out: all that it started, those that left its group included.

A mark is an environment variable, which a process inherits from the one that starts it and which the kernel (Linux) shows
as it was at its start, whatever group, session or parent the process has since given itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

MARK = "_EVALHARNESS_ENGINE"
ROUNDS = 100  # of killing, since what is killed ends, and what it was just starting begins, a little later
ROUND_SECONDS = 0.01
_KEPT = {"SPT_NOENV": "1"}  # setproctitle, with which vLLM names its processes, would write over the environment
_PROCESSES = Path("/proc")


def new_mark() -> dict[str, str]:
    """Return a mark that no other engine has, as the environment of its first process."""
    return {MARK: secrets.token_hex(16), **_KEPT}


def marked(mark: str) -> list[int]:
    """Return the ids of the living processes with ``mark``, but this one; none where the system shows no environments."""
    entry = f"{MARK}={mark}".encode("ascii")
    return [
        number
        for folder in _PROCESSES.glob("[0-9]*")
        if (number := int(folder.name)) != os.getpid() and entry in _environment(folder).split(b"\0")
    ]


def kill_marked(mark: str) -> None:
    """Kill every process with ``mark`` but this one."""
    for _ in range(ROUNDS):
        if not (found := marked(mark)):
            return
        for number in found:
            _kill(number)
        time.sleep(ROUND_SECONDS)


def _environment(folder: Path) -> bytes:
    """Return a process's environment; of one that has ended, and of another user's, nothing."""
    try:
        return (folder / "environ").read_bytes()
    except OSError:
        return b""


def _kill(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
