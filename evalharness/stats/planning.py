"""Spread of scores and a design in; the width of its interval, the difference it can see, the prompts it takes out."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations on the scale 0..1, and correlation.

    ``sigma``: of a prompt's mean score in a language, whatever it is repeated; ``within``: of one repeat around it (0
    where repeats are not told apart: then more of them are taken to help nothing). ``r``: correlation of a prompt's
    scores in two languages, None where unknown: then one language is all that can be planned. ``deff``: design effect,
    by which clustering beyond prompts multiplies variances.
    """

    sigma: float
    r: float | None = None
    deff: float = 1.0
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Design:
    """Q prompts in L languages, K answers each, judged in a number of orders."""

    prompts: int
    languages: int = 1
    repeats: int = 1
    orders: int = 2

    @property
    def games(self) -> int:
        """The games of one pair of models."""
        return self.prompts * self.languages * self.repeats * self.orders


def standard_error(spread: Spread, design: Design) -> float:
    """Return the standard error of a rate: the root of deff (s^2 + w^2/K)(1 + (L - 1) r) / (L Q).

    s^2 is the prompts' own variance and w^2 the repeats'; languages share prompts, so r keeps many from counting as many.
    """
    return sqrt(_variance_of_prompt(spread, design.languages, design.repeats) / design.prompts)


def _variance_of_prompt(spread: Spread, languages: int, repeats: int) -> float:
    single = spread.sigma**2 + spread.within**2 / repeats
    if languages > 1 and spread.r is None:
        raise ValueError("several languages need their correlation")
    return spread.deff * single * (1.0 + (languages - 1) * (spread.r or 0.0)) / languages


def interval_width(spread: Spread, design: Design, level: float = 0.95) -> float:
    """Return the full width of the interval of a rate: 2 z SE."""
    return 2.0 * _z(0.5 + 0.5 * level) * standard_error(spread, design)


def prompts_for_width(spread: Spread, width: float, languages: int = 1, repeats: int = 1, level: float = 0.95) -> int:
    """Return the fewest prompts whose interval is at most ``width`` (full, on the scale 0..1) wide."""
    return max(
        1, ceil((2.0 * _z(0.5 + 0.5 * level) / width) ** 2 * _variance_of_prompt(spread, languages, repeats) - 1e-9)
    )


def detectable(spread: Spread, design: Design, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest difference from a fixed value seen with probability ``power``: (z_{1-a/2} + z_{1-b}) SE."""
    return (_z(0.5 + 0.5 * level) + _z(power)) * standard_error(spread, design)


def prompts_for_difference(
    spread: Spread, difference: float, languages: int = 1, repeats: int = 1, level: float = 0.95, power: float = 0.8
) -> int:
    """Return n = (z_{1-a/2} + z_{1-b})^2 sigma^2 / D^2, the fewest prompts that see a difference D with that power."""
    z = _z(0.5 + 0.5 * level) + _z(power)
    return max(1, ceil((z / difference) ** 2 * _variance_of_prompt(spread, languages, repeats) - 1e-9))


def _z(probability: float) -> float:
    return NormalDist().inv_cdf(probability)
