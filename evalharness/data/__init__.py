"""A task's data set in, its rows out, with what was read: from files beside the YAML, a mirror folder, or the HF hub.

``EVALHARNESS_DATA=DIR`` maps ``<hub id>/<config>/<split>.{jsonl,parquet,csv}`` (or ``<hub id>/<data_files>``, where a task names
one file of a data set), for machines without a network. A row may be two: one of a configuration and the one ``beside`` it.
Rows of hub data sets are locked: the first load writes commit and content hash to a lock file, later loads are checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from evalharness.data.hub import cached_file, file_from_hub, from_cache, from_hub, is_cached
from evalharness.data.mirror import mirrored
from evalharness.data.rows import ENDINGS, read_rows
from evalharness.data.source import LOCAL, Beside, Source, Use
from evalharness.errors import DataError
from evalharness.files import write_text
from evalharness.text import canonical
from evalharness.types import Row

_HUB_ID = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?")

__all__ = ["LOCAL", "Beside", "Pin", "Source", "Use", "content_hash", "load", "local_rows", "pin", "read_rows"]


def load(source: Source, lock: Path, *, extend: bool = True) -> tuple[list[Row], Use]:
    """Return the rows of ``source`` (every text cleaned) and what was read; ``lock`` is the lock file to check and extend.

    Without ``extend`` nothing is written.
    """
    if source.path in LOCAL:
        rows = list(read_rows(_inside(source)))
        return rows, Use(
            source.path, source.data_files, source.split, None, content_hash(rows), len(rows), True, "file"
        )
    known = _locked(lock).get(_lock_key(source))
    rows, use = _read(source, known["revision"] if known else None)
    if known is not None:
        return rows, _checked(use, known, source, lock)
    if extend:
        _write_lock(source, use, lock)
    return rows, use


@dataclass(frozen=True, slots=True)
class Pin:
    """A data set as the lock file has it now. ``state`` is file (beside the YAML, needs no lock), new, unchanged or updated.

    ``before`` is the entry that was there (sha256, revision, rows).
    """

    use: Use
    state: Literal["file", "new", "unchanged", "updated"]
    before: Mapping[str, Any] | None = None


def pin(source: Source, lock: Path, *, update: bool = False) -> Pin:
    """Read ``source`` and lock what was read; rows that are not the locked ones are a DataError, or take their place."""
    if source.path in LOCAL:
        return Pin(load(source, lock)[1], "file")
    known = _locked(lock).get(_lock_key(source))
    rows, use = _read(source, None if update or known is None else known["revision"])
    if not rows:
        raise DataError(f"data set {source.shown} has no rows")
    if known is None:
        _write_lock(source, use, lock)
        return Pin(use, "new")
    if not update:
        return Pin(_checked(use, known, source, lock), "unchanged", known)
    if use.sha256 == known["sha256"] and use.revision in (None, known["revision"]):
        return Pin(replace(use, revision=known["revision"]), "unchanged", known)
    _write_lock(source, use, lock)
    return Pin(use, "updated", known)


def local_rows(source: Source) -> Iterator[Row] | None:
    """Return the rows of ``source`` if they lie on this machine: beside the YAML, in the mirror, or in the cache of ``datasets``.

    No lock is looked at: for a look at the rows, not for a run.
    """
    if source.path in LOCAL:
        return read_rows(_inside(source))
    if not _HUB_ID.fullmatch(source.path):
        raise _no_such_path(source)
    if source.beside is not None:
        own, others = (local_rows(one) for one in _both(source, source.beside))
        return None if own is None or others is None else iter(_joined(list(own), list(others), source, source.beside))
    if (mirrored := _mirror(source)) is not None:
        return read_rows(mirrored)
    if source.data_files is not None:
        return None if (file := cached_file(source)) is None else read_rows(file)
    return iter(from_cache(source)) if is_cached(source) else None


def _no_such_path(source: Source) -> DataError:
    return DataError(
        f"dataset.path: '{source.path}' is neither {', '.join(sorted(LOCAL))} nor a hub id such as org/name"
    )


def _read(source: Source, revision: str | None) -> tuple[list[Row], Use]:
    """Return the rows of a data set of the hub, or of its mirror; ``revision`` is the locked one."""
    if not _HUB_ID.fullmatch(source.path):
        raise _no_such_path(source)
    if source.beside is not None:
        own, other = _both(source, source.beside)
        rows, use = _read(own, revision)
        rows = _joined(rows, _read(other, use.revision)[0], source, source.beside)
        both = f"{own.name or 'default'}+{other.name}"
        return rows, replace(use, name=both, sha256=content_hash(rows), rows=len(rows))
    if (mirrored := _mirror(source)) is not None:
        rows, revision, origin = list(read_rows(mirrored)), source.revision, "mirror"
    elif source.data_files is not None:
        file, revision = file_from_hub(source, revision)
        rows, origin = list(read_rows(file)), "hub"
    else:
        rows, revision = from_hub(source, revision)
        origin = "hub"
    pinned = source.revision is not None
    return rows, Use(
        source.path,
        source.data_files or source.name,
        source.split,
        revision,
        content_hash(rows),
        len(rows),
        pinned,
        origin,
    )


def _both(source: Source, beside: Beside) -> tuple[Source, Source]:
    return replace(source, beside=None), replace(source, beside=None, name=beside.name)


def _joined(rows: list[Row], others: list[Row], source: Source, beside: Beside) -> list[Row]:
    """Return ``rows``, each with its row of ``others`` under the key ``beside``; a DataError where one is missing."""
    found = {str(row.get(beside.on)): row for row in others}
    if any(beside.on not in row for row in (*rows, *others)):
        raise DataError(f"dataset.beside: data set {source.shown} has rows without a column '{beside.on}'")
    alone = next((row for row in rows if str(row[beside.on]) not in found), None)
    if alone is not None or len(found) < len(others):
        which = (
            f"no row with {beside.on} {alone[beside.on]}" if alone is not None else f"rows with the same {beside.on}"
        )
        raise DataError(
            f"dataset.beside: data set {source.shown}: {beside.name} has {which}; rows must go together one to one"
        )
    return [{**row, "beside": found[str(row[beside.on])]} for row in rows]


def _write_lock(source: Source, use: Use, lock: Path) -> None:
    entry = {"sha256": use.sha256, "revision": use.revision, "rows": use.rows}
    locked = {**_locked(lock), _lock_key(source): entry}
    write_text(lock, json.dumps({"datasets": locked}, indent=1, sort_keys=True) + "\n")


def content_hash(rows: Iterable[Row]) -> str:
    """Return the SHA-256 over the canonical JSON of the rows, in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical(row))
        digest.update(b"\n")
    return digest.hexdigest()


def _inside(source: Source) -> Path:
    if source.data_files is None:
        raise DataError(f"dataset.path: {source.path} needs data_files, the file beside the YAML")
    folder = source.folder.resolve()
    file = (folder / source.data_files).resolve()
    if not file.is_relative_to(folder):
        raise DataError(
            f"dataset.data_files: '{source.data_files}' lies outside the task's folder {folder}; put the file inside it"
        )
    if not file.is_file():
        raise DataError(
            f"dataset.data_files: no data file '{source.data_files}' in {folder}; data_files is relative to the task's YAML"
        )
    return file


def _mirror(source: Source) -> Path | None:
    if source.data_files is not None:
        file = mirrored(f"{source.path}/{source.data_files}")
        return file if file is not None and file.is_file() else None
    below = "/".join((source.path, *((source.name,) if source.name else ()), source.split))
    if (place := mirrored(below)) is None:
        return None
    return next((file for ending in ENDINGS if (file := place.with_name(place.name + ending)).is_file()), None)


def _lock_key(source: Source) -> str:
    file = [source.data_files] if source.data_files is not None else []
    file += [f"+{source.beside.name}:{source.beside.on}"] if source.beside is not None else []
    return " ".join((source.path, source.name or "-", source.split, source.revision or "-", *file))


def _locked(lock: Path) -> dict[str, Any]:
    if not lock.exists():
        return {}
    try:
        locked = dict(json.loads(lock.read_text(encoding="utf-8"))["datasets"])
        return {key: {part: entry[part] for part in ("sha256", "revision", "rows")} for key, entry in locked.items()}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{lock}: is not a lock file of data sets; move it away and a new one is written") from None


def _checked(use: Use, known: dict[str, Any], source: Source, lock: Path) -> Use:
    if known["sha256"] != use.sha256:
        raise DataError(
            f"data set {source.shown} is not the one locked in {lock}: {use.rows} rows with hash {use.sha256[:12]}, locked were "
            f"{known['rows']} with {known['sha256'][:12]}; name the dataset.revision you mean, "
            "or accept the new rows with `evalharness pin TASK --update`"
        )
    return replace(use, revision=use.revision or known["revision"])
