"""Prompts with continuations in, log-probabilities out: sums of the natural logs of token probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from evalharness.backends.hf.forward import SHARED_TOKENS, Forward, common
from evalharness.backends.rows import Pairs, ScoreRow, score_rows
from evalharness.types import Request, Result

ROW_TOKENS = 4096  # tokens of one forward pass on a CPU
ROW_TOKENS_GPU = 32768
LOGITS = 1 << 26  # logits of one forward pass: 256 MiB in float32


def score(forward: Forward, asked: Sequence[tuple[Request, Pairs]]) -> list[Result]:
    """Return the log-probabilities of all continuations of every request, in the order given."""
    rows = [row for number, (_, pairs) in enumerate(asked) for row in score_rows(number, pairs)]
    found: list[list[float]] = [[] for _ in rows]
    budget = ROW_TOKENS if forward.device.type == "cpu" else ROW_TOKENS_GPU
    for numbers in passes(rows, budget, forward.vocabulary):
        for number, values in zip(numbers, _pass(forward, [rows[i] for i in numbers]), strict=True):
            found[number] = values
    sums: list[list[float]] = [[] for _ in asked]
    for row, values in zip(rows, found, strict=True):
        sums[row.request] += values if row.each else [sum(values)]
    return [
        Result(request.id, tokens_in=len(pairs[0][0]), tokens_out=0, logprobs=tuple(values))
        for (request, pairs), values in zip(asked, sums, strict=True)
    ]


def passes(rows: Sequence[ScoreRow], budget: int, vocabulary: int) -> Iterator[list[int]]:
    """Yield the numbers of the rows of each forward pass, of up to ``budget`` tokens.

    Rows that share a beginning with another are run with their like; the others together, by length.
    """
    order = sorted(range(len(rows)), key=lambda i: (rows[i].ids, i))
    families: list[list[int]] = []
    for i in order:
        if families and common([rows[families[-1][-1]].ids, rows[i].ids]) >= SHARED_TOKENS:
            families[-1].append(i)
        else:
            families.append([i])
    lone = sorted((family[0] for family in families if len(family) == 1), key=lambda i: (-len(rows[i].ids), i))
    for family in (*(family for family in families if len(family) > 1), lone):
        yield from _portions(family, rows, budget, vocabulary)


def _portions(family: Sequence[int], rows: Sequence[ScoreRow], budget: int, vocabulary: int) -> Iterator[list[int]]:
    taken: list[int] = []
    for i in family:
        wanted = [rows[j] for j in (*taken, i)]
        tokens = len(wanted) * max(len(row.ids) for row in wanted)
        logits = len(wanted) * max(row.keep for row in wanted) * vocabulary
        if taken and (tokens > budget or logits > LOGITS):
            yield taken
            taken = []
        taken.append(i)
    if taken:
        yield taken


def _pass(forward: Forward, rows: Sequence[ScoreRow]) -> Iterator[list[float]]:
    """Yield the log-probabilities of every row's targets."""
    keep = max(row.keep for row in rows)
    step = forward.rows([row.ids for row in rows], keep=keep)
    for row, logits in zip(rows, step.logits, strict=True):
        logprobs = torch.log_softmax(logits[-row.keep :].float(), dim=-1)
        targets = torch.tensor(row.targets, device=logprobs.device)
        picked = logprobs[0, targets] if row.each else logprobs.gather(1, targets[:, None])[:, 0]
        yield picked.tolist()
