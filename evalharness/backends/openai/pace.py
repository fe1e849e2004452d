"""How many requests an endpoint gets at once, and how soon: fewer when it asks for patience, more while it answers.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP has it: one cut an episode of congestion.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

CUT = 0.5


class Pace:
    """At most ``limit`` requests at once, from 1 to ``most``, begun evenly at most ``per_minute`` of them (``None``: any).

    To be used inside one event loop. ``limit`` grows by one while as many requests as it allows are answered. Told to
    wait, it is halved; requests that were under way then do not halve it again.
    """

    def __init__(self, most: int, per_minute: int | None = None) -> None:
        self.most, self.limit = most, float(most)
        self._gap = 0.0 if per_minute is None else 60.0 / per_minute
        self._begun = self._under_way = 0
        self._episode = 0  # requests begun before the last cut
        self._not_before = 0.0  # of the next request, on the monotonic clock
        self._waiting: deque[asyncio.Future[int | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    async def turn(self) -> int | None:
        """Wait for a request's turn; return its number, which ``ended`` wants, or ``None`` after ``stop``."""
        if self._stopped:
            return None
        if not self._waiting and self._may_begin():
            return self._begin()
        turn: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        return await turn

    def ended(self, number: int, answered: bool) -> None:
        """Take in that request ``number`` is over, and whether it was ``answered`` (if not, the limit stays)."""
        self._under_way -= 1
        if answered and number > self._episode:
            self.limit = min(float(self.most), self.limit + 1.0 / self.limit)
        self._wake()

    def told_to_wait(self, number: int, seconds: float) -> None:
        """Take in that the server asks request ``number`` for patience, and that none is welcome for ``seconds``."""
        if number > self._episode:
            self._episode = self._begun
            self.limit = max(1.0, self.limit * CUT)
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def stop(self) -> None:
        """Give no more turns."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(None)

    def _may_begin(self) -> bool:
        return self._under_way < int(self.limit) and self._not_before <= time.monotonic()

    def _begin(self) -> int:
        self._begun += 1
        self._under_way += 1
        if self._gap:
            self._not_before = max(self._not_before, time.monotonic()) + self._gap
        return self._begun

    def _wake(self) -> None:
        """Give turns to those that wait, as many as may begin now; look again when the time has come for more."""
        while self._waiting and self._may_begin():
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(self._begin())
        if self._waiting and self._under_way < int(self.limit) and self._timer is None:
            wait = max(0.0, self._not_before - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._wake()
