"""vLLM's server driven through the openai backend: texts and label probabilities are those of the embedded engines."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agreement import Plain, check

from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec
from evalharness.types import Message, Request, Sampling

pytestmark = pytest.mark.engines
START_SECONDS = 180


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def serve(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Start a server of a kind of tiny model; returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(kind: str) -> str:
        port = _free_port()
        # what `vllm serve` starts; that command asks for a distribution named vllm, and the build for CPUs has another name
        command = [
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_models / kind),
            "--served-model-name", "tiny",
            "--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--max-model-len", "512", "--max-num-seqs", "8",
            "--dtype", "float32", "--generation-config", "vllm",
        ]  # fmt: skip
        log = tmp_path_factory.mktemp("serve") / "log"
        with open(log, "w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        running.append(server)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
            else:
                return f"http://127.0.0.1:{port}/v1"
        pytest.fail(log.read_text(errors="replace")[-3000:])

    yield start
    for server in running:
        server.terminate()
        server.wait(60)


def test_a_served_base_model_agrees_with_plain_transformers(
    serve: Callable[[str], str], tiny_model: Path, tmp_path: Path
) -> None:
    url, plain = serve("base"), Plain(tiny_model)
    entry = {"api": "completions", "concurrency": 8, "top_logprobs": 5}
    engine = resolve(ModelSpec("served", "openai", "tiny", base_url=url, engine=entry))
    texts = [f"Question {i}: what is the capital of France?" for i in range(12)]
    requests: list[Any] = [
        Request(str(i), "generate", None, text, Sampling(temperature=0.0, max_tokens=16), rendering=engine.rendering)
        for i, text in enumerate(texts)
    ]
    backend = opened(engine, tmp_path)
    try:
        answers = {result.id: result for result in backend.submit(iter(requests))}
    finally:
        backend.close()
    assert [result.error for result in answers.values() if result.error] == []
    ids = [plain.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    check([plain.greedy(prompt) for prompt in ids], [str(answers[str(i)].text) for i in range(len(texts))])
    assert [answers[str(i)].tokens_in for i in range(len(texts))] == [len(prompt) for prompt in ids]


def test_a_served_chat_model_says_its_text(serve: Callable[[str], str], tmp_path: Path) -> None:
    engine = resolve(ModelSpec("served", "openai", "tiny", base_url=serve("chat"), engine={"concurrency": 4}))
    asked = [
        Request(str(i), "generate", (Message("user", f"Wie spät ist es? {i}"),), None, Sampling(max_tokens=40))
        for i in range(6)
    ]
    backend = opened(engine, tmp_path)
    try:
        assert {result.text for result in backend.submit(iter(asked))} == {"Yes, this is my answer."}
    finally:
        backend.close()
