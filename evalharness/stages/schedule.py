"""What a stage needs and what is answered in, the order to ask the rest in out. Pure: a function of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CHARACTERS = 1_000  # of a prompt, for which a batch is as large as it may be


@dataclass(frozen=True, slots=True)
class Need:
    """One request as the scheduler sees it: where it stands in the plan, its identity, the length of its prompt, its kind."""

    position: int
    identity: str
    length: int
    kind: str = "generate"


@dataclass(frozen=True, slots=True)
class Turn:
    """A request to be asked now: its place in the plan and, for engines with fixed batches, the batch it belongs to."""

    position: int
    batch: int | None


def schedule(needs: Sequence[Need], answered: set[str], batch_size: int | None) -> list[Turn]:
    """Return what to ask, in order; equal identities are asked once.

    Without ``batch_size`` the plan's order is kept (requests that share a prefix stand together there). With it, prompts
    of like length form the batches, longest first, and a batch holds at most ``batch_size`` prompts and, padded to its
    longest, ``batch_size`` times CHARACTERS characters: long prompts come in small batches, so that memory is bounded and
    answers are stored often. Batches are cut from the whole plan, so that they do not depend on what is answered already;
    one with anything missing is run whole.
    """
    first: dict[str, Need] = {}
    for need in needs:
        first.setdefault(need.identity, need)
    once = list(first.values())
    if batch_size is None:
        return [Turn(need.position, None) for need in once if need.identity not in answered]
    by_length = sorted(once, key=lambda need: (need.kind, -need.length, need.position))
    return [
        Turn(need.position, number)
        for number, batch in enumerate(_batches(by_length, batch_size))
        if any(need.identity not in answered for need in batch)
        for need in batch
    ]


def _batches(by_length: Sequence[Need], batch_size: int) -> Iterator[Sequence[Need]]:
    start = 0
    while start < len(by_length):
        rows = batch_size * CHARACTERS // max(1, by_length[start].length)
        end = start + max(1, min(batch_size, rows))
        batch = [need for need in by_length[start:end] if need.kind == by_length[start].kind]
        yield batch
        start += len(batch)
