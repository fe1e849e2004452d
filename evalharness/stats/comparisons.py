"""Pairwise differences and the models of one table in; p-values adjusted within it, rank ranges and tie groups out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from evalharness.stats.groups import MISSING_LANGUAGES
from evalharness.stats.intervals import TOO_FEW_PROMPTS
from evalharness.stats.paired import holm, paired_test
from evalharness.stats.pairwise import Pairwise

NO_SHARED_PROMPTS = "no_shared_prompts"
_UNTESTED = (TOO_FEW_PROMPTS, MISSING_LANGUAGES)  # the reason that came nearest to a test is told


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much ``model_a`` is better than ``model_b`` on the prompts they share; ``None`` is unknown, ``reason`` why.

    ``difference`` is one of win rates (fractions): of scores against the baseline, or of the score of one against the
    other from one half. ``p`` is that of Student's t with ``n_prompts`` - 1 degrees, ``p_adjusted`` Holm's within the
    table (``by``, ``group``), ``p_sign_flip`` a check by random signs of prompts where it was asked for.
    """

    model_a: str
    model_b: str
    group: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    p_adjusted: float | None
    n_prompts: int
    by: str = "all"
    interval: str | None = None
    reason: str | None = None
    correlation: float | None = None
    p_sign_flip: float | None = None

    def better(self, level: float) -> str | None:
        """Return the model that is significantly better at ``level``, ``None`` where neither is."""
        if self.p_adjusted is None or not self.difference or self.p_adjusted >= 1.0 - level:
            return None
        return self.model_a if self.difference > 0 else self.model_b


class Range(NamedTuple):
    """The places a model may hold, its tie group counted from the top, or the reason why they are unknown."""

    low: int | None = None
    high: int | None = None
    tie_group: int | None = None
    reason: str | None = None


def differences(
    pairwise: Pairwise, models: Sequence[str], members: Collection[str], by: str, group: str, level: float
) -> tuple[Difference, ...]:
    """Return the differences between the ``members`` of a table, with p-values adjusted within it."""
    found = [
        _difference(pairwise, at, models, by, group, level)
        for at, (lower, higher) in enumerate(zip(pairwise.lower.tolist(), pairwise.higher.tolist(), strict=True))
        if models[lower] in members and models[higher] in members
    ]
    adjusted = holm([each.p for each in found])
    return tuple(replace(each, p_adjusted=p) for each, p in zip(found, adjusted, strict=True))


def ranges(ordered: Sequence[str], found: Iterable[Difference], level: float) -> dict[str, Range]:
    """Return the range of each model of a table of ``ordered`` models, best first.

    low = 1 + models significantly better, high = n - models significantly worse. A tie group is, from the top, a leader
    and the models not yet grouped that do not differ from it significantly. A model of whose differences none could be
    tested has no range; it still counts in n, for it may hold any place.
    """
    known: dict[str, bool] = dict.fromkeys(ordered, len(ordered) == 1)
    why: dict[str, set[str | None]] = {model: set() for model in ordered}
    beaten: set[tuple[str, str]] = set()
    for each in found:
        for model in (each.model_a, each.model_b):
            known[model] |= each.p_adjusted is not None
            why[model].add(each.reason)
        winner = each.better(level)
        if winner is not None:
            beaten.add((winner, each.model_b if winner == each.model_a else each.model_a))
    groups = tie_groups([model for model in ordered if known[model]], beaten)
    above = {model: sum(loser == model for _, loser in beaten) for model in ordered}
    below = {model: sum(winner == model for winner, _ in beaten) for model in ordered}
    return {
        model: Range(1 + above[model], len(ordered) - below[model], groups[model])
        if known[model]
        else Range(reason=next((reason for reason in _UNTESTED if reason in why[model]), NO_SHARED_PROMPTS))
        for model in ordered
    }


def tie_groups(ordered: Sequence[str], beaten: Collection[tuple[str, str]]) -> Mapping[str, int]:
    """Return the number of each model's tie group, from 1 on; ``beaten`` holds (better, worse)."""
    groups: dict[str, int] = {}
    for leader in ordered:
        if leader not in groups:
            number = 1 + max(groups.values(), default=0)
            for model in ordered:
                apart = (leader, model) in beaten or (model, leader) in beaten
                if model == leader or (model not in groups and not apart):
                    groups[model] = number
    return groups


def _difference(pairwise: Pairwise, at: int, models: Sequence[str], by: str, group: str, level: float) -> Difference:
    """Return one difference, its p-value not adjusted yet."""
    difference, error = float(pairwise.difference[at]), float(pairwise.error[at])
    clusters, known = int(pairwise.clusters[at]), bool(np.isfinite(pairwise.difference[at]))
    row = Difference(
        model_a=models[pairwise.lower[at]],
        model_b=models[pairwise.higher[at]],
        group=group,
        by=by,
        difference=difference + 0.0 if known else None,
        ci_low=None,
        ci_high=None,
        p=None,
        p_adjusted=None,
        n_prompts=clusters,
        reason=None if known else MISSING_LANGUAGES if clusters else NO_SHARED_PROMPTS,
        correlation=_known(pairwise.correlation[at]),
    )
    if not known:
        return row
    test = paired_test(difference, error, clusters, float(pairwise.bound[at]), level)
    flipped = None if test.reason == TOO_FEW_PROMPTS else _known(pairwise.flipped[at])
    return replace(
        row,
        p=test.p,
        ci_low=test.low,
        ci_high=test.high,
        interval=test.interval,
        reason=test.reason,
        p_sign_flip=flipped,
    )


def _known(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
