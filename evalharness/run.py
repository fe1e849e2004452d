"""A run from words to page, in order: resolve, load, generate, judge round by round, derive, write. Read this file first.

    Ask --resolve--> Plan --load--> samples --generate--> completions --judge--> games --derive--> tables --write--> page

Every answer is in the journal the moment it comes; the artefacts are derived from the journal and can be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evalharness import battlefile, report
from evalharness.backends import BACKENDS, opened
from evalharness.backends.kind import LOCAL, Executor
from evalharness.errors import BackendError, BudgetReached, CoverageError, Interrupted, UsageError
from evalharness.plan import Ask, Plan, command
from evalharness.report import artefacts, notebook
from evalharness.resolve import resolve, tasks_of
from evalharness.scoring.kind import MISSING
from evalharness.stages.answers import Answers
from evalharness.stages.asking import Desk
from evalharness.stages.begin import begin, now
from evalharness.stages.bench import Table
from evalharness.stages.budget import Budget, budget
from evalharness.stages.derive import (
    Played,
    Stored,
    battle_frame,
    completion_table,
    played,
    sample_documents,
    score_documents,
    stored,
    summary,
)
from evalharness.stages.engines import Engines
from evalharness.stages.generate import generate
from evalharness.stages.judge import judge
from evalharness.stages.load import Loaded, load_samples, load_tasks
from evalharness.stages.measure import measured
from evalharness.stages.programs import execute
from evalharness.stages.rescore import rescored, targets
from evalharness.stages.results import metric_tables
from evalharness.stages.review import review
from evalharness.stages.scores import Reviewed, review_documents, reviewed, score_tables, scored
from evalharness.stages.scores import scores as rubric_scores
from evalharness.stages.stream import Stop
from evalharness.stages.suites import suite_tables
from evalharness.store import Journal, Runs, held
from evalharness.types import Event, Listener

Until = Literal["generate", "judge", "report"]

FAILED_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: its name, its tables (``None`` before the report), the page, and the exit code."""

    name: str
    summary: dict[str, Any] | None
    page: Path | None
    exit_code: int
    notes: tuple[str, ...] = ()

    @property
    def ratings(self) -> pd.DataFrame:
        """The ratings of every judge, one row each, as in ``ratings.csv``; empty before the report."""
        rows = artefacts.rating_rows(self.summary) if self.summary is not None else []
        return pd.DataFrame(rows, columns=artefacts.RATING_COLUMNS)

    def _repr_html_(self) -> str:
        return notebook.outcome(self.name, self.summary)


def quiet(event: Event) -> None:
    """Listen to nothing."""


def run(
    ask: Ask,
    root: Path,
    *,
    until: Until = "report",
    listen: Listener = quiet,
    stop: Stop | None = None,
    max_cost: float | None = None,
    executor: Executor = LOCAL,
) -> Outcome:
    """Do what ``ask`` says, as far as it is not done; ``root`` is the results folder.

    ``max_cost`` is in US dollars: once the answers of this call took as much, nothing more is asked. ``executor`` says
    where engines run. Raises the errors of ``errors``; whatever was answered before is in the journal.
    """
    return _go(resolve(ask), root, until, listen, stop or Stop(), max_cost, executor)


def _go(
    plan: Plan,
    root: Path,
    until: Until,
    listen: Listener,
    stop: Stop,
    max_cost: float | None,
    executor: Executor,
    before: str | None = None,
) -> Outcome:
    """Do ``plan``; ``before`` is the hash of the smaller plan that it extends, under the same name."""
    again = f"evalharness resume {plan.name} --results {root}{_words(executor)}"
    plan = replace(plan, notes=(*plan.notes, *_staying(plan, executor)))
    if (money := _budget(plan, max_cost)) is not None:
        plan = replace(plan, notes=(*plan.notes, *money.notes))
    try:
        return _run(plan, root, until, listen, stop, money, executor, before)
    except BudgetReached as error:
        known = "" if money is None else money.sources
        raise BudgetReached(error.limit, error.spent, f"{again} --max-cost {error.limit:g}", known) from None
    except Interrupted:
        raise Interrupted(stop.signal, again) from None
    except BackendError as error:
        said = str(error)  # of one line, or with the end of a log
        joint = "\n" if "\n" in said else "; "
        raise BackendError(f"{said}{joint}everything answered before is stored; go on with: {again}") from error


def _words(executor: Executor) -> str:
    """Return the options that ask for ``executor``."""
    if executor.name == "local":
        return ""
    return " --executor ray" + (f" --ray-address {executor.address}" if executor.address else "")


def _staying(plan: Plan, executor: Executor) -> list[str]:
    """Return a note on the models of ``plan`` that load here though ``executor`` is a cluster."""
    kinds = {player.name: BACKENDS[player.engine.backend] for player in plan.everyone}
    here = [name for name, kind in kinds.items() if kind.loads and kind.spread is None]
    if executor.name == "local" or not here:
        return []
    return [f"only models of vLLM run on Ray; on this machine: {', '.join(here)}"]


def _budget(plan: Plan, max_cost: float | None) -> Budget | None:
    """Return what may be spent on ``plan``; a UsageError where a paid model has no price."""
    if max_cost is None:
        return None
    return budget(max_cost, [player for player in plan.everyone if BACKENDS[player.engine.backend].paid])


def _run(
    plan: Plan,
    root: Path,
    until: Until,
    listen: Listener,
    stop: Stop,
    money: Budget | None,
    executor: Executor,
    before: str | None,
) -> Outcome:
    with held(root), Journal.writing(root) as journal, Engines(_opener(root, executor)) as engines:
        loaded = load_samples(plan, root)
        runs = Runs(journal)
        begin(runs, plan, loaded, before, programs=until != "generate")
        desk = Desk(journal, engines, listen, stop, money)
        generate(desk, plan, loaded.samples, partial(runs.put_completions, plan.name))
        if until == "generate":
            return Outcome(plan.name, None, None, 0, plan.notes)
        _run_programs(journal, plan, listen, stop)
        _judge_all(desk, runs, plan, loaded)
        engines.close()
        if until == "judge":
            return Outcome(plan.name, None, None, 0, plan.notes)
        runs.finish(plan.name, now())
        if plan.ask.shard is not None:
            return _part(journal, plan)
        return write(journal, root, plan.name, listen, plan.notes)


def resume(
    name: str,
    root: Path,
    *,
    until: Until = "report",
    listen: Listener = quiet,
    stop: Stop | None = None,
    max_cost: float | None = None,
    executor: Executor = LOCAL,
) -> Outcome:
    """Go on with the stored run ``name``: ask again what it asked for."""
    return _go(unchanged(name, root), root, until, listen, stop or Stop(), max_cost, executor)


def extend(
    name: str,
    root: Path,
    *,
    models: Sequence[str] = (),
    judges: Sequence[str] = (),
    until: Until = "report",
    listen: Listener = quiet,
    stop: Stop | None = None,
    max_cost: float | None = None,
    executor: Executor = LOCAL,
) -> Outcome:
    """Go on with the stored run ``name`` with more ``models`` and ``judges`` (``JUDGE`` or ``JUDGE=MODEL``).

    Only what is new is asked: answers and verdicts there are stay as they are. Raises a UsageError where one is in the run.
    """
    plan = unchanged(name, root)
    ask = plan.ask
    more = replace(ask, name=name, models=(*ask.models, *models), more_judges=(*ask.more_judges, *judges))
    return _go(resolve(more), root, until, listen, stop or Stop(), max_cost, executor, before=plan.hash)


def unchanged(name: str, root: Path) -> Plan:
    """Return the plan of the stored run ``name``, looked up anew; a UsageError where it is not the same any more."""
    with Journal.reading(root) as journal:
        row = Runs(journal).get(name)
    ask = Ask.read(row.ask)
    plan = resolve(replace(ask, name=name))
    if plan.hash != row.plan_hash:
        raise UsageError(
            f"run {name} cannot go on: its task, judge or models were changed since it began; "
            f"start anew with: {command(replace(ask, name=None))}"
        )
    return replace(plan, ask=ask)


def score_again(
    name: str, root: Path, *, allow_code_execution: bool = False, listen: Listener = quiet, stop: Stop | None = None
) -> Outcome:
    """Score the stored answers of the run ``name`` by the metrics, filters and targets that its tasks have now.

    No model is looked for and nobody is asked. Programs of code tasks that were not run yet are run if that is allowed.
    Raises a UsageError where the prompts are no longer those asked.
    """
    stop = stop or Stop()
    with held(root), Journal.writing(root) as journal:
        runs = Runs(journal)
        row = runs.get(name)
        ask = Ask.read(row.ask)
        tasks = tasks_of(ask)
        loaded = load_tasks(tasks, ask.limit, root)
        runs.rescore(rescored(row, tasks, now()), targets(list(runs.samples(name)), loaded.samples))
        if any(task.output == "code" for task in tasks) and allow_code_execution:
            execute(journal, stored(journal, name), listen, stop.is_set)
        return write(journal, root, name, listen)


def report_again(name: str, root: Path, listen: Listener = quiet) -> Outcome:
    """Write the artefacts of the stored run ``name`` as far as it got; asks nobody and needs no lock."""
    with Journal.reading(root) as journal:
        return write(journal, root, name, listen)


def _run_programs(journal: Journal, plan: Plan, listen: Listener, stop: Stop) -> None:
    """Run what the models wrote for code tasks, which the user allowed; Interrupted where the user stopped it."""
    if any(task.output == "code" for task in plan.tasks):
        execute(journal, stored(journal, plan.name), listen, stop.is_set)
        if stop.is_set():
            raise Interrupted(stop.signal)


def _opener(root: Path, executor: Executor) -> Callable[..., Any]:
    return lambda engine: opened(engine, root / "logs", executor)


def _judge_all(desk: Desk, runs: Runs, plan: Plan, loaded: Loaded) -> None:
    rows = tuple(runs.samples(plan.name))
    table = Table(loaded.samples, rows, Answers(desk.journal, rows, runs.completions(plan.name), plan.thinking))
    for bench in sorted(
        plan.benches, key=lambda b: not desk.engines.holds(b.player.engine)
    ):  # the one that is open first
        if bench.spec.compare == "single":
            review(desk, plan.players, bench, table, partial(runs.put_reviews, plan.name, bench.name))
        else:
            judge(desk, plan, bench, table, partial(runs.put_games, plan.name, bench.name))


def write(journal: Journal, root: Path, name: str, listen: Listener = quiet, notes: tuple[str, ...] = ()) -> Outcome:
    """Derive the artefacts of the run ``name`` from the journal and write them, each at once, into its folder."""
    run_ = stored(journal, name)
    if Ask.read(run_.run.ask).shard is not None:
        raise UsageError(
            f"run {name} in {root} is a part, of which no rates are given; put the shards together with `evalharness merge`"
        )
    games, reviews, scores = played(journal, run_), reviewed(journal, run_), list(measured(journal, run_))
    frame = battle_frame(run_, games)
    tables = {**summary(run_, games, frame), **score_tables(run_, reviews)}
    tables["results"] = [*metric_tables(run_, scores), *tables["results"]]
    rows = [*scores, *(score for own in rubric_scores(run_, reviews).values() for score in own)]
    tables["suites"] = suite_tables(run_.run.plan.get("suites", ()), tables, rows)
    if not scored(run_, reviews):
        tables["status"] = "partial"
    manifest = _manifest(run_, games, reviews, tables)
    folder = root / name
    listen(Event("report", name, 0, 1))
    battlefile.write(frame, folder / "battles.parquet")
    documents = partial(sample_documents, run_, games, review_documents(reviews), score_documents(scores))
    page = report.write(folder, tables, manifest, documents, map(asdict, rows))
    listen(Event("report", name, 1, 1))
    _check_coverage(tables, run_.run.plan["statistics"]["min_coverage"])
    verdicts = [game.verdict for game in games] + [found.verdict for found in reviews]
    failed = any(row["errors"] for row in tables["completions"]) or any(verdict.score is None for verdict in verdicts)
    failed = failed or any(score.value is None and score.status == MISSING for score in scores)
    return Outcome(name, tables, page, FAILED_ITEMS if failed else 0, notes)


def _part(journal: Journal, plan: Plan) -> Outcome:
    """Return what a shard came to: it has no tables and no page, since rates of a part are none of the whole."""
    run_ = stored(journal, plan.name)
    verdicts = [game.verdict for game in played(journal, run_)] + [own.verdict for own in reviewed(journal, run_)]
    note = f"shard {'{}/{}'.format(*plan.ask.shard or ())} is answered; when all are, `evalharness merge` puts them together"
    failed = any(verdict.score is None for verdict in verdicts) or any(row["errors"] for row in completion_table(run_))
    return Outcome(plan.name, None, None, FAILED_ITEMS if failed else 0, (*plan.notes, note))


def _manifest(run_: Stored, games: list[Played], reviews: list[Reviewed], tables: dict[str, Any]) -> dict[str, Any]:
    """Return what ``manifest.json`` holds: everything needed to say where the numbers come from."""
    row = run_.run
    judged = [game.row.identity for game in games] + [found.row.identity for found in reviews]
    asked = [identity for identity in (*(row.identity for row in run_.completions), *judged) if identity]
    return {
        "schema": 1, "run": row.name, "status": tables["status"], "evalharness": version("evalharness"),
        "command": command(Ask.read(row.ask)), "plan": row.plan, "plan_hash": row.plan_hash,
        "created": row.created, "finished": row.finished, **row.facts, "datasets": row.plan["datasets"],
        "requests": {
            "planned": len(set(asked)), "completions": len(run_.completions), "games": len(games), "reviews": len(reviews),
        },
    }  # fmt: skip


def _check_coverage(tables: dict[str, Any], wanted: float) -> None:
    for judge_name, rows in (*tables["health"].items(), *tables["review_health"].items()):
        covered = rows[0]["coverage"] if rows else None
        if covered is not None and covered < wanted:
            judged = "games" if judge_name in tables["health"] else "answers"
            raise CoverageError(
                f"judge {judge_name}: {covered:.1%} of the {judged} have a verdict, below --min-coverage {wanted:.0%}; no ranking"
            )
