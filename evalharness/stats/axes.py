"""Columns in, small integers out: values numbered in the sorted order of their names, whatever the order of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalharness import languages

Integers = NDArray[np.int64]

UNKNOWN = "unknown"
_LARGEST_KEY = 1 << 62


@dataclass(frozen=True, slots=True)
class Axis:
    """A column as numbers: ``codes`` [n] into ``names``, which are sorted; a missing value is named ``unknown``."""

    names: tuple[str, ...]
    codes: Integers


def axis(frame: pd.DataFrame, name: str) -> Axis:
    """Return a column of ``frame`` as numbers; a column that is not there is ``unknown`` throughout.

    ``family``, ``script`` and ``resource`` are no columns but those of each row's language.
    """
    if name in languages.AXES and "language" in frame:
        return numbered(
            frame["language"].map({code: languages.group(name, code) for code in frame["language"].unique()})
        )
    return numbered(frame[name]) if name in frame else Axis((UNKNOWN,), np.zeros(len(frame), dtype=np.int64))


def numbered(column: pd.Series[Any]) -> Axis:
    """Return ``column`` as numbers."""
    codes, values = pd.factorize(column)
    names = [str(value) for value in values]
    if (codes < 0).any():
        names.append(UNKNOWN)
        codes = np.where(codes < 0, len(names) - 1, codes)
    ordered = tuple(sorted(set(names)))
    rank = {value: at for at, value in enumerate(ordered)}
    return Axis(ordered, np.array([rank[value] for value in names], dtype=np.int64)[codes])


def on_one_scale(*axes: Axis) -> tuple[Axis, ...]:
    """Return ``axes`` renumbered over the union of their names."""
    names = tuple(sorted({name for part in axes for name in part.names}))
    rank = {value: at for at, value in enumerate(names)}
    return tuple(
        Axis(names, np.array([rank[value] for value in part.names], dtype=np.int64)[part.codes]) for part in axes
    )


def combined(axes: Iterable[Axis], length: int) -> Integers:
    """Return a number per row, equal where all ``axes`` are equal, from 0 on in the order of their names."""
    keys, size = np.zeros(length, dtype=np.int64), 1
    for part in axes:
        if size * len(part.names) > _LARGEST_KEY:
            codes, values = pd.factorize(keys, sort=True)
            keys, size = codes.astype(np.int64), len(values)
        keys, size = keys * len(part.names) + part.codes, size * len(part.names)
    codes, _ = pd.factorize(keys, sort=True)
    return codes.astype(np.int64)
