"""``evalharness schema KIND``: the JSON Schema of a YAML file, printed or written."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evalharness.cli import complete
from evalharness.errors import NotInCatalog
from evalharness.files import write_text


@click.command("schema")
@click.argument(
    "kind",
    metavar="task|judge|suite|config",
    required=False,
    shell_complete=complete.one_of("task", "judge", "suite", "config"),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write KIND.json there (without KIND all of them).",
)
def schema_command(kind: str | None, out: Path | None) -> int:
    """Print the JSON Schema of a task, a judge, a suite or evalharness.yaml.

    An editor checks and completes a file whose first line is `# yaml-language-server: $schema=PATH/task.json`.

    \b
    Examples:
      evalharness schema task
      evalharness schema --out schemas
    """
    from evalharness.specs.schema import SHAPES, schema

    chosen = [name for name in SHAPES if kind in (None, name)]
    if not chosen:
        raise NotInCatalog("schema", str(kind), SHAPES)
    if kind is None and out is None:
        raise click.UsageError(
            "name one of task, judge, suite, config, or give --out DIR for all", click.get_current_context()
        )
    for name in chosen:
        text = json.dumps(schema(name), indent=2, ensure_ascii=False)
        if out is None:
            click.echo(text)
            continue
        write_text(out / f"{name}.json", text + "\n")
        click.echo(str(out / f"{name}.json"))
    return 0
