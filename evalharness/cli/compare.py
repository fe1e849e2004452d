"""``evalharness compare RUN…``: paired differences between runs, judges and checkpoints; with ``--base``, between variants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from evalharness.cli import complete, options
from evalharness.cli.verb import Verb
from evalharness.text import terminal_safe


@click.command("compare", cls=Verb)
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, shell_complete=complete.runs)
@options.results
@click.option("--baseline", metavar="M", help="Rates against this model only, not against all shared opponents.")
@click.option("--by", callback=options.names, metavar="AXIS", help="Rows of each group beside `all`: language.")
@click.option(
    "--average", type=click.Choice(["macro", "micro"]), default="macro", show_default=True,
    help="Over languages: each weighs the same, or each game.",
)  # fmt: skip
@click.option(
    "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True,
    help="Confidence level of the intervals.",
)  # fmt: skip
@click.option(
    "--pairs", type=click.Choice(["complete", "any"]), default="complete", show_default=True,
    help="Whether a match of which one verdict is missing counts.",
)  # fmt: skip
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all rows there, too.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
@click.option(
    "--base", metavar="VARIANT", help="Compare model variants with this one, size by size and category by category."
)
@click.option(
    "--x", type=click.Choice(["step"]), help="With --base: one value a training step, not only that of the latest."
)
@click.option(
    "--format", "--table-format", "table_format", type=click.Choice(["text", "csv", "md", "latex"]),
    help="With --base: how the tables are printed; text without it.",
)  # fmt: skip
@options.rounds
@options.seed
@options.as_json
def compare_command(
    runs: tuple[str, ...],
    results_folder: Path,
    csv_file: Path | None,
    as_markdown: bool,
    as_json: bool,
    base: str | None,
    x: str | None,
    table_format: str | None,
    rounds: int,
    seed: int,
    **words: Any,
) -> int:
    """Print how win rates differ between stored runs RUN… (or battle files), on the prompts and opponents they share.

    Of several runs, each is compared with the first; of one run, its judges with its first judge. Training steps of a
    family are compared with the step before. Intervals are paired by prompt; never read two separate intervals for overlap.

    With --base, models are compared that have a `variant` and a `size_b` in their entries: scores and win rates by category,
    in points and relative to the variant VARIANT of the same size.

    \b
    Examples:
      evalharness compare m-arenahard-mini-1a2b3c4d m-arenahard-mini-5e6f7a8b --by language
      evalharness compare before.parquet after.parquet --baseline gpt-4-0314 --csv differences.csv
      evalharness compare text-470m code-470m --base text-only --format latex
    """
    if as_json and (as_markdown or table_format):
        raise click.UsageError("--json prints one document and nothing else; leave --markdown and --format out")
    if base is not None:
        how = (words.pop("level"), rounds, seed)
        return _variants(
            runs, results_folder, csv_file, "md" if as_markdown else table_format, as_json, base, x, how, words
        )
    for flag, given in (("--x", x), ("--format", table_format)):
        if given is not None:
            raise click.UsageError(f"{flag} {given}: only with --base VARIANT")
    from evalharness.flows import compare
    from evalharness.report import comparison

    document = compare.document(compare.compare(runs, results_folder, **words))
    if csv_file is not None:
        comparison.write_csv(csv_file, document)
    _print(document, as_json, comparison.markdown if as_markdown else comparison.terminal)
    return 0


def _variants(
    runs: tuple[str, ...],
    results_folder: Path,
    csv_file: Path | None,
    table_format: str | None,
    as_json: bool,
    base: str,
    x: str | None,
    how: tuple[float, int, int],
    words: dict[str, Any],
) -> int:
    """Print how the variants in ``runs`` differ from ``base``."""
    from evalharness.flows.variants import compare_variants, document
    from evalharness.report import variants
    from evalharness.stats.intervals import Resampling

    if words.pop("by"):
        raise click.UsageError("--by: not with --base, whose groups are sizes and categories")
    found = document(compare_variants(runs, results_folder, base, x=x, how=Resampling(*how), **words))
    if csv_file is not None:
        variants.write_csv(csv_file, found)
    shown = {"md": variants.markdown, "latex": variants.latex, "csv": variants.csv_text}
    _print(found, as_json, shown.get(table_format or "text", variants.terminal))
    return 0


def _print(document: dict[str, Any], as_json: bool, shown: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
        return
    for note in document["notes"]:
        click.echo(f"note: {terminal_safe(note)}", err=True)
    click.echo(shown(document).rstrip("\r\n"))
