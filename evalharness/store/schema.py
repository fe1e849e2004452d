"""The tables of the journal and the steps between their versions."""

from __future__ import annotations

import sqlite3

from evalharness.errors import JournalError

VERSION = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- every prompt once, by the first 16 bytes of its SHA-256; here and below a long text is a BLOB: UTF-8 compressed by zlib
CREATE TABLE texts (hash BLOB NOT NULL UNIQUE, body NOT NULL);

-- what an engine or judge answered, once a request; error is for requests refused for good. The text lies in the row: a
-- second random index, for texts, would double what a commit writes
CREATE TABLE results (
    identity BLOB NOT NULL UNIQUE, finish TEXT NOT NULL, tokens_in INTEGER, tokens_out INTEGER, logprobs TEXT,
    error TEXT, text, thinking, usage TEXT
);

-- requests that failed for a fault that may pass; never reused as answers
CREATE TABLE failures (identity BLOB PRIMARY KEY, error TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE runs (
    name TEXT PRIMARY KEY, plan_hash TEXT NOT NULL, ask TEXT NOT NULL, plan TEXT NOT NULL, facts TEXT NOT NULL,
    created TEXT NOT NULL, finished TEXT
);

-- what a run is made of, in the plan's order
CREATE TABLE samples (
    run TEXT NOT NULL, position INTEGER NOT NULL, task TEXT NOT NULL, version TEXT NOT NULL, prompt_id TEXT NOT NULL,
    language TEXT NOT NULL, category TEXT, prompt BLOB NOT NULL, target BLOB, PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE TABLE completions (
    run TEXT NOT NULL, position INTEGER NOT NULL, sample INTEGER NOT NULL, model TEXT NOT NULL, repeat INTEGER NOT NULL,
    identity BLOB NOT NULL, part INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE TABLE games (
    run TEXT NOT NULL, judge TEXT NOT NULL, round INTEGER NOT NULL, position INTEGER NOT NULL, sample INTEGER NOT NULL,
    game_id TEXT NOT NULL, match_id TEXT NOT NULL, model_a TEXT NOT NULL, model_b TEXT NOT NULL, shown TEXT NOT NULL,
    judge_repeat INTEGER NOT NULL, identity BLOB, repair BLOB, decided REAL, status TEXT,
    PRIMARY KEY (run, judge, round, position)
) WITHOUT ROWID;
CREATE TABLE reviews (
    run TEXT NOT NULL, judge TEXT NOT NULL, position INTEGER NOT NULL, sample INTEGER NOT NULL, model TEXT NOT NULL,
    identity BLOB, repair BLOB, decided REAL, status TEXT, PRIMARY KEY (run, judge, position)
) WITHOUT ROWID;
"""

# What brings a journal of a version to the next one.
_STEPS = {
    1: (
        "ALTER TABLE samples ADD COLUMN target BLOB; "  # what is right, in the table of texts
        "ALTER TABLE completions ADD COLUMN part INTEGER NOT NULL DEFAULT 0;"
    ),
}


def is_new(connection: sqlite3.Connection) -> bool:
    """Say whether the database has no tables of ours yet."""
    return bool(connection.execute("PRAGMA user_version").fetchone()[0] == 0)


def prepare(connection: sqlite3.Connection, file: str) -> None:
    """Create the tables in a new database, or bring the ones there are to this program's version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version > VERSION:
        raise JournalError(
            f"{file}: was written by a newer evalharness (journal version {version}, this one knows {VERSION}); "
            "upgrade evalharness"
        )
    if version == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        return
    steps = " ".join(_STEPS[number] for number in range(version, VERSION))
    connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
