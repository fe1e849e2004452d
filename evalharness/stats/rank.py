"""A battle frame in, a ranking out: win rates, intervals, counts, ratings and rank ranges, in all and by group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from evalharness.errors import DataError, NotInCatalog, UsageError, suggestion
from evalharness.languages import AXES, grouped
from evalharness.stats.axes import axis
from evalharness.stats.comparisons import Difference, Range, differences, ranges
from evalharness.stats.games import Games, Pairs, coded, in_exact_order
from evalharness.stats.groups import ALL, MISSING_LANGUAGES, NO_VERDICTS, Average, Group, Plan, groups
from evalharness.stats.intervals import Resampling
from evalharness.stats.pairwise import Flips
from evalharness.stats.sizes import SIZE_EDGES, size_class, size_classes
from evalharness.types import Rating

Method = Literal["winrate", "bradley-terry"]
By = Literal["language", "category", "task", "judge", "size", "family", "script", "resource"]

CLUSTER = "task, task_version, prompt_id"
IS_BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What was computed and how; ``ratings`` are sorted, best first: all models, then group by group.

    ``languages`` are those the macro mean runs over, ``language_groups`` those of each group, by axis of ``by`` that has
    groups of languages. ``pooled`` names the axes (judge, task, version) of which the rows
    of ``all`` mix several values, ``notes`` are what a reader should know of the file. ``pairs`` are the differences of
    every two models of a group; ``pairs_rule`` says whether a match of which one verdict is missing counts.
    """

    method: str
    baseline: str | None
    level: float
    rounds: int
    seed: int
    cluster: str
    by: tuple[str, ...]
    average: str
    ratings: tuple[Rating, ...]
    pairs: tuple[Difference, ...] = ()
    pairs_rule: str = "complete"
    sign_flips: int = 0
    languages: tuple[str, ...] = ()
    language_groups: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    pooled: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Labels(NamedTuple):
    """What rows say of models besides their numbers: names, the number of the baseline, sizes."""

    models: tuple[str, ...]
    baseline: int | None
    sizes: Mapping[str, float | None]
    size_edges: Sequence[float]
    method: str
    level: float

    def names(self, rows: Iterable[Rating]) -> list[str]:
        """Return the models of ``rows`` that have a place among them."""
        return [row.model for row in rows if row.win_rate is not None]


class _Table(NamedTuple):
    """One group's rows, best first, and the differences between its models."""

    rows: list[Rating]
    pairs: tuple[Difference, ...]


def rank(
    frame: pd.DataFrame,
    *,
    baseline: str | None = None,
    by: Iterable[str] = (),
    method: str = "winrate",
    average: str = "macro",
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
    pairs: str = "complete",
    sizes: Mapping[str, float | None] | None = None,
    size_edges: Sequence[float] = SIZE_EDGES,
    sign_flips: int = 0,
) -> Ranking:
    """Return the ranking of a battle frame (as ``battles.validated`` gives it).

    ``win_rate`` is the weighted mean score, ties as half: against ``baseline`` where given (other games do not enter),
    else against all opponents; where pairs of models were not given equally many games, the mean that the Bradley-Terry
    fit implies. ``all`` is the macro mean over languages unless ``average`` is micro. Under ``pairs`` complete a match
    with only one verdict leaves the rate. Intervals resample clusters (prompts) jointly over everything else.
    ``sizes`` are parameters in billions by model; with ``sign_flips`` rounds, pairs carry the p-value of that test. Raises
    DataError for no battles, UsageError for an unknown option, NotInCatalog for a baseline that does not play.
    """
    by = tuple(dict.fromkeys(by))
    _check_options(by, method, average, pairs, Resampling(level, rounds, seed))
    if sign_flips < 0:
        raise UsageError(f"--sign-flips {sign_flips}: 0 (none) or above; 10000 is usual")
    if not len(frame):
        raise DataError("no battles: there is nothing to rank")
    frame = in_exact_order(frame)
    games = coded(frame, "any" if pairs == "any" else "complete")
    if baseline is not None and baseline not in games.models:
        raise NotInCatalog("model", baseline, games.models)
    base = None if baseline is None else games.models.index(baseline)
    flips = Flips(sign_flips, seed)
    plan = Plan(base, "micro" if average == "micro" else "macro", Resampling(level, rounds, seed), flips)
    labels = _Labels(games.models, base, sizes or {}, size_edges, method, level)
    tables = list(_tables(games, frame, plan, labels, by))
    return Ranking(
        method=method,
        baseline=baseline,
        level=level,
        rounds=rounds,
        seed=seed,
        cluster=CLUSTER,
        by=by,
        average=average,
        ratings=tuple(row for table in tables for row in table.rows),
        pairs=tuple(pair for table in tables for pair in table.pairs),
        pairs_rule=pairs,
        sign_flips=sign_flips,
        languages=games.languages,
        language_groups={name: grouped(name, games.languages) for name in by if name in AXES},
    )


def _check_options(by: tuple[str, ...], method: str, average: str, pairs: str, how: Resampling) -> None:
    choices = [("by", name, get_args(By)) for name in by]
    choices += [
        ("method", method, get_args(Method)),
        ("average", average, get_args(Average)),
        ("pairs", pairs, get_args(Pairs)),
    ]
    for option, value, known in choices:
        if value not in known:
            raise UsageError(f"--{option} {value}: no such choice; {suggestion(value, known)}")
    if not 0.0 < how.level < 1.0:
        raise UsageError(f"--level {how.level}: a level lies between 0 and 1, as 0.95 does")
    if how.rounds < 1:
        raise UsageError(f"--rounds {how.rounds}: at least 1 round is needed; 1000 is usual")
    if how.seed < 0:
        raise UsageError(f"--seed {how.seed}: seeds are 0 or above")


def _tables(games: Games, frame: pd.DataFrame, plan: Plan, labels: _Labels, by: tuple[str, ...]) -> Iterator[_Table]:
    """Yield the table of ``all``, then those of each axis of ``by`` in the order asked for."""
    overall, *languages = groups(games, plan, each_language="language" in by)
    everyone = _ranked(overall, labels, ALL)
    yield everyone
    for name in by:
        if name == "language":
            for group in languages:
                yield _ranked(group, labels, name)
        elif name == "size":
            for size in size_classes(labels.size_edges):
                rows = [replace(row, group=size, by=name) for row in everyone.rows if row.size_class == size]
                yield _compared(rows, overall._replace(name=size), labels, name)
        else:
            values = axis(frame, name)
            for at, value in enumerate(values.names):
                (group,) = groups(games.where(values.codes == at), plan, each_language=False)
                yield _ranked(group._replace(name=value), labels, name)


def _ranked(group: Group, labels: _Labels, by: str) -> _Table:
    """Return the table of a group, best first; models of which the ranking number is unknown come last, by name."""
    listed = range(len(labels.models)) if by == ALL else np.flatnonzero(group.listed)
    rows = [replace(_row(group, int(model), labels), by=by) for model in listed]

    def place(row: Rating) -> tuple[bool, float, str]:
        number = row.rating if labels.method == "bradley-terry" else row.win_rate
        return number is None, -(number or 0.0), row.model

    return _compared(sorted(rows, key=place), group, labels, by)


def _compared(rows: list[Rating], group: Group, labels: _Labels, by: str) -> _Table:
    """Return ``rows``, best first, with the places they may hold among each other, and their differences."""
    ordered = labels.names(rows)
    pairs = differences(group.pairwise, labels.models, set(ordered), by, group.name, labels.level)
    found = ranges(ordered, pairs, labels.level)
    return _Table([_placed(row, found.get(row.model)) for row in rows], pairs)


def _placed(row: Rating, found: Range | None) -> Rating:
    if found is None:
        return replace(row, rank_low=None, rank_high=None, rank_reason=row.reason, tie_group=None)
    return replace(row, rank_low=found.low, rank_high=found.high, rank_reason=found.reason, tie_group=found.tie_group)


def _row(group: Group, model: int, labels: _Labels) -> Rating:
    """Return what a group says of a model."""
    name, interval, rate = labels.models[model], group.rates.intervals[model], _known(group.rates.rate[model])
    none_at_all = len(group.missing[model]) == len(group.languages)
    no_rate = None if rate is not None else NO_VERDICTS if none_at_all else MISSING_LANGUAGES
    size, strength = labels.sizes.get(name), group.strength_intervals[model]
    known = np.isfinite(group.strengths[model])
    row = Rating(
        model=name,
        group=group.name,
        win_rate=rate,
        ci_low=interval.low,
        ci_high=interval.high,
        interval=interval.method,
        reason=no_rate or interval.reason or group.strength_reasons[model],
        n_prompts=int(group.rates.n_prompts[model]),
        missing_languages=group.missing[model],
        size_b=size,
        size_class=size_class(size, labels.size_edges),
        rating=_known(group.strengths[model]),
        rating_low=strength.low if known else None,
        rating_high=strength.high if known else None,
        rating_interval=strength.method if known else None,
        rating_redrawn=strength.redrawn if known else 0,
        estimate=None if rate is None else group.estimate,
        raw_win_rate=_known(group.raw[model]),
        rating_reason=group.strength_reasons[model] or (strength.reason if known else None),
        redrawn=interval.redrawn,
    )
    counted: dict[str, Any] = {count: int(tally[model]) for count, tally in group.counts.items()}
    return _of_baseline(replace(row, **counted)) if model == labels.baseline else replace(row, **counted)


def _of_baseline(row: Rating) -> Rating:
    """Return the baseline's own row: it is what the others are measured by."""
    return replace(
        row,
        win_rate=0.5,
        ci_low=None,
        ci_high=None,
        interval=None,
        reason=IS_BASELINE,
        rating=0.0,
        rating_low=None,
        rating_high=None,
        rating_interval=None,
        rating_redrawn=0,
        estimate=None,
        raw_win_rate=None,
        rating_reason=None,
        redrawn=0,
    )


def _known(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
