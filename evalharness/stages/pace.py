"""Results of an engine that is loaded here in, how fast they came out, into the journal."""

from __future__ import annotations

import time
from typing import Any

from evalharness.backends.hardware import hardware
from evalharness.store import Journal, Speed, put_speed
from evalharness.text import fingerprint
from evalharness.types import Engine, Kind, Result

LEAST_SECONDS = 1.0  # what took less says little: the clock is looked at ten times a second


class Watch:
    """Times what ``backend`` answers, from when its engine is loaded; others than engines of this machine are not timed.

    ``look`` is to be called often, ``take`` for every result. ``kind`` is that of the requests.
    """

    def __init__(self, engine: Engine, backend: Any) -> None:
        self.kind: Kind = "generate"
        self._engine, self._backend = engine, backend
        self._since: float | None = None
        self._last = 0.0
        self._requests = self._read = self._written = 0
        self.look()

    def look(self) -> None:
        """See whether the engine is loaded."""
        if self._since is None and getattr(self._backend, "loads", None):
            self._since = time.monotonic()

    def take(self, result: Result) -> None:
        """Count ``result``."""
        self._last = time.monotonic()
        self._requests += 1
        self._read += result.tokens_in or 0
        self._written += result.tokens_out or 0

    def note(self, journal: Journal) -> None:
        """Store how fast the requests were answered, where there were some."""
        if self._since is None or self._last - self._since < LEAST_SECONDS:
            return
        speed = Speed(self._requests, self._read, self._written, self._last - self._since)
        put_speed(journal, fingerprint(self._engine.pace), hardware(), self.kind, speed)
