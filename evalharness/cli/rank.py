"""``evalharness rank FILE``: win rates, rank ranges and paired differences from a battle file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evalharness.cli import options
from evalharness.cli.verb import Verb


@click.command("rank", cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--baseline", metavar="M", help="Rates against this model only; its rating is zero.")
@click.option(
    "--by",
    callback=options.names,
    metavar="AXIS,…",
    help="Groups beside `all`: language, family, script, resource, category, task, judge, size.",
)
@click.option(
    "--method",
    type=click.Choice(["winrate", "bradley-terry"]),
    default="winrate",
    show_default=True,
    help="What ranks the models.",
)
@options.statistics
@click.option(
    "--pool",
    callback=options.names,
    metavar="AXIS,…",
    help="Pool over judge, task or version instead of refusing to mix them.",
)
@click.option(
    "--control",
    type=click.Choice(["length", "style"]),
    help="Also give the rates that answers of equal length, or equal length and Markdown style, would have.",
)
@click.option(
    "--sign-flips",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Check the p-values of pairs by N random flips of the signs of prompts.",
)
@options.as_json
def rank_command(file: Path, as_json: bool, control: Any, **words: Any) -> int:
    """Print the win rate, rank range and strength of every model in FILE (JSONL, CSV or Parquet), and their differences.

    \b
    Examples:
      evalharness rank battles.parquet --by language --json
      evalharness rank battles.parquet --baseline aya-expanse-8b --control length
    """
    from evalharness.cli.running import colored, terminal_width
    from evalharness.flows.controls import controlled_document
    from evalharness.flows.rank import document, read_and_rank
    from evalharness.report import controltables, terminal

    frame, ranking = read_and_rank(file, **words)
    found = controlled_document(frame, ranking, control, str(file)) if control else document(ranking)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return 0
    for note in (*ranking.notes, *found.get("control", {}).get("warnings", ())):
        click.echo(f"note: {note}", err=True)
    width, color = terminal_width(), colored()
    click.echo(terminal.ranking(found, width=width, color=color))
    if control:
        click.echo("\n" + terminal.rendered(controltables.tables(found), width, color))
    return 0
