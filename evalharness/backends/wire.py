"""Requests, results and engines in, JSON lines out, and back: what crosses the pipe to an engine's process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from evalharness.types import Engine, Message, Request, Result, Sampling


def line(message: Mapping[str, Any]) -> bytes:
    """Return ``message`` as one line of ASCII JSON; lone surrogates and infinite numbers survive the way back."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def frozen(value: Any) -> Any:
    """Return plain data with mappings as sorted tuples of pairs and lists as tuples, so that it can be hashed."""
    if isinstance(value, Mapping):
        return tuple((str(key), frozen(value[key])) for key in sorted(value))
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    return value


def plain_request(request: Request) -> dict[str, Any]:
    """Return ``request`` as plain data, without what only the harness reads."""
    plain = asdict(request)
    del plain["about"], plain["batch"], plain["index"], plain["turn"]
    return plain


def request_of(plain: Mapping[str, Any]) -> Request:
    """Return the request that ``plain`` was made of."""
    messages = plain["messages"]
    sampling = {**plain["sampling"], "stop": frozen(plain["sampling"]["stop"])}
    return Request(
        id=plain["id"],
        kind=plain["kind"],
        messages=None if messages is None else tuple(Message(**message) for message in messages),
        text=plain["text"],
        sampling=Sampling(**sampling),
        continuations=tuple(plain["continuations"]),
        rendering=frozen(plain["rendering"]),
    )


def result_of(plain: Mapping[str, Any]) -> Result:
    """Return the result that ``plain`` was made of."""
    return Result(**{**plain, "logprobs": frozen(plain["logprobs"])})


def engine_of(plain: Mapping[str, Any]) -> Engine:
    """Return the engine that ``plain`` was made of."""
    pairs = {name: frozen(plain[name]) for name in ("settings", "options", "versions", "rendering")}
    return Engine(**{**plain, **pairs})
