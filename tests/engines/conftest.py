"""What the tests of vLLM and Ray share: they run in the environment of `make test-engines`."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec, ThinkingSpec
from evalharness.types import Backend, Engine

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the modules that tests here share

SMALL = {"enforce_eager": True, "max_num_seqs": 8, "max_model_len": 512}


@pytest.fixture(autouse=True)
def _own_environment() -> None:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed here: make test-engines")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")


@pytest.fixture
def opener(tiny_models: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[Engine, Backend]]]:
    """A maker of (engine, open backend): of a kind of tiny model, or of the model in a folder."""
    made: list[Backend] = []

    def make(backend: str, kind: str, **entry: object) -> tuple[Engine, Backend]:
        thinks = ThinkingSpec() if kind in ("thinking", "opened", "endless") else None
        path = kind if "/" in kind or ":" in kind else str(tiny_models / kind)
        said = {"engine": SMALL if backend == "vllm" else {}} | entry
        engine = resolve(ModelSpec(kind, backend, path, thinking=thinks, **said))  # type: ignore[arg-type]
        made.append(opened(engine, tmp_path))
        return engine, made[-1]

    yield make
    for backend in made:
        backend.close()
