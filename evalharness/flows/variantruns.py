"""Folders of finished runs in; their models with variant, size and step, their scores and games together out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from evalharness import battlefile, battles
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.report.artefacts import read_scores
from evalharness.stages.suites import score_columns
from evalharness.stats.categories import Column
from evalharness.stats.paired_runs import prompt_scores
from evalharness.types import Score

WIN_RATE_METRIC = "win_rate"


@dataclass(frozen=True)
class Files:
    """A finished run: its name and what its folder holds."""

    name: str
    folder: Path
    summary: Mapping[str, Any]

    @cached_property
    def columns(self) -> list[Column]:
        """The columns of its results with their scores."""
        try:
            return score_columns(self.summary.get("results", ()), read_scores(self.folder / "scores.parquet"))
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self.name}: its metrics need {error.name}; install it with: pip install 'evalharness[translation]'"
            ) from None

    @cached_property
    def battles(self) -> pd.DataFrame | None:
        """Its games, ``None`` where it has none."""
        path = self.folder / "battles.parquet"
        frame = battlefile.read(path).frame if path.is_file() else None
        return None if frame is None or frame.empty else frame


class Entry(NamedTuple):
    """A model of a run that is a variant."""

    model: str
    variant: str
    size_b: float | None
    step: int | None


def read(name: str, root: Path) -> Files:
    """Return the run ``name`` of the folder ``root``, or that of the folder ``name``.

    Raises UsageError for a file, NotInCatalog for a run that is not there, DataError for one without a report.
    """
    if Path(name).is_file():
        raise UsageError(
            f"{name}: --base needs runs, whose models have a variant and a size; a battle file has neither"
        )
    folder = next((path for path in (root / name, Path(name)) if (path / "summary.json").is_file()), None)
    if folder is None:
        if (root / name).is_dir():
            raise DataError(
                f"{root / name}: no summary.json; write it with `evalharness report {name} --results {root}`"
            )
        raise NotInCatalog("run", name, [path.parent.name for path in root.glob("*/summary.json")], str(root))
    return Files(name, folder, json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def entries(runs: Sequence[Files], notes: list[str]) -> list[Entry]:
    """Return the models of ``runs`` that have a variant, each once; a DataError where none has, or runs differ about one."""
    found: dict[str, Entry] = {}
    without: dict[str, None] = {}
    for run in runs:
        for model in run.summary["models"]:
            if model.get("variant") is None:
                without[model["name"]] = None
                continue
            entry = Entry(model["name"], model["variant"], model.get("size_b"), model.get("step"))
            if found.setdefault(entry.model, entry) != entry:
                raise DataError(
                    f"{run.name}: {entry.model} is {_said(entry)}, in another run {_said(found[entry.model])}; name one run"
                )
    if not found:
        names = ", ".join(without)
        raise DataError(
            f"no model has a variant ({names}); say `variant: NAME` and `size_b: N` in the entries of `models:`"
        )
    if without:
        notes.append(f"no variant, so not compared: {', '.join(without)}")
    return list(found.values())


def _said(entry: Entry) -> str:
    return f"variant {entry.variant}, size_b {entry.size_b}, step {entry.step}"


def merged(runs: Sequence[Files], models: Collection[str], notes: list[str]) -> list[Column]:
    """Return the columns of all runs, those of one task, metric and filter together; of a model's two runs of it the first."""
    found: dict[str, Column] = {}
    for run in runs:
        for column in run.columns:
            own = [score for score in column.scores if score.model in models]
            known = found.get(column.name)
            if known is None:
                found[column.name] = replace(column, scores=own)
                continue
            if (known.scale, known.chance) != (column.scale, column.chance):
                raise DataError(f"{run.name}: {column.name} has another scale or chance than in the runs before it")
            there = {score.model for score in known.scores}
            twice = sorted({score.model for score in own} & there)
            notes += [
                f"{column.name} of {model} is in several runs; the scores of {run.name} are left out" for model in twice
            ]
            more = [score for score in own if score.model not in there]
            found[column.name] = replace(known, scores=[*known.scores, *more])
    return [column for column in found.values() if column.scores]


@dataclass(frozen=True, slots=True)
class Judged:
    """The games of all runs before one judge; ``baseline`` is the model that rates are against, where there is one."""

    judge: str
    frame: pd.DataFrame
    tasks: tuple[str, ...]
    baseline: str | None
    pairs: str

    def missing(self, model: str, tasks: Collection[str]) -> int:
        """Return how many games of ``model`` have no verdict."""
        frame = self._of(tasks)
        own = (frame[battles.MODEL_A] == model) | (frame[battles.MODEL_B] == model)
        return int((own & frame[battles.SCORE].isna()).sum())

    def _of(self, tasks: Collection[str]) -> pd.DataFrame:
        """Return the games of ``tasks``; those of no named task are of all."""
        if battles.TASK not in self.frame:
            return self.frame
        return self.frame[self.frame[battles.TASK].isin(list(tasks)) | self.frame[battles.TASK].isna()]

    def column(
        self, model: str, base: str | None, among: Collection[str], tasks: Collection[str], *, is_base: bool = False
    ) -> Column | None:
        """Return the shares of the win of ``model`` and, if named, ``base`` as a column; ``None`` where there are no games.

        They are against the baseline, else all models but the variants ``among``, on the prompts and opponents of both. Without
        any such the share is that against the base, whose own is 1/2 by definition (``is_base`` says that ``model`` is it);
        the column's chance of 0 says so.
        """
        frame = self._of(tasks)
        everyone = {*frame[battles.MODEL_A], *frame[battles.MODEL_B]}
        outside = sorted(everyone - set(among)) if self.baseline is None else [self.baseline]
        wanted = [model] if base is None else [model, base]
        tables = [prompt_scores(frame, one, [m for m in outside if m not in wanted], self.pairs) for one in wanted]
        if not outside:
            against = sorted(everyone - {model}) if base is None else [base]
            own = prompt_scores(frame, model, against if is_base or base is not None else [], self.pairs)
            tables = [own.assign(score=0.5) if is_base else own, own.assign(score=0.5)][: len(wanted)]
        elif base is not None:
            keys = [name for name in tables[0] if name not in ("weight", "score")]
            both = tables[0][keys].merge(tables[1][keys], on=keys)
            tables = [both.merge(table, on=keys) for table in tables]
        if any(table.empty for table in tables):
            return None
        return Column(
            task=f"games before {self.judge}", metric=WIN_RATE_METRIC, filter=self.judge,
            scores=[score for one, table in zip(wanted, tables, strict=True) for score in _shares(table, one)],
            corpus=_mean_share, chance=None if outside else 0.0,
        )  # fmt: skip


def _mean_share(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


def _shares(table: pd.DataFrame, model: str) -> list[Score]:
    """Return a score a (prompt, language, opponent), whose parts are the sums of weight x share and of weights."""
    return [
        Score(
            str(row["task"]), str(row["task_version"]), f"{row['task']} {row['prompt_id']}", str(row["language"]), model,
            WIN_RATE_METRIC, str(row["opponent"]), float(row["score"]), parts=(row["weight"] * row["score"], row["weight"]),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip


def judged_columns(runs: Sequence[Files], baseline: str | None, pairs: str) -> list[Judged]:
    """Return the games of ``runs``, judge by judge; ``baseline`` is that of all runs where none is named."""
    frames: dict[str, list[pd.DataFrame]] = {}
    said = set()
    for run in runs:
        if run.battles is not None:
            said.add(run.summary.get("baseline"))
            for judge, own in run.battles.groupby(battles.JUDGE, sort=True):
                frames.setdefault(str(judge), []).append(own)
    if baseline is None and len(said) == 1:
        baseline = said.pop()
    out = []
    for judge, parts in frames.items():
        frame = pd.concat(parts, ignore_index=True)
        tasks = tuple(sorted(set(frame[battles.TASK].dropna()))) if battles.TASK in frame else ()
        if baseline is not None and baseline not in {*frame[battles.MODEL_A], *frame[battles.MODEL_B]}:
            raise NotInCatalog(
                "model", baseline, {*frame[battles.MODEL_A], *frame[battles.MODEL_B]}, f"games before {judge}"
            )
        out.append(Judged(judge, frame, tasks, baseline, pairs))
    return out
