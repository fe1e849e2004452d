"""The summary of a run in, the tables of its rubric scores out: a board for each judge of single answers and each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.files import safe_name
from evalharness.report import words
from evalharness.report.leaderboard import Language, Model, all_first, failure_rule, language, model_named, part

Json = Mapping[str, Any]
_NARROW = 2.0  # a scale shorter than this needs a digit more


@dataclass(frozen=True, slots=True)
class Scale:
    """The lowest and the highest score."""

    low: float
    high: float

    def share(self, value: float | None) -> float | None:
        """Return where ``value`` lies between lowest and highest, 0..1."""
        return None if value is None else (value - self.low) / (self.high - self.low)

    def said(self, value: float | None) -> str | None:
        """Return ``value`` as it is shown, ``None`` where it is unknown."""
        return None if value is None else f"{value:.{3 if self.high - self.low < _NARROW else 2}f}"

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Line:
    """A model's mean in a group; ``missing`` is the share of its answers without a score, the rest as in a Mean."""

    model: Model
    scale: Scale
    value: float | None
    low: float | None
    high: float | None
    method: str | None
    reason: str | None
    n_prompts: int
    n_scores: int
    n_missing: int
    n_failed: int
    missing: float | None

    @property
    def shown(self) -> str | None:
        """Return the mean as it is shown."""
        return self.scale.said(self.value)

    @property
    def bounds(self) -> str | None:
        """Return the interval as it is shown, ``None`` where there is none."""
        if self.low is None or self.high is None:
            return None
        return f"{self.scale.said(self.low)}–{self.scale.said(self.high)}"

    @property
    def drawn(self) -> dict[str, float | None]:
        """Return mean and interval as shares of the scale, for the drawing of a rate."""
        low, high = self.scale.share(self.low), self.scale.share(self.high)
        return {"win_rate": self.scale.share(self.value), "ci_low": low, "ci_high": high}


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one language, category or size class, the best first."""

    name: str
    language: Language | None
    lines: tuple[Line, ...]

    def line(self, model: Model) -> Line | None:
        """Return the line of ``model``, ``None`` where it has none."""
        return next((line for line in self.lines if line.model.name == model.name), None)

    @property
    def n_prompts(self) -> list[int]:
        """Return the number of prompts of each line."""
        return [line.n_prompts for line in self.lines]

    @property
    def missing(self) -> float | None:
        """Return the share of answers without a score over all lines."""
        return part(sum(line.n_missing for line in self.lines), sum(line.n_scores for line in self.lines))


@dataclass(frozen=True, slots=True)
class Board:
    """All scores that one judge gave in one task. ``dropped`` pairs lines with failed answers counted and left out."""

    judge: str
    task: str
    anchor: str
    about: Json
    scale: Scale
    overall: tuple[Line, ...]
    dropped: tuple[tuple[Line, Line], ...]
    languages: tuple[Group, ...]
    categories: tuple[Group, ...]
    sizes: tuple[Group, ...]
    health: tuple[tuple[Language | None, Json], ...]


def boards(summary: Json, models: Mapping[str, Model]) -> tuple[Board, ...]:
    """Return a board for every judge of single answers and every task it scores, in the order of the summary."""
    return tuple(
        _board(about, task, summary, models)
        for about in summary.get("judges", ())
        if about.get("compare") == "single"
        for task in about["tasks"]
    )


def _board(about: Json, task: str, summary: Json, models: Mapping[str, Model]) -> Board:
    name, scale = about["name"], Scale(*about["verdict"]["range"])

    def rows(key: str, by: str) -> list[Json]:
        found = summary.get(key, ())
        return [row for row in found if (row["judge"], row["task"], row["by"]) == (name, task, by)]

    overall = _lines(rows("results", "all"), scale, models)
    other = _lines(rows("results_other_candidate_failure", "all"), scale, models)
    return Board(
        judge=name,
        task=task,
        anchor=f"s-{safe_name(name)}-{safe_name(task)}",
        about=about,
        scale=scale,
        overall=overall,
        dropped=_changed(overall, other, failure_rule(summary) == "drop"),
        languages=_groups(rows("results", "language"), scale, models, by_language=True),
        categories=_groups(rows("results", "category"), scale, models),
        sizes=_groups(rows("results", "size"), scale, models),
        health=tuple(
            (None if entry["language"] == "all" else language(entry["language"]), entry)
            for entry in sorted(summary.get("review_health", {}).get(name, ()), key=all_first)
        ),
    )


def _lines(rows: Iterable[Json], scale: Scale, models: Mapping[str, Model]) -> tuple[Line, ...]:
    lines = [line_of(row, scale, models) for row in rows]
    return tuple(sorted(lines, key=best_first))


def best_first(line: Line) -> tuple[bool, float, str]:
    """Return the key that sorts lines by their value, the highest first, those without one last."""
    return (line.value is None, -(line.value or 0.0), line.model.name)


def line_of(row: Json, scale: Scale, models: Mapping[str, Model]) -> Line:
    """Return a row of ``results`` as the line of its model."""
    said = words.reason(row["reason"])
    if row["missing_languages"] and row["value"] is None:
        said = "no scores in " + ", ".join(language(code).english for code in row["missing_languages"])
    return Line(
        model=model_named(row["model"], models), scale=scale, value=row["value"], low=row["ci_low"], high=row["ci_high"],
        method=words.interval(row["interval"]), reason=said, n_prompts=row["n_prompts"], n_scores=row["n_scores"],
        n_missing=row["n_missing"], n_failed=row["n_failed"], missing=part(row["n_missing"], row["n_scores"]),
    )  # fmt: skip


def _groups(
    rows: Iterable[Json], scale: Scale, models: Mapping[str, Model], by_language: bool = False
) -> tuple[Group, ...]:
    members: dict[str, list[Json]] = {}
    for row in rows:
        members.setdefault(row["group"], []).append(row)
    found = [
        Group(name, language(name) if by_language else None, _lines(some, scale, models))
        for name, some in members.items()
    ]
    return tuple(sorted(found, key=group_order))


def group_order(group: Group) -> tuple[float, str]:
    """Return the key that sorts groups: languages and categories by name, size classes from small to large."""
    if group.language is not None:
        return (0.0, group.language.english)
    sizes = [line.model.size_b for line in group.lines if line.model.size_b is not None]
    is_size = all(line.model.size_class == words.size(group.name) for line in group.lines)
    return (min(sizes, default=float("inf")) if is_size else 0.0, group.name)


def _changed(chosen: tuple[Line, ...], others: tuple[Line, ...], drop: bool) -> tuple[tuple[Line, Line], ...]:
    """Pair each model's mean with failed answers counted and the one without them, where any answer failed."""
    if not any(line.n_failed for line in (*chosen, *others)):
        return ()
    other = {line.model.name: line for line in others}
    pairs = tuple((line, other[line.model.name]) for line in chosen if line.model.name in other)
    return tuple((two, one) for one, two in pairs) if drop else pairs
