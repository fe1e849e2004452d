"""The folder of data sets that stand in for the hub's: a path below it in, the place there out."""

from __future__ import annotations

import os
from pathlib import Path

from evalharness.errors import DataError


def mirrored(below: str) -> Path | None:
    """Return the place of ``below`` in the folder ``EVALHARNESS_DATA``, ``None`` where none is set; it need not exist.

    Raises DataError where ``below`` leads out of the folder.
    """
    root = os.environ.get("EVALHARNESS_DATA")
    if not root:
        return None
    place = Path(root, below)
    if not Path(os.path.normpath(place)).is_relative_to(os.path.normpath(root)):
        raise DataError(f"data set {below} would lie outside EVALHARNESS_DATA={root}")
    return place
