"""The summary of a run in, the tables of its scored tasks and suites out: a board a task, its metrics side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.files import safe_name
from evalharness.report import words
from evalharness.report.leaderboard import AXES, Model, language, model_named
from evalharness.report.scores import Group, Line, Scale, best_first, group_order, line_of

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share(Scale):
    """A scale from 0 to 1, shown in per cent."""

    def said(self, value: float | None) -> str | None:
        return None if value is None else f"{100 * value:.1f}"

    def __str__(self) -> str:
        return "0 to 100 %"


@dataclass(frozen=True, slots=True)
class Boundless(Scale):
    """A measure without ends, such as bits a byte: shown with four digits, and nowhere on a line."""

    def share(self, value: float | None) -> float | None:
        return None

    def said(self, value: float | None) -> str | None:
        return None if value is None else f"{value:.4g}"

    def __str__(self) -> str:
        return "without bounds"


@dataclass(frozen=True, slots=True)
class Column:
    """A metric of a task, its answers read by one filter; ``chance`` is what guessing scores."""

    metric: str
    filter: str
    headline: bool
    chance: float | None
    higher_is_better: bool
    scale: Scale

    @property
    def name(self) -> str:
        """Return the column's heading; the filter is named where there is one to tell apart."""
        return self.metric if self.filter in ("none", "likelihood") else f"{self.metric} ({self.filter})"

    @property
    def unit(self) -> str:
        """Return what the numbers are."""
        return "%" if isinstance(self.scale, Share) else ""

    @property
    def chance_said(self) -> str | None:
        """Return the chance level as the values are shown."""
        return None if self.chance is None else self.scale.said(self.chance)


@dataclass(frozen=True, slots=True)
class TaskBoard:
    """All that metrics say of one task: ``rows`` pair each model with its line in every column (``None`` where it has none).

    ``headline`` is the first metric that most models have, ``ways`` the one of each model: groups hold the lines of that.
    """

    task: str
    anchor: str
    about: Json
    columns: tuple[Column, ...]
    rows: tuple[tuple[Model, tuple[Line | None, ...]], ...]
    headline: Column
    ways: Mapping[str, Column]
    languages: tuple[Group, ...]
    categories: tuple[Group, ...]
    others: tuple[tuple[str, str, tuple[Group, ...]], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A model's figure in a category as it is shown, ``why`` instead of an interval, or of the figure; ``share`` of the scale."""

    value: float | None
    shown: str | None
    bounds: str | None
    why: str
    share: float | None


@dataclass(frozen=True, slots=True)
class SuiteBoard:
    """The categories of a suite side by side, win rates among them; ``cells`` are by model, in the order of ``categories``.

    A category is its entry in the summary, with ``scale`` (``chance_said`` the chance level as it is shown).
    """

    suite: str
    anchor: str
    version: str | None
    categories: tuple[Json, ...]
    cells: tuple[tuple[Model, tuple[Cell | None, ...]], ...]


def task_boards(summary: Json, models: Mapping[str, Model]) -> tuple[TaskBoard, ...]:
    """Return a board for every task that metrics score, in the order of the summary."""
    rows = [row for row in summary.get("results", ()) if row.get("judge") is None]
    return tuple(
        _board(task, own, models)
        for task in summary.get("tasks", ())
        if (own := [row for row in rows if row["task"] == task["task"]])
    )


def _board(task: Json, rows: Sequence[Json], models: Mapping[str, Model]) -> TaskBoard:
    columns = tuple(dict.fromkeys(_column(row) for row in rows))
    overall = {(_column(row), row["model"]): row for row in rows if row["by"] == "all"}
    named = list(dict.fromkeys(row["model"] for row in rows))
    marked = [column for column in columns if column.headline] or list(columns)
    headline = max(marked, key=lambda column: sum((column, name) in overall for name in named))

    def line(column: Column, name: str) -> Line | None:
        row = overall.get((column, name))
        return None if row is None else line_of(row, column.scale, models)

    lines = [(model_named(name, models), tuple(line(column, name) for column in columns)) for name in named]
    at = columns.index(headline)
    ways = {name: next((c for c in (headline, *marked) if (c, name) in overall), headline) for name in named}

    def groups(by: str, by_language: bool = False) -> tuple[Group, ...]:
        own = [row for row in rows if row["by"] == by and _column(row) == ways[row["model"]]]
        return _groups(own, models, by_language)

    return TaskBoard(
        task=task["task"], anchor=f"t-{safe_name(task['task'])}", about=task, columns=columns,
        rows=tuple(sorted(lines, key=lambda pair: _rank(pair[1][at], headline, pair[0].name))), headline=headline,
        ways=ways,
        languages=groups("language", by_language=True), categories=groups("category"),
        others=tuple((*AXES[by], found) for by in AXES if len(found := groups(by)) > 1),
    )  # fmt: skip


def _column(row: Json) -> Column:
    return Column(
        row["metric"],
        row["filter"],
        bool(row["headline"]),
        row["chance"],
        row["higher_is_better"],
        _scale(row["range"]),
    )


def _scale(ends: Sequence[float] | None) -> Scale:
    if ends is None:
        return Boundless(0.0, 1.0)
    return Share(0.0, 1.0) if tuple(ends) == (0.0, 1.0) else Scale(*ends)


def _rank(line: Line | None, column: Column, name: str) -> tuple[bool, float, str]:
    if line is None or line.value is None:
        return (True, 0.0, name)
    return (False, -line.value if column.higher_is_better else line.value, name)


def _groups(rows: Iterable[Json], models: Mapping[str, Model], by_language: bool) -> tuple[Group, ...]:
    members: dict[str, list[Line]] = {}
    for row in rows:
        members.setdefault(row["group"], []).append(line_of(row, _column(row).scale, models))
    found = [
        Group(name, language(name) if by_language else None, tuple(sorted(lines, key=best_first)))
        for name, lines in members.items()
    ]
    return tuple(sorted(found, key=group_order))


def suite_boards(summary: Json, models: Mapping[str, Model]) -> tuple[SuiteBoard, ...]:
    """Return a board for every suite of the run."""
    rows = summary.get("suites", ())
    named = dict.fromkeys(row["suite"] for row in rows)
    return tuple(_suite(name, [row for row in rows if row["suite"] == name], models) for name in named)


def _suite(name: str, rows: Sequence[Json], models: Mapping[str, Model]) -> SuiteBoard:
    first = {(row["category"], row["kind"]): row for row in reversed(rows)}
    categories = tuple(_category(row) for row in reversed(first.values()))
    cells = {(row["model"], row["category"], row["kind"]): _cell(row) for row in rows}
    found = [
        (model, tuple(cells.get((model.name, about["category"], about["kind"])) for about in categories))
        for model in (model_named(each, models) for each in dict.fromkeys(row["model"] for row in rows))
    ]
    ordered = sorted(found, key=lambda pair: (-(pair[0].size_b or 0.0), pair[0].name))
    return SuiteBoard(name, f"u-{safe_name(name)}", rows[0].get("version"), categories, tuple(ordered))


def _category(row: Json) -> Json:
    scale = _scale(row["range"])
    return {**row, "unit": "%" if isinstance(scale, Share) else "", "chance_said": scale.said(row["chance"])}


def _cell(row: Json) -> Cell:
    scale, low, high = _scale(row["range"]), row["ci_low"], row["ci_high"]
    why = words.reason(row["reason"]) or "no interval"
    if row["missing_tasks"]:
        why = "without " + ", ".join(row["missing_tasks"])
    bounds = None if low is None or high is None else f"{scale.said(low)}–{scale.said(high)}"
    return Cell(row["value"], scale.said(row["value"]), bounds, why, scale.share(row["value"]))
