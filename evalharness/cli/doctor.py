"""``evalharness doctor``: what would stop a run on this machine, before it starts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from evalharness.catalog import split_names
from evalharness.cli import complete, options
from evalharness.cli.verb import Verb
from evalharness.text import terminal_safe

_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "unknown": "–   "}


@click.command("doctor", cls=Verb)
@click.option(
    "--models",
    "-m",
    callback=options.names,
    metavar="a,b",
    shell_complete=complete.models,
    help="Also look for these models: weights, keys, endpoints.",
)
@click.option("--task", "-t", metavar="T", shell_complete=complete.tasks, help="Also look for the data of these tasks.")
@click.option(
    "--judge-model", metavar="M", shell_complete=complete.models, help="Also look for the model that judges the tasks."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The run is of only N prompts.")
@click.option("--ask/--no-ask", default=True, help="Ask each endpoint twice for one token, or ask nobody.")
@options.specs
@options.results
@options.as_json
def doctor_command(**words: Any) -> int:
    """Look at what a run rests on: packages, graphics cards, disk, locks, data sets, models, endpoints and keys.

    With --models and --task the space that their answers take is compared with what is free.

    A line each, with the mend where something is wrong. No key is printed, no weights are loaded (those of --models that
    are not there are fetched, as a run would). Exit code 0 if nothing fails, 6 if an endpoint does, else 2.

    \b
    Examples:
      evalharness doctor
      evalharness doctor --models gemma-3-270m --task m-arenahard-mini
    """
    from evalharness.flows.doctor import doctor, exit_code
    from evalharness.plan import Ask

    wanted = Ask(
        models=words["models"], tasks=tuple(split_names(words["task"] or "")), judge_model=words["judge_model"],
        limit=words["limit"], specs=words["specs"],
    )  # fmt: skip
    checks = []
    for check in doctor(wanted, words["results_folder"], ask=words["ask"]):
        checks.append(check)
        if not words["as_json"]:
            mend = f"; {check.mend}" if check.mend else ""
            click.echo(terminal_safe(f"{_SIGNS[check.state]}  {check.area}: {check.name}: {check.found}{mend}"))
    if words["as_json"]:
        click.echo(json.dumps([asdict(check) for check in checks], ensure_ascii=False))
    return exit_code(checks)
