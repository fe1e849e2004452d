"""A run's numbers and texts in, its files out (JSON, CSV, Parquet, gzipped JSON lines): equal bytes for equal input."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evalharness.files import replacing, write_bytes, write_with
from evalharness.text import clean_text
from evalharness.types import Rating, Score

Json = Mapping[str, Any]

RATING_COLUMNS = ("judge", "candidate_failure", *(f.name for f in fields(Rating)))
RESULT_COLUMNS = (
    "task", "task_version", "metric", "filter", "model", "by", "group", "value", "ci_low", "ci_high", "interval",
    "reason", "chance", "n_prompts", "n_scores", "n_missing", "n_failed", "missing_languages", "languages",
)  # fmt: skip
SCORE_SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("task", "task_version", "prompt_id", "language", "target_language", "category", "model")
        ),
        ("repeat", pa.int64()),
        ("metric", pa.string()),
        ("filter", pa.string()),
        ("value", pa.float64()),
        ("chance", pa.float64()),
        ("status", pa.string()),
        ("parts", pa.list_(pa.float64())),
        ("answer", pa.string()),
    ]
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}  # some readers of JSON lines split there


def write_json(path: Path, value: Json) -> None:
    """Write ``value`` as readable JSON with sorted keys, atomically; used for summary.json and manifest.json.

    Raises ValueError for NaN and infinities: an unknown number is ``None``.
    """
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (clean_text(text) + "\n").encode("utf-8"))


def write_ratings(path: Path, summary: Json) -> None:
    """Write every rating of the summary to a CSV file, numbers not rounded.

    Unknown is an empty cell; text that a spreadsheet would run as a formula gets an apostrophe.
    """
    _write_csv(path, RATING_COLUMNS, rating_rows(summary))


def rating_rows(summary: Json) -> list[Json]:
    """Return every rating of the summary, a row per (judge, by, group, model), with RATING_COLUMNS.

    ``candidate_failure`` names the rule for games of a failed answer, ``loss`` or ``drop``; the overall figures are
    there under both.
    """
    rule = summary["statistics"]["candidate_failure"]
    other = "loss" if rule == "drop" else "drop"
    rows: list[Json] = []
    for judge, axes in sorted(summary["ratings"].items()):
        rows += [
            {**row, "by": by, "judge": judge, "candidate_failure": rule} for by in sorted(axes) for row in axes[by]
        ]
    for judge, ratings in sorted(summary["ratings_other_candidate_failure"].items()):
        rows += [{**row, "by": "all", "judge": judge, "candidate_failure": other} for row in ratings]
    return rows


def write_results(path: Path, rows: Iterable[Json] = ()) -> None:
    """Write the results of scored tasks to a CSV file with the columns RESULT_COLUMNS; without rows only its header."""
    _write_csv(path, RESULT_COLUMNS, rows)


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[Json]) -> None:
    """Write ``rows`` to a CSV file with ``columns``; unknown is an empty cell, text that would run as a formula disarmed."""
    _write_csv(path, columns, rows)


def write_scores(path: Path, rows: Iterable[Json] = ()) -> None:
    """Write single scores to a Parquet file of SCORE_SCHEMA; a column that a row lacks is null."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCORE_SCHEMA)
    write_with(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_scores(path: Path) -> list[Score]:
    """Return the single scores of a file that write_scores wrote; none where it is not there."""
    if not path.is_file():
        return []
    rows = pq.read_table(path).to_pylist()
    return [Score(**{**row, "parts": None if row["parts"] is None else tuple(row["parts"])}) for row in rows]


def write_samples(path: Path, samples: Iterable[Json]) -> int:
    """Write samples as gzipped JSON lines, one at a time, atomically; return how many. No time stamp is in the file."""
    n = 0
    with (
        replacing(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed,
    ):
        for sample in samples:
            line = json.dumps(sample, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            packed.write((clean_text(line).translate(_LINE_ENDS) + "\n").encode("utf-8"))
            n += 1
    return n


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the samples of a file that write_samples wrote, one at a time."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)


def table_text(columns: tuple[str, ...], rows: Iterable[Json]) -> str:
    """Return ``rows`` as the text of such a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return clean_text(text.getvalue())


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Json]) -> None:
    write_bytes(path, table_text(columns, rows).encode("utf-8"))


def _cell(value: Any) -> str:
    """Return a cell: numbers in full, lists joined by spaces, text that a spreadsheet would run disarmed."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        value = " ".join(str(item) for item in value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)
