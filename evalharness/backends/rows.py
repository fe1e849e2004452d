"""Prompts with continuations in, the rows an engine computes for them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Pairs = Sequence[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class ScoreRow:
    """One row to score: ``ids`` go in, and ``targets`` are read off its last positions.

    With ``each`` the targets are alternatives for the token after ``ids``; without, they are the row's own last tokens.
    """

    request: int
    ids: list[int]
    targets: list[int]
    each: bool

    @property
    def keep(self) -> int:
        """How many positions' logits are needed."""
        return 1 if self.each else len(self.targets)


def score_rows(number: int, pairs: Pairs) -> Iterator[ScoreRow]:
    """Yield one row for all continuations where each is one token, else one row a continuation."""
    if all(len(continuation) == 1 for _, continuation in pairs):
        yield ScoreRow(number, pairs[0][0], [continuation[0] for _, continuation in pairs], each=True)
        return
    for context, continuation in pairs:
        yield ScoreRow(number, context + continuation[:-1], continuation, each=False)
