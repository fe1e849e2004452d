"""What two engines may differ in: greedy texts part only where the two likeliest tokens are almost equally likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.text import clean_text

TOKENS = 16
GAP = 0.1  # nats between the two likeliest tokens, under which another engine may choose the other one
AGREEING = 0.9  # of the prompts


@dataclass(frozen=True)
class Reference:
    """What plain transformers writes after a prompt, token by token, and how sure it is of each."""

    pieces: tuple[str, ...]  # the text after 1, 2, … tokens
    gaps: tuple[float, ...]


class Plain:
    """The model in ``folder`` through plain transformers: one prompt at a time, no code of ours."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def greedy(self, prompt: Sequence[int], tokens: int = TOKENS) -> Reference:
        """Continue ``prompt`` by ``tokens`` tokens, or to its end."""
        ids, pieces, gaps = list(prompt), [], []
        with self.torch.inference_mode():
            for _ in range(tokens):
                best = self._logprobs(ids)[-1].topk(2)
                if (token := int(best.indices[0])) == self.model.config.eos_token_id:
                    break
                ids.append(token)
                gaps.append(float(best.values[0] - best.values[1]))
                pieces.append(clean_text(self.tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)))
        return Reference(tuple(pieces), tuple(gaps))

    def likelihood(self, context: Sequence[int], continuation: Sequence[int]) -> float:
        """Return the summed log-probability of ``continuation``, in nats."""
        with self.torch.inference_mode():
            rows = self._logprobs([*context, *continuation[:-1]])[len(context) - 1 :]
        return sum(float(row[token]) for row, token in zip(rows, continuation, strict=True))

    def _logprobs(self, ids: Sequence[int]) -> Any:
        logits = self.model(input_ids=self.torch.tensor([list(ids)])).logits[0]
        return self.torch.log_softmax(logits.float(), dim=-1)


def parted(reference: Reference, text: str) -> int | None:
    """Return the number of the first token in which ``text`` is another one, ``None`` where it is the same text."""
    # a letter whose bytes are not all written yet: some decoders leave it out
    if not reference.pieces or text.rstrip("\ufffd") == reference.pieces[-1].rstrip("\ufffd"):
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
