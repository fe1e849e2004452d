"""An engine's own process: requests as JSON lines in on one pipe, results out on another; it ends with its parent.

``process`` starts it as ``python -m evalharness.backends.worker CONTROL RESULTS PARENT MODULE``: two file
descriptors, the parent's process id or 0, and the module that loads the engine. ``MODULE`` has
``load(engine: Engine) -> Runner | StreamRunner``; only this process imports it.

Messages in: ``{"engine"}`` first, then ``{"group", "requests"}``, ``{"drop"}``; the end of the pipe ends the process.
Messages out: ``{"ready"}`` or ``{"refused", "missing"}``, then ``{"group", "results"}`` or ``{"group", "dropped"}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, Protocol, runtime_checkable

from evalharness.backends.descendants import MARK, kill_marked
from evalharness.backends.wire import engine_of, line, request_of
from evalharness.errors import ModelError
from evalharness.types import Request, Result

END_SECONDS = 5.0
NOTHING: dict[str, Any] = {}  # no message, told by identity
_PR_SET_PDEATHSIG = 1


class Runner(Protocol):
    """A loaded engine. ``run`` answers a group of requests of one kind together: one result a request."""

    def run(self, requests: Sequence[Request]) -> list[Result]: ...


@runtime_checkable
class StreamRunner(Protocol):
    """A loaded engine that takes requests while it answers others.

    ``add`` takes a request under a number, ``step`` computes a little and returns what has finished, ``busy`` says
    whether anything has not, ``close`` frees what does not end with this process.
    """

    @property
    def busy(self) -> bool: ...

    def add(self, number: int, request: Request) -> None: ...

    def step(self) -> list[tuple[int, Result]]: ...

    def close(self) -> None: ...


def main(arguments: Sequence[str]) -> None:
    """Load the engine that the first message names, then answer group after group until the control pipe ends."""
    control, results, parent = (int(number) for number in arguments[:3])
    os.set_inheritable(control, False)
    os.set_inheritable(results, False)
    _guard(control, results)
    _die_with(parent)
    inbox = _Inbox(control)
    with open(results, "wb", buffering=0) as outbox:
        runner = _load(inbox, outbox, arguments[3])
        if isinstance(runner, StreamRunner):
            _stream(inbox, outbox, runner)
            runner.close()
        elif runner is not None:
            _group_by_group(inbox, outbox, runner)


def _group_by_group(inbox: _Inbox, outbox: Any, runner: Runner) -> None:
    while (message := inbox.next()) is not None:
        if not _dropped(inbox, outbox, message):
            answers = [asdict(result) for result in runner.run([request_of(plain) for plain in message["requests"]])]
            outbox.write(line({"group": message["group"], "results": answers}))


def _stream(inbox: _Inbox, outbox: Any, runner: StreamRunner) -> None:
    """Give the engine all there is to do before each step; wait for more only where it has nothing to do."""
    while True:
        while (message := inbox.next(wait=not runner.busy)) is not NOTHING:
            if message is None:
                return
            if not _dropped(inbox, outbox, message):
                (request,) = message["requests"]
                runner.add(message["group"], request_of(request))
        lines = [line({"group": number, "results": [asdict(result)]}) for number, result in runner.step()]
        if lines:
            _write(outbox, b"".join(lines))


def _write(outbox: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a pipe may take a part
        rest = rest[outbox.write(rest) :]


def _dropped(inbox: _Inbox, outbox: Any, message: Mapping[str, Any]) -> bool:
    """Say whether the parent takes no more, and tell it that this group is not begun."""
    if not inbox.dropping.is_set():
        return False
    outbox.write(line({"group": message["group"], "dropped": len(message["requests"])}))
    return True


def _load(inbox: _Inbox, outbox: Any, module: str) -> Runner | StreamRunner | None:
    message = inbox.next()
    if message is None:
        return None
    try:
        runner: Runner | StreamRunner = import_module(module).load(engine_of(message["engine"]))
    except ModelError as error:
        outbox.write(line({"refused": str(error), "missing": None}))
        return None
    except ModuleNotFoundError as error:
        outbox.write(line({"refused": str(error), "missing": error.name}))
        return None
    outbox.write(line({"ready": True}))
    return runner


class _Inbox:
    """The messages from the control pipe. A thread reads them, so that the parent never waits to write."""

    def __init__(self, control: int) -> None:
        self.dropping = threading.Event()
        self._messages: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        threading.Thread(target=self._read, args=(control,), daemon=True, name="control").start()

    def next(self, wait: bool = True) -> dict[str, Any] | None:
        """Return the next message but ``drop``, which sets ``dropping``; ``None`` when the pipe has ended.

        NOTHING where there is none yet and none is waited for.
        """
        try:
            return self._messages.get(block=wait)
        except Empty:
            return NOTHING

    def _read(self, control: int) -> None:
        with open(control, encoding="utf-8") as lines:
            for text in lines:
                message = json.loads(text)
                if "drop" in message:
                    self.dropping.set()
                else:
                    self._messages.put(message)
        self._messages.put(None)


def _die_with(parent: int) -> None:
    """Ask the kernel (Linux) to kill this process when the thread that started it ends; ``parent`` 0 asks for nothing.

    The guard does the same for the whole group and anywhere; this is for the case that the guard itself was killed.
    """
    if parent == 0 or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before the request
        os._exit(1)


def _guard(control: int, results: int) -> None:
    """Fork a process that kills all that this one started once the control pipe has no writer, or this process has ended.

    A process of its own, since a thread of this one could neither run while the engine holds the interpreter nor take
    along what the engine has started when the engine is killed.
    """
    engine = os.getpid()
    if os.fork() == 0:
        os.close(results)
        _watch(control, engine)


def _watch(control: int, engine: int) -> NoReturn:
    poll = select.poll()
    poll.register(control, 0)  # asked for nothing, poll still tells that the other end was closed
    while not poll.poll(500) and os.getppid() == engine:
        pass
    deadline = time.monotonic() + END_SECONDS
    while os.getppid() == engine and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_marked(os.environ[MARK])
    os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # the system frees a model at once; the interpreter would take it apart for seconds
