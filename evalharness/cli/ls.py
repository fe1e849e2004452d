"""``evalharness ls KIND``: what there is, as aligned lines or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from evalharness import languages
from evalharness.catalog import Catalog
from evalharness.cli import complete, options
from evalharness.cli.verb import Verb
from evalharness.errors import NotInCatalog, UsageError
from evalharness.text import one_line

Row = dict[str, Any]


def _tasks(catalog: Catalog, root: Path) -> list[Row]:
    rows = []
    for name in catalog.task_names():
        task = catalog.task(name)
        codes = [*(task.codes or ["(as its data set)"]), *(f"+{code}" for code in catalog.added_languages(name))]
        rows.append(
            {
                "task": name,
                "version": task.version,
                "output": task.output,
                "category": task.suite_category,
                "languages": codes,
                "scored_by": [metric.name for metric in task.metrics] or [f"judge {task.judge}"],
                "description": task.description,
            }
        )
    return rows


def _suites(catalog: Catalog, root: Path) -> list[Row]:
    specs = [catalog.suite(name) for name in catalog.suite_names()]
    return [
        {
            "suite": s.suite,
            "version": s.version,
            "tasks": len({name for category in s.categories.values() for name in category.names}),
            "categories": list(s.categories),
            "description": s.description,
        }
        for s in specs
    ]


def _judges(catalog: Catalog, root: Path) -> list[Row]:
    specs = [catalog.judge(name) for name in catalog.judge_names()]
    return [
        {
            "judge": s.judge,
            "compare": s.compare,
            "kind": s.verdict.kind,
            "orders": s.orders if s.compare == "pair" else None,
            "model": s.model,
            "description": s.description,
        }
        for s in specs
    ]


def _models(catalog: Catalog, root: Path) -> list[Row]:
    specs = sorted(catalog.models.values(), key=lambda spec: spec.name)
    return [
        {
            "model": s.name,
            "backend": s.backend,
            "size_b": s.size_b,
            "family": s.family,
            "license": s.license,
            "path": s.path,
        }
        for s in specs
    ]


def _languages(catalog: Catalog, root: Path) -> list[Row]:
    tasks: dict[str, list[str]] = {}
    for name in catalog.task_names():
        for code in (*catalog.task(name).codes, *catalog.added_languages(name)):
            tasks.setdefault(code, []).append(name)
    return [
        {"language": code, "name": languages.name(code), "own_name": languages.own_name(code), "script": languages.script(code),
         "direction": languages.direction(code), "tasks": len(tasks[code])} for code in sorted(tasks)
    ]  # fmt: skip


def _runs(catalog: Catalog, root: Path) -> list[Row]:
    from evalharness.store import Journal, Runs

    with Journal.reading(root) as journal:
        runs = [Runs(journal).get(name) for name in Runs(journal).names()]
    return [
        {"run": r.name, "created": r.created, "finished": r.finished, "models": [m["name"] for m in r.plan["models"]]}
        for r in runs
    ]


def _backends(catalog: Catalog, root: Path) -> list[Row]:
    from evalharness.backends import BACKENDS

    rows = []
    for name in BACKENDS:
        lead = (import_module(f"evalharness.backends.{name}").__doc__ or "").partition(".")[0]
        named = [spec.name for spec in catalog.models.values() if spec.backend == name]
        loads = BACKENDS[name].loads
        rows.append(
            {"backend": name, "loads_weights": loads, "models": sorted(named), "description": " ".join(lead.split())}
        )
    return rows


def _metrics(catalog: Catalog, root: Path) -> list[Row]:
    from evalharness.scoring import EXTRAS, METRICS

    rows = []
    for name in METRICS:
        extra = EXTRAS.get(name)
        try:
            metric = METRICS[name]
        except ModuleNotFoundError:
            rows.append({"metric": name, "output": ["text"], "needs": extra, "description": "not installed here"})
            continue
        outputs = sorted(metric.outputs)
        rows.append({"metric": name, "output": outputs, "needs": extra, "description": metric.description})
    return rows


KINDS: dict[str, Callable[[Catalog, Path], list[Row]]] = {
    "tasks": _tasks, "judges": _judges, "models": _models, "languages": _languages, "runs": _runs,
    "backends": _backends, "suites": _suites, "metrics": _metrics,
}  # fmt: skip


@click.command("ls", cls=Verb)
@click.argument("kind", metavar="|".join(KINDS), required=False, shell_complete=complete.one_of(*KINDS))
@click.option("--markdown", is_flag=True, help="Of tasks: a page about them, suites first.")
@options.specs
@options.results
@options.as_json
def ls_command(kind: str | None, markdown: bool, specs: tuple[str, ...], results_folder: Path, as_json: bool) -> int:
    """List what there is to name in other commands; without a kind, the kinds."""
    if kind is None:
        click.echo(json.dumps(list(KINDS)) if as_json else "\n".join(KINDS))
        return 0
    if kind not in KINDS:
        raise NotInCatalog("kind", kind, KINDS, "ls")
    catalog = Catalog(specs)
    if markdown:
        if kind != "tasks":
            raise UsageError("--markdown is for tasks: evalharness ls tasks --markdown")
        from evalharness.flows.catalogue import catalogue

        click.echo(catalogue(catalog), nl=False)
        return 0
    rows = KINDS[kind](catalog, results_folder)
    for note in catalog.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(json.dumps(rows, ensure_ascii=False) if as_json else aligned(rows))
    return 0


def aligned(rows: Sequence[Row]) -> str:
    """Return ``rows`` as aligned columns under their names; the last column is cut at 100 characters."""
    if not rows:
        return "none"
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return one_line(" ".join(str(item) for item in value), 70)
    return one_line(str(value), 100)
