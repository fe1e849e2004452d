"""How often a 95 % interval holds the true value: simulated runs with correlated translations, beside resampled rows.

The truth is the pseudo-true value: what the estimator gives for endless prompts of the kind. Prompts favour a model, and
their translations favour it too. Writes a line a number of prompts.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from evalharness import battles
from evalharness.stats.rank import Ranking, rank

MODELS = ("a", "b", "base")
STRENGTH = {"a": 0.5, "b": 0.2}
LANGUAGES = ("ar", "de", "sw")
SHARED, OWN = 1.2, 0.5  # spread over prompts, and over translations of a prompt
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


def true_rate(model: str) -> float:
    """Return the expected score against the baseline."""
    spread = np.hypot(SHARED, OWN)
    chance = 1 / (1 + np.exp(-STRENGTH[model] - spread * _NODES))
    return float((chance * _WEIGHTS).sum() / _WEIGHTS.sum())


def simulated(prompts: int, seed: int) -> pd.DataFrame:
    """Return games of two models against a baseline in both orders, three languages."""
    rng = np.random.default_rng(
        [prompts, seed]
    )  # other data for other numbers of prompts, and not the bootstrap's stream
    parts = []
    for model, strength in STRENGTH.items():
        taste = rng.normal(0, SHARED, (1, prompts)) + rng.normal(0, OWN, (len(LANGUAGES), prompts))
        chance = 1 / (1 + np.exp(-strength - taste))
        score = (rng.random((2, *chance.shape)) < chance).astype(float)
        order, language, prompt = (axis.ravel() for axis in np.indices(score.shape))
        names = {"prompt_id": prompt.astype(str), "language": np.array(LANGUAGES)[language]}
        players = {"model_a": model, "model_b": "base", "order": np.array(["ab", "ba"])[order]}
        parts.append(pd.DataFrame({**names, **players, "score": score.ravel()}))
    return battles.validated(pd.concat(parts, ignore_index=True))


def by_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the games as if each were a prompt of its own: what resampling rows amounts to."""
    return frame.assign(prompt_id=[str(at) for at in range(len(frame))], order=None)


def covered(ranking: Ranking) -> dict[str, bool]:
    """Return whether the rate and the rating of model a, and the difference of a and b, hold their true values."""
    a = next(row for row in ranking.ratings if row.model == "a")
    pair = next(pair for pair in ranking.pairs if (pair.model_a, pair.model_b) == ("a", "b"))
    rate = true_rate("a")
    return {
        "rate": _within(a.ci_low, rate, a.ci_high),
        "rating": _within(a.rating_low, float(np.log(rate / (1 - rate))), a.rating_high),
        "difference": _within(pair.ci_low, rate - true_rate("b"), pair.ci_high),
    }


def _within(low: float | None, value: float, high: float | None) -> bool:
    return low is not None and high is not None and low <= value <= high


def coverage(prompts: int, repeats: int, rounds: int = 1000) -> dict[str, float]:
    """Return the share of ``repeats`` in which each interval held its value; ``rows`` is the rate with games for prompts."""
    found: list[dict[str, bool]] = []
    for seed in range(repeats):
        frame = simulated(prompts, seed)
        held = covered(rank(frame, baseline="base", rounds=rounds, seed=seed))
        wrong = covered(rank(by_rows(frame), baseline="base", rounds=rounds, seed=seed))
        found.append({**held, "rows": wrong["rate"]})
    return {name: sum(each[name] for each in found) / repeats for name in found[0]}


def main() -> None:
    """Print the figures; arguments are the number of repeats and numbers of prompts."""
    repeats, *some = [int(word) for word in sys.argv[1:]] or [2000]
    for prompts in some or (10, 30, 100, 500):
        held = coverage(prompts, repeats)
        error = np.sqrt(0.95 * 0.05 / repeats)
        shares = ", ".join(f"{name} {share:.1%}" for name, share in held.items())
        print(f"{prompts:4} prompts, {repeats} repeats (±{1.96 * error:.1%}): {shares}", flush=True)


if __name__ == "__main__":
    main()
