"""Which of a problem's samples passed its tests in, pass@k out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.scoring.kind import MISSING, CodeItem, Measure, Metric, Rows


@dataclass(frozen=True, slots=True)
class PassOptions:
    """``k`` is how many tries count, or a list of such numbers, each of which gives a row."""

    k: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        listed = self.k if isinstance(self.k, tuple) else (self.k,)
        if not listed or min(listed) < 1:
            raise ValueError("k must be 1 or more tries")


def pass_rows(options: Mapping[str, Any]) -> Rows:
    """Return a row ``pass@k`` for each k."""
    k = PassOptions(**options).k
    return tuple((f"pass@{each}", {"k": each}) for each in (k if isinstance(k, tuple) else (k,)))


def unbiased(n: int, passed: int, k: int) -> float:
    """Return the chance that one of ``k`` samples passes, drawn from ``n`` of which ``passed`` do: 1 - C(n-c, k) / C(n, k).

    By the product 1 - prod(1 - k / i) over i = n-c+1 .. n, which does not overflow (Chen et al. 2021, "Evaluating Large
    Language Models Trained on Code").
    """
    return 1.0 if n - passed < k else 1.0 - math.prod(1.0 - k / i for i in range(n - passed + 1, n + 1))


def pass_at_k(item: CodeItem, options: PassOptions) -> Measure:
    """Return the unbiased pass@k of one problem; samples missing by our fault are left out and counted."""
    if isinstance(options.k, tuple):
        raise TypeError("several k are several rows: split them with Metric.rows")
    known = [passed for passed in item.passed if passed is not None]
    missing = len(item.passed) - len(known)
    if len(known) < options.k:
        return Measure(None, MISSING if len(item.passed) >= options.k else "too_few_samples", n_missing=missing)
    return Measure(unbiased(len(known), sum(known), options.k), n_missing=missing)


METRICS = {
    "pass_at_k": Metric(
        "pass_at_k", frozenset({"code"}), pass_at_k, "chance that one of k samples passes the tests",
        options=PassOptions, split=pass_rows,
    )
}  # fmt: skip
