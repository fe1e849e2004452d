"""An engine without a model, for tests of the process around it: what a request's text says is what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from evalharness.errors import ModelError
from evalharness.types import Engine, Request, Result


def load(engine: Engine) -> Toy:
    print("loading", engine.path, flush=True)
    if engine.path == "slow":
        print("(Core pid=7) INFO 11-24 15:36:27 [core.py:1] \x1b[1mReading weights", flush=True)
        time.sleep(1.5)
    if engine.path == "refused":
        raise ModelError("the weights are damaged")
    if engine.path == "missing":
        import a_library_nobody_has  # noqa: F401
    if engine.path == "broken":
        raise RuntimeError("a mistake in the engine")
    return Toy()


class Toy:
    """Answers with its process id, the size of the group, and what ``text`` asked for."""

    def run(self, requests: Sequence[Request]) -> list[Result]:
        return [Result(request.id, text=self.answer(request, len(requests))) for request in requests]

    def answer(self, request: Request, group: int) -> str:
        verb, _, rest = (request.text or "").partition(" ")
        if verb == "die":
            print("\x1b[31mlast words\x1b[0m", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if verb == "child":
            return str(subprocess.Popen(["sleep", "600"]).pid)
        if verb == "daemon":
            return str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
        if verb == "sleep":
            time.sleep(float(rest))
        if verb == "hold":
            return str(len(bin(7 ** (10**9))))  # one long operation during which no thread of this process runs
        return f"{os.getpid()} {group} {request.text}"
