"""Tasks in, their data sets read and locked out: ``evalharness pin``, so that runs after it read the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.catalog import Catalog
from evalharness.data import Pin, pin
from evalharness.data.configs import configurations
from evalharness.stages.load import LOCK, source
from evalharness.store import held


@dataclass(frozen=True, slots=True)
class Pinned:
    """One language of a task with its data set in the lock file."""

    task: str
    language: str
    data: str
    pin: Pin

    def plain(self) -> dict[str, Any]:
        """Return this as plain data."""
        use, before = self.pin.use, self.pin.before or {}
        return {
            "task": self.task, "language": self.language, "data": self.data, "state": self.pin.state, "rows": use.rows,
            "revision": use.revision, "sha256": use.sha256, "before_revision": before.get("revision"),
            "before_sha256": before.get("sha256"),
        }  # fmt: skip


def pin_tasks(selectors: Sequence[str], root: Path, *, update: bool = False, specs: Sequence[str] = ()) -> list[Pinned]:
    """Lock the data sets of the tasks in the lock file of the results folder ``root``; return one entry a language.

    A task's name without brackets means all its languages, added ones too. Raises DataError for rows that are not the locked
    ones, unless ``update`` lets them take their place.
    """
    catalog = Catalog(specs, configurations)
    bare = [name for name in selectors if "[" not in name and not catalog.is_suite(name)]
    tasks = catalog.expand([f"{selector}[*]" if selector in bare else selector for selector in selectors]).tasks
    with held(root):
        return [
            Pinned(task.task, language.code, place.shown, pin(place, root / LOCK, update=update))
            for task in tasks
            for language in task.languages
            for place in (source(task, language),)
        ]
