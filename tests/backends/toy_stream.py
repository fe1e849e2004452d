"""An engine that takes requests while it answers others, without a model: ``steps N`` finishes after N steps."""

from __future__ import annotations

import os
import signal
import time

from evalharness.types import Engine, Request, Result

SEATS = 4


def load(engine: Engine) -> Toy:
    return Toy()


class Toy:
    """Answers SEATS requests at a time; the texts say after how many steps, and the pid."""

    def __init__(self) -> None:
        self.running: list[tuple[int, Request, int]] = []

    @property
    def busy(self) -> bool:
        return bool(self.running)

    def add(self, number: int, request: Request) -> None:
        verb, _, rest = (request.text or "").partition(" ")
        if verb == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        self.running.append((number, request, int(rest or 1)))

    def step(self) -> list[tuple[int, Result]]:
        time.sleep(0.002)
        seated = [(number, request, left - 1) for number, request, left in self.running[:SEATS]]
        self.running = [entry for entry in seated if entry[2] > 0] + self.running[SEATS:]
        return [(number, Result(request.id, text=str(os.getpid()))) for number, request, left in seated if left <= 0]

    def close(self) -> None:
        """Nothing to free."""
