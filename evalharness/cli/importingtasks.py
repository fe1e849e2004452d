"""``evalharness import lm-eval`` and ``hf-eval-yaml``: task files of other harnesses as tasks and suites of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evalharness.text import one_line

_FAILED_ITEMS = 3
_SHOWN = 20  # refused tasks that are named one by one


def take(
    name: str, paths: tuple[Path, ...], out: Path | None, language: str | None, shots: int | None, dataset: str | None, *,
    report: bool, as_json: bool,
) -> int:  # fmt: skip
    """Read task files, write them (unless for a report), say what came of them; exit 3 where a task was refused."""
    from evalharness.flows import importtasks

    told = {"language": language} if language else {}
    taken = importtasks.read(name, paths, importtasks.Asked(shots=shots, dataset=dataset, **told))
    wrote = [] if report else importtasks.write(name, taken, out or Path("tasks"))
    document = importtasks.document(name, taken, wrote)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
    elif report:
        _report(document)
    else:
        _told(document, out or Path("tasks"))
    return _FAILED_ITEMS if document["refused"] and not report else 0


def _report(document: dict[str, Any]) -> None:
    """Print a line a folder, then the reasons, each with how many tasks it keeps out."""
    for folder in document["folders"]:
        click.echo(
            f"{folder['folder']}: {folder['files']} files, {folder['level_0']} tasks by level 0, {folder['level_1']} by level 1, "
            f"{folder['refused']} refused"
        )
        for reason, count in folder["reasons"].items():
            click.echo(f"  {count} × {one_line(reason, 160)}")
    _sum(document)


def _sum(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['format']}: {document['files']} files, {len(document['tasks'])} tasks ({document['level_0']} by level 0, "
        f"{document['level_1']} by level 1), {len(document['suites'])} suites, {len(document['refused'])} refused"
    )


def _told(document: dict[str, Any], out: Path) -> None:
    for note in document["notes"][:_SHOWN]:
        click.echo(f"note: {one_line(note, 300)}", err=True)
    for refused in document["refused"][:_SHOWN]:
        said = ": ".join(part for part in (refused["key"], refused["reason"]) if part)
        detail = f" ({one_line(refused['detail'], 160)})" if refused["detail"] else ""
        click.echo(f"refused: {refused['task']}: {refused['place']}: {one_line(said, 160)}{detail}", err=True)
    if (more := len(document["refused"]) - _SHOWN) > 0:
        click.echo(f"refused: {more} more; --report counts them by reason, --json names them all", err=True)
    for difference, count in document["differences"].items():
        click.echo(f"different in {count} tasks: {one_line(difference, 200)}")
    _sum(document)
    click.echo(f"wrote {len(document['wrote'])} files to {out}" if document["wrote"] else "nothing written")
