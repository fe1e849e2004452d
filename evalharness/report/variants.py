"""The document of ``compare --base`` in; its tables for a terminal, as Markdown, LaTeX and CSV out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.report.artefacts import table_text, write_table
from evalharness.report.marking import DASH, spread
from evalharness.report.words import REASONS
from evalharness.text import one_line

Json = Mapping[str, Any]
Rows = Sequence[tuple[str, ...]]

COLUMNS = (
    "size_b", "size_class", "category", "kind", "judge", "variant", "model", "step", "base_model", "value", "ci_low", "ci_high",
    "interval", "value_reason", "base_value", "difference", "difference_low", "difference_high", "difference_interval",
    "difference_reason", "relative", "relative_low", "relative_high", "reason", "mean_of_ratios", "mean_of_ratios_low",
    "mean_of_ratios_high", "mean_of_ratios_reason", "tasks_at_chance", "n_tasks", "n_prompts", "n_shared", "n_missing", "tasks",
    "missing_tasks", "range", "higher_is_better",
)  # fmt: skip
_NAME = 40
_COUNTS = {"n_prompts": "prompts", "n_missing": "missing", "n_shared": "prompts of both"}
_UNIT = [0.0, 1.0]
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in r"\`*_{}[]<>|#"})
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$", "…": r"\ldots{}",
}  # fmt: skip


def terminal(document: Json) -> str:
    """Return the tables as text: of each size the values, the points and the relative change; with steps, the curves."""
    blocks = [title + "\n" + _aligned(rows) for title, rows in _tables(document)]
    return "\n\n".join([*blocks, _foot(document)])


def markdown(document: Json) -> str:
    """Return the tables as Markdown, with the characters that Markdown gives a meaning escaped."""
    blocks = [f"**{title.translate(_MARKDOWN)}**\n\n{_piped(rows)}" for title, rows in _tables(document)]
    return "\n\n".join([*blocks, _foot(document).translate(_MARKDOWN)])


def latex(document: Json) -> str:
    """Return the tables as LaTeX (package booktabs), a ``table`` each."""
    blocks = [_tabular(title, rows) for title, rows in _tables(document)]
    return "\n\n".join([*blocks, "% " + _foot(document)])


def csv_text(document: Json) -> str:
    """Return every row as CSV with COLUMNS, numbers not rounded, unknown ones empty."""
    return table_text(COLUMNS, document["rows"])


def write_csv(path: Path, document: Json) -> None:
    """Write ``csv_text`` to a file, atomically."""
    write_table(path, COLUMNS, document["rows"])


def _tables(document: Json) -> list[tuple[str, Rows]]:
    sizes: dict[str, list[Json]] = {}
    for row in document["rows"]:
        sizes.setdefault("unknown size" if row["size_b"] is None else f"{row['size_b']:g} B", []).append(row)
    return [table for size, rows in sizes.items() for table in _of_size(document, size, rows)]


def _of_size(document: Json, size: str, rows: Sequence[Json]) -> list[tuple[str, Rows]]:
    base = one_line(document["base"], _NAME)
    if document["x"] is not None:
        return [
            (
                f"{one_line(category, _NAME)}, {size}: value by step",
                [
                    *_matrix(own, "step", "variant", _value),
                    *_counts(own, "n_prompts", "n_missing", across="variant"),
                ],
            )
            for category in document["categories"]
            if (own := [row for row in rows if row["category"] == category])
        ]
    compared = [row for row in rows if row["base_model"] is not None] or rows
    return [
        (f"{size}: value", [*_matrix(rows, "variant", "category", _value), *_counts(rows, "n_prompts", "n_missing")]),
        (
            f"{size}: difference to {base} in points",
            [
                *_matrix(rows, "variant", "category", _points),
                *_counts(compared, "n_shared"),
            ],
        ),
        (f"{size}: relative change to {base} in %", _matrix(rows, "variant", "category", _relative)),
    ]


def _matrix(rows: Sequence[Json], down: str, across: str, cell: Callable[[Json], str]) -> Rows:
    """Return a table with the values of ``down`` as lines and those of ``across`` as columns, both in their order."""
    lines = sorted({row[down] for row in rows}, key=lambda x: (x is None, x)) if down == "step" else _seen(rows, down)
    columns = _seen(rows, across)
    cells = {(row[down], row[across]): cell(row) for row in rows}
    head = (down, *(one_line(str(name), _NAME) for name in columns))
    return [
        head,
        *(
            (DASH if line is None else one_line(str(line), _NAME), *(cells.get((line, name), DASH) for name in columns))
            for line in lines
        ),
    ]


def _counts(rows: Sequence[Json], *names: str, across: str = "category") -> Rows:
    """Return a line of the range over rows for each count of ``names``."""
    columns = _seen(rows, across)
    return [
        (_COUNTS[name], *(spread([row[name] for row in rows if row[across] == column]) for column in columns))
        for name in names
    ]


def _seen(rows: Sequence[Json], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _value(row: Json) -> str:
    factor, digits = _shown(row)
    numbers = (row["value"], row["ci_low"], row["ci_high"])
    return _cell([None if n is None else f"{factor * n:.{digits}f}" for n in numbers], row["value_reason"])


def _points(row: Json) -> str:
    factor, digits = _shown(row)
    numbers = (row["difference"], row["difference_low"], row["difference_high"])
    return _cell(
        [None if n is None else f"{_rounded(factor * n, digits):+.{digits}f}" for n in numbers],
        row["difference_reason"],
    )


def _relative(row: Json) -> str:
    numbers = (row["relative"], row["relative_low"], row["relative_high"])
    return _cell([None if n is None else f"{_rounded(100 * n, 1):+.1f}" for n in numbers], row["reason"])


def _shown(row: Json) -> tuple[float, int]:
    """Return what a value is multiplied with to be shown, and its digits: shares are in per cent."""
    scale = row["range"]
    if scale is None:
        return 1.0, 3
    return (100.0, 1) if list(scale) == _UNIT else (1.0, 1 if scale[1] - scale[0] > 10 else 2)


def _rounded(number: float, digits: int) -> float:
    """Return ``number`` rounded, without the sign of a zero."""
    return round(number, digits) + 0.0


def _cell(numbers: Sequence[str | None], reason: str | None) -> str:
    value, low, high = numbers
    said = "" if reason is None else REASONS.get(reason, reason.replace("_", " "))
    if value is None:
        return "base" if reason == "base" else f"{DASH} ({said})" if said else DASH
    return f"{value} [{low}, {high}]" if low is not None and high is not None else f"{value} ({said or 'no interval'})"


def _aligned(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def _piped(rows: Rows) -> str:
    head, *body = ("| " + " | ".join(cell.translate(_MARKDOWN) for cell in row) + " |" for row in rows)
    marks = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([head, marks, *body])


def _tabular(title: str, rows: Rows) -> str:
    head, *body = (" & ".join(_tex(cell) for cell in row) + r" \\" for row in rows)
    columns = "l" + "r" * (len(rows[0]) - 1)
    return "\n".join([
        r"\begin{table}", rf"\caption{{{_tex(title)}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _foot(document: Json) -> str:
    steps = "" if document["x"] is None else ", step by step"
    return (
        f"{document['average']} mean over languages, mean over tasks{steps}; relative change is the ratio of means against "
        f"{one_line(document['base'], _NAME)} of the same size, blank where its interval reaches chance; "
        f"{100 * document['level']:g} % intervals, the same prompts drawn for both, "
        f"{document['rounds']} rounds, seed {document['seed']}"
    )
