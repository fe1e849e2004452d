"""Who answers, to what, how: the parts of a request in, its identity out. Equal identity, equal answer: reused, never paid twice.

Everything that can change an answer is listed in ``request_id`` and ``judge_id``, and nowhere else. Batch size, executor,
replicas and engine versions are not in it; versions are recorded with the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from evalharness.text import canonical
from evalharness.types import Engine, Kind, Message, Sampling


def request_id(
    engine: Engine,
    kind: Kind,
    prompt: Sequence[Message] | str,
    sampling: Sampling,
    continuations: Sequence[str] = (),
    index: int = 0,
    attempt: int = 0,
) -> str:
    """Return the identity of asking ``engine`` the ``prompt`` (messages, or raw text): 32 hexadecimal digits (128 bits).

    ``index`` numbers the repeats of one prompt; a greedy request has no seed and the repeats of it are one request.
    """
    shown = prompt if isinstance(prompt, str) else [[m.role, m.content] for m in prompt]
    return _digest([engine.key, kind, shown, _drawn(sampling, index), list(continuations), attempt])


def judge_id(
    engine: Engine, judge: str, texts: Sequence[str], sampling: Sampling, repeat: int = 0, attempt: int = 0
) -> str:
    """Return the identity of a game: ``judge`` is the judge's hash (its templates), ``texts`` all they are filled with.

    The nonce of the fences is left out: it is the same for all games of a prompt and says nothing about them.
    """
    return _digest([engine.key, judge, list(texts), _drawn(sampling, repeat), attempt])


def replay_id(engine: Engine, task: str, language: str, prompt_id: str, index: int = 0, turn: int = 0) -> str:
    """Return the identity of the answer, number ``index`` to its prompt, that is read from a file of completions; ``turn`` is
    above 0 for later turns of a conversation."""
    which = [index, turn] if turn else [index] if index else []
    return _digest([engine.key, "replay", task, language, prompt_id, *which])


def seed_of(identity: str, seed: int | None) -> int:
    """Return the 63-bit seed of a sampled request, from its identity and the base seed."""
    digest = hashlib.sha256(f"{identity}:{seed or 0}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def is_greedy(sampling: Sampling) -> bool:
    """Say whether ``sampling`` draws nothing."""
    return not sampling.temperature or sampling.top_k == 1


def _drawn(sampling: Sampling, index: int) -> list[object]:
    if is_greedy(sampling):
        return [sampling.max_tokens, list(sampling.stop or ())]
    temperature, top_p = (None if value is None else float(value) for value in (sampling.temperature, sampling.top_p))
    drawn = [temperature, top_p, sampling.top_k, sampling.seed or 0, index]
    return [sampling.max_tokens, list(sampling.stop or ()), drawn]


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(canonical(parts)).hexdigest()[:32]
