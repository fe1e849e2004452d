"""Requests that wait and addresses in, turns out: each request goes to the address that has the fewest under way."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.backends.openai.address import Address

_TICK = 1e-3  # seconds: a timer that is as near is not set anew


@dataclass(frozen=True, slots=True)
class Turn:
    """One attempt's place: the address, its number there, when it began, and the tokens it was counted for."""

    address: Address
    number: int
    began: float
    tokens: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    tokens: int
    shunned: Address | None
    turn: asyncio.Future[Turn | None]


class Turns:
    """The queue before the addresses of an endpoint; to be used inside one event loop.

    An address that is left out gets nothing; where all are, those that only answer with faults are asked on, and for
    those that nobody answers at the requests wait.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.addresses = tuple(addresses)
        self._chosen = 0
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    async def turn(self, tokens: int, shunned: Address | None = None) -> Turn | None:
        """Wait for a request's turn, which ``ended`` wants back; ``None`` after ``stop``. ``shunned`` is taken only where
        no other address may be asked."""
        if self._stopped:
            return None
        if not self._waiting and (address := self._choice(shunned, now := time.monotonic())) is not None:
            return self._begin(address, tokens, now)
        waiting = _Waiting(tokens, shunned, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self.wake()
        return await waiting.turn

    def ended(self, turn: Turn, answered: bool | None, used: int | None = None) -> None:
        """Take in that the attempt of ``turn`` is over (``None``: it was not made), and how many tokens it took, if known."""
        pace = turn.address.pace
        if answered is None:
            pace.left(turn.tokens)
        else:
            unused = 0 if used is None else turn.tokens - used
            pace.ended(turn.number, answered, time.monotonic() - turn.began, unused)
        turn.address.health.given_up(turn.number)
        self.wake()

    def stop(self) -> None:
        """Give no more turns."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            if not (turn := self._waiting.popleft().turn).done():
                turn.set_result(None)

    def lost(self, times: int) -> bool:
        """Say whether nobody was met at any address, more than ``times`` times in a row."""
        return all(address.health.gone and address.health.misses > times for address in self.addresses)

    def gone_for(self, now: float) -> float:
        """Return the seconds since which nobody is met at any address."""
        return min(address.health.gone_for(now) for address in self.addresses)

    def wake(self) -> None:
        """Give turns to those that wait, as many as may begin now; look again when the time has come for more."""
        now = time.monotonic()
        while self._waiting:
            first = self._waiting[0]
            if first.turn.done():  # cancelled
                self._waiting.popleft()
                continue
            if (address := self._choice(first.shunned, now)) is None:
                break
            self._waiting.popleft()
            first.turn.set_result(self._begin(address, first.tokens, now))
        if self._waiting:
            self._look_again(self._wait(now))

    def _offered(self, now: float) -> list[Address]:
        """Return the addresses that are not left out now or, where all are, those that answer at all."""
        well = [address for address in self.addresses if not address.health.ready(now)]
        return well or [address for address in self.addresses if not address.health.gone]

    def _choice(self, shunned: Address | None, now: float) -> Address | None:
        if len(self.addresses) == 1:  # the usual case, at a tenth of the cost
            (only,) = self.addresses
            left_out = only.health.ready(now) and only.health.gone
            return None if left_out or only.pace.ready(now) else only
        ready = [address for address in self._offered(now) if not address.pace.ready(now)]
        if not ready:
            return None
        return min(ready, key=lambda address: (address is shunned, address.pace.under_way, address.last))

    def _wait(self, now: float) -> float:
        """Return the seconds until an address can be chosen, unless one that is under way ends before."""
        offered = self._offered(now)
        waits = [address.pace.ready(now) for address in offered]
        waits += [address.health.ready(now) for address in self.addresses if address not in offered]
        return min(waits)

    def _begin(self, address: Address, tokens: int, now: float) -> Turn:
        self._chosen += 1
        address.last = self._chosen
        number = address.pace.begin(now, tokens)
        address.health.begun(number)
        return Turn(address, number, now, tokens)

    def _look_again(self, seconds: float) -> None:
        if seconds == math.inf:  # the end of one that is under way wakes the others
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._timer is not None:
            if not self._timer.cancelled() and self._timer.when() <= due + _TICK:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._looked)

    def _looked(self) -> None:
        self._timer = None
        self.wake()
