"""What servers do to one request, seen from outside (R5, R7): other items go on, memory is bounded, exit codes are right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backends.questions import asking, one

MEASURE = """
import resource, sys
from pathlib import Path
from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec
from evalharness.types import Message, Request, Sampling

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)

def asked(model):
    engine = resolve(ModelSpec("m", "openai", model, base_url=sys.argv[1], engine={"concurrency": 4}))
    backend = opened(engine, Path(sys.argv[2]))
    requests = [Request(f"{i:032x}", "generate", (Message("user", str(i)),), None, Sampling(max_tokens=5)) for i in range(4)]
    results = list(backend.submit(requests))
    backend.close()
    return results

assert all(result.error is None for result in asked("good"))
before = most()
results = asked(sys.argv[3])
assert len(results) == 4 and all("longer than max_response_bytes (8,388,608)" in str(r.error) for r in results), results
print(most() - before)
"""


@pytest.mark.parametrize("model", ["bomb", "50-mb"])
def test_a_gigabyte_that_is_packed_and_an_answer_of_50_megabytes_take_little_memory(
    model: str, api_server: Any, tmp_path: Path
) -> None:
    """Four at once, of which each may hold the eight megabytes of max_response_bytes."""
    words = [sys.executable, "-c", MEASURE, api_server.url, str(tmp_path), model]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 80  # megabytes


def test_a_connection_that_breaks_in_the_middle_of_a_body_is_a_fault_that_may_pass(
    api_server: Any, backend: Any
) -> None:
    result = one(backend("cut-off", max_retries=1))
    assert (
        result.transient and str(result.error).startswith("connection broken") and "(2 attempts)" in str(result.error)
    )
    assert len(api_server.log("cut-off")) == 2


def test_no_number_of_choices_but_the_one_asked_for_is_an_answer(backend: Any) -> None:
    likelihood = asking(kind="loglikelihood", messages=None, text="a", continuations=("b", "c"))
    result = one(backend("one-choice"), likelihood)
    assert result.transient and "1 choices for 2 prompts" in str(result.error)


def test_items_that_fail_in_each_way_leave_the_others_alone_and_the_run_ends_with_exit_code_3(
    api_server: Any, tmp_path: Path
) -> None:
    broken = ("stall", "drip", "reset-always", "html")
    entry = {"backend": "openai", "base_url": api_server.url, "engine": {"timeout": 1, "max_retries": 0}}
    models = {name: {**entry, "path": name} for name in (*broken, "good", "judge")}
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    words = ["run", "--models", ",".join((*broken, "good")), "--task", "m-arenahard-mini[de]", "--limit", "1",
             "--judge", "arena-hard", "--judge-model", "judge", "--baseline", "good", "--name", "r"]  # fmt: skip

    def run(*words: str) -> int:
        command = [sys.executable, "-m", "evalharness", *words]
        return subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, check=False).returncode

    assert run(*words) == 3
    summary = json.loads((tmp_path / "results/r/summary.json").read_text(encoding="utf-8"))
    errors = {row["model"]: row["errors"] for row in summary["completions"]}
    assert errors == {**dict.fromkeys(broken, 1), "good": 0}
    asked = len(api_server.log("good"))
    assert run("resume", "r") == 3
    assert len(api_server.log("good")) == asked and len(api_server.log("stall")) == 2  # only what failed is asked again
