"""``evalharness judge``, ``add``, ``report``, ``score`` and ``resume``: go on with a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalharness.cli import complete, options
from evalharness.cli.verb import Verb

if TYPE_CHECKING:
    from evalharness.backends.kind import Executor
    from evalharness.run import Outcome, Until
    from evalharness.stages.stream import Stop
    from evalharness.types import Listener


def _go_on(name: str, root: Path, as_json: bool, until: Until, max_cost: float | None, executor: Executor) -> int:
    from evalharness.cli.running import play
    from evalharness.run import resume

    def do(listen: Listener, stop: Stop) -> Outcome:
        return resume(name, root, until=until, listen=listen, stop=stop, max_cost=max_cost, executor=executor)

    return play(do, root, as_json)


@click.command("judge", cls=Verb)
@click.argument("run", shell_complete=complete.runs)
@click.option(
    "--judge", "judges", callback=options.names, metavar="J,K", shell_complete=complete.judges,
    help="More judges, as JUDGE or JUDGE=MODEL.",
)  # fmt: skip
@click.option("--judge-model", metavar="M", shell_complete=complete.models, help="The model of those judges.")
@options.results
@options.max_cost
@options.executor
@options.as_json
def judge_command(
    run: str,
    judges: tuple[str, ...],
    judge_model: str | None,
    results_folder: Path,
    max_cost: float | None,
    executor: str,
    ray_address: str | None,
    as_json: bool,
) -> int:
    """Judge the games of RUN that have no verdict yet (and generate what is missing for them).

    With --judge, judges besides those of RUN play all its games, in tables of their own; no answer is generated again.

    \b
    Examples:
      evalharness judge RUN
      evalharness judge RUN --judge aya,rubric --judge-model openai:gpt-4o-2024-08-06
    """
    place = options.executor_of(executor, ray_address)
    if not judges:
        if judge_model:
            raise click.UsageError("--judge-model needs --judge: name the judge it is for")
        return _go_on(run, results_folder, as_json, "judge", max_cost, place)
    named = tuple(name if "=" in name or not judge_model else f"{name}={judge_model}" for name in judges)
    return _extend(run, results_folder, as_json, max_cost, place, judges=named)


@click.command("add", cls=Verb)
@click.argument("run", shell_complete=complete.runs)
@click.option(
    "--models", "-m", callback=options.names, required=True, metavar="a,b", shell_complete=complete.models,
    help="Models: names of evalharness.yaml, backend:path, or replay:GLOB.",
)  # fmt: skip
@options.results
@options.max_cost
@options.executor
@options.as_json
def add_command(
    run: str,
    models: tuple[str, ...],
    results_folder: Path,
    max_cost: float | None,
    executor: str,
    ray_address: str | None,
    as_json: bool,
) -> int:
    """Add models to RUN: they answer its prompts and meet its models before its judges; nothing else is asked again.

    \b
    Example:
      evalharness add m-arenahard-mini-1a2b3c4d --models hf:org/new-model
    """
    place = options.executor_of(executor, ray_address)
    return _extend(run, results_folder, as_json, max_cost, place, models=models)


def _extend(
    name: str, root: Path, as_json: bool, max_cost: float | None, executor: Executor, **more: tuple[str, ...]
) -> int:
    from evalharness.cli.running import play
    from evalharness.run import extend

    def do(listen: Listener, stop: Stop) -> Outcome:
        return extend(
            name, root, listen=listen, stop=stop, max_cost=max_cost, executor=executor, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    return play(do, root, as_json)


@click.command("resume", cls=Verb)
@click.argument("run", shell_complete=complete.runs)
@options.results
@options.max_cost
@options.executor
@options.as_json
def resume_command(
    run: str,
    results_folder: Path,
    max_cost: float | None,
    executor: str,
    ray_address: str | None,
    as_json: bool,
) -> int:
    """Go on with RUN: ask what is missing or failed for a passing fault, then write tables and page."""
    place = options.executor_of(executor, ray_address)
    return _go_on(run, results_folder, as_json, "report", max_cost, place)


@click.command("report", cls=Verb)
@click.argument("run", shell_complete=complete.runs)
@options.results
@options.as_json
def report_command(run: str, results_folder: Path, as_json: bool) -> int:
    """Write tables and page of RUN from what is stored, at any time; marked partial while something is missing."""
    from evalharness.cli.running import play
    from evalharness.run import report_again

    return play(lambda listen, stop: report_again(run, results_folder, listen), results_folder, as_json)


@click.command("score", cls=Verb)
@click.argument("run", shell_complete=complete.runs)
@click.option(
    "--allow-code-execution", is_flag=True, help="Run programs of code tasks that were not run yet, in a sandbox."
)
@options.results
@options.as_json
def score_command(run: str, allow_code_execution: bool, results_folder: Path, as_json: bool) -> int:
    """Score the stored answers of RUN again, by the metrics, filters and targets that its tasks have now; no model is needed.

    \b
    Example:
      evalharness score mgsm-native-cot-1a2b3c4d
    """
    from evalharness.cli.running import play
    from evalharness.run import score_again

    def do(listen: Listener, stop: Stop) -> Outcome:
        return score_again(run, results_folder, allow_code_execution=allow_code_execution, listen=listen, stop=stop)

    return play(do, results_folder, as_json)
