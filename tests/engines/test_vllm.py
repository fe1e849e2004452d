"""vLLM answers as transformers does: texts, likelihoods, labels, chats, thoughts, adapters, parts of a model, whole numbers."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from agreement import Plain, ask, check, generate, likelihood, prompts

from evalharness.backends.descendants import MARK, marked
from evalharness.backends.process import ProcessBackend
from evalharness.errors import BackendError, ModelError
from evalharness.identity import request_id
from evalharness.types import Message, Sampling

pytestmark = pytest.mark.engines

Opener = Callable[..., tuple[Any, Any]]
SAYS = "Yes, this is my answer."
PAIRS = prompts(23)
TEXTS = [text for text, _ in PAIRS]


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> Plain:
    return Plain(tiny_model)


def test_texts_agree(base: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = base
    ids = [plain.ids(text) for text in TEXTS]
    answers = ask(backend, [generate(engine, f"{i}", text) for i, text in enumerate(TEXTS)])
    assert check([plain.greedy(prompt) for prompt in ids], [str(result.text) for result in answers]) == 1.0
    assert [result.tokens_in for result in answers] == [len(prompt) for prompt in ids]


def test_likelihoods_and_labels_agree(base: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = base
    asked = [likelihood(engine, f"{i}", text, " Paris is old", " and", " x") for i, text in enumerate(TEXTS[:6])]
    asked += [likelihood(engine, f"e{i}", *pair) for i, pair in enumerate(PAIRS)]
    asked += [likelihood(engine, "labels", "Answer:", "A", "B", "C", kind="label_logprobs")]
    for request, answer in zip(asked, ask(backend, asked), strict=True):
        assert answer.error is None
        for value, ending in zip(answer.logprobs or (), request.continuations, strict=True):
            wanted, tokens = plain.ending(str(request.text), ending)
            assert value == pytest.approx(wanted, abs=1e-3 * tokens)


def test_stops_lengths_and_contexts(base: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = base
    whole = plain.greedy(plain.ids(TEXTS[0])).pieces[-1]
    asked = [
        generate(engine, "cut", TEXTS[0], stop=(whole[3:5],)),
        generate(engine, "long", "word " * 600),
        generate(engine, "room", TEXTS[0], max_tokens=10_000),
    ]
    cut, long, room = ask(backend, asked)
    assert (cut.text, cut.finish) == (whole[:3], "stop")
    count = len(plain.ids("word " * 600))
    assert (long.finish, long.error) == ("context", f"the prompt has {count} tokens, the model's context 512")
    assert (room.tokens_out or 0) + (room.tokens_in or 0) <= 512
    assert backend.loads == 1


def test_repeats_of_a_prompt_are_drawn_apart_and_each_is_drawn_again_alike(base: tuple[Any, Any]) -> None:
    engine, backend = base
    drawn = Sampling(temperature=1.0, top_p=0.95, max_tokens=16, seed=7)
    names = [request_id(engine, "generate", "Hello", drawn, index=index) for index in range(8)]
    asked = [replace(generate(engine, name, "Hello"), sampling=drawn) for name in names]
    first = [result.text for result in ask(backend, asked)]
    assert len(set(names)) == len(set(first)) == 8
    assert [ask(backend, [request])[0].text for request in reversed(asked)] == first[::-1]


@pytest.mark.parametrize(("kind", "says"), [("opened", f"<think>Let me see</think>{SAYS}"), ("empty", "")])
def test_a_scripted_model_says_its_text(opener: Opener, kind: str, says: str) -> None:
    engine, backend = opener("vllm", kind)
    (result,) = ask(backend, [generate(engine, "1", (Message("user", "Wie spät ist es?"),), max_tokens=40)])
    assert (result.text, result.finish) == (says, "stop")


def test_an_adapter_is_added_to_the_weights(opener: Opener, base: tuple[Any, Any]) -> None:
    answers = []
    for engine, backend in (opener("hf", "lora"), opener("vllm", "lora"), base):
        answers.append([r.text for r in ask(backend, [generate(engine, f"a{i}", t) for i, t in enumerate(TEXTS[:8])])])
    transformers, adapted, unadapted = answers
    assert adapted != unadapted
    assert sum(a == b for a, b in zip(adapted, transformers, strict=True)) >= 7, answers


def test_a_model_in_two_parts_answers_as_the_whole(
    opener: Opener, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")  # a core for each part
    small = {"enforce_eager": True, "max_num_seqs": 8, "max_model_len": 512, "tensor_parallel_size": 2}
    engine, backend = opener("vllm", "base", engine=small)
    answers = ask(backend, [generate(engine, f"{i}", text) for i, text in enumerate(TEXTS)])
    assert check([plain.greedy(plain.ids(text)) for text in TEXTS], [str(result.text) for result in answers]) == 1.0
    names = [process.name() for process in psutil.Process(backend.pid).children(recursive=True)]
    assert sum(name.startswith("VLLM::Worker") for name in names) == 2, names


def whole_numbers(source: Path, folder: Path) -> None:
    """Write the model in ``source`` with 8 bits a weight and a scale a row, as compressed-tensors does (W8A8, dynamic)."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    stored = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if "_proj" in name:
            scale = weight.abs().amax(dim=1, keepdim=True) / 127
            stored[name.replace("weight", "weight_scale")] = scale
            stored[name] = (weight / scale).round().to(torch.int8)
        else:
            stored[name] = weight
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    kind = {"num_bits": 8, "type": "int", "symmetric": True}
    group = {
        "targets": ["Linear"],
        "weights": {**kind, "strategy": "channel", "dynamic": False},
        "input_activations": {**kind, "strategy": "token", "dynamic": True},
    }
    words = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": words}), encoding="utf-8")


def test_a_quantised_checkpoint_is_loaded_as_it_says(
    opener: Opener, plain: Plain, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "int8"
    folder.mkdir()
    whole_numbers(tiny_model, folder)
    engine, backend = opener("vllm", str(folder))
    asked = [likelihood(engine, f"e{i}", *pair) for i, pair in enumerate(PAIRS)]
    off = []
    for request, answer in zip(asked, ask(backend, asked), strict=True):
        wanted, tokens = plain.ending(str(request.text), *request.continuations)
        assert answer.logprobs is not None, answer.error
        off.append(abs(answer.logprobs[0] - wanted) / tokens)
    assert 1e-4 < sum(off) / len(off) < 0.1  # not the weights as they were, and close to them


def test_a_setting_that_vllm_has_not_is_told_before_anything_loads(opener: Opener) -> None:
    with pytest.raises(ModelError, match="unknown setting 'max_model_length'; did you mean 'max_model_len'"):
        opener("vllm", "base", engine={"max_model_length": 5})
    with pytest.raises(ModelError, match="the harness sets vLLM's enable_lora itself; write the entry's adapter"):
        opener("vllm", "base", engine={"enable_lora": True})


@pytest.mark.parametrize("name", ["max_num_seqs", "tensor_parallel_size", "replicas"])
def test_a_count_that_is_none_is_told_before_anything_loads(opener: Opener, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: many is no whole number above 0"):
        opener("vllm", "base", engine={name: "many"})


def test_settings_that_change_answers_are_in_the_identity_and_others_are_not(opener: Opener) -> None:
    plain, _ = opener("vllm", "base", engine={})
    faster, _ = opener("vllm", "base", engine={"gpu_memory_utilization": 0.5, "tensor_parallel_size": 2})
    shorter, _ = opener("vllm", "base", engine={"max_model_len": 100})
    assert plain.key == faster.key != shorter.key


def test_what_vllm_refuses_names_the_cause(opener: Opener) -> None:
    _, backend = opener("vllm", "base", engine={"max_model_len": 1_000_000})
    with pytest.raises(ModelError, match="max_model_len"):
        backend.start()


def test_a_killed_core_is_an_error_and_nothing_is_left(base: tuple[Any, Any]) -> None:
    engine, backend = base
    assert isinstance(backend, ProcessBackend)
    ask(backend, [generate(engine, "1", "Hello")])
    worker = psutil.Process(backend.pid)
    family = [worker, *worker.children(recursive=True)]
    assert {process.pid for process in family} <= set(marked(worker.environ()[MARK]))
    core = next(process for process in family if process.name().startswith("VLLM::Eng"))
    core.send_signal(signal.SIGKILL)
    with pytest.raises(
        BackendError, match=r"the engine's process ended.*RuntimeError: the engine's process .* has ended"
    ):
        ask(backend, [generate(engine, "2", "Hello")])
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
