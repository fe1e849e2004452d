"""The log-probabilities of a reply in, those of labels or continuations out. Pure; ``None`` where they cannot be known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

SLACK = 0.01  # of the labels' probability: what a label that is not among the alternatives may have at most


def alternatives(logprobs: Any) -> list[tuple[str, float]] | None:
    """Return (token, log-probability) of the alternatives for the first token: none where there is no first token, and
    ``None`` where the reply has no log-probabilities.

    ``logprobs`` is a choice's: ``{"content": [{"top_logprobs": [{"token", "logprob"}]}]}`` of a chat,
    ``{"top_logprobs": [{token: logprob}]}`` of a completion.
    """
    if not isinstance(logprobs, Mapping):
        return None
    if [] in (logprobs.get("content"), logprobs.get("top_logprobs")):
        return []
    if isinstance(first := _first(logprobs.get("content")), Mapping):
        rows = [row for row in _rows(first.get("top_logprobs")) if isinstance(row, Mapping)]
        pairs: list[tuple[Any, Any]] = [(row.get("token"), row.get("logprob")) for row in rows]
    elif isinstance(first := _first(logprobs.get("top_logprobs")), Mapping):
        pairs = list(first.items())
    else:
        return None
    return [(token, float(value)) for token, value in pairs if isinstance(token, str) and _is_logprob(value)] or None


def of_labels(labels: Sequence[str], found: Sequence[tuple[str, float]]) -> tuple[float, ...] | None:
    """Return the log-probability of each label, from the alternatives ``found`` for the first token.

    A label has the summed probability of the alternatives that spell it, with or without white space around it. One that
    is not among them is at most as probable as the least of them and as what all of them leave over. Where that is less
    than SLACK of what the found labels have, it counts as nothing (minus infinity); where it is not, and where no label
    was found, the reply says too little: ``None``.
    """
    wanted = [label.strip() for label in labels]
    shares = [math.fsum(math.exp(value) for token, value in found if token.strip() == label) for label in wanted]
    seen = math.fsum(shares)
    if seen <= 0:
        return None
    left = max(0.0, 1.0 - math.fsum(math.exp(value) for _, value in found))
    bound = min(left, min(math.exp(value) for _, value in found))
    if 0.0 in shares and bound > SLACK * seen:
        return None
    return tuple(math.log(share) if share > 0 else -math.inf for share in shares)


def of_continuation(text: str, continuation: str, logprobs: Any) -> float | None:
    """Return the summed log-probability of ``continuation`` at the end of ``text``, echoed with one new token after it.

    ``logprobs`` is the choice's ``{"tokens", "token_logprobs"}``. A token across the border belongs to the continuation, and
    so do tokens without a text before its first one: they are the first bytes of a letter, which vLLM spells where it is
    complete. ``None`` where the reply has none, or where its tokens do not spell the text.
    """
    if not isinstance(logprobs, Mapping):
        return None
    tokens, values = _rows(logprobs.get("tokens"))[:-1], _rows(logprobs.get("token_logprobs"))[:-1]
    if len(tokens) != len(values) or not all(isinstance(token, str) for token in tokens):
        return None
    spelled, total = "", 0.0
    for token, value in zip(reversed(tokens), reversed(values), strict=True):
        if len(spelled) >= len(continuation) and token:
            break
        if not _is_logprob(value):
            return None
        spelled, total = token + spelled, total + value
    return total if spelled.endswith(continuation) and text.endswith(spelled) else None


def _is_logprob(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None
