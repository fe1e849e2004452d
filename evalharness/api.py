"""Python arguments in, runs and rankings out: the command line's options as keyword arguments. ``import evalharness as eh``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evalharness.backends import executor as executor_of
from evalharness.battles import validated
from evalharness.catalog import Catalog, split_names
from evalharness.errors import UsageError, suggestion
from evalharness.flows.controls import controlled_document
from evalharness.flows.rank import rank as rank_frame
from evalharness.flows.rank import read_and_rank
from evalharness.plan import Ask, Statistics, shard_of
from evalharness.report import notebook
from evalharness.run import Outcome, Until, quiet
from evalharness.run import extend as extend_run
from evalharness.run import resume as resume_run
from evalharness.run import run as run_ask
from evalharness.specs.judge import JudgeSpec
from evalharness.specs.sampling import fault
from evalharness.specs.task import TaskSpec
from evalharness.stats.rank import Ranking
from evalharness.types import Listener, Sampling

Folder = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Ranked(Ranking):
    """A ranking with its table: ``frame`` has a row a rating, and a notebook shows the rows of all prompts.

    ``controlled`` is the document of ``evalharness rank --control``, where a control was asked for.
    """

    controlled: dict[str, Any] | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The ratings, one row each, with the columns of ``evalharness rank --json``."""
        rows = self.controlled["ratings"] if self.controlled else [asdict(rating) for rating in self.ratings]
        return pd.DataFrame(rows)

    @property
    def differences(self) -> pd.DataFrame:
        """The paired differences, one row each, with the columns of ``pairs`` in ``evalharness rank --json``."""
        return pd.DataFrame([asdict(pair) for pair in self.pairs])

    def _repr_html_(self) -> str:
        rows = [asdict(rating) for rating in self.ratings if rating.by == "all"]
        against = f"against {self.baseline}" if self.baseline else "against all others"
        return notebook.table(rows, f"Win rates {against}", self.level)


def run(
    models: str | Sequence[str],
    task: str | Sequence[str],
    *,
    languages: str | Sequence[str] = (),
    judge: str | Sequence[str] = (),
    judge_model: str | None = None,
    baseline: str | None = None,
    limit: int | None = None,
    gen: Mapping[str, Any] | None = None,
    gen_seed: int = 0,
    format: Literal["auto", "chat", "raw"] | None = None,  # noqa: A002 (the name of the option)
    name: str | None = None,
    specs: Folder | Sequence[Folder] = (),
    results: Folder = "results",
    average: Literal["macro", "micro"] = "macro",
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
    pairs: Literal["complete", "any"] = "complete",
    on_candidate_failure: Literal["loss", "drop"] = "loss",
    min_coverage: float = 0.0,
    max_cost: float | None = None,
    shard: str | None = None,
    choices: Literal["auto", "likelihood", "generate"] = "auto",
    allow_code_execution: bool = False,
    executor: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    until: Until = "report",
    listen: Listener = quiet,
) -> Outcome:
    """Do what ``evalharness run`` does with the same options, and return what it came to.

    Lists may also be text with commas. ``gen`` holds sampling values (``{"temperature": 0.7}``). ``until`` ends after
    ``generate`` or ``judge``; ``listen`` is called with every ``types.Event``. Flags of ``evalharness.yaml`` (``run:``)
    and the environment are not read, its ``models:`` are. Raises the errors of ``evalharness.errors``.
    """
    statistics = Statistics(
        average=average, level=level, rounds=rounds, seed=seed, pairs=pairs, candidate_failure=on_candidate_failure,
        min_coverage=min_coverage,
    )  # fmt: skip
    ask = Ask(
        models=_names(models), tasks=_tasks(task), languages=_names(languages), judges=_names(judge),
        judge_model=judge_model, baseline=baseline, limit=limit, gen=_sampling(gen or {}), gen_seed=gen_seed, format=format,
        name=name,
        specs=(str(specs),) if isinstance(specs, (str, PathLike)) else tuple(map(str, specs)), statistics=statistics,
        shard=None if shard is None else shard_of(shard), choices=choices, allow_code_execution=allow_code_execution,
    )  # fmt: skip
    _check(ask)
    place = executor_of(executor, ray_address)
    return run_ask(ask, ask.folder(Path(results)), until=until, listen=listen, max_cost=max_cost, executor=place)


def resume(
    name: str,
    *,
    results: Folder = "results",
    max_cost: float | None = None,
    executor: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    until: Until = "report",
    listen: Listener = quiet,
) -> Outcome:
    """Go on with the stored run ``name`` in the folder ``results``: ask what is missing or failed for a passing fault."""
    place = executor_of(executor, ray_address)
    return resume_run(name, Path(results), until=until, listen=listen, max_cost=max_cost, executor=place)


def extend(
    name: str,
    *,
    models: str | Sequence[str] = (),
    judge: str | Sequence[str] = (),
    results: Folder = "results",
    max_cost: float | None = None,
    executor: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    listen: Listener = quiet,
) -> Outcome:
    """Add models and judges (``JUDGE`` or ``JUDGE=MODEL``) to the stored run ``name``; only what is new is asked."""
    return extend_run(
        name, Path(results), models=_names(models), judges=_names(judge), listen=listen, max_cost=max_cost,
        executor=executor_of(executor, ray_address),
    )  # fmt: skip


def rank(
    battles: pd.DataFrame | Folder,
    *,
    baseline: str | None = None,
    by: str | Iterable[str] = (),
    method: Literal["winrate", "bradley-terry"] = "winrate",
    average: Literal["macro", "micro"] = "macro",
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
    pairs: Literal["complete", "any"] = "complete",
    pool: str | Iterable[str] = (),
    sign_flips: int = 0,
    control: Literal["length", "style"] | None = None,
) -> Ranked:
    """Return the ranking of a frame of battles, or of a battle file: what ``evalharness rank`` prints.

    Raises DataError for battles that are malformed, or that mix judges, tasks or versions unasked.
    """
    options: dict[str, Any] = {
        "baseline": baseline, "by": _names(by), "method": method, "average": average, "level": level,
        "rounds": rounds, "seed": seed, "pairs": pairs, "pool": _names(pool), "sign_flips": sign_flips,
    }  # fmt: skip
    if isinstance(battles, pd.DataFrame):
        frame, found, source = validated(battles), rank_frame(battles, **options), "battles"
    else:
        (frame, found), source = read_and_rank(Path(battles), **options), str(battles)
    document = None if control is None else controlled_document(frame, found, control, source)
    return Ranked(**{f.name: getattr(found, f.name) for f in fields(Ranking)}, controlled=document)


def load_task(name: str, *, specs: Sequence[Folder] = ()) -> TaskSpec:
    """Return the task called ``name`` (``mgsm``, or ``mgsm.sw`` for an added language)."""
    return Catalog([str(folder) for folder in specs]).task(name)


def load_judge(name: str, *, specs: Sequence[Folder] = ()) -> JudgeSpec:
    """Return the judge called ``name``."""
    return Catalog([str(folder) for folder in specs]).judge(name)


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip())


def _tasks(value: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(split_names(value)) if isinstance(value, str) else tuple(value)


def _sampling(gen: Mapping[str, Any]) -> dict[str, Any]:
    known = [f.name for f in fields(Sampling) if f.name != "seed"]
    if unknown := next((key for key in gen if key not in known), None):
        raise UsageError(f"gen: unknown key '{unknown}'; {suggestion(unknown, known)}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in gen.items()}
    if (found := fault(Sampling(**values))) is not None:
        raise UsageError(f"gen: {found[0]}: {found[1]}")
    return values


def _check(ask: Ask) -> None:
    if ask.limit is not None and ask.limit < 1:
        raise UsageError(f"limit={ask.limit}: must be 1 or above, or None for all prompts")
    if not 0.0 < ask.statistics.level < 1.0:
        raise UsageError(f"level={ask.statistics.level}: must lie between 0 and 1, as 0.95 does")
    if ask.statistics.rounds < 1:
        raise UsageError(f"rounds={ask.statistics.rounds}: must be 1 or above")
