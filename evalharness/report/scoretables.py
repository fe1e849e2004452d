"""A board of rubric scores in, its tables as text for a terminal of any width out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from evalharness.report.grid import NAME, grid, named
from evalharness.report.leaderboard import Model
from evalharness.report.marking import DASH, count, share, spread
from evalharness.report.scores import Board, Group, Line
from evalharness.text import one_line

_GROUP, _CELL = 24, 17  # columns of a terminal, with the space around a cell


def board_tables(board: Board, models: Sequence[Model], width: int) -> Iterator[Table]:
    """Yield the tables of ``board``: all languages together, then each; models stand beside each other as far as they fit."""
    yield _overall(board, width)
    if len(board.languages) > 1:
        room = max(1, (width - _GROUP - 20) // _CELL)
        for start in range(0, len(models), room):
            yield _by_language(board.languages, models[start : start + room])


def health_line(board: Board) -> Text:
    """Return one line on how far the judge's scores can be trusted."""
    entry = next((entry for language, entry in board.health if language is None), None)
    if entry is None:
        return Text("judge: no answers scored", style="dim")
    said = [f"{count(entry['n_reviews'])} answers", f"{share(entry['coverage'])} with a score"]
    said += [f"{count(n)} {one_line(name.replace('_', ' '), 30)}" for name, n in sorted(entry["statuses"].items())
             if name != "ok"]  # fmt: skip
    return Text("judge: " + ", ".join([*said, f"{count(entry['repaired'])} read at the second attempt"]))


def _overall(board: Board, width: int) -> Table:
    table = grid(f"mean score, {board.scale}")
    table.add_column("model", overflow="fold", min_width=8, max_width=NAME)
    names = ["score", "interval", "prompts", "missing"] + (["failed", "size"] if width >= 80 else [])
    for name in names:
        table.add_column(name, justify="right", overflow="fold", no_wrap=name != "interval")
    for line in board.overall:
        cells = [
            Text(line.shown or DASH), Text(line.bounds or _reason(line), style="" if line.bounds else "dim"),
            Text(count(line.n_prompts)), Text(share(line.missing)), Text(count(line.n_failed)), Text(line.model.size_class),
        ]  # fmt: skip
        table.add_row(named(line.model), *cells[: len(names)])
    return table


def _by_language(groups: Sequence[Group], models: Sequence[Model]) -> Table:
    table = grid("by language, mean score and interval")
    table.add_column("language", overflow="fold", max_width=_GROUP)
    for model in models:
        table.add_column(named(model), justify="right", overflow="fold")
    table.add_column("prompts", justify="right")
    table.add_column("missing", justify="right")
    for group in groups:
        cells = (_cell(group.line(model)) for model in models)
        language = Text(one_line(group.language.english if group.language else group.name, 2 * _GROUP))
        table.add_row(language, *cells, Text(spread(group.n_prompts)), Text(share(group.missing)))
    return table


def _cell(line: Line | None) -> Text:
    if line is None:
        return Text("no answers", style="dim")
    return Text(f"{line.shown or DASH} {line.bounds or _reason(line)}", style="" if line.value is not None else "dim")


def _reason(line: Line) -> str:
    return one_line(line.reason or "no interval", 60)
