"""Rows and the values that their columns must have in, the rows that have them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalharness.errors import DataError, suggestion
from evalharness.prompts.rendering import render
from evalharness.specs.fields import Template
from evalharness.text import one_line
from evalharness.types import Row

Wanted = Mapping[str, Template | tuple[Template, ...]]


def having(where: Wanted | None, rows: Sequence[Row], values: Mapping[str, Any], subject: str) -> Sequence[Row]:
    """Return the rows whose columns have the value, or one of the values, that ``where`` names for them.

    ``values`` are what its templates see, ``subject`` names the task in messages. Raises DataError where a column or a row
    is missing.
    """
    if not where:
        return rows
    wanted = {
        column: [render(one, values, subject) for one in (named if isinstance(named, tuple) else (named,))]
        for column, named in where.items()
    }
    for column in wanted:
        if rows and column not in rows[0]:
            raise DataError(
                f"{subject}: where.{column}: {suggestion(column, rows[0])}; the data set has no such column"
            )
    found = [row for row in rows if all(str(row.get(column)) in named for column, named in wanted.items())]
    if not found and rows:
        asked = " and ".join(f"{column} = '{' or '.join(named)}'" for column, named in wanted.items())
        there = {column: sorted({str(row.get(column)) for row in rows}) for column in wanted}
        held = "; ".join(f"{column} has {one_line(', '.join(values), 200)}" for column, values in there.items())
        raise DataError(f"{subject}: no row has {asked}; {held}")
    return found
