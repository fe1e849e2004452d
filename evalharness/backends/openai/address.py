"""An address of an endpoint: its client, its pace, whether it can be asked, and whether it still serves the same model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from evalharness.backends.openai.entry import Endpoint
from evalharness.backends.openai.faults import AgainError
from evalharness.backends.openai.pace import Pace
from evalharness.errors import ModelError
from evalharness.text import one_line

if TYPE_CHECKING:
    from evalharness.backends.openai.client import Client

MISSES = 3  # replies in a row that are none, after which an address is left out
FIRST_OUT = 0.5  # seconds, doubled with every miss after that
LONGEST_OUT = 30.0


class Health:
    """Whether an address is left out for a while (a circuit breaker; times as in ``Pace``).

    It is at the first connection that fails, and after MISSES faults in a row. Then it gets one request at a time, to see
    whether it is back. ``gone`` says that nobody answers there, ``misses`` how often in a row it failed: once for all
    requests that were under way together.
    """

    def __init__(self) -> None:
        self.misses = 0
        self._gone_since: float | None = None
        self._pause = self._until = 0.0
        self._probe: int | None = None

    @property
    def gone(self) -> bool:
        """Whether nobody answers there."""
        return self._gone_since is not None

    def gone_for(self, now: float) -> float:
        """Return the seconds since which nobody answers there."""
        return 0.0 if self._gone_since is None else now - self._gone_since

    def ready(self, now: float) -> float:
        """Return the seconds until it may be asked; 0 for one that is well, infinite while one request tries it."""
        if not self._pause:
            return 0.0
        return float("inf") if self._probe is not None else max(0.0, self._until - now)

    def begun(self, number: int) -> None:
        """Take in that request ``number`` is sent there."""
        if self._pause:
            self._probe = number

    def replied(self) -> None:
        """Take in a reply that is no fault of the server."""
        self._gone_since, self.misses, self._pause, self._probe = None, 0, 0.0, None

    def missed(self, number: int, gone: bool, now: float) -> bool:
        """Take in that request ``number`` failed there; say whether it is left out from now on, having been well before."""
        well = not self._pause
        if not well and number != self._probe:  # it was under way when the address was left out
            return False
        self._probe = None
        self._gone_since = None if not gone else now if self._gone_since is None else self._gone_since
        self.misses += 1
        if gone or self.misses >= MISSES:
            self._pause = min(LONGEST_OUT, 2 * self._pause) or FIRST_OUT
            self._until = now + self._pause
        return well and self._pause > 0

    def given_up(self, number: int) -> None:
        """Take in that request ``number`` ended without saying anything of the server."""
        if number == self._probe:
            self._probe = None


class Address:
    """One address; ``note`` takes lines for the log. ``client`` is made when it is first asked for."""

    def __init__(self, endpoint: Endpoint, note: Callable[[str], None]) -> None:
        self.endpoint = endpoint
        self.pace = Pace(endpoint.concurrency, endpoint.requests_per_minute, endpoint.tokens_per_minute)
        self.health = Health()
        self.last = 0  # when it was last chosen, in requests
        self._note = note
        self._client: Client | None = None
        self._model: str | None = None  # as the replies call it
        self._card: Mapping[str, Any] | None = None  # as /models describes it
        self._doubted = False
        self._learning: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client:
        """The connections; to be used inside one event loop."""
        if self._client is None:
            # Half a second of imports, and only where something is asked.
            from evalharness.backends.openai.client import Client  # noqa: PLC0415

            self._client = Client(self.endpoint)
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def doubt(self) -> None:
        """Take in that a connection broke: when the server is back, it may serve another model."""
        self._doubted = self._model is not None

    async def settled(self) -> None:
        """Where the model is in doubt, look it up: a ModelError where it is another one, an AgainError where nobody says."""
        if not self._doubted:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._compare())
        await asyncio.shield(self._looking)

    def heard(self, reply: Mapping[str, Any]) -> None:
        """Take in which model a reply names. Raises ModelError where that is not the one of the first reply from here."""
        model = reply.get("model")
        if not isinstance(model, str) or not model or model == self._model:
            return
        if self._model is not None:
            raise self._changed(self._model, model)
        self._model = model
        if model != self.endpoint.model:
            self._note(f"{self.endpoint.base_url} answers as {one_line(model, 100)}")
        self._learning = asyncio.ensure_future(self._learn())

    async def _learn(self) -> None:
        with contextlib.suppress(AgainError):
            self._card = (await self.client.models()).get(self.endpoint.model)

    async def _compare(self) -> None:
        models = await self.client.models()
        card = models.get(self.endpoint.model)
        if models and self._card is not None and card != self._card:
            before = f"{self.endpoint.model} {_words(self._card)}".strip()
            now = ", ".join(models) if card is None else f"{self.endpoint.model} {_words(card)}".strip()
            raise self._changed(before, now)
        self._doubted = False

    def _changed(self, before: str, now: str) -> ModelError:
        return ModelError(
            f"{self.endpoint.base_url} answered as '{one_line(before, 100)}' and now serves '{one_line(now, 100)}': answers of "
            "two models are not one model's; serve the first again and go on, or begin a run with the other"
        )


def _words(card: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in card.items())
