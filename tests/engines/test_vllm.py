"""vLLM answers as transformers does: texts, likelihoods, labels, chats, thoughts, adapters; and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from agreement import Plain, check

from evalharness.backends.process import ProcessBackend
from evalharness.errors import BackendError, ModelError
from evalharness.types import Message, Request, Result, Sampling

pytestmark = pytest.mark.engines

Opener = Callable[..., tuple[Any, Any]]
TEXTS = sorted((Path(__file__).resolve().parents[2] / "tasks" / "m-arenahard-mini").glob("*.jsonl"))
SAYS = "Yes, this is my answer."


def prompts(number: int) -> list[str]:
    """Return the beginnings of questions in many languages."""
    rows = [json.loads(path.read_text(encoding="utf-8").splitlines()[0]) for path in TEXTS]
    texts = [next(value for value in row.values() if isinstance(value, str) and len(value) > 30) for row in rows]
    return [text[:60].strip() for text in texts][:number]


def ask(backend: Any, requests: list[Request]) -> list[Result]:
    found = {result.id: result for result in backend.submit(iter(requests))}
    return [found[request.id] for request in requests]


def generate(engine: Any, name: str, text: str, **sampling: Any) -> Request:
    return Request(name, "generate", None, text, Sampling(**{"max_tokens": 16, **sampling}), rendering=engine.rendering)


def test_a_base_model_answers_as_plain_transformers_does(opener: Opener, tiny_model: Path) -> None:
    engine, backend = opener("vllm", "base")
    plain, texts = Plain(tiny_model), prompts(20)
    ids = [plain.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    asked = [generate(engine, f"g{i}", text) for i, text in enumerate(texts)]
    endings = (" Paris is old", " and", " x")
    labels = ("A", "B", "C")
    asked += [
        Request(f"l{i}", "loglikelihood", None, text, continuations=endings, rendering=engine.rendering)
        for i, text in enumerate(texts[:6])
    ]
    asked += [Request("labels", "label_logprobs", None, "Answer:", continuations=labels, rendering=engine.rendering)]
    drawn = generate(engine, "drawn", "Hello", temperature=1.0, top_p=0.9, seed=7)
    asked += [
        drawn,
        generate(engine, "cut", texts[0], stop=(text_of(plain, ids[0])[3:5],)),
        generate(engine, "long", "word " * 600),
        generate(engine, "room", texts[0], max_tokens=10_000),
    ]
    answers = {result.id: result for result in ask(backend, asked)}
    assert backend.loads == 1

    texts_ = [str(answers[f"g{i}"].text) for i in range(len(texts))]
    assert check([plain.greedy(prompt) for prompt in ids], texts_) == 1.0  # float32: all of them
    assert [answers[f"g{i}"].tokens_in for i in range(len(texts))] == [len(prompt) for prompt in ids]
    for i in range(6):
        found = answers[f"l{i}"].logprobs
        for value, ending in zip(found or (), endings, strict=True):
            whole = plain.tokenizer(texts[i] + ending, add_special_tokens=False)["input_ids"]
            alone = plain.tokenizer(ending, add_special_tokens=False)["input_ids"]
            continuation = whole[len(ids[i]) :] if whole[: len(ids[i])] == ids[i] else alone
            assert value == pytest.approx(plain.likelihood(ids[i], continuation), abs=1e-3 * len(continuation))
    question = plain.tokenizer("Answer:", add_special_tokens=False)["input_ids"]
    wanted = [
        plain.likelihood(question, plain.tokenizer(label, add_special_tokens=False)["input_ids"]) for label in labels
    ]
    assert answers["labels"].logprobs == pytest.approx(wanted, abs=1e-3)
    assert answers["cut"].text == text_of(plain, ids[0])[:3] and answers["cut"].finish == "stop"
    assert answers["long"].finish == "context"
    assert str(answers["long"].error).endswith("tokens, the model's context 512")
    assert (answers["room"].tokens_out or 0) + (answers["room"].tokens_in or 0) <= 512

    (again,) = ask(backend, [drawn])
    (other,) = ask(backend, [replace(drawn, id="drawn2")])
    assert again.text == answers["drawn"].text != other.text
    assert backend.loads == 1


def text_of(plain: Plain, ids: list[int]) -> str:
    return plain.greedy(ids).pieces[-1]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("chat", SAYS),
        ("thinking", f"<think>Let me see</think>{SAYS}"),
        ("opened", f"<think>Let me see</think>{SAYS}"),
        ("empty", ""),
    ],
)
def test_a_scripted_model_says_its_text(opener: Opener, kind: str, says: str) -> None:
    engine, backend = opener("vllm", kind)
    asked = Request(
        "1",
        "generate",
        (Message("user", "Wie spät ist es?"),),
        None,
        Sampling(max_tokens=40),
        rendering=engine.rendering,
    )
    (result,) = ask(backend, [asked])
    assert (result.text, result.finish) == (says, "stop")


def test_an_adapter_is_added_to_the_weights(opener: Opener, tiny_models: Path) -> None:
    texts = prompts(8)
    answers = {}
    for backend, kind in (("hf", "lora"), ("vllm", "lora"), ("vllm", "base")):
        engine, opened = opener(backend, kind)
        answers[backend, kind] = [
            r.text for r in ask(opened, [generate(engine, str(i), t) for i, t in enumerate(texts)])
        ]
        opened.close()
    assert answers["vllm", "lora"] != answers["vllm", "base"]
    equal = [a == b for a, b in zip(answers["vllm", "lora"], answers["hf", "lora"], strict=True)]
    assert sum(equal) >= 7, answers


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


PARENT = """
import sys, time
from pathlib import Path
from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec
from evalharness.types import Request, Sampling
engine = resolve(ModelSpec("m", "vllm", sys.argv[1], engine={"enforce_eager": True, "max_num_seqs": 2, "max_model_len": 512}))
backend = opened(engine, Path(sys.argv[2]))
requests = (Request(str(i), "generate", None, "Hello", Sampling(max_tokens=400)) for i in range(10_000))
for result in backend.submit(requests):
    print(backend.pid, flush=True)
"""


def test_a_killed_parent_leaves_no_engine_behind(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tiny_model), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        assert len(family) >= 3  # the worker, its guard, the engine's core
        parent.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=10)
    assert left == [], [process.cmdline() for process in left]


def test_a_killed_core_is_an_error_and_nothing_is_left(opener: Opener) -> None:
    engine, backend = opener("vllm", "base")
    assert isinstance(backend, ProcessBackend) and backend.pid is None
    ask(backend, [generate(engine, "1", "Hello")])
    worker = psutil.Process(backend.pid)
    family = [worker, *worker.children(recursive=True)]
    core = next(process for process in family if process.name().startswith("VLLM::Eng"))
    core.send_signal(signal.SIGKILL)
    with pytest.raises(
        BackendError, match=r"the engine's process ended.*RuntimeError: the engine's process .* has ended"
    ):
        ask(backend, [generate(engine, "2", "Hello")])
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []


def test_a_run_of_two_models_and_a_judge_loads_each_once(tiny_models: Path, tmp_path: Path) -> None:
    models = {
        name: {
            "backend": "vllm",
            "path": str(tiny_models / kind),
            "engine": {"enforce_eager": True, "max_model_len": 1024},
        }
        for name, kind in (("one", "base"), ("two", "chat"))
    }
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    arguments = [
        "run",
        "--models",
        "one,two",
        "--task",
        "m-arenahard-mini[de,ar]",
        "--limit",
        "2",
        "--judge",
        "pairwise-logprob=two",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "evalharness", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "EVALHARNESS_SECRET": "pages"}, timeout=400,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    logs = list((tmp_path / "results").rglob("vllm-*.log"))
    starts = [log.read_text(errors="replace").count("Initializing a V1 LLM engine") for log in logs]
    assert starts == [1, 1], (logs, starts)
    time.sleep(0.5)
    assert [p for p in psutil.process_iter(["cmdline"]) if "VLLM::EngineCore" in (p.info["cmdline"] or [])] == []
