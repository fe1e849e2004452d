"""Answers of paid models in, the money they took out; said when it reaches the limit of ``--max-cost``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalharness.backends.prices import ENTRY, Price, price
from evalharness.errors import UsageError
from evalharness.plan import Player
from evalharness.types import Engine, Result


class Budget:
    """The money (US dollars) that the answers of one command may take; what earlier commands took is not in it.

    ``prices`` are per engine that is paid for; the answers of others are free. ``spent`` is what the answers taken in so
    far took, by the tokens that the server counted. ``notes`` name the prices that are not the entries' own.
    """

    def __init__(self, limit: float, prices: Mapping[tuple[Any, ...], Price], notes: tuple[str, ...] = ()) -> None:
        self.limit = limit
        self.spent = 0.0
        self.notes = notes
        self._prices = prices

    @property
    def sources(self) -> str:
        """Who says the prices that are not the entries' own."""
        return ", ".join(sorted({price.source for price in self._prices.values()} - {ENTRY}))

    @property
    def reached(self) -> bool:
        """Whether no more may be asked."""
        return self.spent >= self.limit

    def take(self, engine: Engine, result: Result) -> None:
        """Count ``result`` of ``engine``. Raises UsageError where the server did not say how many tokens it took."""
        said = self._prices.get(engine.key)
        if said is None or result.error is not None:
            return
        if result.tokens_in is None or result.tokens_out is None:
            raise UsageError(
                f"{engine.path}: the server does not say how many tokens an answer took, so --max-cost cannot be kept; "
                "leave it out, or choose a server that reports usage"
            )
        self.spent += said.of(result.tokens_in, result.tokens_out)


def budget(limit: float, paid: Iterable[Player]) -> Budget:
    """Return the budget of a run; ``paid`` are its contestants and judges whose answers may cost money.

    Raises UsageError for one without a price: unknown is not free.
    """
    prices: dict[tuple[Any, ...], Price] = {}
    notes: list[str] = []
    for player in paid:
        if (said := price(player.spec, player.engine)) is None:
            raise UsageError(
                f"model '{player.name}': --max-cost needs its price; add `price: {{input: …, output: …}}` (US dollars a "
                "million tokens; 0 for a server of your own) to its entry in evalharness.yaml, or, for a service whose "
                "prices are public, pip install 'evalharness[prices]'"
            )
        prices[player.engine.key] = said
        if said.source != ENTRY:
            rates = f"{said.input:g} dollars a million tokens read, {said.output:g} written"
            notes.append(f"model '{player.name}': --max-cost counts {rates} (price: {said.source})")
    return Budget(limit, prices, tuple(dict.fromkeys(notes)))
