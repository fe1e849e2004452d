"""What ``evalharness agreement --json`` prints in, its tables for a terminal out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from evalharness.report.grid import NAME, grid
from evalharness.report.marking import DASH, bounds, count, percent
from evalharness.text import one_line

Json = Mapping[str, Any]


def tables(document: Json) -> Iterator[RenderableType]:
    """Yield a table for judges, for orders and, where there are labels, for people and for corrected rates."""
    yield _judges(document["judges"]) if document["judges"] else Text("one judge: no other to agree with", style="dim")
    yield Text("")
    yield _orders(document["orders"])
    if "humans" in document:
        yield Text("")
        yield _humans(document["humans"])
        yield Text("")
        yield _corrected(document["corrected"])
    yield Text("")
    level = f"{percent(document['level'], 0)} intervals over prompts, {count(document['rounds'])} rounds"
    yield Text(
        f"{count(document['n_games'])} games, {level}, seed {document['seed']}; win, tie and loss are the categories",
        style="dim",
    )


def _table(title: str, *columns: str) -> Table:
    table = grid(title)
    for at, name in enumerate(columns):
        table.add_column(name, justify="left" if at < 2 else "right", overflow="fold", max_width=NAME)
    return table


def _judges(rows: Sequence[Json]) -> Table:
    table = _table(
        "between judges, on the same games", "group", "judges", "games", "agree", "kappa", "quadratic", "alpha"
    )
    for row in rows:
        names = " × ".join(one_line(name, NAME) for name in row["judges"])
        table.add_row(
            row["group"], names, count(row["n"]), _share(row.get("agreement")), _number(row.get("kappa")),
            _number(row.get("kappa_quadratic")), _number(row["alpha_nominal"]),
        )  # fmt: skip
    return table


def _orders(rows: Sequence[Json]) -> Table:
    table = _table(
        "between the two orders",
        "group",
        "judge",
        "matches",
        "agree",
        "first slot wins",
        "first/second twice",
        "p",
        "kappa",
    )
    for row in rows:
        twice = f"{row['first_both']}/{row['second_both']}"
        p_value = DASH if row["p_value"] is None else f"{row['p_value']:.3f}"
        table.add_row(
            row["group"], one_line(row["judge"], NAME), count(row["n"]), _share(row["consistency"]),
            _share(row["first_slot_rate"]), twice, p_value, _number(row["kappa"]),
        )  # fmt: skip
    return table


def _humans(rows: Sequence[Json]) -> Table:
    table = _table(
        "with people, on the same matches", "group", "judge", "matches", "agree", "kappa", "alpha", "calibration error"
    )
    for row in rows:
        name = "people among themselves" if row["judge"] is None else one_line(row["judge"], NAME)
        error = row.get("calibration_error")
        table.add_row(
            row["group"], name, count(row["n"]), _share(row.get("agreement")), _number(row.get("kappa")),
            _number(row["alpha_nominal"]), DASH if error is None else f"{error:.3f}",
        )  # fmt: skip
    return table


def _corrected(rows: Sequence[Json]) -> Table:
    table = _table(
        "win rates: the judge, people, and the judge corrected by people (PPI++)", "group", "judge", "model", "judge alone",
        "people alone", "corrected", "labels", "worth",
    )  # fmt: skip
    for row in rows:
        worth = DASH if row["effective"] is None else f"{row['effective']:.0f}"
        table.add_row(
            row["group"], one_line(row["judge"], NAME), one_line(row["model"], NAME), _share(row["judge_only"]),
            _share(row["human_only"]), _share(row["corrected"]), count(row["n_labelled"]), worth,
        )  # fmt: skip
    return table


def _share(found: Json | None) -> str:
    if found is None or found["value"] is None:
        return DASH
    interval = bounds(found["low"], found["high"])
    return f"{percent(found['value'])} {interval or '(no interval)'}"


def _number(found: Json | None) -> str:
    if found is None or found["value"] is None:
        return DASH
    interval = "(no interval)" if found["low"] is None else f"{found['low']:.2f}–{found['high']:.2f}"
    return f"{found['value']:.2f} {interval}"
