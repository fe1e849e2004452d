"""What two engines may differ in: greedy texts part only where the two likeliest tokens are almost equally likely."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evalharness.text import clean_text
from evalharness.types import Message, Request, Result, Sampling

TOKENS = 16
GAP = 0.1  # nats between the two likeliest tokens, under which another engine may choose the other one
AGREEING = 0.9  # of the prompts
QUESTIONS = sorted((Path(__file__).resolve().parents[2] / "tasks" / "m-arenahard-mini").glob("*.jsonl"))


def prompts(number: int) -> list[tuple[str, str]]:
    """Return the beginnings of ``number`` questions, each in another language than the one before it, and how they go on."""
    files = [path.read_text(encoding="utf-8").splitlines() for path in QUESTIONS]
    lines = [lines[row] for row in range(min(map(len, files))) for lines in files]
    texts = [json.loads(line)["prompt"] for line in lines[:number]]
    begun = [text[: min(60, len(text) // 2)].rstrip() for text in texts]
    return [(start, text[len(start) : len(start) + 20]) for start, text in zip(begun, texts, strict=True)]


def generate(engine: Any, name: str, asked: str | tuple[Message, ...], **sampling: Any) -> Request:
    """Return a request for the text that follows ``asked``, a raw text or messages."""
    text, messages = (asked, None) if isinstance(asked, str) else (None, asked)
    return Request(
        name, "generate", messages, text, Sampling(**{"max_tokens": TOKENS, **sampling}), rendering=engine.rendering
    )


def likelihood(engine: Any, name: str, text: str, *continuations: str, kind: Any = "loglikelihood") -> Request:
    """Return a request for the log-probability of each of ``continuations`` after ``text``."""
    return Request(name, kind, None, text, continuations=continuations, rendering=engine.rendering)


def ask(backend: Any, requests: Sequence[Request]) -> list[Result]:
    """Return the results in the order of ``requests``."""
    found = {result.id: result for result in backend.submit(iter(requests))}
    return [found[request.id] for request in requests]


@dataclass(frozen=True)
class Reference:
    """What plain transformers writes after a prompt, token by token, and how sure it is of each."""

    pieces: tuple[str, ...]  # the text after 1, 2, … tokens
    gaps: tuple[float, ...]


class Plain:
    """The model in ``folder`` through plain transformers: one prompt at a time, no code of ours."""

    def __init__(self, folder: Path | str, dtype: str = "float32") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)  # two that wait for each other are slow where something else runs
        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def ids(self, text: str) -> list[int]:
        """Return the tokens of ``text``, with those that the tokenizer puts around it."""
        ids: list[int] = self.tokenizer(text)["input_ids"]
        return ids

    def greedy(self, prompt: Sequence[int], tokens: int = TOKENS) -> Reference:
        """Continue ``prompt`` by ``tokens`` tokens, or to its end."""
        given = self.torch.tensor([list(prompt)])
        out = self.model.generate(
            given, attention_mask=self.torch.ones_like(given), max_new_tokens=tokens, do_sample=False, output_logits=True,
            return_dict_in_generate=True, pad_token_id=0,
        )  # fmt: skip
        ids: list[int] = out.sequences[0, len(prompt) :].tolist()
        if self.model.config.eos_token_id in ids:
            ids = ids[: ids.index(self.model.config.eos_token_id)]
        best = [self.torch.log_softmax(logits[0].float(), dim=-1).topk(2).values.tolist() for logits in out.logits]
        pieces = [clean_text(self.tokenizer.decode(ids[: i + 1], skip_special_tokens=True)) for i in range(len(ids))]
        return Reference(tuple(pieces), tuple(first - second for first, second in best[: len(ids)]))

    def likelihood(self, context: Sequence[int], continuation: Sequence[int]) -> float:
        """Return the summed log-probability of ``continuation``, in nats."""
        rows = self._logprobs([*context, *continuation[:-1]])[len(context) - 1 :]
        return sum(float(row[token]) for row, token in zip(rows, continuation, strict=True))

    def joins(self, text: str, ending: str) -> bool:
        """Say whether no token spans ``text`` and ``ending``: where one does, servers count it as the ending's."""
        context = self.ids(text)
        return self.ids(text + ending)[: len(context)] == context

    def ending(self, text: str, ending: str) -> tuple[float, int]:
        """Return the log-probability of ``ending`` after ``text``, and of how many tokens it is the sum."""
        context, alone = self.ids(text), self.tokenizer(ending, add_special_tokens=False)["input_ids"]
        continuation = self.ids(text + ending)[len(context) :] if self.joins(text, ending) else alone
        return self.likelihood(context, continuation), len(continuation)

    def spelled(self, text: str, labels: Sequence[str]) -> list[float]:
        """Return the log-probability that the next token is one that spells a label, whatever white space is around it."""
        row = self._logprobs(self.ids(text))[-1]
        return [math.log(sum(math.exp(row[i]) for i in self._spellings.get(label, ()))) for label in labels]

    @cached_property
    def _spellings(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for token in range(len(self.tokenizer)):
            found.setdefault(self.tokenizer.decode([token]).strip(), []).append(token)
        return found

    def _logprobs(self, ids: Sequence[int]) -> Any:
        with self.torch.inference_mode():
            logits = self.model(input_ids=self.torch.tensor([list(ids)])).logits[0]
        return self.torch.log_softmax(logits.float(), dim=-1)


def parted(reference: Reference, text: str) -> int | None:
    """Return the number of the first token in which ``text`` is another one, ``None`` where it is the same text."""
    text = clean_text(text)
    if not reference.pieces or text == reference.pieces[-1]:
        return None
    whole, broken, _ = reference.pieces[-1].partition(
        "\ufffd"
    )  # bytes that are no letter: each decoder has its own way
    if broken and text.startswith(whole):
        return None
    return next((i for i, piece in enumerate(reference.pieces) if not text.startswith(piece.rstrip("\ufffd"))), 0)


def check(references: Sequence[Reference], texts: Sequence[str]) -> float:
    """Return the share of equal texts; fails where one parts in a token that was sure."""
    places = [parted(reference, text) for reference, text in zip(references, texts, strict=True)]
    for reference, place in zip(references, places, strict=True):
        assert place is None or min(reference.gaps[max(0, place - 1) : place + 1]) < GAP, (place, reference)
    share = places.count(None) / len(places)
    assert share >= AGREEING, places
    return share
