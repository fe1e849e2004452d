"""Lengths of answers and who won in, win rates at equal length out: AlpacaEval's model, and the feature of our own.

AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475) fits each model apart:
P(model wins on x) = sigma(phi tanh(gap_x / sd(gap)) + psi d_x + theta); the rate is the mean with the first term at 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stats.intervals import Resampling, percentiles
from evalharness.stats.logistic import expit, lasso
from evalharness.stats.resample import draws

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LAMBDA = 0.2
_VARIANTS = 2  # the baseline made verbose, and made concise
_STRENGTHS = np.logspace(-4, 4, 10)
_FOLDS = 5
_NEVER_CERTAIN = 1e-15


class Regulariser(NamedTuple):
    """Rewritten answers of the baseline judged against it: ``preference`` [r] in [0, 1] for the rewritten answer.

    ``gap`` [r] is the length difference divided by its standard deviation within each variant, ``difficulty`` [r] the
    constant of the instruction.
    """

    preference: Floats
    gap: Floats
    difficulty: Floats


class AlpacaRate(NamedTuple):
    """``rate`` in [0, 1] at equal length, coefficients, the chosen ``c``, and the bounds of a refitting bootstrap."""

    rate: float
    phi: float
    psi: float
    theta: float
    c: float
    low: float | None
    high: float | None


def alpaca_rate(
    preference: Floats,
    gap: Floats,
    difficulty: Floats | None = None,
    regulariser: Regulariser | None = None,
    how: Resampling | None = None,
) -> AlpacaRate:
    """Return AlpacaEval's length-controlled win rate of one model against its baseline.

    ``preference`` [n] is the model's share of each win (NaN: no verdict), ``gap`` [n] the length of the baseline's answer
    minus the model's, in characters, ``difficulty`` [n] the published constant of each instruction, left out where None.
    Coefficients minimise ||b||_1 + C * log-loss; C is the best of ten in five folds. With ``how``, bounds are percentiles
    of refits, C kept, over instructions drawn with replacement; AlpacaEval publishes the spread of its fitted values
    instead, which is no error of the rate. Raises ValueError where all gaps are equal or under five rows have a verdict.
    """
    spread = float(np.std(gap, ddof=1)) if len(gap) > 1 else 0.0
    if not spread > 0.0:
        raise ValueError("all answers differ equally in length from the baseline's: nothing to control for")
    hardness = np.zeros_like(gap) if difficulty is None else difficulty
    judged = ~np.isnan(preference)
    if judged.sum() < _FOLDS:
        raise ValueError(f"{int(judged.sum())} rows with a verdict; the five folds need at least five")
    features = np.column_stack([np.tanh(gap / spread), hardness, np.ones_like(gap)])
    x, y, w = features[judged], preference[judged], np.ones(int(judged.sum()))
    if regulariser is not None:
        extra = np.column_stack([np.tanh(regulariser.gap), regulariser.difficulty, np.zeros_like(regulariser.gap)])
        x, y = np.vstack([extra, x]), np.concatenate([regulariser.preference, y])
        w = np.concatenate([np.full(len(extra), LAMBDA / _VARIANTS), w])
    c = _chosen(x, y, w)
    fitted = lasso(x, y, w, c)
    low, high = _bounds(x, y, w, c, features, judged, how) if how is not None else (None, None)
    phi, psi, theta = map(float, fitted)
    return AlpacaRate(_equal_length(fitted, features), phi, psi, theta, c, low, high)


def _equal_length(fitted: Floats, features: Floats, count: Floats | None = None) -> float:
    chances = expit(features[:, 1:] @ fitted[1:])
    return float(np.average(chances, weights=count))


def _chosen(x: Floats, y: Floats, w: Floats) -> float:
    """Return the C of least held-out log-loss; of equals the smallest."""
    fold = _folds(len(y))
    loss = np.zeros((len(_STRENGTHS), _FOLDS))
    for held in range(_FOLDS):
        inside, outside = fold != held, fold == held
        for at, c in enumerate(_STRENGTHS):
            p = expit(x[outside] @ lasso(x[inside], y[inside], w[inside], float(c)))
            p = np.clip(p, _NEVER_CERTAIN, 1.0 - _NEVER_CERTAIN)
            each = y[outside] * np.log(p) + (1.0 - y[outside]) * np.log(1.0 - p)
            loss[at, held] = -np.mean(w[outside] * each)
    return float(_STRENGTHS[int(np.argmin(loss.mean(axis=1)))])


def _folds(rows: int) -> Integers:
    """Return the fold of each row as scikit-learn's GroupKFold deals out groups of equal size.

    It sorts equal sizes with an unstable sort, which has to be repeated to meet the same folds.
    """
    fold = np.empty(rows, dtype=np.int64)
    fold[np.argsort(np.full(rows, 2))[::-1]] = np.arange(rows) % _FOLDS
    return fold


def _bounds(
    x: Floats, y: Floats, w: Floats, c: float, features: Floats, judged: NDArray[np.bool_], how: Resampling
) -> tuple[float, float]:
    """Return percentiles of refits with each instruction weighted by how often it was drawn; the regulariser stays."""
    fixed = len(y) - int(judged.sum())

    def statistic(multiplicity: Floats) -> Floats:
        rates = []
        for count in multiplicity:
            drawn = np.concatenate([w[:fixed], w[fixed:] * count[judged]])
            rates.append(_equal_length(lasso(x, y, drawn, c), features, count))
        return np.array(rates)[:, None]

    values = draws(statistic, len(features), rounds=how.rounds, seed=how.seed).values[:, 0]
    low, high = percentiles(values, len(features), how.level)
    return float(low), float(high)


def length_feature(length_a: Floats, length_b: Floats, group: Integers) -> Floats:
    """Return tanh((length_a - length_b) / s) [n], s the root mean square difference within each ``group`` (language).

    Unlike a standard deviation, s is the same whichever answer is called a: swapping them negates the feature.
    """
    gap = length_a - length_b
    squares = np.bincount(group, gap**2)
    count = np.maximum(np.bincount(group), 1)
    scale = np.sqrt(squares / count)[group]
    return np.asarray(np.tanh(np.divide(gap, scale, out=np.zeros_like(gap), where=scale > 0)))


def extreme(raw: float, controlled: float) -> bool:
    """Say whether control moved a rate (both in [0, 1]) further than AlpacaEval takes for sound.

    Below min(raw - raw/4, raw - 0.1) or above max(raw + (1 - raw)/4, raw + 0.1): the model may have failed.
    """
    too_low = controlled < min(0.75 * raw, raw - 0.1)
    return bool(too_low or controlled > max(raw + 0.25 * (1.0 - raw), raw + 0.1))
