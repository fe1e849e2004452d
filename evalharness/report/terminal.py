"""The summary of a run, or a ranking, in; its tables as text for a terminal of any width out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from evalharness.report import leaderboard, results, resulttables, scores, scoretables, words
from evalharness.report.gaps import Gap, gaps, neighbours_only, p_value, points, shown, span
from evalharness.report.grid import NAME, grid, named
from evalharness.report.leaderboard import Group, Judge, Model, Row
from evalharness.report.marking import DASH, bounds, count, percent, share, signed, spread
from evalharness.report.provenance import notices, sources, statistics_line, suite_source, task_sources
from evalharness.text import one_line
from evalharness.types import Rating

Json = Mapping[str, Any]

_GROUP = 24
_CELL = 17  # "62.1 55.2–69.0", with the space around it
_NOTE = 2000
_AXES = {
    "size": "size (billions of parameters)", "family": "language family, languages weighing the same",
    "script": "script, languages weighing the same", "resource": "level of resources, languages weighing the same",
}  # fmt: skip


def render(summary: Json, *, width: int, color: bool) -> str:
    """Return all tables of a run's summary as text of at most ``width`` columns.

    With ``color`` it holds ANSI colours, unless the environment says NO_COLOR; without it no escape at all.
    """
    return rendered(_run_parts(summary, width), width, color)


def ranking(document: Json, *, width: int, color: bool) -> str:
    """Return the tables of one ranking, the document that ``evalharness rank --json`` prints; else as ``render``."""
    return rendered(_ranking_parts(document, width), width, color)


def rendered(parts: Iterable[RenderableType], width: int, color: bool) -> str:
    """Return ``parts`` as text; see ``render``."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=None if color else True,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().split("\n"))


def _run_parts(summary: Json, width: int) -> Iterator[RenderableType]:
    models = leaderboard.contestants(summary)
    yield Text(one_line(summary["run"], width), style="bold")
    if summary["status"] != "complete":
        yield Text("partial: numbers are from what was done so far", style="yellow")
    yield from (Text("note: " + one_line(notice, _NOTE), style="dim") for notice in notices(summary, {}))
    source = sources(summary)
    for suite in results.suite_boards(summary, models):
        yield Text("")
        yield Text(f"suite {one_line(suite.suite, NAME)}", style="bold")
        yield resulttables.suite_table(suite)
        yield Text(one_line(suite_source(summary).full, _NOTE), style="dim")
    for judge in leaderboard.judges(summary, models):
        yield Text("")
        yield Text("judged by " + one_line(judge.name, 2 * NAME), style="bold")
        yield from _note(judge.about)
        for table in _judge_tables(judge, list(models.values()), width):
            yield Text("")
            yield table
        yield Text("")
        yield health_line(judge)
        yield Text(one_line(source[judge.name].full, _NOTE), style="dim")
    task_source = task_sources(summary)
    for task in results.task_boards(summary, models):
        yield Text("")
        yield Text(one_line(task.task, NAME), style="bold")
        for table in resulttables.task_tables(task, width):
            yield Text("")
            yield table
        yield Text(one_line(task_source[task.task].full, _NOTE), style="dim")
    for board in scores.boards(summary, models):
        yield Text("")
        yield Text(f"{one_line(board.task, NAME)} scored by {one_line(board.judge, 2 * NAME)}", style="bold")
        yield from _note(board.about)
        for table in scoretables.board_tables(board, list(models.values()), width):
            yield Text("")
            yield table
        yield Text("")
        yield scoretables.health_line(board)
        yield Text(one_line(source[board.judge].full, _NOTE), style="dim")


def _note(about: Json) -> Iterator[Text]:
    if about.get("note"):
        yield Text(one_line(about["note"], _NOTE), style="yellow")


def _judge_tables(judge: Judge, models: Sequence[Model], width: int) -> Iterator[Table]:
    yield overall_table(judge.overall, width)
    if judge.gaps:
        yield gap_table([row.model.name for row in judge.overall if row.rating.win_rate is not None], judge.gaps)
    if len(judge.languages) > 1:
        yield from group_tables(judge.languages, models, "language", width)
    if len(judge.sizes) > 1:
        yield from group_tables(judge.sizes, models, "size", width)


def _ranking_parts(document: Json, width: int) -> Iterator[RenderableType]:
    ratings = document["ratings"]
    models = leaderboard.contestants({"ratings": {"": {"": ratings}}, "baseline": document["baseline"]})
    yield overall_table(leaderboard.rows([row for row in ratings if row["by"] == "all"], models), width)
    if document.get("pairs"):
        yield Text("")
        ordered = [row["model"] for row in ratings if row["by"] == "all" and row["win_rate"] is not None]
        yield gap_table(ordered, gaps(document["pairs"], document["level"]))
    for axis in document["by"]:
        found = leaderboard.groups(
            [row for row in ratings if row["by"] == axis], models, by_language=axis == "language"
        )
        for table in group_tables(found, list(models.values()), axis, width):
            yield Text("")
            yield table
        for name, codes in document.get("language_groups", {}).get(axis, {}).items():
            spoken = ", ".join(leaderboard.language(code).english for code in codes)
            yield Text(one_line(f"{name}: {spoken}", _NOTE), style="dim")
    yield Text("")
    against = f"against {one_line(document['baseline'], NAME)}, " if document["baseline"] else ""
    yield Text(against + one_line(statistics_line(document), _NOTE), style="dim")


def overall_table(rows: Sequence[Row], width: int) -> Table:
    """Return the ratings over all groups, best first; a narrow terminal gets fewer columns."""
    ranked = any(row.rating.rank_low is not None for row in rows)
    names = ["rank"] if ranked and width >= 72 else []
    names += ["win rate", "interval", "prompts", "missing"]
    names += ["size"] if width >= 80 else []
    names += ["games W/T/L"] if width >= 96 else []
    names += ["strength"] if width >= 108 else []
    table = grid("overall")
    table.add_column("model", overflow="fold", min_width=8, max_width=NAME)
    for name in names:
        table.add_column(name, justify="right", overflow="fold", no_wrap=name != "interval")
    for row in rows:
        cells = _rating_cells(row)
        table.add_row(named(row.model), *(cells[name] for name in names))
    return table


def _rating_cells(row: Row) -> dict[str, Text]:
    r = row.rating
    interval = bounds(r.ci_low, r.ci_high)
    ranks = (
        DASH if r.rank_low is None else f"{r.rank_low}" if r.rank_low == r.rank_high else f"{r.rank_low}–{r.rank_high}"
    )
    return {
        "rank": Text(ranks),
        "win rate": Text(percent(r.win_rate), style=_colour(row)),
        "interval": Text(interval or one_line(row.reason or "no interval", 60), style="" if interval else "dim"),
        "prompts": Text(count(r.n_prompts)),
        "missing": Text(share(row.missing)),
        "size": Text(words.size(r.size_class)),
        "games W/T/L": Text(f"{count(r.wins)}/{count(r.ties)}/{count(r.losses)}"),
        "strength": Text(_strength(r)),
    }


def _strength(rating: Rating) -> str:
    if rating.rating_low is None or rating.rating_high is None:
        return signed(rating.rating)
    return f"{signed(rating.rating)} {signed(rating.rating_low)} to {signed(rating.rating_high)}"


def gap_table(models: Sequence[str], found: Mapping[tuple[str, str], Gap]) -> Table:
    """Return the paired differences between ``models``, best first; of many models those of neighbours only."""
    among = ", each model and the next" if neighbours_only(models) else ""
    table = grid(f"differences on shared prompts, in points of win rate{among}")
    table.add_column("model", overflow="fold", max_width=NAME)
    table.add_column("against", overflow="fold", max_width=NAME)
    for name in ("difference", "interval", "p (Holm)", "prompts"):
        table.add_column(name, justify="right", overflow="fold")
    for one, other in shown(models):
        gap = found.get((one, other))
        if gap is not None:
            cells = (span(gap.ci_low, gap.ci_high) or gap.reason or "no interval", p_value(gap.p_adjusted))
            style = "bold" if gap.decided else ""
            names = (Text(one_line(one, NAME)), Text(one_line(other, NAME)))
            table.add_row(*names, Text(points(gap.difference), style=style), *map(Text, cells), count(gap.n_prompts))
    return table


def group_tables(groups: Sequence[Group], models: Sequence[Model], axis: str, width: int) -> Iterator[Table]:
    """Yield the win rates by group: models down where there are few groups, else groups down.

    With groups down and more models than fit side by side, the models come in several tables.
    """
    title = f"by {_AXES.get(axis, axis)}, win rate and interval in %"
    if len(groups) < len(models) and len(groups) <= (width - _GROUP) // _CELL:
        yield _models_down(groups, models, title)
        return
    room = max(1, (width - _GROUP - 20) // _CELL)
    for start in range(0, len(models), room):
        yield _groups_down(groups, models[start : start + room], axis, title)


def _models_down(groups: Sequence[Group], models: Sequence[Model], title: str) -> Table:
    table = grid(title)
    table.add_column("model", overflow="fold", max_width=NAME)
    for group in groups:
        table.add_column(_group_name(group), justify="right", overflow="fold")
    for model in models:
        table.add_row(named(model), *(_cell(group.row(model)) for group in groups))
    table.add_row(Text("prompts", style="dim"), *(Text(spread(group.n_prompts), style="dim") for group in groups))
    table.add_row(Text("missing", style="dim"), *(Text(share(group.missing), style="dim") for group in groups))
    return table


def _groups_down(groups: Sequence[Group], models: Sequence[Model], axis: str, title: str) -> Table:
    table = grid(title)
    table.add_column(axis, overflow="fold", max_width=_GROUP)
    for model in models:
        table.add_column(named(model), justify="right", overflow="fold")
    table.add_column("prompts", justify="right")
    table.add_column("missing", justify="right")
    for group in groups:
        cells = (_cell(group.row(model)) for model in models)
        table.add_row(_group_name(group), *cells, Text(spread(group.n_prompts)), Text(share(group.missing)))
    return table


def health_line(judge: Judge) -> Text:
    """Return one line on how far the judge can be trusted: verdicts, both orders, place of the answer."""
    entry = next((entry for language, entry in judge.health if language is None), None)
    if entry is None:
        return Text("judge: no games", style="dim")
    failed = {
        status: n for status, n in sorted(entry["statuses"].items()) if n and status not in ("ok", "candidate_failure")
    }
    said = [f"{count(entry['n_games'])} games", f"{share(entry['coverage'])} with a verdict"]
    said += [f"{count(n)} {one_line(status.replace('_', ' '), 30)}" for status, n in failed.items()]
    said += [
        f"{count(entry['n_unpaired'])} unpaired",
        f"orders agree {share(entry['consistency'])}",
        f"first slot wins {share(entry['first_slot_rate'])}",
        f"{count(entry['ties'])} ties",
    ]
    return Text("judge: " + ", ".join(said))


def _group_name(group: Group) -> Text:
    return Text(one_line(group.language.english if group.language else group.name, 2 * _GROUP))


def _cell(row: Row | None) -> Text:
    if row is None:
        return Text("not played", style="dim")
    interval = _bare(bounds(row.rating.ci_low, row.rating.ci_high)) or one_line(row.reason or "no interval", 40)
    if row.rating.win_rate is None:
        return Text(f"{DASH} {interval}", style="dim")
    return Text(f"{_bare(percent(row.rating.win_rate))} {interval}", style=_colour(row))


def _bare(said: str | None) -> str:
    return (said or "").removesuffix("\u00a0%")


def _colour(row: Row) -> str:
    if not row.decided or row.rating.win_rate is None:
        return ""
    return "blue" if row.rating.win_rate > 0.5 else "yellow"
