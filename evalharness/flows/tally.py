"""Requests in, how many tokens an engine would read and may write out; of many, a seeded sample of the prompts is counted."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from random import Random

from evalharness.backends.counting import BYTES_A_TOKEN, Counter, How
from evalharness.types import Message, Request

SAMPLE = 2_000  # prompts that are counted of what one engine is asked in one stage
SAMPLE_BYTES = 4_000_000  # and of these no more than so many bytes

Prompt = tuple[Message, ...] | str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one engine would be asked in one stage.

    ``read`` is an estimate, without what a chat template adds, ``written`` the most it may write. ``how`` says who counted;
    ``sampled`` is the number of prompts that were, ``None`` where all were. ``bytes_a_token`` is what a token of the prompts
    has on average.
    """

    requests: int
    read: int
    written: int
    how: How
    sampled: int | None
    bytes_a_token: float


class Tally:
    """Takes requests as they come and keeps a seeded sample of their prompts."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._requests = self._bytes = self._more = self._written = 0
        self._kept: list[str] = []
        self._random = Random(0)

    def add(self, request: Request) -> None:
        """Count ``request``."""
        prompt = request.messages if request.text is None else request.text
        self.count(prompt or "", 0, (request.sampling.max_tokens or 0) if request.kind == "generate" else 1)

    def count(self, prompt: Prompt, more: int, written: int) -> None:
        """Add one request: its ``prompt``, tokens that it reads besides, tokens that may be written."""
        text = prompt if isinstance(prompt, str) else "".join(message.content for message in prompt)
        self._bytes += _size(text)
        self._more += more
        self._written += written
        self._requests += 1
        if len(self._kept) < SAMPLE:
            self._kept.append(text)
        elif (place := self._random.randrange(self._requests)) < SAMPLE:  # each prompt is as likely to be kept
            self._kept[place] = text

    def taken(self, counter: Counter) -> Tokens:
        """Return what was asked since this was called last."""
        texts = [] if counter.how == "bytes" else _at_most(self._kept, self._random)
        counted, size = counter.count(texts), sum(map(_size, texts))
        every = len(texts) == self._requests
        ratio = size / counted if counted else float(BYTES_A_TOKEN)
        read = counted if every else ceil(self._bytes / ratio)
        sampled = len(texts) if texts and not every else None
        told = Tokens(self._requests, read + self._more, self._written, counter.how, sampled, ratio)
        self._clear()
        return told


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _at_most(texts: list[str], random: Random) -> list[str]:
    """Return ``texts``, or as many of them, drawn at random, as have SAMPLE_BYTES together (one at least)."""
    if sum(map(_size, texts)) <= SAMPLE_BYTES:
        return texts
    random.shuffle(texts)
    size = 0
    for number, text in enumerate(texts):
        size += _size(text)
        if size > SAMPLE_BYTES:
            return texts[: number + 1]
    return texts
