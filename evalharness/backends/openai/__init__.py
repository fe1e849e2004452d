"""A model entry in, an OpenAI-compatible endpoint as a backend out: api.openai.com, vLLM, SGLang, llama.cpp, gateways."""

from __future__ import annotations

from pathlib import Path

from evalharness.backends.kind import BackendKind
from evalharness.backends.openai.backend import OpenAIBackend
from evalharness.backends.openai.entry import resolve
from evalharness.types import Backend, Engine


def _open(engine: Engine, logs: Path) -> Backend:
    return OpenAIBackend(engine, logs)


def _likelihoods(engine: Engine) -> bool:
    return bool(dict(engine.settings)["api"] == "completions")  # a chat endpoint tells none of a given text


BACKEND = BackendKind(resolve=resolve, open=_open, loads=False, paid=True, likelihoods=_likelihoods)
