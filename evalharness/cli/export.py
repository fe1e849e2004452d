"""``evalharness export FORMAT``: what a run would ask of an API model, as files for its batch service."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from evalharness.cli import complete
from evalharness.cli.run import ask_of, asking
from evalharness.cli.verb import Verb, print_configuration, required
from evalharness.errors import NotInCatalog, UsageError

FORMATS = ("openai-batch",)


@click.command("export", cls=Verb)
@click.argument("kind", metavar="FORMAT")
@asking
@click.option(
    "--of", "of", metavar="M", shell_complete=complete.models, help="The model to ask: of --models, or one that judges."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("batch.jsonl"), show_default=True, metavar="FILE",
    help="What the files are called: FILE-1, FILE-2 …",
)  # fmt: skip
def export_command(kind: str, of: str | None, out: Path, **words: Any) -> int:
    """Write what a run would still ask of one API model as files of OpenAI's batch format, which `vllm run-batch` reads too.

    FORMAT is openai-batch. The options are those of `run`. Completions come first; once they are there, the same command
    with the model that judges writes its games. `import openai-batch RUN FILE…` takes the answers in.

    \b
    Example:
      evalharness export openai-batch --models a,b --task m-arenahard --of a --out a.jsonl
    """
    from evalharness.flows import batch
    from evalharness.plan import Statistics

    if kind not in FORMATS:
        raise NotInCatalog("format", kind, FORMATS)
    ctx = click.get_current_context()
    if words["print_config"]:
        return print_configuration(ctx, words["as_json"])
    required(ctx, "models", "task", "of")
    if words["dry_run"]:
        raise UsageError("export asks nobody; `evalharness estimate` says what there is to ask")
    ask = ask_of(words, Statistics())
    root = ask.folder(words["results_folder"])
    exported = batch.export(ask, root, of or "", out)
    if words["as_json"]:
        click.echo(json.dumps(asdict(exported), ensure_ascii=False))
        return 0
    for reason, count in exported.unaskable.items():
        click.echo(f"note: {count:,} requests cannot be asked: {reason}", err=True)
    if not exported.requests:
        click.echo(f"nothing is left to ask of {exported.model}")
    for file in exported.files:
        click.echo(f"wrote  {file}")
    click.echo(f"run    {exported.run}: {exported.requests:,} requests ({exported.stage}) for {exported.model}")
    if exported.files:
        click.echo(f"then   evalharness import openai-batch {exported.run} ANSWERS… --results {root}")
    return 0
