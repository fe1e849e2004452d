"""A model entry in, its engine and the backend that serves it out.

A backend is a module of this folder, named in NAMES, with a ``BACKEND``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from evalharness.backends.kind import LOCAL, BackendKind, Executor
from evalharness.errors import UsageError, suggestion
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Engine

NAMES = ("hf", "openai", "replay", "vllm")
_ADDRESS = re.compile(r"^(auto|(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5})$")


class _Backends(Mapping[str, BackendKind]):
    """Every backend by its name; one is imported when it is first asked for, the others are not."""

    def __getitem__(self, name: str) -> BackendKind:
        if name not in NAMES:
            raise KeyError(name)
        kind: BackendKind = import_module(f"{__name__}.{name}").BACKEND
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


BACKENDS: Mapping[str, BackendKind] = _Backends()


def resolve(spec: ModelSpec) -> Engine:
    """Return the engine that answers for ``spec``; raises ModelError where its weights cannot be had."""
    return BACKENDS[spec.backend].resolve(spec)


def opened(engine: Engine, logs: Path, executor: Executor = LOCAL) -> Backend:
    """Return a backend for ``engine`` that loads at its first request; its log is kept in the folder ``logs``."""
    kind = BACKENDS[engine.backend]
    if executor.name == "ray" and kind.spread is not None:
        return kind.spread(engine, logs, executor.address)
    return kind.open(engine, logs)


def executor(name: str, address: str | None = None) -> Executor:
    """Return the executor called ``name``; a UsageError where it cannot be used as it was asked for."""
    if name == "local":
        if address is not None:
            raise UsageError(f"--ray-address {address}: is for --executor ray; add it, or leave the address out")
        return LOCAL
    if name != "ray":
        raise UsageError(f"--executor {name}: {suggestion(name, ('local', 'ray'))}")
    if address is not None and not _ADDRESS.match(address):
        raise UsageError(
            f"--ray-address {address}: write auto (the cluster that this machine belongs to) or HOST:PORT of its head, or "
            "leave it out for a Ray of this machine alone; Ray's client (ray://) is not used: type the command on a node"
        )
    if find_spec("ray") is None:
        raise UsageError("--executor ray: ray is not installed; pip install 'evalharness[vllm,ray]'")
    return Executor("ray", address)
