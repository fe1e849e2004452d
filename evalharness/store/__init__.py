"""The journal: every answer the moment it comes, in one SQLite database per results folder; one writer by lock."""

from __future__ import annotations

from evalharness.store.journal import Journal
from evalharness.store.lock import held
from evalharness.store.merge import Merged, merge
from evalharness.store.runs import CompletionRow, GameRow, ReviewRow, RunRow, Runs, SampleRow
from evalharness.store.speeds import Speed, put_speed, speed_of

__all__ = [
    "CompletionRow", "GameRow", "Journal", "Merged", "ReviewRow", "RunRow", "Runs", "SampleRow", "Speed", "held", "merge",
    "put_speed", "speed_of",
]  # fmt: skip
