"""An engine in a process of its own, behind the backend seam: requests in, results out, and no process left behind."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from io import FileIO
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evalharness.backends.descendants import MARK, kill_marked, new_mark
from evalharness.backends.wire import line, plain_request, result_of
from evalharness.errors import BackendError, ModelError
from evalharness.text import terminal_safe
from evalharness.types import Engine, Request, Result

TAIL_LINES = 20
POLL_SECONDS = 0.25
ENDING = ((None, 3.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 3.0))  # what is sent to the group, and the wait after it
GROUP_SECONDS = 1.0
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
# Threads that wait for each other by spinning make an engine five times slower where something else runs on its cores.
_UNLESS_SET = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}

LOADING_CHARACTERS = 100
_LOG_PREFIX = re.compile(r"^(\(.*?\) )?[A-Z]+ \d\d-\d\d \S+ \[\S+\] ")  # of vLLM: process, level, time, place
_FIRST_ERROR = re.compile(
    r"^.*?\b((?:[A-Za-z_]+\.)*[A-Za-z]*(?:Error|Exception): .+|[A-Za-z ]*[Pp]roc\b.* died unexpectedly.*)$",
    re.MULTILINE,
)


class ProcessBackend:
    """One engine, loaded once in a child process at the first ``submit`` (or by ``start``).

    ``module`` holds ``load(engine)`` and is imported by the child alone; ``extra`` is what brings its libraries. The
    child's output goes to the file ``log`` (default: a temporary one). ``loads`` counts the loaded engines. Consecutive
    requests with the same ``batch`` number are one group, run and answered together; at most two groups are with the
    child, or, where the engine ``streams``, the whole ``window``. ``environment`` is added to the child's. The child has a
    session of its own, so Ctrl-C at a terminal does not reach it.
    """

    def __init__(
        self,
        engine: Engine,
        module: str = "evalharness.backends.hf.runner",
        *,
        extra: str = "hf",
        capabilities: Iterable[str] = ("generate", "loglikelihood", "label_logprobs"),
        log: Path | None = None,
        window: int = 1025,
        streams: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.engine = engine
        self.capabilities = frozenset(capabilities)
        self.window = window
        self.loads = 0
        self._module, self._extra = module, extra
        self._ahead = window if streams else 2
        self._environment = environment or {}
        self._log = log
        self._own_log = log is None
        self._log_start = 0  # bytes that earlier processes have written
        self._child: _Child | None = None
        self._groups = 0
        self._stopping = threading.Event()
        self._closed = threading.Event()

    @property
    def pid(self) -> int | None:
        """The child's process id, which is also its process group; ``None`` while there is no child."""
        return self._child.process.pid if self._child is not None else None

    @property
    def loading(self) -> str | None:
        """What the engine says while it loads, its log's last line; ``None`` before and after."""
        if self._child is None or self.loads or self._log is None:
            return None
        return _LOG_PREFIX.sub("", _tail(self._log, 1))[:LOADING_CHARACTERS]

    def start(self) -> None:
        """Load the engine if it is not; raises ModelError for what a user can mend, BackendError if the child dies."""
        if self._closed.is_set():
            raise BackendError(f"{self.engine.path}: the engine was closed")
        if self._child is not None:
            return
        self._child = _Child(self._module, self._open_log(), self._environment)
        self._child.send({"engine": asdict(self.engine)})
        reply = self._receive()
        if "refused" in reply:
            cause = "" if self._own_log else self._cause()
            self.close()
            missing = f"; install it with: pip install 'evalharness[{self._extra}]'" if reply["missing"] else ""
            raise ModelError(f"model {self.engine.path} cannot be loaded: {reply['refused']}{missing}{cause}")
        self.loads += 1

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Yield one result a request, group by group; after ``stop`` only those of what the engine has begun."""
        if self._stopping.is_set():
            return
        self.start()
        source = _groups(requests, (self.window - 1) // 2)
        waiting: set[int] = set()
        while True:
            while (
                len(waiting) < self._ahead and not self._stopping.is_set() and (group := next(source, None)) is not None
            ):
                self._groups += 1
                waiting.add(self._groups)
                self._send({"group": self._groups, "requests": [plain_request(request) for request in group]})
            if not waiting:
                return
            reply = self._receive()
            if reply["group"] not in waiting:  # of an earlier submit that its caller gave up
                continue
            waiting.remove(reply["group"])
            yield from (result_of(plain) for plain in reply.get("results", ()))

    def stop(self) -> None:
        """Take no more requests; the group that is run now is still answered. Safe in any thread or signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """End the child and everything it has started; done twice it does nothing."""
        self._closed.set()
        child, self._child = self._child, None
        if child is not None:
            child.end()
        if self._own_log and self._log is not None:
            self._log.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_log(self) -> Path:
        if self._log is None:
            handle, name = tempfile.mkstemp(prefix="evalharness-", suffix=".log")
            os.close(handle)
            self._log = Path(name)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        return self._log

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._child is None:
            raise self._died(None)
        try:
            self._child.send(message)
        except (BrokenPipeError, ValueError) as error:  # ValueError: closed in another thread
            raise self._died(self._child) from error

    def _receive(self) -> dict[str, Any]:
        """Return the child's next message; tells the child of a stop while it waits."""
        child, told = self._child, False
        while child is not None:
            if self._stopping.is_set() and not told:
                told = True
                self._send({"drop": True})
            if (text := child.read(POLL_SECONDS)) == b"":
                break
            if text is not None:
                reply: dict[str, Any] = json.loads(text)
                return reply
        raise self._died(child)

    def _died(self, child: _Child | None) -> BackendError:
        if child is None or self._closed.is_set():
            return BackendError(f"{self.engine.path}: the engine was closed while it was asked")
        how, log = child.how_it_ended(), self._log
        tail, cause = (_tail(log) if log is not None else ""), self._cause()
        self.close()
        kept = "" if self._own_log else f" ({log})"
        return BackendError(f"{self.engine.path}: the engine's process {how}{cause}; its last lines{kept}:\n{tail}")

    def _cause(self) -> str:
        """Return the first error that the log names since the child was started: engines end with ones that follow it."""
        if self._log is None:
            return ""
        with open(self._log, "rb") as file:
            file.seek(self._log_start)
            text = file.read(1 << 24).decode("utf-8", "replace")
        found = _FIRST_ERROR.search(text)
        return f"; first error in its log: {terminal_safe(found[1])[:500]}" if found else ""


class _Child:
    """The child process and the two pipes to it."""

    def __init__(self, module: str, log: Path, environment: Mapping[str, str]) -> None:
        control_read, control_write = os.pipe()
        results_read, results_write = os.pipe()
        # The kernel's parent-death signal follows the starting thread, so it is asked for only where that one lasts.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        mark = new_mark()
        self._mark = mark[MARK]
        numbers = [str(number) for number in (control_read, results_write, parent)]
        try:
            with open(log, "ab") as output:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "evalharness.backends.worker", *numbers, module],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**_UNLESS_SET, **os.environ, **_ENVIRONMENT, **_import_path(), **environment, **mark},
                    pass_fds=(control_read, results_write),
                    start_new_session=True,
                )
        finally:
            os.close(control_read)
            os.close(results_write)
        self._control = FileIO(control_write, "w")
        self._results = results_read
        self._buffer = bytearray()
        # Not closed by ``end``: another thread may be waiting on it, and the number must not become another file's.
        weakref.finalize(self, os.close, results_read)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write ``message``; raises BrokenPipeError where the child has ended."""
        rest = memoryview(line(message))
        while rest:
            rest = rest[self._control.write(rest) :]

    def read(self, seconds: float) -> bytes | None:
        """Return the next line, ``b""`` at the end of the pipe, ``None`` if none was complete after ``seconds``."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            poll = select.poll()
            poll.register(self._results, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            if not (part := os.read(self._results, 1 << 16)):
                return b""
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\n")
        return bytes(text)

    def how_it_ended(self) -> str:
        """Say how the process ended; one that closed its pipe and yet lives is said to hang."""
        try:
            code = self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            return "no longer answers"
        if code < 0:
            why = " (often: out of memory)" if code == -signal.SIGKILL else ""
            return f"was killed by {signal.Signals(-code).name}{why}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """End the process by closing its pipe, then SIGTERM, then SIGKILL; the last reaches all it started in any case."""
        self._control.close()
        for number, seconds in ENDING:
            if number is not None:
                self._signal(number)
            try:
                self.process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        kill_marked(self._mark)
        deadline = time.monotonic() + GROUP_SECONDS
        while self._signal(signal.SIGKILL) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _signal(self, number: int) -> bool:
        """Send the group a signal; say whether there was anyone to get it."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return False
        return True


def _groups(requests: Iterable[Request], limit: int) -> Iterator[list[Request]]:
    """Yield consecutive requests of one batch and kind together, at most ``limit``; one without a batch is alone."""
    for (batch, _), run in groupby(requests, key=lambda request: (request.batch, request.kind)):
        while group := list(islice(run, 1 if batch is None else limit)):
            yield group


def _tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, safe for a terminal; of a line drawn over and over, its last state."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 16)))
        text = file.read().decode("utf-8", "replace")
    drawn_last = [terminal_safe(drawn.rsplit("\r", 1)[-1]) for drawn in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([shown for shown in drawn_last if shown.strip()][-lines:])


def _import_path() -> dict[str, str]:
    """Return the environment that lets the child import this package where it is used from a checkout."""
    root = str(Path(__file__).resolve().parents[2])
    if root in sysconfig.get_paths().values():
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
