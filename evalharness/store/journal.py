"""Results in, the same results out for ever: the database, its texts and its results, written in short transactions.

An answer is on disk at most 0.5 s after it came, or with the 256th that waits; ``kill -9`` loses what was in flight.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalharness.errors import JournalError, UsageError
from evalharness.store.lock import on_network
from evalharness.store.schema import is_new, prepare
from evalharness.text import clean_text
from evalharness.types import Result

COMMIT_SECONDS = 0.5
COMMIT_RESULTS = 256
COMPRESS_CHARS = 4096
PAGE_BYTES = 8192  # answers of a few kB spill less; a third faster to write than SQLite's 4096
CACHE_KIB = 16_384  # keys are random: the index of half a million results should stay near; more would only fill up

FILE = "evalharness.db"
SELECTED = 900  # below SQLite's old limit of 999 variables a statement

PUT = "INSERT OR IGNORE INTO results VALUES (?,?,?,?,?,?,?,?,?)"
_FAIL = "INSERT OR REPLACE INTO failures SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM results WHERE identity = ?1)"


class Journal:
    """The database of a results folder. Writers hold the folder's lock (``lock.held``); readers need none."""

    def __init__(self, connection: sqlite3.Connection, root: Path) -> None:
        self.connection = connection
        self.root = root
        self._waiting: list[Result] = []
        self._oldest = 0.0

    @classmethod
    @contextlib.contextmanager
    def writing(cls, root: Path) -> Iterator[Journal]:
        """Open the journal of ``root`` for writing, creating it; everything that waits is stored on leaving."""
        root.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(_connect(root / FILE)) as connection:
            network = on_network(root)
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
            connection.execute(f"PRAGMA journal_mode = {'DELETE' if network else 'WAL'}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute("PRAGMA wal_autocheckpoint = 4096")  # pages: 32 MB between checkpoints
            connection.execute(f"PRAGMA synchronous = {'FULL' if network else 'NORMAL'}")
            prepare(connection, str(root / FILE))
            journal = cls(connection, root)
            try:
                yield journal
            finally:
                journal.flush()

    @classmethod
    @contextlib.contextmanager
    def reading(cls, root: Path) -> Iterator[Journal]:
        """Open the journal of ``root`` for reading; a UsageError if there is none."""
        none = UsageError(f"no runs in {root}; start one with `evalharness run`, or name the folder with --results")
        if not (root / FILE).is_file():
            raise none
        with contextlib.closing(_connect(root / FILE)) as connection:
            if is_new(connection):  # its writer ended, or is, between creating the file and the tables
                raise none
            prepare(connection, str(root / FILE))  # one of an older version is brought up to date first
            connection.execute("PRAGMA query_only = ON")
            yield cls(connection, root)

    @classmethod
    @contextlib.contextmanager
    def looking(cls, root: Path) -> Iterator[Journal]:
        """Open the journal of ``root`` for reading, or an empty one in memory where there is none; nothing is written."""
        if (root / FILE).is_file():
            with cls.reading(root) as journal:
                yield journal
            return
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            prepare(connection, ":memory:")
            yield cls(connection, root)

    @property
    def secret(self) -> bytes:
        """The secret behind the nonces of judge prompts, drawn once a journal (``EVALHARNESS_SECRET`` sets it)."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()
        if row is None:
            value = os.environ.get("EVALHARNESS_SECRET") or secrets.token_hex(32)
            if self.connection.execute("PRAGMA query_only").fetchone()[0]:  # for show: nothing asked with it is kept
                return value.encode("utf-8")
            self.connection.execute("INSERT INTO meta VALUES ('secret', ?)", (value,))
            self.connection.commit()
            return value.encode("utf-8")
        return str(row[0]).encode("utf-8")

    def put(self, result: Result) -> None:
        """Take ``result``; it is committed with the others that wait, soon (see ``tick``). A stored answer never changes."""
        if result.text is not None and (clean := clean_text(result.text)) != result.text:
            result = replace(result, text=clean)
        if result.thinking is not None:
            result = replace(result, thinking=clean_text(result.thinking))
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(result)
        self.tick()

    def tick(self) -> None:
        """Commit what waits if it is due: to be called at least every 0.1 s while results may wait."""
        due = len(self._waiting) >= COMMIT_RESULTS or time.monotonic() - self._oldest >= COMMIT_SECONDS
        if self._waiting and due:
            self.flush()

    def flush(self) -> None:
        """Commit everything that waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        failed = [result for result in waiting if result.transient]
        stored = [result for result in waiting if not result.transient]
        with self.connection:
            self.connection.executemany(PUT, map(_row, stored))
            self.connection.executemany(
                "DELETE FROM failures WHERE identity = ?", ((bytes.fromhex(r.id),) for r in stored)
            )
            self.connection.executemany(_FAIL, ((bytes.fromhex(r.id), r.error or "failed") for r in failed))

    def add_texts(self, texts: Iterable[str]) -> None:
        """Store ``texts`` inside the current transaction."""
        self.connection.executemany(
            "INSERT OR IGNORE INTO texts VALUES (?,?)", ((text_hash(text), encoded(text)) for text in texts)
        )

    def answered(self, identities: Sequence[str]) -> set[str]:
        """Return those of ``identities`` that need not be asked again: answered, or refused for good."""
        return {identity.hex() for (identity,) in self._select("SELECT identity FROM results", identities)}

    def results(self, identities: Sequence[str]) -> dict[str, Result]:
        """Return what is stored for ``identities``, errors that may pass included; those never asked are left out."""
        found: dict[str, Result] = {}
        for identity, error in self._select("SELECT identity, error FROM failures", identities):
            found[identity.hex()] = Result(identity.hex(), finish="error", error=error, transient=True)
        for row in self._select("SELECT * FROM results", identities):
            found[row[0].hex()] = result_of(row)
        return found

    def _select(self, select: str, identities: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        keys = sorted(map(bytes.fromhex, identities))  # neighbours lie on the same pages of the index
        for start in range(0, len(keys), SELECTED):
            chunk = keys[start : start + SELECTED]
            yield from self.connection.execute(f"{select} WHERE identity IN ({','.join('?' * len(chunk))})", chunk)


def _connect(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=30)
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise JournalError(f"{path}: cannot be opened: {error}") from None
    return connection


def text_hash(text: str) -> bytes:
    """Return the key of ``text`` in the table of texts: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8")).digest()[:16]


def encoded(text: str | None) -> str | bytes | None:
    """Return ``text`` as it is stored: itself, or compressed where it is long."""
    if text is None or len(text) < COMPRESS_CHARS:
        return text
    return zlib.compress(text.encode("utf-8"), 1)


def decoded(stored: str | bytes) -> str:
    """Return the text that ``encoded`` gave."""
    return stored if isinstance(stored, str) else zlib.decompress(stored).decode("utf-8")


def _row(result: Result) -> tuple[object, ...]:
    return (
        bytes.fromhex(result.id), result.finish, result.tokens_in, result.tokens_out,
        None if result.logprobs is None else json.dumps(result.logprobs), result.error, encoded(result.text),
        encoded(result.thinking), None if result.usage is None else json.dumps(dict(result.usage)),
    )  # fmt: skip


def result_of(row: tuple[Any, ...]) -> Result:
    """Return the result that a row of the table of results holds."""
    identity, finish, tokens_in, tokens_out, logprobs, error, text, thinking, usage = row
    return Result(
        identity.hex(), None if text is None else decoded(text), finish, tokens_in, tokens_out,
        None if logprobs is None else tuple(json.loads(logprobs)), error,
        thinking=None if thinking is None else decoded(thinking), usage=None if usage is None else json.loads(usage),
    )  # fmt: skip
