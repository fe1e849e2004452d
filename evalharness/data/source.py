"""The place of one data set in one language, and the record of what was read from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOCAL = frozenset({"json", "csv", "parquet"})


@dataclass(frozen=True, slots=True)
class Beside:
    """Another configuration ``name`` of the same data set, whose row with the same value in the column ``on`` goes with each."""

    name: str
    on: str


@dataclass(frozen=True, slots=True)
class Source:
    """A hub id with configuration and split (or with ``data_files``, one file of it), or a local format (json, csv, parquet)
    with ``data_files`` in ``folder``."""

    path: str
    name: str | None
    split: str
    revision: str | None = None
    data_files: str | None = None
    folder: Path = Path()
    beside: Beside | None = None

    @property
    def shown(self) -> str:
        """The source as people write it."""
        if self.data_files is not None:
            return self.data_files if self.path in LOCAL else f"{self.path}/{self.data_files}"
        names = self.name if self.beside is None else f"{self.name or 'default'}+{self.beside.name}"
        return "/".join(part for part in (self.path, names, self.split) if part)


@dataclass(frozen=True, slots=True)
class Use:
    """What was read, for the manifest: the content hash is over the rows, not over the file's bytes.

    ``origin`` is file (beside the YAML), mirror (EVALHARNESS_DATA) or hub. ``pinned``: the task names the revision, or the
    rows lie beside the YAML; else only the lock file of this results folder holds them still.
    """

    path: str
    name: str | None
    split: str
    revision: str | None
    sha256: str
    rows: int
    pinned: bool
    origin: str
