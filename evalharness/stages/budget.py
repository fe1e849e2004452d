"""Answers of paid models in, the money they took out; said when it reaches the limit of ``--max-cost``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalharness.errors import UsageError
from evalharness.plan import Player
from evalharness.specs.model import PriceSpec
from evalharness.types import Engine, Result

_MILLION = 1e6


class Budget:
    """The money (US dollars) that the answers of one command may take; what earlier commands took is not in it.

    ``prices`` are per engine that is paid for; the answers of others are free. ``spent`` is what the answers taken in so
    far took, by the tokens that the server counted.
    """

    def __init__(self, limit: float, prices: Mapping[tuple[Any, ...], PriceSpec]) -> None:
        self.limit = limit
        self.spent = 0.0
        self._prices = prices

    @property
    def reached(self) -> bool:
        """Whether no more may be asked."""
        return self.spent >= self.limit

    def take(self, engine: Engine, result: Result) -> None:
        """Count ``result`` of ``engine``. Raises UsageError where the server did not say how many tokens it took."""
        price = self._prices.get(engine.key)
        if price is None or result.error is not None:
            return
        if result.tokens_in is None or result.tokens_out is None:
            raise UsageError(
                f"{engine.path}: the server does not say how many tokens an answer took, so --max-cost cannot be kept; "
                "leave it out, or choose a server that reports usage"
            )
        self.spent += (result.tokens_in * price.input + result.tokens_out * price.output) / _MILLION


def budget(limit: float, paid: Iterable[Player]) -> Budget:
    """Return the budget of a run; ``paid`` are its contestants and judges whose answers may cost money.

    Raises UsageError for one without a price: unknown is not free.
    """
    prices: dict[tuple[Any, ...], PriceSpec] = {}
    for player in paid:
        if player.spec.price is None:
            raise UsageError(
                f"model '{player.name}': --max-cost needs its price; add `price: {{input: …, output: …}}` (US dollars a "
                "million tokens; 0 for a server of your own) to its entry in evalharness.yaml"
            )
        prices[player.engine.key] = player.spec.price
    return Budget(limit, prices)
