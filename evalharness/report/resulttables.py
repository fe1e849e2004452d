"""The boards of scored tasks and suites in, their tables as text for a terminal of any width out."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from evalharness.report.grid import NAME, grid, named
from evalharness.report.marking import DASH, count, share, spread
from evalharness.report.results import Cell, SuiteBoard, TaskBoard
from evalharness.report.scores import Group, Line
from evalharness.text import one_line

_GROUP, _CELL = 24, 17  # columns of a terminal, with the space around a cell


def task_tables(board: TaskBoard, width: int) -> Iterator[Table]:
    """Yield the tables of ``board``: metrics side by side over all languages, then each language."""
    yield _overall(board, width)
    if len(board.languages) > 1:
        room = max(1, (width - _GROUP - 20) // _CELL)
        models = [model for model, _ in board.rows]
        for start in range(0, len(models), room):
            shown = models[start : start + room]
            table = grid("by language, value and interval")
            table.add_column("language", overflow="fold", max_width=_GROUP)
            for model in shown:
                heading = named(model).append(f"\n{one_line(board.ways[model.name].name, 30)}", style="dim")
                table.add_column(heading, justify="right", overflow="fold")
            table.add_column("prompts", justify="right")
            table.add_column("missing", justify="right")
            for group in board.languages:
                cells = (_cell(group.line(model)) for model in shown)
                table.add_row(_name(group), *cells, Text(spread(group.n_prompts)), Text(share(group.missing)))
            yield table


def _overall(board: TaskBoard, width: int) -> Table:
    chance = f"; chance {board.headline.chance_said}" if board.headline.chance_said else ""
    table = grid(f"all languages, value and interval{chance}")
    table.add_column("model", overflow="fold", min_width=8, max_width=NAME)
    room = max(1, (width - NAME - 24) // _CELL)
    at = sorted(range(len(board.columns)), key=lambda i: board.columns[i] != board.headline)[:room]
    for i in sorted(at):
        column = board.columns[i]
        table.add_column(f"{one_line(column.name, 30)}{' %' if column.unit else ''}", justify="right", overflow="fold")
    for name in ("prompts", "missing", "failed"):
        table.add_column(name, justify="right")
    for model, lines in board.rows:
        known = next(line for line in lines if line is not None)
        cells = [_cell(lines[i]) for i in sorted(at)]
        counts = (Text(count(known.n_prompts)), Text(share(known.missing)), Text(count(known.n_failed)))
        table.add_row(named(model), *cells, *counts)
    return table


def suite_table(board: SuiteBoard) -> Table:
    """Return the categories of a suite side by side, in per cent."""
    table = grid("categories, with intervals")
    table.add_column("model", overflow="fold", min_width=8, max_width=NAME)
    table.add_column("size", justify="right")
    for category in board.categories:
        chance = f" (chance {category['chance_said']})" if category["chance"] else ""
        unit = f" {category['unit']}".rstrip()
        name = one_line(str(category["label"] or category["category"]), 30)
        table.add_column(f"{name}{unit}{chance}", justify="right", overflow="fold")
    for model, cells in board.cells:
        table.add_row(named(model), Text(model.size_class), *map(_figure, cells))
    return table


def _figure(cell: Cell | None) -> Text:
    if cell is None or cell.value is None:
        return Text("no results" if cell is None else one_line(cell.why, 40), style="dim")
    return Text(f"{cell.shown} {cell.bounds or one_line(cell.why, 40)}")


def _name(group: Group) -> Text:
    return Text(one_line(group.language.english if group.language else group.name, 2 * _GROUP))


def _cell(line: Line | None) -> Text:
    if line is None:
        return Text("not asked so", style="dim")
    said = line.bounds or one_line(line.reason or "no interval", 40)
    return Text(f"{line.shown or DASH} {said}", style="" if line.value is not None else "dim")
