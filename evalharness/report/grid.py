"""A title in, an empty table for a terminal out; and a model's name as it stands in one. Every terminal table begins here."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from evalharness.report.leaderboard import Model
from evalharness.text import one_line

NAME = 40  # columns of a terminal that a name may take


def grid(title: str) -> Table:
    """Return a table without columns or lines, its title in bold at the left."""
    return Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)


def named(model: Model) -> Text:
    """Return the name of ``model``, with what it is in the run: a baseline, one that deviates from its task (†)."""
    marks = (" (baseline)" if model.baseline else "") + (" †" if model.deviations else "")
    return Text(one_line(model.name, NAME) + marks)
