"""``evalharness merge FOLDER…``: the journals of shards become one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from evalharness.cli import options
from evalharness.cli.verb import Verb

_FAILED_ITEMS = 3


@click.command("merge", cls=Verb)
@click.argument("folders", metavar="FOLDER…", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", metavar="DIR", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="The results folder to put them together in.",
)  # fmt: skip
@options.as_json
def merge_command(folders: tuple[Path, ...], out: Path, as_json: bool) -> int:
    """Put the answers of the shards in FOLDER… together in the journal of --out, and say which shards are missing.

    The command that it prints then finds every answer there and only computes. Exit code 3 where a shard is missing or
    not finished, or answers differ; merging again adds what came since.

    \b
    Example:
      evalharness merge results/shard-*-of-8 --out results
    """
    from evalharness.flows.merge import merge_folders

    union = merge_folders(folders, out)
    if as_json:
        click.echo(json.dumps(asdict(union), ensure_ascii=False))
        return 0 if union.complete else _FAILED_ITEMS
    merged = union.merged
    for whole in union.runs:
        for what, parts in (("missing", whole.missing), ("not finished", whole.unfinished)):
            if parts:
                click.echo(f"{whole.run}: {what} of {whole.shards} shards: {', '.join(map(str, parts))}", err=True)
    if merged.conflicts:
        click.echo(f"{merged.conflicts:,} answers differ from one that was there; the first one stays", err=True)
    click.echo(f"{out}: {merged.answers:,} answers, {merged.new:,} new")
    for whole in union.runs:
        click.echo(f"then  {whole.command}")
    return 0 if union.complete else _FAILED_ITEMS
