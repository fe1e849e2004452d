"""How fast an engine answered, in; how fast it answers on such a machine, out. In no identity, and copied by no merge."""

from __future__ import annotations

from dataclasses import dataclass

from evalharness.store.journal import Journal

# Made when the first speed is noted: journals without it, and programs that do not know it, go on as before.
_TABLE = """CREATE TABLE IF NOT EXISTS speeds (
    engine TEXT NOT NULL, machine TEXT NOT NULL, kind TEXT NOT NULL, requests INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL, seconds REAL NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Speed:
    """What one stage, or all of them together, had an engine answer: requests of one kind, their tokens, and the seconds.

    ``seconds`` are those in which the engine was loaded and answered; loading is not in them.
    """

    requests: int
    tokens_in: int
    tokens_out: int
    seconds: float


def put_speed(journal: Journal, engine: str, machine: str, kind: str, speed: Speed) -> None:
    """Note ``speed`` of ``engine`` (a fingerprint of the load and its options) on ``machine``."""
    with journal.connection:
        journal.connection.execute(_TABLE)
        journal.connection.execute(
            "INSERT INTO speeds VALUES (?,?,?,?,?,?,?)",
            (engine, machine, kind, speed.requests, speed.tokens_in, speed.tokens_out, speed.seconds),
        )


def speed_of(journal: Journal, engine: str, machine: str, kind: str) -> Speed | None:
    """Return what was noted of ``engine`` on ``machine``, all together; ``None`` where nothing was."""
    db = journal.connection
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'speeds'").fetchone() is None:
        return None
    row = db.execute(
        "SELECT sum(requests), sum(tokens_in), sum(tokens_out), sum(seconds) FROM speeds "
        "WHERE engine = ? AND machine = ? AND kind = ?", (engine, machine, kind)
    ).fetchone()  # fmt: skip
    return None if row[0] is None else Speed(*row)
