"""A model entry in, a transformers engine in a process of its own out; only that process imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalharness.backends import replicas, weights
from evalharness.backends.kind import BackendKind
from evalharness.backends.models import Loader, cache_folder, resolve, settings_of
from evalharness.backends.process import ProcessBackend
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Engine

BATCH_SIZE = 32


def _dtype(folder: Path, options: Mapping[str, Any]) -> str:
    """Return float32 for a CPU: many have no unit for bfloat16 and are six times slower with it, and texts stay the same."""
    return weights.dtype(folder) if _on_card(options) else "float32"


def _on_card(options: Mapping[str, Any]) -> bool:
    return str(options.get("device") or ("cuda" if _has_cuda() else "cpu")).startswith("cuda")


def _cards(engine: Engine) -> int:
    options = dict(engine.options)
    return replicas.count(options.get("replicas", 1)) if _on_card(options) else 0


def _has_cuda() -> bool:
    """Say whether the installed torch can use a GPU of this machine, without importing it."""
    return Path("/dev/nvidiactl").exists() and not version("torch").endswith("+cpu")


LOADER = Loader(
    backend="hf",
    needs=("torch", "transformers"),
    adapters=("peft",),
    settings=("dtype", "adapter"),
    options=("device", "threads", "batch_size", "replicas"),
    defaults={"batch_size": BATCH_SIZE},
    recorded=("torch", "transformers"),
    dtype=_dtype,
)


def _resolve(spec: ModelSpec) -> Engine:
    return resolve(LOADER, spec.name, spec.path, spec.revision, cache_folder(), settings_of(spec))


def _open(engine: Engine, logs: Path) -> Backend:
    def one(log: Path, environment: Mapping[str, str]) -> ProcessBackend:
        return ProcessBackend(engine, log=log, environment=environment)

    return replicas.opened(dict(engine.options), 1, logs / f"hf-{engine.weights[:12]}.log", one)


BACKEND = BackendKind(resolve=_resolve, open=_open, cards=_cards)
