"""How vLLM's engines end: with their parent, before the next one loads, killed for want of memory; and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.engines

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
ENGINE = {"enforce_eager": True, "max_model_len": 1024, "max_num_seqs": 1}
TASK = "m-arenahard-mini[de,ar]"
ANSWERS, GAMES = 16, 16  # 2 models x 2 languages x 4 prompts; both orders of each pair of answers


def test_a_killed_parent_leaves_no_engine_behind(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tiny_model), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            assert len(family) >= 3  # the worker, its guard, the engine's core
        finally:
            parent.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=10)
    assert left == [], [process.cmdline() for process in left]


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "evalharness", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "EVALHARNESS_SECRET": "pages"},
    )  # fmt: skip


def stored() -> dict[str, Any]:
    """Return what the journal holds: every finished result by its identity."""
    with (
        suppress(sqlite3.OperationalError),  # not there yet
        closing(sqlite3.connect("file:results/evalharness.db?mode=ro", uri=True)) as database,
    ):
        return {row[0]: row for row in database.execute("SELECT * FROM results")}
    return {}


def engines(run: psutil.Process) -> dict[int, list[psutil.Process]]:
    """Return the processes of every engine that ``run`` has now, by the id of its worker."""
    return {worker.pid: [worker, *worker.children(recursive=True)] for worker in run.children()}


def test_an_engine_killed_for_want_of_memory_is_told_once_and_the_run_goes_on_with_each_engine_alone(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = {
        name: {"backend": "vllm", "path": str(tiny_models / kind), "engine": ENGINE}
        for name, kind in (("one", "base"), ("two", "chat"))
    }
    Path("evalharness.yaml").write_text(json.dumps({"models": entries}), encoding="utf-8")
    words = ["--models", "one,two", "--task", TASK, "--limit", "4", "--judge", "pairwise-logprob=two"]
    with started("run", *words, "--gen", "max_tokens=300") as run:
        try:
            while not stored() and run.poll() is None:
                time.sleep(0.02)
            (family,) = engines(psutil.Process(run.pid)).values()
            largest = max(family, key=lambda process: process.memory_info().rss)  # which the kernel would choose
            largest.send_signal(signal.SIGKILL)
            _, said = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 6, said
    assert said.count("error: ") == said.count("the engine's process ended") == said.count("its last lines") == 1, said
    assert "died unexpectedly" in next(line for line in said.splitlines() if line.startswith("error: "))
    assert "Traceback" not in said.partition("error: ")[0]
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    before = stored()
    assert 0 < len(before) < ANSWERS

    command = said.partition("go on with: evalharness ")[2].split()
    seen: set[int] = set()
    with started(*command) as resumed:
        try:
            while resumed.poll() is None:
                now = engines(psutil.Process(resumed.pid))
                assert len(now) <= 1, "an engine is loaded before the one before it is gone"
                seen |= set(now)
                time.sleep(0.1)
            _, said = resumed.communicate(timeout=10)
        finally:
            resumed.kill()
    assert resumed.returncode in (0, 3), said
    assert len(seen) == 2
    after = stored()
    assert len(after) == ANSWERS + GAMES
    assert {name: row for name, row in after.items() if name in before} == before
    logs = [log.read_text(errors="replace") for log in Path("results").rglob("vllm-*.log")]
    assert sorted(log.count("Initializing a V1 LLM engine") for log in logs) == [1, 2]
