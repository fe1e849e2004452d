"""Stored results in, completions out: every model's answer to every sample of a run, read a stretch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from evalharness.prompts import named_turns
from evalharness.specs.model import ThinkingSpec, Thought
from evalharness.store import CompletionRow, Journal, SampleRow
from evalharness.types import Completion, Result, Sample

STRETCH = 256
NOT_ANSWERED = "not answered yet"
_FAILED = frozenset({"context", "refused", "filtered"})


class Answers:
    """The completions of a run, by the sample's position; only two stretches of samples are in memory at a time.

    ``thinking`` says how the models think that do, by name.
    """

    def __init__(
        self,
        journal: Journal,
        samples: Sequence[SampleRow],
        rows: Sequence[CompletionRow],
        thinking: Mapping[str, ThinkingSpec],
    ) -> None:
        self._journal = journal
        self._samples = samples
        self._thinking = thinking
        self._rows: dict[int, list[CompletionRow]] = {}
        for row in rows:
            self._rows.setdefault(row.sample, []).append(row)
        self._stretch = lru_cache(maxsize=2)(self._read)

    def of(self, sample: int) -> dict[str, Completion]:
        """Return the completion of every model for the sample at position ``sample``: the first, where there are several."""
        return {model: found[0] for model, found in self.all_of(sample).items()}

    def all_of(self, sample: int) -> dict[str, list[Completion]]:
        """Return all completions of every model for the sample at position ``sample``, in their order.

        Of likelihoods there is one, with the log-probabilities of all that was asked.
        """
        return self._stretch(sample // STRETCH)[sample]

    def _read(self, number: int) -> dict[int, dict[str, list[Completion]]]:
        positions = range(number * STRETCH, min((number + 1) * STRETCH, len(self._samples)))
        rows = [row for position in positions for row in self._rows.get(position, ())]
        results = self._journal.results([row.identity for row in rows])
        found: dict[int, dict[str, list[Completion]]] = {position: {} for position in positions}
        for (position, model, _), parts in groupby(rows, key=lambda row: (row.sample, row.model, row.repeat)):
            answers = [
                completion(self._samples[position], row, results.get(row.identity), self._thinking.get(model))
                for row in parts
            ]
            found[position].setdefault(model, []).append(_together(answers))
        return found


def _together(parts: Sequence[Completion]) -> Completion:
    """Return the parts of one answer as one: the log-probabilities in their order, or the turns of a conversation; what is wrong
    with one is wrong with it."""
    first = next((part for part in parts if part.error or part.failure), parts[0])
    if len(parts) == 1 or first.error or first.failure:
        return first
    if first.logprobs is None:
        return _conversation(parts)
    return replace(first, logprobs=tuple(value for part in parts for value in part.logprobs or ()))


def _conversation(parts: Sequence[Completion]) -> Completion:
    """Return the answers to the turns of a conversation as one text, as ``prompts.question`` shows its turns."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    thoughts = [part.thinking for part in parts if part.thinking]
    return replace(
        parts[-1], text=named_turns([part.text for part in parts]), tokens=sum(tokens) if len(tokens) == len(parts) else None,
        finish=next((part.finish for part in parts if part.finish == "length"), parts[-1].finish),
        thinking=named_turns(thoughts) if len(thoughts) == len(parts) else "\n\n".join(thoughts) or None,
    )  # fmt: skip


def completion(
    sample: Sample | SampleRow, row: CompletionRow, result: Result | None, thinking: ThinkingSpec | None = None
) -> Completion:
    """Return the answer to ``sample`` that ``result`` holds. A fault of ours is its ``error``, the model's its ``failure``."""
    if result is None:
        result = Result(row.identity, finish="error", error=NOT_ANSWERED)
    thought = thought_of(result, thinking)
    error = result.error if result.finish not in _FAILED else None
    return Completion(
        sample.task, sample.prompt_id, sample.language, row.model, row.repeat, thought.answer, result.finish,
        result.tokens_out, None if error else _failure(result, thought), row.identity, error, thought.thinking,
        result.logprobs,
    )  # fmt: skip


def thought_of(result: Result, thinking: ThinkingSpec | None) -> Thought:
    """Return the text of ``result`` with the thought taken out: the one an API gave apart, or the one between the tags."""
    text = result.text or ""
    if result.thinking is not None:
        return Thought(result.thinking, text, bool(text.strip()) or result.finish != "length")
    return Thought(None, text, True) if thinking is None else thinking.split(text)


def _failure(result: Result, thought: Thought) -> str | None:
    """Return how the model failed to answer, if it did: a thought without an end is one, whatever it holds."""
    if result.finish in _FAILED:
        return result.finish
    if not thought.ended:
        return "truncated"
    if result.logprobs is not None:
        return None
    return None if thought.answer.strip() else "empty"
