"""Journals in, one journal with the answers of all of them out: in one transaction, so that it is done or was never begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evalharness.store.journal import PUT, SELECTED, Journal, result_of
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
                rows = part.connection.execute("SELECT * FROM results")
                while chunk := rows.fetchmany(SELECTED):
                    answers += len(chunk)
                    kept = journal.results([row[0].hex() for row in chunk])
                    for other in map(result_of, chunk):
                        own = kept.get(other.id)
                        conflicts += own is not None and not own.transient and _answer(own) != _answer(other)
                    journal.connection.executemany(PUT, chunk)
                journal.connection.executemany(
                    _FAILURES, part.connection.execute("SELECT identity, error FROM failures")
                )
        journal.connection.execute(_SETTLED)
    return Merged(answers, _count(journal) - before, conflicts)


def _answer(result: Result) -> Result:
    """Return what was answered, without what it took."""
    return replace(result, tokens_in=None, tokens_out=None, usage=None)


def _count(journal: Journal) -> int:
    return int(journal.connection.execute("SELECT count(*) FROM results").fetchone()[0])
