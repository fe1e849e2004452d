"""``evalharness plan``: how many prompts an interval of a given width takes, and what difference a design can see."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from evalharness.catalog import split_names
from evalharness.cli import options
from evalharness.cli.verb import Verb
from evalharness.errors import UsageError


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise UsageError(f"--{parameter.name} {value}: write whole numbers above 0, as in 100,500")
    return found


def _languages(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Read numbers of languages, or the names of some, as a folder's configuration gives them, as their number."""
    names = split_names(value)
    return _numbers(ctx, parameter, value) if any(name.isdigit() for name in names) or not names else (len(names),)


@click.command("plan", cls=Verb)
@click.option(
    "--width",
    type=click.FloatRange(0.01, 100),
    default=4.0,
    show_default=True,
    help="Full width of the interval, in points.",
)
@click.option(
    "--detect",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="D",
    help="Also the prompts that see a difference of D points.",
)
@click.option("--pilot", type=click.Path(path_type=Path), metavar="FILE", help="A battle file to take the spread from.")
@click.option(
    "--sigma", type=click.FloatRange(0, 0.5, min_open=True),
    help="Standard deviation of a prompt's mean score, on 0..1.  [default: the pilot's, or 0.45]",
)  # fmt: skip
@click.option(
    "--r",
    type=click.FloatRange(0, 1),
    help="Correlation of a prompt's scores in two languages.  [default: the pilot's]",
)
@click.option("--deff", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Design effect.")
@click.option(
    "--prompts",
    callback=_numbers,
    default="100,250,500,1000,2000",
    show_default=True,
    metavar="Q,…",
    help="Numbers of prompts.",
)
@click.option(
    "--languages",
    callback=_languages,
    default="1",
    show_default=True,
    metavar="L,…",
    help="Their numbers, or names of one set.",
)
@click.option("--repeats", callback=_numbers, default="1", show_default=True, metavar="K,…", help="Answers a prompt.")
@click.option(
    "--power", type=click.FloatRange(0.5, 0.999), default=0.8, show_default=True, help="Chance to see the difference."
)
@options.level
@options.as_json
def plan_command(
    width: float, pilot: Path | None, sigma: float | None, r: float | None, deff: float, as_json: bool, **words: Any
) -> int:
    """Print how many prompts an interval of --width points takes, and what every design of a grid could tell.

    \b
    Examples:
      evalharness plan --width 2 --detect 3
      evalharness plan --pilot results/RUN/battles.parquet --languages 1,10,23
      evalharness plan --sigma 0.4 --r 0.3 --prompts 200,500 --languages 23 --json
    """
    from evalharness.cli.running import colored, terminal_width
    from evalharness.flows import planning
    from evalharness.report import plantables, terminal

    spread, noise = (planning.ASSUMED, None) if pilot is None else planning.pilot(pilot)
    spread = replace(spread, deff=deff, **{n: v for n, v in (("sigma", sigma), ("r", r)) if v is not None})
    if not spread.sigma > 0:
        raise UsageError(f"{pilot}: every prompt has the same mean score: the pilot tells no spread; give --sigma")
    grid = {name: words.pop(name) for name in ("prompts", "languages", "repeats")}
    found = planning.plan(width=width, spread=spread, grid=grid, noise=noise, **words)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return 0
    click.echo(terminal.rendered(plantables.tables(found), terminal_width(), colored()))
    return 0
