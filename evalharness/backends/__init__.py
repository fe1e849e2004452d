"""A model entry in, its engine and the backend that serves it out.

A backend is a module of this folder, named in NAMES, with a ``BACKEND``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from evalharness.backends.kind import BackendKind
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Engine

NAMES = ("hf", "openai", "replay", "vllm")


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


def opened(engine: Engine, logs: Path) -> Backend:
    """Return a backend for ``engine`` that loads at its first request; its log is kept in the folder ``logs``."""
    return BACKENDS[engine.backend].open(engine, logs)
