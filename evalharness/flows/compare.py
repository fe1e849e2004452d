"""Stored runs or battle files in; paired differences of win rates between runs, judges and checkpoints out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from evalharness import battlefile, battles, tables
from evalharness.errors import DataError, NotInCatalog, UsageError, suggestion
from evalharness.stages.derive import battle_frame, played, stored
from evalharness.stats.paired import holm
from evalharness.stats.paired_runs import PairedDifference, paired_difference, prompt_scores
from evalharness.store import Journal

ALL = "all"
AXES = ("language",)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model of a family after so many training steps."""

    family: str
    step: int
    model: str


@dataclass(frozen=True, slots=True)
class Side:
    """The games of one run before one judge; ``run`` is its name, or the path of a battle file; ``baseline`` as the run says."""

    run: str
    judge: str
    frame: pd.DataFrame
    checkpoints: tuple[Checkpoint, ...] = ()
    baseline: str | None = None

    @property
    def models(self) -> set[str]:
        """The models that play."""
        return {*self.frame[battles.MODEL_A], *self.frame[battles.MODEL_B]}


@dataclass(frozen=True, slots=True)
class Difference:
    """One row: how the rate of a model differs, second minus first. ``between`` is runs, judges or checkpoints.

    ``model`` and ``model_2`` are the same but between checkpoints. Rates are against the shared ``opponents`` on the
    shared prompts, fractions. ``p_adjusted`` is Holm's over all rows of the same ``group`` kind (all, or one language).
    """

    between: str
    run_1: str
    run_2: str
    judge_1: str
    judge_2: str
    model: str
    model_2: str
    group: str
    rate_1: float
    rate_2: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    standard_error: float
    p: float | None
    p_adjusted: float | None
    interval: str | None
    reason: str | None
    n_prompts: int
    languages: tuple[str, ...]
    opponents: tuple[str, ...]
    correlation: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences that could be made, how, and what a reader should know."""

    level: float
    average: str
    baseline: str | None
    by: tuple[str, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two sides and the model of each that is compared."""

    between: str
    first: Side
    second: Side
    model: str
    model_2: str


def compare(
    names: Sequence[str],
    root: Path,
    *,
    baseline: str | None = None,
    by: Sequence[str] = (),
    level: float = 0.95,
    average: str = "macro",
    pairs: str = "complete",
) -> Comparison:
    """Return the paired differences between ``names``: runs stored in the folder ``root``, or battle files.

    Several runs: every later one minus the first, judge by judge, for every model of both. One run with several judges:
    every later judge minus the first. Training steps of a family before one judge: each minus the step before. Rates are
    against ``baseline`` (that of the runs, where they all say one), else against all opponents that both sides met.
    Raises DataError where the sides share no judge, model or prompt, saying what each has, NotInCatalog for a run or
    baseline that is not there.
    """
    for axis in by:
        if axis not in AXES:
            raise UsageError(f"--by {axis}: no such choice; {suggestion(axis, AXES)}")
    notes: list[str] = []
    runs = [sides_of(name, root, notes) for name in dict.fromkeys(names)]
    baseline = _baseline([side for run in runs for side in run], baseline)
    found: list[Difference] = []
    asked = list(_pairs(runs, notes))
    for pair in asked:
        if baseline in (pair.model, pair.model_2):
            continue
        found += _differences(pair, baseline, by, level, average, pairs)
    if not found:
        raise DataError(_nothing(runs, asked, baseline))
    return Comparison(level, average, baseline, tuple(by), _adjusted(found), tuple(notes))


def _baseline(sides: Sequence[Side], named: str | None) -> str | None:
    """Return the baseline: the one that is named, else the one that all runs say."""
    if named is None:
        said = {side.baseline for side in sides}
        return said.pop() if len(said) == 1 else None
    for side in sides:
        if named not in side.models:
            raise NotInCatalog("model", named, side.models, side.run)
    return named


def sides_of(name: str, root: Path, notes: list[str]) -> tuple[Side, ...]:
    """Return the games of a battle file or a stored run, judge by judge; the file wins where both have the name."""
    if Path(name).is_file():
        read = battlefile.read(Path(name))
        notes += read.warnings
        return _by_judge(name, read.frame, ())
    with Journal.reading(root) as journal:
        run = stored(journal, name)
        frame = battle_frame(run, played(journal, run))
    plan = run.run.plan
    if plan["statistics"]["candidate_failure"] == "drop":
        notes.append(f"{name}: games of answers that failed are left out, as the run says")
        frame = tables.without_candidate_failures(frame)
    steps = tuple(
        Checkpoint(model["family"] or _stem(model["name"], model["step"]), model["step"], model["name"])
        for model in plan["models"]
        if model["step"] is not None
    )
    sides = _by_judge(name, frame, [judge["name"] for judge in plan["judges"]])
    return tuple(replace(side, checkpoints=steps, baseline=plan["baseline"]) for side in sides)


def _stem(name: str, step: int) -> str:
    """Return a checkpoint's name without its step: all steps of one pattern have the same."""
    return name.replace(str(step), "", 1)


def _by_judge(name: str, frame: pd.DataFrame, order: Sequence[str]) -> tuple[Side, ...]:
    if frame.empty:
        raise DataError(f"{name}: no battles; there is nothing to compare")
    known = [judge for judge in order if (frame[battles.JUDGE] == judge).any()]
    judges = known or sorted(frame[battles.JUDGE].unique())
    return tuple(Side(name, judge, frame[frame[battles.JUDGE] == judge].reset_index(drop=True)) for judge in judges)


def _pairs(runs: Sequence[tuple[Side, ...]], notes: list[str]) -> Iterator[_Pair]:
    first, *others = runs
    for other in others:
        for one, two in _matched(first, other, notes):
            yield from (_Pair("runs", one, two, model, model) for model in sorted(one.models & two.models))
    if not others:
        for later in first[1:]:
            shared = sorted(first[0].models & later.models)
            yield from (_Pair("judges", first[0], later, model, model) for model in shared)
    yield from _checkpoints([side for run in runs for side in run])


def _matched(first: tuple[Side, ...], other: tuple[Side, ...], notes: list[str]) -> Iterator[tuple[Side, Side]]:
    """Yield the sides of two runs that have the same judge; where each has but one judge, those two."""
    by_judge = {side.judge: side for side in other}
    common = [(side, by_judge[side.judge]) for side in first if side.judge in by_judge]
    if not common and len(first) == len(other) == 1:
        notes.append(
            f"{first[0].run} was judged by {first[0].judge}, {other[0].run} by {other[0].judge}: "
            "differences are of judges as well"
        )
        common = [(first[0], other[0])]
    if not common:
        have = "; ".join(f"{run[0].run} has {', '.join(side.judge for side in run)}" for run in (first, other))
        raise DataError(f"no judge in common: {have}")
    yield from common


def _checkpoints(sides: Sequence[Side]) -> Iterator[_Pair]:
    """Yield each training step with the one before it, of the same family and before the same judge."""
    places: dict[tuple[str, str], dict[int, tuple[Side, str]]] = {}
    for side in sides:
        for point in side.checkpoints:
            if point.model in side.models:
                places.setdefault((side.judge, point.family), {}).setdefault(point.step, (side, point.model))
    for found in places.values():
        for (_, (one, model)), (_, (two, model_2)) in pairwise(sorted(found.items(), key=lambda item: item[0])):
            yield _Pair("checkpoints", one, two, model, model_2)


def _differences(
    pair: _Pair, baseline: str | None, by: Sequence[str], level: float, average: str, pairs: str
) -> list[Difference]:
    shared = (pair.first.models & pair.second.models) - {pair.model, pair.model_2}
    opponents = sorted(shared if baseline is None else {baseline})
    one = prompt_scores(pair.first.frame, pair.model, opponents, pairs)
    two = prompt_scores(pair.second.frame, pair.model_2, opponents, pairs)
    whole = paired_difference(one, two, level, average)
    if whole is None:
        return []
    rows = [_row(pair, ALL, whole)]
    if "language" in by:
        for language in whole.languages:
            part = paired_difference(one[one["language"] == language], two[two["language"] == language], level, average)
            if part is not None:
                rows.append(_row(pair, language, part))
    return rows


def _row(pair: _Pair, group: str, found: PairedDifference) -> Difference:
    return Difference(
        pair.between, pair.first.run, pair.second.run, pair.first.judge, pair.second.judge, pair.model, pair.model_2,
        group, found.first, found.second, found.difference, found.test.low, found.test.high, found.error, found.test.p, None,
        found.test.interval, found.test.reason, found.n_prompts, found.languages, found.opponents, found.correlation,
    )  # fmt: skip


def _adjusted(rows: Sequence[Difference]) -> tuple[Difference, ...]:
    """Fill in Holm's p-values: the rows of all languages are one family, those of single languages another."""
    families: dict[bool, list[int]] = {}
    for at, row in enumerate(rows):
        families.setdefault(row.group == ALL, []).append(at)
    adjusted = {
        at: p for places in families.values() for at, p in zip(places, holm([rows[at].p for at in places]), strict=True)
    }
    return tuple(replace(row, p_adjusted=adjusted[at]) for at, row in enumerate(rows))


def _nothing(runs: Sequence[tuple[Side, ...]], asked: Sequence[_Pair], baseline: str | None) -> str:
    """Return why nothing can be compared, and what there is."""
    sides = [side for run in runs for side in run]
    if len(sides) == 1:
        return (
            f"{sides[0].run}: one run with one judge and no two training steps of a family; name a second run, or judge "
            f"it once more (`evalharness judge {sides[0].run} --judge J`)"
        )
    if not asked:
        return f"no model in common: {'; '.join(f'{s.run} has {_some(s.models)}' for s in sides)}"
    met = "" if baseline is None else f" against {baseline}"
    have = "; ".join(
        f"{side.run} has {side.frame[battles.PROMPT_ID].nunique()} prompts ({_some(side.frame[battles.PROMPT_ID])}) of "
        f"{_some(_tasks(side.frame))} in {_some(side.frame[battles.LANGUAGE])}, played by {_some(side.models)}"
        for side in sides
    )
    return f"no prompt{met} in common on which the same model met the same opponent: {have}"


def _tasks(frame: pd.DataFrame) -> Iterable[str]:
    if battles.TASK not in frame:
        return ["no named task"]
    parts = [frame[name].fillna("") for name in (battles.TASK, battles.TASK_VERSION) if name in frame]
    return {" ".join(values).strip() for values in zip(*parts, strict=True)}


def _some(values: Iterable[str], most: int = 4) -> str:
    names = sorted(set(values))
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def document(comparison: Comparison) -> dict[str, Any]:
    """Return what ``evalharness compare --json`` prints: plain values, unknown ones None, nothing rounded."""
    plain = asdict(comparison)
    plain["differences"] = [
        {**row, "languages": list(row["languages"]), "opponents": list(row["opponents"])}
        for row in plain["differences"]
    ]
    return {**plain, "by": list(comparison.by), "notes": list(comparison.notes)}
