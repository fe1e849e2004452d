"""``evalharness run``, ``estimate`` and ``generate``: the main job from the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalharness.catalog import split_names
from evalharness.cli import complete, options
from evalharness.cli.verb import Verb, print_configuration, required

if TYPE_CHECKING:
    from evalharness.plan import Ask, Statistics
    from evalharness.run import Outcome, Until
    from evalharness.stages.stream import Stop
    from evalharness.types import Listener

_OPTIONS = (
    click.option(
        "--models", "-m", callback=options.names, metavar="a,b", shell_complete=complete.models,
        help="Models: names of evalharness.yaml, backend:path, or replay:GLOB. [required]",
    ),
    click.option(
        "--task", "-t", metavar="T", shell_complete=complete.tasks,
        help="Tasks: m-arenahard, 'm-arenahard[de,fr]', 'm-arenahard[*]', or suites; several with commas. [required]",
    ),
    click.option(
        "--languages", callback=options.names, metavar="de,fr", shell_complete=complete.languages,
        help="Only these languages of the tasks.",
    ),
    click.option(
        "--judge", "judges", callback=options.names, metavar="J,K", shell_complete=complete.judges,
        help="Judges instead of the tasks' own, as JUDGE or JUDGE=MODEL; each has its own tables.",
    ),
    click.option(
        "--judge-model", metavar="M", shell_complete=complete.models,
        help="The model that judges, instead of the judge's own.",
    ),
    click.option(
        "--baseline", metavar="B", shell_complete=complete.models,
        help="Each model meets only this one, instead of every other; `task` takes the one the task names.",
    ),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N prompts, the same in every language."),
    click.option(
        "--gen", multiple=True, callback=options.sampling, metavar="KEY=VALUE",
        help="Sampling that wins over model and task; shown as a deviation.",
    ),
    click.option(
        "--format", type=click.Choice(["auto", "chat", "raw"]), show_default="the task's",
        help="How models are asked: through their chat template, or in raw text; shown as a deviation.",
    ),
    click.option(
        "--choices", type=click.Choice(["auto", "likelihood", "generate"]), default="auto", show_default=True,
        help="How choice tasks are asked: how likely each choice is, or for a letter in text; never in one column.",
    ),
    click.option(
        "--allow-code-execution", is_flag=True,
        help="Run the programs that models write for code tasks, in a sandbox; recorded and shown.",
    ),
    click.option("--gen-seed", type=int, default=0, show_default=True, metavar="S", help="Base seed of sampled answers."),
    click.option("--name", metavar="NAME", help="The run's name, instead of task and plan hash."),
    click.option(
        "--shard", callback=options.shard, metavar="I/N",
        help="Only part I of N of the prompts, in a results folder of its own; `merge` puts the parts together.",
    ),
    options.specs,
    options.results,
    options.max_cost,
    options.dry_run,
    options.print_config,
    options.as_json,
)  # fmt: skip


def asking(command: Any) -> Any:
    """Give ``command`` the options that say what a run asks."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ask_of(words: dict[str, Any], statistics: Statistics) -> Ask:
    """Return the Ask that the options ``words`` make."""
    from evalharness.plan import Ask

    return Ask(
        models=words["models"], tasks=tuple(split_names(words["task"])), languages=words["languages"], judges=words["judges"],
        judge_model=words["judge_model"], baseline=words["baseline"], limit=words["limit"], gen=words["gen"],
        gen_seed=words["gen_seed"], format=words["format"], name=words["name"], specs=words["specs"], statistics=statistics,
        shard=words["shard"], choices=words["choices"], allow_code_execution=words["allow_code_execution"],
    )  # fmt: skip


def _play(words: dict[str, Any], statistics: Statistics, until: Until) -> int:
    ctx = click.get_current_context()
    if words["print_config"]:
        return print_configuration(ctx, words["as_json"])
    required(ctx, "models", "task")
    ask = ask_of(words, statistics)
    root: Path = ask.folder(words["results_folder"])
    if words["dry_run"]:
        return _foresee(ask, root, until, words["as_json"])
    from evalharness.cli.running import play
    from evalharness.run import run

    executor = options.executor_of(words["executor"], words["ray_address"])

    def do(listen: Listener, stop: Stop) -> Outcome:
        return run(ask, root, until=until, listen=listen, stop=stop, max_cost=words["max_cost"], executor=executor)

    return play(do, root, words["as_json"])


def _foresee(ask: Ask, root: Path, until: Until, as_json: bool) -> int:
    from evalharness.flows.dry_run import dry_run
    from evalharness.flows.forecast import lines

    forecast = dry_run(ask, root, judged=until != "generate")
    for note in forecast.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(json.dumps(asdict(forecast), ensure_ascii=False) if as_json else "\n".join(lines(forecast)))
    return 0


@click.command("run", cls=Verb)
@asking
@options.executor
@options.statistics
@click.option(
    "--on-candidate-failure",
    "candidate_failure",
    type=click.Choice(["loss", "drop"]),
    default="loss",
    show_default=True,
    help="What an empty, refused or overlong answer counts as.",
)
@click.option(
    "--min-coverage", type=click.FloatRange(0, 1), default=0.0, help="Exit 4 below this share of games with a verdict."
)
def run_command(**words: Any) -> int:
    """Generate completions, judge them in pairs or one by one, and write tables and page.

    What is answered already is never asked again: the same command goes on where an interrupted run stopped.

    \b
    Examples:
      evalharness run --models gemma-3-270m,gemma-3-270m-sampled --task m-arenahard-mini --limit 4
      evalharness run --models a,b --task 'm-arenahard[de,ko]' --judge arena-hard --judge-model hf:DIR
      evalharness run --models a --task m-arenahard-mini --judge rubric --judge-model hf:DIR
    """
    from evalharness.plan import Statistics

    return _play(words, Statistics(**{f.name: words[f.name] for f in fields(Statistics)}), "report")


@click.command("estimate", cls=Verb)
@asking
def estimate_command(**words: Any) -> int:
    """Say what a run would come to: requests, games, loads, tokens, money, time of engines, bytes. Asks no model.

    Tokens read are counted by the model's own tokenizer where that is on this machine (of many prompts, of a sample), else
    by bytes, without what chat templates add; tokens written are the limits. Prices are the entries' or, with the extra
    `prices`, of the library genai-prices; times are measured in earlier runs. What is unknown is said to be. Second
    attempts and what is asked again after a fault come on top.

    \b
    Example:
      evalharness estimate --models gemma-3-270m,gemma-3-270m-sampled --task m-arenahard-mini
    """
    from evalharness.plan import Statistics

    return _play({**words, "dry_run": True}, Statistics(), "report")


@click.command("generate", cls=Verb)
@asking
@options.executor
def generate_command(**words: Any) -> int:
    """Only generate the completions; `judge RUN` and `report RUN` go on."""
    from evalharness.plan import Statistics

    return _play(words, Statistics(), "generate")
