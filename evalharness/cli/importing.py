"""``evalharness import FORMAT PATH…``: battles, completions and scores from other evaluations, tasks from other harnesses."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from evalharness.cli import importingtasks, options
from evalharness.cli.verb import Verb
from evalharness.errors import UsageError
from evalharness.text import one_line

_FAILED_ITEMS = 3
_TASK_FORMATS = ("lm-eval", "hf-eval-yaml")


@click.command("import", cls=Verb)
@click.argument("format", metavar="FORMAT")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Battles: .jsonl, .csv (or .gz of them), .parquet. Of task files: the folder they go to (tasks).",
)
@click.option("--completions", metavar="FILE", type=click.Path(path_type=Path), help="Answers, for replay: .jsonl.")
@click.option("--scores", metavar="FILE", type=click.Path(path_type=Path), help="Scores of single answers: .parquet.")
@click.option("--baseline", metavar="M", help="Whom judgments that name no baseline are against.")
@click.option("--language", metavar="TAG", help="The language of the prompts; und (unknown) where it is not said.")
@click.option(
    "--report", is_flag=True, help="Of task files: say what could be taken over and what not, and write nothing."
)
@click.option("--shots", metavar="N", type=int, help="Of lm-eval: how many worked examples, instead of the files' own.")
@click.option("--dataset", metavar="ORG/NAME", help="Of hf-eval-yaml: the data set that the eval.yaml belongs to.")
@options.results
@options.as_json
def import_command(
    format: str,  # noqa: A002 (the name of the argument)
    paths: tuple[Path, ...],
    out: Path | None,
    completions: Path | None,
    scores: Path | None,
    baseline: str | None,
    language: str | None,
    report: bool,
    shots: int | None,
    dataset: str | None,
    results_folder: Path,
    as_json: bool,
) -> int:
    """Read the result files PATH… (or folders of them) and write them as tables of our own.

    FORMAT is arena-hard, alpaca-eval, fastchat, wildbench or deja-vu, or auto to find it by the keys of the records. It
    ends with exit code 3 where rows had to be left out, which are counted by reason; the others are written all the same.

    `import lm-eval PATH…` writes lm-evaluation-harness's task YAML as tasks and suites of our own, and `import hf-eval-yaml
    FILE` that of a hub data set. No code of theirs is run: what needs it is refused, with the reason.

    `import openai-batch RUN FILE…` instead puts the answers in a batch service's output files into the journal of RUN.

    \b
    Examples:
      evalharness import openai-batch RUN output.jsonl
      evalharness import auto data/arena-hard-v2.0/model_judgment --out battles.parquet --language en
      evalharness import alpaca-eval annotations.json --out battles.jsonl --completions answers.jsonl
      evalharness import lm-eval lm_eval/tasks/arc --report
      evalharness rank battles.parquet --baseline o3-mini-2025-01-31
    """
    if format in _TASK_FORMATS:
        if completions or scores or _typed(baseline):
            raise UsageError(f"{format} reads tasks; leave --completions, --scores, --baseline out")
        return importingtasks.take(format, paths, out, language, shots, dataset, report=report, as_json=as_json)
    if report or dataset or shots is not None:
        raise UsageError("--report, --shots and --dataset are for task files: lm-eval and hf-eval-yaml")
    if format == "openai-batch":
        if out or completions or scores:
            raise UsageError(
                "openai-batch puts answers into the journal of a run; leave --out, --completions, --scores out"
            )
        return _take_batch(str(paths[0]), paths[1:], results_folder, as_json)
    from evalharness.flows import importing

    told = {"language": language} if language else {}
    imported = importing.import_files(format, paths, baseline=_typed(baseline), **told)
    written = importing.write(imported, out=out, completions=completions, scores=scores)
    document = importing.document(imported, written)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        _show(document)
    return _FAILED_ITEMS if document["left_out"] else 0


def _take_batch(run: str, paths: tuple[Path, ...], root: Path, as_json: bool) -> int:
    """Take in the answers of a batch; exit 3 where a line was none."""
    from evalharness.flows import batch
    from evalharness.run import unchanged

    if not paths:
        raise UsageError("name the run and its output files: evalharness import openai-batch RUN FILE…")
    taken = batch.take(unchanged(run, root), root, paths)
    if as_json:
        click.echo(json.dumps(asdict(taken), ensure_ascii=False))
    else:
        for place in taken.left_out:
            click.echo(f"left out: {place}: not a line of a batch's output", err=True)
        for words, count in taken.failed.items():
            click.echo(f"failed: {count:,} × {one_line(words, 200)}", err=True)
        click.echo(
            f"{run}: {taken.lines:,} lines, {taken.stored:,} answers stored, {taken.known:,} answered before, "
            f"{sum(taken.failed.values()):,} failed, {taken.unknown:,} of no request of this run"
        )
    return 0 if taken.complete else _FAILED_ITEMS


def _typed(baseline: str | None) -> str | None:
    """Return ``--baseline`` where it stands on the command line: that of the user's runs is not that of a peer's files."""
    source = click.get_current_context().get_parameter_source("baseline")
    return baseline if source is ParameterSource.COMMANDLINE else None


def _show(document: dict[str, Any]) -> None:
    for note in document["notes"]:
        click.echo(f"note: {one_line(note, 400)}", err=True)
    for entry in document["left_out"]:
        click.echo(
            f"left out: {entry['count']} × {one_line(entry['reason'], 200)} (first: {one_line(entry['first'], 200)})",
            err=True,
        )
    kinds = ", ".join(f"{count} × {kind}" for kind, count in document["records"].items())
    click.echo(f"{document['format']}: {len(document['files'])} files, {kinds}")
    if document["battles"]:
        languages, judges = (", ".join(one_line(name, 40) for name in document[key]) for key in ("languages", "judges"))
        click.echo(
            f"battles      {document['battles']}, {document['verdicts']} with a verdict, {document['prompts']} prompts "
            f"in {languages}, {len(document['models'])} models, judged by {judges}"
        )
    for table in ("completions", "scores"):
        if document[table]:
            click.echo(f"{table:<12} {document[table]}")
    for row in document["peer_scores"]:
        if row.get("language", "all") == "all":
            click.echo(f"the peer's   {_line(row)}")
    for table, path in document["wrote"].items():
        click.echo(f"wrote        {path} ({table})")
    if not document["wrote"]:
        click.echo("nothing written: name files with --out, --completions or --scores")


def _line(row: dict[str, Any]) -> str:
    shown = {
        key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items() if value is not None
    }
    return one_line(", ".join(f"{key} {value}" for key, value in shown.items()), 400)
