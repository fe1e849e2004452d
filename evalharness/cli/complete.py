"""The beginning of a name in, the names it may become out, for the shell's completion: from file names, nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from evalharness.catalog import Catalog
from evalharness.errors import EvalHarnessError

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _from(names: Callable[[Catalog, click.Context], Iterable[str]]) -> Completer:
    """Return a completer of one name, or of the last one of ``a,b``."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        try:
            found = sorted(set(names(Catalog(ctx.params.get("specs") or ()), ctx)))
        except EvalHarnessError:  # a file that is broken now; the command itself will say so
            return []
        taken = set(before.split(",")) if comma else set()
        return [CompletionItem(f"{before}{comma}{n}") for n in found if n.startswith(last) and n not in taken]

    return complete


def _runs(catalog: Catalog, ctx: click.Context) -> list[str]:
    from evalharness.store import Journal, Runs

    with Journal.reading(Path(ctx.params.get("results_folder") or "results")) as journal:
        return Runs(journal).names()


def _everything(catalog: Catalog, ctx: click.Context) -> list[str]:
    try:
        found = _runs(catalog, ctx)
    except EvalHarnessError:  # no runs yet
        found = []
    return [*catalog.task_files, *catalog.suite_files, *catalog.judge_files, *catalog.models, *found]


def _languages(catalog: Catalog, ctx: click.Context) -> list[str]:
    names = str(ctx.params.get("task") or "").split(",")
    known = [name for name in names if name in catalog.task_files] or catalog.task_names()
    return [code for name in known for code in (*catalog.task(name).codes, *catalog.added_languages(name))]


tasks = _from(lambda catalog, ctx: [*catalog.task_names(), *catalog.suite_names()])
judges = _from(lambda catalog, ctx: catalog.judge_names())
models = _from(lambda catalog, ctx: catalog.models)
languages = _from(_languages)
runs = _from(_runs)
everything = _from(_everything)


def one_of(*words: str) -> Completer:
    """Return a completer of ``words``."""
    return lambda ctx, parameter, incomplete: [CompletionItem(w) for w in words if w.startswith(incomplete)]
