"""A battle file in, its ranking and the ranking's JSON document out: ``evalharness rank``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from evalharness import battlefile, battles
from evalharness.errors import DataError, UsageError, suggestion
from evalharness.stats.comparisons import Difference
from evalharness.stats.rank import Ranking
from evalharness.stats.rank import rank as ranked
from evalharness.types import Rating

POOLABLE = ("judge", "task", "version")


def read_and_rank(
    path: Path | str, *, pool: Iterable[str] = (), by: Iterable[str] = (), **options: Any
) -> tuple[pd.DataFrame, Ranking]:
    """Return the battles of the file ``path`` and their ranking; ``pool`` and ``options`` are those of ``rank``.

    What the reader of the file had to leave out is in the ranking's ``notes``.
    """
    frame, warnings = battlefile.read(Path(path))
    return frame, replace(_rank(frame, str(path), tuple(pool), tuple(by), options), notes=warnings)


def rank(frame: pd.DataFrame, *, pool: Iterable[str] = (), by: Iterable[str] = (), **options: Any) -> Ranking:
    """Return the ranking of a frame of battles, which is checked first.

    ``pool`` names the axes (judge, task, version) whose values may be mixed; those in ``by`` are told apart. The other
    ``options`` are those of ``evalharness.stats.rank.rank``. Raises DataError for an empty or malformed frame and for
    axes mixed unasked.
    """
    return _rank(battles.validated(frame), "battles", tuple(pool), tuple(by), options)


def _rank(
    frame: pd.DataFrame, source: str, pool: tuple[str, ...], by: tuple[str, ...], options: dict[str, Any]
) -> Ranking:
    for axis in pool:
        if axis not in POOLABLE:
            raise UsageError(f"--pool {axis}: no such choice; {suggestion(axis, POOLABLE)}")
    if frame.empty:
        raise DataError(f"{source}: no battles: there is nothing to rank")
    if battles.AUDIT_P in frame:
        raise DataError(f"{source}: games of a judge cascade (audit_p): plain rates of them would be biased")
    mixed = battles.require_unmixed(frame, by, pool, source)
    return replace(ranked(frame, by=by, **options), pooled=tuple(axis for axis, _ in mixed))


def document(ranking: Ranking) -> dict[str, Any]:
    """Return what ``evalharness rank --json`` prints: plain values, unknown ones None, nothing rounded."""
    plain = {f.name: getattr(ranking, f.name) for f in fields(ranking) if f.name not in ("ratings", "pairs")}
    rows = {name: [record(row) for row in getattr(ranking, name)] for name in ("ratings", "pairs")}
    return {f.name: rows.get(f.name, _plain(plain.get(f.name))) for f in fields(ranking)}


def record(row: Rating | Difference) -> dict[str, Any]:
    """Return a row of a ranking as plain values, in the order of its fields."""
    return {f.name: _plain(getattr(row, f.name)) for f in fields(row)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
