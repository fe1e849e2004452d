"""What a run would come to, as records, and as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalharness.backends.counting import How

# Bytes of the journal that an answer takes besides its text, with the completion or game it belongs to, and bytes of the
# pages for each game: docs/benchmarks.md.
RECORD_BYTES = 400
PAGE_BYTES = 3_700

_HOUR = 3600.0
_HOW = {"tokenizer": "by its tokenizer", "tiktoken": "by tiktoken", "bytes": "by bytes"}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage before one engine: ``requests`` in all, of which ``reused`` are answered in the journal.

    ``at_most`` says that games, or later turns of conversations, are among them whose earlier answers are not there yet: those
    that a candidate fails, and those with equal answers, will be fewer. For a judge ``games`` counts all its games (or the
    single answers it scores), ``decided`` those that need no judge.

    ``tokens_in`` is an estimate, without what a chat template adds, of what the model would read; ``counted`` says how:
    by the model's ``tokenizer``, by ``tiktoken``, or by ``bytes``; ``sampled`` is the number of prompts that were counted,
    ``None`` where all were. ``tokens_out`` is the most it may write. ``cost`` is what both come to in US dollars, ``None``
    where nobody says a price; ``price`` names who says it. ``seconds`` is the time that the loaded engine would take,
    written to the limits; ``None`` is unknown, and ``basis`` says where it comes from or why there is none. ``gpu_hours``
    is that time on every card that the engine holds. ``bytes_out`` are the most bytes that the answers take.
    """

    stage: str
    subject: str
    backend: str
    requests: int
    reused: int
    at_most: bool = False
    games: int | None = None
    decided: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    counted: How | None = None
    sampled: int | None = None
    cost: float | None = None
    price: str | None = None
    seconds: float | None = None
    basis: str | None = None
    gpu_hours: float | None = None
    bytes_out: int = 0

    @property
    def asked(self) -> int:
        """How many requests are left to ask."""
        return self.requests - self.reused


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would come to. ``prompts`` are distinct ids; ``samples`` counts them in every language.

    ``loads`` names the engines that would be loaded, in order, as ``backend:path``.
    """

    name: str
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    languages: int
    prompts: int
    samples: int
    steps: tuple[Step, ...]
    loads: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def least_bytes(self) -> int:
        """The bytes that the answers take on the disk if none has a word."""
        return sum(step.asked for step in self.steps) * RECORD_BYTES

    @property
    def most_bytes(self) -> int:
        """The bytes that journal and pages take if every answer is as long as it may be."""
        games = sum(step.games or 0 for step in self.steps if step.asked)
        return self.least_bytes + sum(step.bytes_out for step in self.steps) + games * PAGE_BYTES


def lines(forecast: Forecast) -> Iterator[str]:
    """Yield the forecast as people read it."""
    yield f"run       {forecast.name}"
    models = f"{len(forecast.models)} models"
    yield f"prompts   {forecast.prompts:,} in {forecast.languages} languages: {forecast.samples:,} samples, {models}"
    for step in forecast.steps:
        yield from _step(step)
    asked = [step for step in forecast.steps if step.asked and step.backend != "replay"]
    yield from _money(asked)
    yield from _time(asked)
    if asked:
        yield f"disk      at most about {size(forecast.most_bytes)}"
    yield f"loads     {len(forecast.loads)}: {', '.join(forecast.loads)}" if forecast.loads else "loads     none"
    yield "nothing was asked, nothing was written"


def _step(step: Step) -> Iterator[str]:
    most = "at most " if step.at_most else ""
    about = f", {step.games:,} games ({step.decided:,} decided without the judge)" if step.games is not None else ""
    yield f"{step.stage.ljust(9)} {step.subject} ({step.backend}): {most}{step.asked:,} to ask, {step.reused:,} reused{about}"
    if not step.asked or step.counted is None:
        return
    sample = "" if step.sampled is None else f", a sample of {step.sampled:,} prompts"
    cost = "" if step.cost is None else f": about {step.cost:,.2f} dollars (price: {step.price})"
    how = f"counted {_HOW[step.counted]}{sample}"
    yield f"{'':9} about {step.tokens_in:,} tokens read ({how}), at most {step.tokens_out:,} written{cost}"
    if step.seconds is not None:
        cards = f", {step.gpu_hours:,.2f} GPU hours" if step.gpu_hours else ""
        yield f"{'':9} at most about {_hours(step.seconds)} of the engine{cards} ({step.basis})"
    elif step.basis is not None:
        yield f"{'':9} time of the engine unknown: {step.basis}"


def _money(asked: list[Step]) -> Iterator[str]:
    known = [step.cost for step in asked if step.cost is not None]
    if known:
        others = f"; steps without a price: {len(asked) - len(known)}" if len(known) < len(asked) else ""
        yield f"cost      about {sum(known):,.2f} dollars{others}"


def _time(asked: list[Step]) -> Iterator[str]:
    timed = [step for step in asked if step.basis is not None]
    known = [step for step in timed if step.seconds is not None]
    if known:
        cards = sum(step.gpu_hours or 0.0 for step in known)
        others = f"; steps of unknown time: {len(timed) - len(known)}" if len(known) < len(timed) else ""
        gpu = f", {cards:,.2f} GPU hours" if cards else ""
        seconds = sum(step.seconds or 0.0 for step in known)
        yield f"time      at most about {_hours(seconds)} of engines{gpu}, without loading{others}"


def _hours(seconds: float) -> str:
    return f"{seconds / _HOUR:,.1f} hours" if seconds >= _HOUR else f"{seconds / 60:,.1f} minutes"


def size(number: float) -> str:
    """Return a number of bytes as people read it."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"
