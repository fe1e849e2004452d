"""What ``evalharness plan --json`` prints in, its tables for a terminal out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from evalharness.report.grid import grid
from evalharness.report.marking import DASH, count, percent

Json = Mapping[str, Any]

_NOISE = {
    "prompt": "prompts", "language": "languages of a prompt", "generation": "fresh answers", "order": "orders",
    "judge": "the judge on the same answers",
}  # fmt: skip


def tables(document: Json) -> Iterator[RenderableType]:
    """Yield what the width takes, the grid of designs, and where a pilot's noise comes from."""
    for row in document["needed"]:
        yield Text(
            f"an interval {document['width']:g} points wide takes {count(row['prompts'])} prompts "
            f"(languages {row['languages']}, answers a prompt {row['repeats']})"
        )
        if document["detect"] is not None:
            yield Text(
                f"to see a difference of {document['detect']:g} points with a chance of "
                f"{percent(document['power'], 0)} takes {count(row['prompts_to_detect'])}"
            )
    yield Text("")
    names = ("prompts", "languages", "answers", "games a pair", "standard error", "interval width", "difference seen")
    table = _table("in points", *names)
    for row in document["designs"]:
        points = (f"{row[name]:.1f}" for name in ("standard_error", "width", "detectable"))
        table.add_row(*(count(row[name]) for name in ("prompts", "languages", "repeats", "games")), *points)
    yield table
    if "noise" in document:
        yield Text("")
        table = _table("where the pilot's spread comes from", "level", "standard deviation", "measured in")
        for row in document["noise"]:
            spread = DASH if row["variance"] is None else f"{row['variance'] ** 0.5:.3f}"
            table.add_row(_NOISE[row["level"]], spread, f"{count(row['groups'])} groups")
        yield table
    yield Text("")
    correlation = DASH if document["r"] is None else f"{document['r']:.2f}"
    yield Text(
        f"sigma {document['sigma']:.3f}, repeats {document['within']:.3f}, correlation of languages {correlation}, "
        f"design effect {document['deff']:g}; {percent(document['level'], 0)} intervals, power {percent(document['power'], 0)}",
        style="dim",
    )


def _table(title: str, *columns: str) -> Table:
    table = grid(title)
    for name in columns:
        table.add_column(name, justify="right")
    return table
