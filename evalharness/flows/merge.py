"""Results folders of shards in, one journal out that answers the whole run, and an account of what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evalharness.errors import UsageError
from evalharness.plan import Ask, command
from evalharness.store import Journal, Merged, RunRow, Runs, held, merge


@dataclass(frozen=True, slots=True)
class Whole:
    """A run whose shards were merged: those of ``shards`` that are ``missing`` or not finished, and how to go on."""

    run: str
    shards: int
    missing: tuple[int, ...]
    unfinished: tuple[int, ...]
    command: str


@dataclass(frozen=True, slots=True)
class Union:
    """What a merge came to."""

    runs: tuple[Whole, ...]
    merged: Merged

    @property
    def complete(self) -> bool:
        """Whether every shard is there and finished, and no two answers differ."""
        return not (self.merged.conflicts or any(whole.missing or whole.unfinished for whole in self.runs))


def merge_folders(folders: Sequence[Path], out: Path) -> Union:
    """Put the journals in ``folders`` together in the journal of ``out``; doing it again adds what is new.

    Raises a UsageError, before anything is written, for a folder without a shard, and for shards of other plans or data.
    """
    folders = list({folder.resolve(): folder for folder in folders}.values())
    if same := next((folder for folder in folders if folder.resolve() == out.resolve()), None):
        raise UsageError(f"{same}: is the folder to write to; name another --out")
    rows = {folder: _shards(folder) for folder in folders}
    names = list(dict.fromkeys(name for own in rows.values() for name in own))
    runs = tuple(
        _whole(name, {folder: own[name] for folder, own in rows.items() if name in own}, out) for name in names
    )
    with held(out), Journal.writing(out) as journal:
        return Union(runs, merge(journal, folders))


def _shards(folder: Path) -> dict[str, RunRow]:
    with Journal.reading(folder) as journal:
        runs = Runs(journal)
        rows = {name: runs.get(name) for name in runs.names()}
    found = {name: row for name, row in rows.items() if Ask.read(row.ask).shard is not None}
    if not found:
        raise UsageError(f"{folder}: holds no shard of a run; name folders that `evalharness run --shard` wrote")
    return found


def _whole(name: str, rows: Mapping[Path, RunRow], out: Path) -> Whole:
    """Return what there is of the run ``name``, whose shards lie in the folders of ``rows``."""
    (first, row), *others = rows.items()
    for folder, other in others:
        for what, one, two in (
            ("plan", row.plan_hash, other.plan_hash),
            ("data", row.plan["datasets"], other.plan["datasets"]),
            ("number of shards", _shard(row)[1], _shard(other)[1]),
        ):
            if one != two:
                raise UsageError(
                    f"{folder}: its run {name} has another {what} than the one in {first}; merge shards of one command only"
                )
    parts = {_shard(other)[0] for other in rows.values()}
    finished = {_shard(other)[0] for other in rows.values() if other.finished is not None}
    total = _shard(row)[1]
    again = f"{command(replace(Ask.read(row.ask), shard=None))} --results {out}"
    missing = tuple(part for part in range(1, total + 1) if part not in parts)
    return Whole(name, total, missing, tuple(sorted(parts - finished)), again)


def _shard(row: RunRow) -> tuple[int, int]:
    shard = Ask.read(row.ask).shard
    assert shard is not None
    return shard
