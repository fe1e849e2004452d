"""The artefacts of a run in, a static site out: index.html and pages of games, for any browser, offline."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalharness.report import leaderboard, provenance
from evalharness.report.gamepages import write_games
from evalharness.report.rendering import environment, write_stream
from evalharness.report.results import suite_boards, task_boards
from evalharness.report.scores import boards

Json = Mapping[str, Any]

DOWNLOADS = (
    ("ratings.csv", "Ratings", "every rate of these tables, not rounded"),
    ("summary.json", "Summary", "the whole of this page, for programs"),
    ("manifest.json", "Manifest", "versions, hashes and settings"),
    ("battles.parquet", "Games", "one row a game: models, order, judge, score"),
    ("results.csv", "Results", "metrics and mean scores of single answers, not rounded"),
    ("scores.parquet", "Scores", "one row an answer and metric"),
    ("samples.jsonl.gz", "Samples", "prompts, answers and the judge's texts"),
)


def write_site(folder: Path, summary: Json, manifest: Json, samples: Iterable[Json]) -> Path:
    """Write the site of a run to ``folder`` and return its index.html; an older site stays until the new one is whole.

    ``samples`` are read once, in order, one at a time; memory does not grow with their number. Equal input gives equal
    bytes. Raises OSError where the folder cannot be written.
    """
    env = environment()
    models = leaderboard.contestants(summary)
    with _replacing_folder(folder) as building:
        pages = write_games(building / "games", env, summary, manifest, models, samples)
        judges = leaderboard.judges(summary, models)
        index = env.get_template("index.html").generate(
            summary=summary,
            manifest=manifest,
            models=list(models.values()),
            judges=judges,
            boards=boards(summary, models),
            suites=suite_boards(summary, models),
            suite_source=provenance.suite_source(summary),
            tasks=task_boards(summary, models),
            task_sources=provenance.task_sources(summary),
            answers=leaderboard.completions(summary, models),
            games=pages,
            n_games=sum(
                entry["n_games"] for of_judge in judges for language, entry in of_judge.health if language is None
            ),
            notices=provenance.notices(summary, manifest),
            rule=leaderboard.failure_rule(summary),
            sources=provenance.sources(summary),
            facts=provenance.facts(manifest),
            downloads=DOWNLOADS,
        )
        write_stream(building / "index.html", index)
    return folder / "index.html"


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside ``folder`` that takes its place on success and is removed on failure."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    building, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    building.mkdir()
    try:
        yield building
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed left beside ``folder``; if one died between the two renames, mend that."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.(\d+)\.(part|old)")
    for left in sorted(folder.parent.iterdir()):
        found = pattern.fullmatch(left.name)
        if found is None or _alive(int(found[1])):
            continue
        if found[2] == "old" and not folder.exists():
            left.rename(folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # this process writes one site at a time, so what carries its number is of an earlier owner
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
