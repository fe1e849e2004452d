"""On Ray, models of vLLM answer as without it; a lost worker costs a retry; nothing of a Ray of our own is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from evalharness.backends import opened
from evalharness.backends.kind import Executor
from evalharness.errors import ModelError
from evalharness.types import Engine, Request, Result, Sampling

pytestmark = pytest.mark.engines

Opener = Callable[..., tuple[Engine, Any]]
ON_RAY = Executor("ray")
WORDS = (
    "Wie spät ist es?",
    "What is the capital of France?",
    "Hello",
    "Die Antwort lautet",
    "كم الساعة الآن؟",
    "今何時ですか",
)


def requests(engine: Engine) -> list[Request]:
    """Return requests of every kind, one that is too long among them."""
    shared: dict[str, Any] = {"messages": None, "rendering": engine.rendering}
    texts = [f"{word} {i}" for i in range(2) for word in WORDS]
    asked = [
        Request(f"g{i}", "generate", text=text, sampling=Sampling(max_tokens=16), **shared)
        for i, text in enumerate(texts)
    ]
    endings = (" Paris is old", " and", " x")
    asked += [
        Request(f"l{i}", "loglikelihood", text=text, continuations=endings, **shared)
        for i, text in enumerate(texts[:4])
    ]
    asked += [Request("labels", "label_logprobs", text="Answer:", continuations=("A", "B", "C"), **shared)]
    drawn = Sampling(temperature=1.0, top_p=0.9, seed=7, max_tokens=16)
    asked += [
        Request("drawn", "generate", text="Hello", sampling=drawn, **shared),
        Request("long", "generate", text="word " * 600, **shared),
        Request("room", "generate", text=texts[0], sampling=Sampling(max_tokens=10_000), **shared),
    ]
    return asked


def answers(backend: Any, asked: list[Request]) -> dict[str, Result]:
    found = list(backend.submit(iter(asked)))
    assert sorted(result.id for result in found) == sorted(request.id for request in asked)
    return {result.id: result for result in found}


def check(found: dict[str, Result], wanted: dict[str, Result]) -> None:
    """Compare: all but log-probabilities must be the same."""
    for name, result in wanted.items():
        assert replace(found[name], logprobs=None) == replace(result, logprobs=None), name
        if result.logprobs is not None:
            assert found[name].logprobs == pytest.approx(result.logprobs, abs=1e-3), name


def test_answers_are_those_without_ray_even_when_the_engine_is_killed_and_nothing_is_left(
    opener: Opener, tmp_path: Path
) -> None:
    engine, plain = opener("vllm", "base")
    asked = requests(engine)
    wanted = answers(plain, asked)
    assert wanted["long"].finish == "context" and wanted["g0"].finish == "length"
    plain.close()

    backend: Any = opened(engine, tmp_path, ON_RAY)
    try:
        check(answers(backend, asked), wanted)
        family = psutil.Process(backend.pid).children(recursive=True)
        engines = [process for process in family if "MapWorker" in "".join(process.cmdline())]
        assert len(engines) == 1
        again = backend.submit(iter([replace(request, id=request.id) for request in asked * 4]))
        found = [next(again)]
        engines[0].kill()
        found += list(again)
        assert len(found) == 4 * len(asked)
        check({result.id: result for result in found}, wanted)
        assert backend.loads == 1  # of the driver's own process
        family += psutil.Process(backend.pid).children(recursive=True)
    finally:
        backend.close()
    _, left = psutil.wait_procs(set(family), timeout=15)
    assert left == [] and not backend._folder.exists()


def test_what_vllm_refuses_on_a_node_names_the_cause(opener: Opener, tmp_path: Path) -> None:
    engine, _ = opener("vllm", "base", engine={"max_model_len": 1_000_000, "enforce_eager": True})
    backend: Any = opened(engine, tmp_path, ON_RAY)
    try:
        with pytest.raises(ModelError, match="max_model_len"):
            backend.start()
    finally:
        backend.close()


def test_a_cluster_that_does_not_answer_is_an_error_that_says_how_to_start_one(opener: Opener, tmp_path: Path) -> None:
    engine, _ = opener("vllm", "base")
    backend: Any = opened(engine, tmp_path, Executor("ray", "127.0.0.1:9"))
    try:
        with pytest.raises(ModelError, match=r"no Ray cluster can be used at 127\.0\.0\.1:9 .*ray start --head"):
            backend.start()
    finally:
        backend.close()


def test_a_run_generates_and_judges_on_a_ray_of_its_own_with_one_load(tiny_models: Path, tmp_path: Path) -> None:
    entry = {
        "backend": "vllm", "path": str(tiny_models / "chat"), "engine": {"enforce_eager": True, "max_model_len": 1024},
    }  # fmt: skip
    models = {"one": entry, "two": {**entry, "system": "Be brief."}}
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    arguments = ["--models", "one,two", "--task", "m-arenahard-mini[de,ar]", "--limit", "2"]
    arguments += ["--judge", "pairwise-logprob=two", "--executor", "ray", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "evalharness", "run", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "EVALHARNESS_SECRET": "pages"}, timeout=600,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    document = json.loads(done.stdout)  # and so nothing of Ray is on stdout
    summary = document["summary"]
    counts = {(row["model"], row["language"]): (row["n"], row["errors"]) for row in summary["completions"]}
    assert counts["one", "all"] == counts["two", "all"] == (4, 0)
    ratings = summary["ratings"]["pairwise-logprob/two"]["all"]
    assert [(row["n_games"], row["n_unparsed"]) for row in ratings] == [(8, 0), (8, 0)]
    (log,) = (tmp_path / "results" / "logs").glob("*.log")
    assert log.name.startswith("ray-")
    assert log.read_text(errors="replace").count("Initializing a V1 LLM engine") == 1
    assert [p for p in psutil.process_iter(["cmdline"]) if "/eh-ray-" in " ".join(p.info["cmdline"] or [])] == []
    assert list(Path("/tmp").glob("eh-ray-*")) == []
