"""Journals in, one journal with the answers of all of them out: in one transaction, so that it is done or was never begun."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalharness.errors import JournalError
from evalharness.store.journal import FILE, PUT, SELECTED, Journal, result_of
from evalharness.types import Result

_FAILURES = "INSERT OR IGNORE INTO failures SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM results WHERE identity = ?1)"
_SETTLED = "DELETE FROM failures WHERE identity IN (SELECT identity FROM results)"


@dataclass(frozen=True, slots=True)
class Merged:
    """How many answers there were, how many were ``new``, and how many differ from the one that is kept."""

    answers: int
    new: int
    conflicts: int


def merge(journal: Journal, folders: Sequence[Path]) -> Merged:
    """Take the answers of the journals in ``folders`` into ``journal``; of two to one request the first stays."""
    answers = conflicts = 0
    before = _count(journal)
    with journal.connection:
        for folder in folders:
            with Journal.reading(folder) as part:
                for chunk in _chunks(folder, part, "SELECT * FROM results"):
                    answers += len(chunk)
                    kept = journal.results([row[0].hex() for row in chunk])
                    for other in map(result_of, chunk):
                        own = kept.get(other.id)
                        conflicts += own is not None and not own.transient and _answer(own) != _answer(other)
                    journal.connection.executemany(PUT, chunk)
                for chunk in _chunks(folder, part, "SELECT identity, error FROM failures"):
                    journal.connection.executemany(_FAILURES, chunk)
        journal.connection.execute(_SETTLED)
    return Merged(answers, _count(journal) - before, conflicts)


def _chunks(folder: Path, part: Journal, query: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of ``query`` some at a time; raises JournalError where the journal of ``folder`` is damaged."""
    try:
        rows = part.connection.execute(query)
        while chunk := rows.fetchmany(SELECTED):
            yield chunk
    except sqlite3.DatabaseError as error:
        raise JournalError(
            f"{folder / FILE}: is damaged ({error}); copy {folder} again as a "
            "whole, with evalharness.db-wal and -shm where they are there; nothing was merged"
        ) from None


def _answer(result: Result) -> Result:
    """Return what was answered, without what it took."""
    return replace(result, tokens_in=None, tokens_out=None, usage=None)


def _count(journal: Journal) -> int:
    return int(journal.connection.execute("SELECT count(*) FROM results").fetchone()[0])
