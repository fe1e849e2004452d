"""A stored task in, the functions that read its answers out: one a filter, in each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from evalharness.scoring.filters import Reader, reader
from evalharness.specs.fields import build
from evalharness.specs.reader import Document
from evalharness.specs.scoring import FilterSpec

AS_WRITTEN = "none"  # the field's name for answers that no filter has read


def readers(task: Mapping[str, Any]) -> Callable[[str], dict[str, Reader]]:
    """Return the function that gives the readers of a language, by the filter's name; without filters one that does nothing."""

    @cache
    def of(language: str) -> dict[str, Reader]:
        specs = task["filters"].get(language, ())
        if not specs:
            return {AS_WRITTEN: lambda item: item}
        return {spec["name"]: reader(_spec(spec), lambda template: template.text) for spec in specs}

    return of


def _spec(stored: Mapping[str, Any]) -> FilterSpec:
    return build(FilterSpec, Document({"filter": dict(stored)}), ("filter",))
