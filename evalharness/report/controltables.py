"""The document of a ranking under control in; its tables, raw and controlled rates side by side, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from evalharness.report.grid import NAME, grid
from evalharness.report.marking import DASH, bounds, percent
from evalharness.text import one_line

Json = Mapping[str, Any]


def tables(document: Json) -> Iterator[RenderableType]:
    """Yield a table for all games and for each axis, then the effects of the features and what they rest on."""
    control, rows = document["control"], document["ratings"]
    for by in ("all", *document["by"]):
        yield _rates([row for row in rows if row["by"] == by], by, control["kind"])
        yield Text("")
    everyone = next(row for row in rows if row["by"] == "all")
    for name, effect in everyone["phi"].items():
        yield Text(f"effect of {name} on the log-odds of winning: {_number(effect)}")
    count = len(control["pool"])
    yield Text(
        f"{control['kind']} in {control['unit']}, one effect a language for all {count} models: other models, other numbers",
        style="dim",
    )


def _rates(rows: Sequence[Json], by: str, kind: str) -> Table:
    title = f"at equal {kind}" + ("" if by == "all" else f", by {by}")
    table = grid(title)
    if by != "all":
        table.add_column(by, overflow="fold")
    table.add_column("model", overflow="fold", max_width=NAME)
    for name in ("win rate", "interval", "controlled", "interval", "if longer won"):
        table.add_column(name, justify="right")
    for row in rows:
        group = [] if by == "all" else [one_line(row["group"], NAME)]
        table.add_row(
            *group,
            one_line(row["model"], NAME),
            percent(row["win_rate"]),
            bounds(row["ci_low"], row["ci_high"]) or one_line(row["reason"] or DASH, 40),
            percent(row["win_rate_controlled"]) + (" !" if row["controlled_extreme"] else ""),
            bounds(row["controlled_low"], row["controlled_high"]) or one_line(row["controlled_reason"] or DASH, 40),
            percent(row["longer_wins_rate"]),
        )
    return table


def _number(effect: Json) -> str:
    if effect["value"] is None:
        return DASH
    interval = f" ({effect['low']:+.2f} to {effect['high']:+.2f})" if effect["low"] is not None else " (no interval)"
    return f"{effect['value']:+.2f}{interval}"
