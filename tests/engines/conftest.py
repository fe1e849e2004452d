"""What the tests of vLLM and Ray share: they run in the environment of `make test-engines`."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec, ThinkingSpec
from evalharness.types import Backend, Engine

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # for the modules that tests share

SMALL = {"enforce_eager": True, "max_num_seqs": 8, "max_model_len": 512}
START_SECONDS = 300

Open = Callable[..., tuple[Engine, Backend]]
Serve = Callable[..., str]


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> None:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed here: make test-engines")
    # threads that wait by spinning take the cores from what else runs on them
    for name, value in {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}.items():
        os.environ.setdefault(name, value)


def _opener(tiny_models: Path, logs: Path) -> Iterator[Open]:
    made: list[Backend] = []

    def make(backend: str, kind: str, **entry: object) -> tuple[Engine, Backend]:
        thinks = ThinkingSpec() if kind in ("thinking", "opened", "endless") else None
        path = kind if "/" in kind or ":" in kind else str(tiny_models / kind)
        said = {"engine": SMALL if backend == "vllm" else {}} | entry
        engine = resolve(ModelSpec(kind, backend, path, thinking=thinks, **said))  # type: ignore[arg-type]
        made.append(opened(engine, logs))
        return engine, made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def opener(tiny_models: Path, tmp_path: Path) -> Iterator[Open]:
    """A maker of (engine, open backend): of a kind of tiny model, or of the model in a folder."""
    yield from _opener(tiny_models, tmp_path)


@pytest.fixture(scope="module")
def base(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Backend]]:
    """The tiny model of random weights in vLLM, with which all tests of a file have to do; loaded once."""
    making = _opener(tiny_models, tmp_path_factory.mktemp("logs"))
    yield next(making)("vllm", "base")
    assert next(making, None) is None


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start vLLM's server with the model in a folder and more of its options; returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(folder: Path | str, *options: str) -> str:
        port = _free_port()
        # what `vllm serve` starts; that command asks for a distribution named vllm, and the build for CPUs has another name
        command = [
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder),
            "--served-model-name", "served", "--host", "127.0.0.1", "--port", str(port), "--enforce-eager",
            "--max-model-len", "512", "--max-num-seqs", "8", "--generation-config", "vllm", *options,
        ]  # fmt: skip
        log = tmp_path_factory.mktemp("serve") / "log"
        with open(log, "w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        running.append(server)
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            if _healthy(port):
                return f"http://127.0.0.1:{port}/v1"
            time.sleep(0.5)
        pytest.fail(log.read_text(errors="replace")[-3000:])

    yield start
    for server in running:
        server.terminate()
        server.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
