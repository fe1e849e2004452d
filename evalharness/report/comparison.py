"""The document of a comparison in; its table for a terminal, as Markdown, and as CSV out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.report.artefacts import write_table
from evalharness.report.marking import DASH
from evalharness.text import one_line

Json = Mapping[str, Any]

COLUMNS = (
    "between", "run_1", "run_2", "judge_1", "judge_2", "model", "model_2", "group", "rate_1", "rate_2", "difference",
    "ci_low", "ci_high", "standard_error", "p", "p_adjusted", "interval", "reason", "n_prompts", "languages",
    "opponents", "correlation",
)  # fmt: skip
_HEADS = ("model", "group", "first", "second", "difference", "interval", "p (Holm)", "prompts")
_NUMBERS = 2  # the columns from here on are numbers
_NAME = 48
_SPECIAL = str.maketrans({character: f"\\{character}" for character in r"\`*_{}[]<>|#"})


def terminal(document: Json) -> str:
    """Return the table as text, a block for each two sides; rates and differences in percent and points."""
    return "\n\n".join(_block(title, rows, _aligned) for title, rows in _blocks(document)) + "\n\n" + _foot(document)


def markdown(document: Json) -> str:
    """Return the table as Markdown, with the characters that Markdown gives a meaning escaped in names."""
    blocks = [_block(f"**{_escaped(title)}**\n", rows, _piped) for title, rows in _blocks(document)]
    return "\n\n".join(blocks) + "\n\n" + _escaped(_foot(document))


def write_csv(path: Path, document: Json) -> None:
    """Write every difference to a CSV file with COLUMNS, numbers not rounded, unknown ones empty, atomically."""
    write_table(path, COLUMNS, document["differences"])


def _blocks(document: Json) -> list[tuple[str, list[Json]]]:
    blocks: dict[str, list[Json]] = {}
    for row in document["differences"]:
        blocks.setdefault(_title(row), []).append(row)
    return list(blocks.items())


def _title(row: Json) -> str:
    judges = row["judge_1"] if row["judge_1"] == row["judge_2"] else f"{row['judge_1']} → {row['judge_2']}"
    runs = row["run_1"] if row["run_1"] == row["run_2"] else f"{row['run_1']} → {row['run_2']}"
    return one_line(f"between {row['between']}: {runs}, judged by {judges}", 200)


def _block(title: str, rows: Sequence[Json], lay: Callable[[list[tuple[str, ...]]], str]) -> str:
    return title + "\n" + lay([_HEADS, *(_cells(row) for row in rows)])


def _cells(row: Json) -> tuple[str, ...]:
    model = row["model"] if row["model"] == row["model_2"] else f"{row['model']} → {row['model_2']}"
    low, high = row["ci_low"], row["ci_high"]
    interval = row["reason"] or "no interval" if low is None else f"{100 * low:+.1f} … {100 * high:+.1f}"
    p = row["p_adjusted"]
    return (
        one_line(model, _NAME), row["group"], f"{100 * row['rate_1']:.1f} %", f"{100 * row['rate_2']:.1f} %",
        f"{100 * row['difference']:+.1f}", interval, DASH if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        str(row["n_prompts"]),
    )  # fmt: skip


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < _NUMBERS else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _piped(rows: list[tuple[str, ...]]) -> str:
    head, *body = ("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)
    marks = "|" + "|".join("---" if at < _NUMBERS else "---:" for at in range(len(_HEADS))) + "|"
    return "\n".join([head, marks, *body])


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _foot(document: Json) -> str:
    against = (
        f"against {one_line(document['baseline'], _NAME)}" if document["baseline"] else "against all shared opponents"
    )
    return (
        f"second minus first, in points; {against}, on the prompts of both; {document['average']} mean over languages; "
        f"{100 * document['level']:g} % t intervals paired by prompt; p-values adjusted by Holm over each table's rows"
    )
