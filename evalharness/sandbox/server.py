"""The fork server inside the sandbox: programs as JSON lines in on stdin, outcomes as JSON lines out on stdout.

Started by ``bubblewrap`` as ``python -P -s -S -B server.py CONFIG``, it is process 1 of its namespace: no process inside can
kill it, all orphans are its children, and when it ends all of them do. It uses the standard library alone. A program
runs in a fork of it, with limits of its own and, where the server may change users, as a user of its own.

Messages in: ``{"source", "stdin"}``. Messages out: ``{"ready"}``, then for each program ``{"status", "detail", "why",
"seconds", "worn"}``: after ``worn`` the server ends, for the program left something behind. ``{"broken"}`` says why no
program can run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import time
import traceback
import types
from dataclasses import dataclass, replace
from typing import Any, NoReturn

# Imported here once, since programs import them: a fork has them already.
import collections, copy, datetime, functools, heapq, itertools, operator, random, re, string, typing  # noqa: E401, F401  # isort: skip  # fmt: skip

WRITABLE = ("/tmp", "/dev/shm")  # noqa: S108  (of the sandbox, not of the machine)
TAIL_BYTES = 4096
LOOK_SECONDS = 0.05  # how often memory and files are looked at while a program runs
MOST_FILES = 10_000
OPEN_FILES = 64
# Compiled and run once before the first fork: the compiler's own set-up costs ten times a small program.
WARM = """
from typing import List
class Warm: pass
def warm(x: int) -> List[int]:
    return [i for i in range(x)]
try:
    assert warm(1) == 1, "warm"
except AssertionError as error:
    traceback.format_exc()
"""
PROBE = "import platform"  # a module that is not loaded yet: a program's user must be able to read the library
PROBE_SECONDS = 20.0
STARTED, OUT_OF_MEMORY = b"started\n", b"memory\n"
_PR_SET_DUMPABLE = 4
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


@dataclass(frozen=True)
class Config:
    """The limits (see ``records.Limits``) and the user that programs run as, ``None`` for the server's own."""

    seconds: float
    wall_seconds: float
    memory_mb: int
    processes: int
    file_mb: int
    output_kb: int
    user: int | None


def main(config: Config) -> None:
    """Run program after program until stdin ends or one leaves something behind."""
    if os.getpid() != 1:  # it kills all that it can see
        _send({"broken": "the server is not process 1 of a namespace of its own"})
        return
    # The memory of the server must not be readable for programs of the same user.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 gets no signal that it has no handler for
    exec(compile(WARM, "warm.py", "exec", dont_inherit=True), {"traceback": traceback})  # noqa: S102
    if (why := _unfit(config)) is not None:
        _send({"broken": why})
        return
    clean = _state()
    _send({"ready": True})
    inbox = bytearray()
    while (message := _next(inbox)) is not None:
        outcome = _run(message, config)
        outcome["worn"] = "broken" in outcome or _state() != clean
        _send(outcome)
        if outcome["worn"]:
            return


def _unfit(config: Config) -> str | None:
    """Return why an honest program does not pass here, however long it takes; ``None`` if one does."""
    ended = _run({"source": PROBE, "stdin": ""}, replace(config, seconds=PROBE_SECONDS, wall_seconds=PROBE_SECONDS))
    if ended.get("status") == "passed":
        return None
    return str(ended.get("broken") or f"`{PROBE}` does not run in it: {ended['detail'] or ended['why']}")


def _send(message: dict[str, Any]) -> None:
    rest = json.dumps(message).encode("ascii") + b"\n"
    while rest:
        rest = rest[os.write(1, rest) :]


def _next(inbox: bytearray) -> dict[str, Any] | None:
    while b"\n" not in inbox:
        if not (part := os.read(0, 1 << 16)):
            return None
        inbox += part
    end = inbox.index(b"\n") + 1
    message: dict[str, Any] = json.loads(inbox[:end])
    del inbox[:end]
    return message


def _state() -> tuple[Any, ...]:
    """Return what a program of the same user could change for the next one: limits, priority, files."""
    limits = tuple(resource.getrlimit(number) for number in _LIMITS)
    order = (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), tuple(sorted(os.sched_getaffinity(0))))
    folders = tuple((os.stat(folder).st_mode, *os.listdir(folder)) for folder in WRITABLE)  # noqa: PTH116, PTH208
    return limits, order, folders


def _run(message: dict[str, Any], config: Config) -> dict[str, Any]:
    """Fork the program, watch it, kill all that is left of it, and say how it ended."""
    token = os.urandom(16)
    out, err, said = os.pipe(), os.pipe(), os.pipe()
    stdin = _stdin(message["stdin"])
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(message["source"], (stdin, out[1], err[1], said[1]), token, config)
    for write in (stdin, out[1], err[1], said[1]):
        os.close(write)
    watch = _Watch(child, out[0], err[0], config, began + config.wall_seconds)
    over = watch.until_the_end()
    status, spent = _end_all(child)
    watch.read_the_rest()
    words = _read(said[0])
    for read in (out[0], err[0], said[0]):
        os.close(read)
    if not words.startswith(STARTED):
        return {"broken": watch.tail.decode("utf-8", "replace")}
    words = words.removeprefix(STARTED)
    code = os.waitstatus_to_exitcode(status)
    over = over or watch.too_much
    passed = over is None and code == 0 and words == token
    verdict, why = ("passed", "") if passed else _verdict(over, code, words, spent, config)
    tail = "" if passed else watch.tail.decode("utf-8", "replace")
    return {"status": verdict, "detail": tail, "why": why, "seconds": time.monotonic() - began}


def _verdict(over: str | None, code: int, words: bytes, spent: float, config: Config) -> tuple[str, str]:
    """Return the status of a program that did not pass, and why in words where it may have said nothing itself."""
    if over is not None:
        return over.split(":")[0], over.partition(": ")[2]
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and spent >= config.seconds):
        return "timeout", f"over {config.seconds:g} s of processor time"
    if code < 0:
        return "crashed", f"killed by {signal.Signals(-code).name}"
    if words == OUT_OF_MEMORY:
        return "memory", f"over {config.memory_mb} MB"
    return "failed", f"ended before its last statement, with exit code {code}"


class _Watch:
    """The pipes, the time and the memory of a running program."""

    def __init__(self, child: int, out: int, err: int, config: Config, deadline: float) -> None:
        self.tail = b""
        self.too_much: str | None = None
        self._err, self._config, self._deadline = err, config, deadline
        self._bytes = 0
        self._end = os.pidfd_open(child)
        self._pipes = [out, err]
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
        self._poll = select.poll()
        for number in (*self._pipes, self._end):
            self._poll.register(number, select.POLLIN)

    def until_the_end(self) -> str | None:
        """Wait for the program's end; return ``status: why`` of the limit that it went over, else ``None``."""
        look = time.monotonic() + LOOK_SECONDS
        while self.too_much is None:
            now = time.monotonic()
            if now >= self._deadline:
                return f"timeout: over {self._config.wall_seconds:g} s"
            if now >= look:
                self.too_much = _too_much(self._config)
                look = time.monotonic() + LOOK_SECONDS
                continue
            ready = {number for number, _ in self._poll.poll(max(1.0, (min(look, self._deadline) - now) * 1000))}
            for pipe in ready & set(self._pipes):
                if not self._take(pipe):
                    self._poll.unregister(pipe)
                    self._pipes.remove(pipe)
            if self._end in ready:
                return self.too_much
        return self.too_much

    def read_the_rest(self) -> None:
        """Take what the pipes still hold, once all that could write to them is gone."""
        os.close(self._end)
        for pipe in self._pipes:
            while self._take(pipe):
                pass

    def _take(self, pipe: int) -> bool:
        """Read once; say whether there may be more."""
        try:
            part = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return False
        self._bytes += len(part)
        if self._bytes > self._config.output_kb * 1024:
            self.too_much = f"output: over {self._config.output_kb} kB"
        if pipe == self._err:
            self.tail = (self.tail + part)[-TAIL_BYTES:]
        return bool(part)


def _too_much(config: Config) -> str | None:
    """Return ``status: why`` where all processes together hold too much memory, or made too many files."""
    pages = 0
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal() and name != "1":
            try:
                with open(f"/proc/{name}/statm", encoding="ascii") as file:
                    pages += int(file.read().split()[1])
            except OSError:  # it ended meanwhile
                continue
    if pages * resource.getpagesize() > config.memory_mb << 20:
        return f"memory: over {config.memory_mb} MB in all its processes"
    for folder in WRITABLE:
        room = os.statvfs(folder)
        if room.f_files - room.f_ffree > MOST_FILES:
            return f"output: over {MOST_FILES} files"
    return None


def _end_all(child: int) -> tuple[int, float]:
    """Kill every process of the namespace but this one; return the child's wait status and its seconds of processor time.

    The kernel kills all of them in one step, so no process can fork its way out.
    """
    status, spent = 0, 0.0
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    while True:
        try:
            pid, code, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, spent
        if pid == child:
            status, spent = code, usage.ru_utime + usage.ru_stime


def _read(pipe: int) -> bytes:
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 4096)
    except BlockingIOError:
        return b""


def _stdin(text: str) -> int:
    """Return a descriptor to read ``text`` from: a file without a name."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    number = os.open(WRITABLE[0], os.O_TMPFILE | os.O_RDWR, 0o600)
    rest = text.encode("utf-8", "replace")
    while rest:
        rest = rest[os.write(number, rest) :]
    os.lseek(number, 0, os.SEEK_SET)
    return number


def _child(source: str, pipes: tuple[int, int, int, int], token: bytes, config: Config) -> NoReturn:
    """Become the program: its pipes, its session, its limits, its user. Never returns."""
    try:
        os.setsid()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number, inheritable=number < 3)
        os.closerange(4, 1 << 16)
        _limit(config)
        if config.user is not None:
            os.setgroups([])
            os.setresgid(config.user, config.user, config.user)
            os.setresuid(config.user, config.user, config.user)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(3, STARTED)
        _exec(source, token)
    finally:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)


def _limit(config: Config) -> None:
    """Set the limits of this process and its children, hard ones as well."""
    seconds = math.ceil(config.seconds)
    own = 1 if config.user is None else 0  # the server counts among the processes of its user
    for number, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, config.memory_mb << 20, config.memory_mb << 20),
        (resource.RLIMIT_FSIZE, config.file_mb << 20, config.file_mb << 20),
        (resource.RLIMIT_NPROC, config.processes + own, config.processes + own),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        resource.setrlimit(number, (soft, hard))


def _exec(source: str, token: bytes) -> NoReturn:
    """Run the program as ``__main__`` and, only if it came to its end, in this process, say the token.

    The token keeps an early exit from being taken for a pass. It lies in the memory of the process that runs the
    program: one that searches the interpreter's frames for it can say it, as it can change the tests that follow it.
    """
    write, leave, pid, process = os.write, os._exit, os.getpid, os.getpid()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["program.py"]
    ended = False
    try:
        exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        ended = True
    finally:
        error = sys.exc_info()[1]
        if ended and pid() == process:
            write(3, token)
            leave(0)
        try:
            if isinstance(error, MemoryError):
                write(3, OUT_OF_MEMORY)
            if error is not None:
                traceback.print_exception(error, file=sys.__stderr__)
        finally:
            leave(1)


if __name__ == "__main__":
    main(Config(**json.loads(sys.argv[1])))
