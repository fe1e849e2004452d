"""A model in, what its tokens cost out: as its entry says, else as the library genai-prices knows, else unknown."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from evalharness.backends import BACKENDS
from evalharness.specs.model import ModelSpec
from evalharness.types import Engine

ENTRY = "entry"
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a million tokens, read (``input``) and written (``output``); ``source`` says who says so.

    Each of ``tiers`` is (tokens, input, output), in ascending order: a request that reads more tokens than that costs so
    much instead, all of it.
    """

    input: float
    output: float
    source: str = ENTRY
    tiers: tuple[tuple[int, float, float], ...] = ()

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Return what one request costs, in US dollars."""
        read, written = self.input, self.output
        for start, tier_in, tier_out in self.tiers:
            if tokens_in > start:
                read, written = tier_in, tier_out
        return (tokens_in * read + tokens_out * written) / _MILLION


def price(spec: ModelSpec, engine: Engine) -> Price | None:
    """Return the price of the model ``spec``, ``None`` where nobody says it.

    The entry's own wins. The library (the extra ``prices``) is asked by address and name as they are, so that a server of
    your own has no price of somebody else's; its prices are those of single requests of this moment, without discounts for
    batches or cached prompts. A model that costs something besides tokens has none.
    """
    if spec.price is not None:
        return Price(spec.price.input, spec.price.output)
    if not BACKENDS[engine.backend].paid or find_spec("genai_prices") is None:
        return None
    return _of_library(engine.path, str(dict(engine.options).get("base_url", "")))


def _of_library(model: str, url: str) -> Price | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 (a quarter of a second)

    try:
        found = calc_price(Usage(input_tokens=1, output_tokens=1), model, provider_api_url=url)
    except LookupError:
        return None
    said = found.model_price
    if said.input_mtok is None or said.output_mtok is None or said.requests_kcount is not None:
        return None
    source = f"genai-prices {version('genai-prices')}: {found.provider.id}/{found.model.id}"
    return Price(_at(said.input_mtok, 0), _at(said.output_mtok, 0), source, _tiers(said.input_mtok, said.output_mtok))


def _tiers(read: Any, written: Any) -> tuple[tuple[int, float, float], ...]:
    starts = sorted({tier.start for one in (read, written) for tier in getattr(one, "tiers", ())})
    return tuple((start, _at(read, start), _at(written, start)) for start in starts)


def _at(said: Any, start: int) -> float:
    """Return the price from ``start`` tokens on of what is one number, or a base with tiers."""
    if not hasattr(said, "tiers"):
        return float(said)
    reached = [tier.price for tier in said.tiers if tier.start <= start]
    return float(reached[-1] if start and reached else said.base)
