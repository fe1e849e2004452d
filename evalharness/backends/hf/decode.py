"""Prompts as token ids in, generated texts out: one loop a batch, every row with its own sampling and end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from evalharness.backends.hf.forward import Forward
from evalharness.backends.tokens import Codec, cut
from evalharness.identity import is_greedy, seed_of
from evalharness.types import SAMPLING_DEFAULTS, Request, Result, Sampling

HEAD = 1024  # tokens sorted first for top_p; the rest only where they do not hold enough probability
STOP_MARGIN = 8  # tokens decoded before a stop string, since the first ones of a piece may decode differently


@dataclass
class Row:
    """One text on its way. ``limit`` is the number of new tokens; ``finish`` is empty while it goes on."""

    request: Request
    codec: Codec
    prompt: list[int]
    limit: int
    sampling: Sampling = field(init=False)
    draw: random.Random | None = field(init=False)
    tokens: list[int] = field(default_factory=list)
    finish: str = ""

    def __post_init__(self) -> None:
        self.sampling = self.request.sampling.over(SAMPLING_DEFAULTS)
        greedy = is_greedy(self.sampling)
        self.draw = None if greedy else random.Random(seed_of(self.request.id, self.sampling.seed))


def generate(forward: Forward, rows: Sequence[Row]) -> list[Result]:
    """Continue every prompt to its end; return the results in the order of ``rows``. Finished rows leave the batch."""
    going = list(rows)
    step = forward.rows([row.prompt for row in going], ahead=max(row.limit for row in going))
    while True:
        tokens = choose(step.logits[:, -1], going)
        for row, token in zip(going, tokens, strict=True):
            _take(row, token)
        stay = [i for i, row in enumerate(going) if not row.finish]
        if not stay:
            return [_result(row) for row in rows]
        if len(stay) < len(going):
            step = forward.select(step, stay)
            going = [going[i] for i in stay]
        step = forward.step(step, [row.tokens[-1] for row in going])


def choose(logits: Any, rows: Sequence[Row]) -> list[int]:
    """Return the next token of every row; logits (rows, vocabulary)."""
    best: list[int] = logits.argmax(dim=-1).tolist()
    return [
        token if row.draw is None else sample(logits[i], row.sampling, row.draw.random())
        for i, (token, row) in enumerate(zip(best, rows, strict=True))
    ]


def sample(logits: Any, sampling: Sampling, uniform: float) -> int:
    """Return the token at ``uniform`` (0 to 1) of the cumulated probabilities; temperature, then top_k, then top_p."""
    assert sampling.temperature and sampling.top_p is not None and sampling.top_k is not None  # over the defaults
    scaled = logits.float().cpu() / sampling.temperature
    if not sampling.top_k and sampling.top_p >= 1.0:
        return _at(torch.softmax(scaled, dim=-1), uniform)
    size = scaled.numel()
    count = min(sampling.top_k or HEAD, size)
    values, tokens = torch.topk(scaled, count)
    total = torch.logsumexp(values if sampling.top_k else scaled, dim=-1)
    kept = torch.exp(values - total)
    if not sampling.top_k and float(kept.sum()) < sampling.top_p:
        values, tokens = torch.sort(scaled, descending=True)
        kept = torch.exp(values - total)
    cumulated = kept.cumsum(dim=-1, dtype=torch.float64)
    inside = int(torch.searchsorted(cumulated, sampling.top_p)) + 1  # the token that crosses top_p is kept
    return int(tokens[_at(kept[:inside], uniform)])


def _at(weights: Any, uniform: float) -> int:
    cumulated = weights.cumsum(dim=-1, dtype=torch.float64)
    place = int(torch.searchsorted(cumulated, uniform * float(cumulated[-1]), right=True))
    return min(place, int(weights.numel()) - 1)


def _take(row: Row, token: int) -> None:
    """Add ``token`` to the row and see whether it ends there."""
    if token in row.codec.eos:
        row.finish = "stop"
        return
    row.tokens.append(token)
    if _stops(row):
        row.finish = "stop"
    elif len(row.tokens) >= row.limit:
        row.finish = "length"


def _stops(row: Row) -> bool:
    """Say whether a stop string has just come: only the end of the text, as long as the longest of them, is decoded."""
    stops = row.sampling.stop or ()
    if not stops:
        return False
    reach = max(len(stop.encode("utf-8")) for stop in stops) + STOP_MARGIN
    ending = row.codec.text(row.tokens[-reach:])
    return any(stop in ending for stop in stops) and cut(row.codec.text(row.tokens), stops) is not None


def _result(row: Row) -> Result:
    text = row.codec.text(row.tokens)
    return Result(
        row.request.id,
        text=row.codec.opened(row.request) + text[: cut(text, row.sampling.stop or ())],
        finish=row.finish,
        tokens_in=len(row.prompt),
        tokens_out=len(row.tokens),
    )
