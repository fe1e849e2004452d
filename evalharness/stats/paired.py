"""A paired difference and its clustered error in; interval and p-value, or why there are none, out. Holm's adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evalharness.stats.intervals import CLUSTERED_T, FEWEST, TOO_FEW_PROMPTS, WILSON, t_value
from evalharness.stats.student import t_upper_tail, wilson

NO_SPREAD = "no_spread"
_NEGLIGIBLE = 1e-12  # an error below it is rounding
_AT_THE_BOUND = 1e-9


class PairedTest(NamedTuple):
    """Bounds of a difference, its two-sided p-value, and how the bounds came about; ``None`` is unknown, ``reason`` why."""

    low: float | None = None
    high: float | None = None
    p: float | None = None
    interval: str | None = None
    reason: str | None = None


def paired_test(difference: float, error: float, clusters: int, bound: float, level: float) -> PairedTest:
    """Return what ``clusters`` prompts tell of a ``difference`` in [-bound, bound] with that clustered standard ``error``.

    Student's t on G - 1 degrees. Where the difference is the same on every prompt the p-value is that of all signs being
    equal, 2^(1-G), or 1 for none at all; the largest difference there can be then has Wilson's interval with the prompts
    for trials, any other tells nothing of the spread (``no_spread``). Below 4 prompts there is nothing.
    """
    if clusters < FEWEST:
        return PairedTest(reason=TOO_FEW_PROMPTS)
    if error > _NEGLIGIBLE:
        half = t_value(0.5 + 0.5 * level, clusters - 1) * error
        p = min(1.0, 2.0 * t_upper_tail(abs(difference) / error, clusters - 1))
        return PairedTest(max(-bound, difference - half), min(bound, difference + half), p, CLUSTERED_T)
    p = 1.0 if abs(difference) <= _NEGLIGIBLE else 2.0 ** (1 - clusters)
    if abs(abs(difference) - bound) > _AT_THE_BOUND:
        return PairedTest(p=p, reason=NO_SPREAD)
    low, high = (bound * (2.0 * share - 1.0) for share in wilson(1.0 if difference > 0 else 0.0, clusters, level))
    return PairedTest(low, high, p, WILSON)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for being several: the k-th smallest of m times m - k + 1, never falling (Holm 1979).

    An unknown one is not counted among the m, and stays unknown.
    """
    known = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for place, (p, at) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - place)))
        adjusted[at] = largest
    return adjusted
