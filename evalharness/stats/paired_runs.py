"""Two battle frames in; the differences of one model's rates on the prompts they share, with paired intervals, out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalharness.stats.games import coded, in_exact_order
from evalharness.stats.paired import PairedTest, paired_test

_KEY = ["task", "task_version", "prompt_id"]
_NEGLIGIBLE = 1e-12

Floats = NDArray[np.float64]


class PairedDifference(NamedTuple):
    """The rate in the second frame minus that in the first, over the prompts of both, with its standard error and test.

    ``correlation`` is that of the prompts' scores, None where one of them does not vary.
    """

    first: float
    second: float
    difference: float
    error: float
    test: PairedTest
    n_prompts: int
    languages: tuple[str, ...]
    opponents: tuple[str, ...]
    correlation: float | None


def prompt_scores(frame: pd.DataFrame, model: str, opponents: Sequence[str], pairs: str = "complete") -> pd.DataFrame:
    """Return the scores of ``model`` against ``opponents``, a row a (prompt, language, opponent).

    Columns: task, task_version, prompt_id, language, opponent, weight (sum of the games' weights), score (weighted mean
    share of ``model``). Only games that enter rates count: with a verdict, and under ``pairs`` complete with their partner.
    """
    frame = in_exact_order(frame)
    rated = coded(frame, "any" if pairs == "any" else "complete").rated
    own_a, own_b = (frame[name].to_numpy() == model for name in ("model_a", "model_b"))
    table = pd.DataFrame({name: frame.get(name, "") for name in (*_KEY, "language")}, index=frame.index)
    table[_KEY] = table[_KEY].astype(object).fillna("")
    share = frame["score"].to_numpy(dtype=np.float64)
    table["opponent"] = np.where(own_a, frame["model_b"], frame["model_a"])
    table["weight"] = frame["weight"].to_numpy(dtype=np.float64)
    table["score"] = np.where(own_a, share, 1.0 - share) * table["weight"]
    table = table[rated & (own_a | own_b)]
    table = table[table["opponent"].isin(list(opponents))]
    sums: pd.DataFrame = table.groupby([*_KEY, "language", "opponent"], sort=True, as_index=False)[
        ["weight", "score"]
    ].sum()
    return sums.assign(score=sums["score"] / sums["weight"])


def paired_difference(
    first: pd.DataFrame, second: pd.DataFrame, level: float = 0.95, average: str = "macro"
) -> PairedDifference | None:
    """Return how ``second`` differs from ``first`` (of ``prompt_scores``) on the rows of both; None where there are none.

    Rates are weighted means in each language, ``macro`` means over languages (each weighs the same) or pooled (micro).
    With e = w (s - rate) / W of each rate, the difference of a prompt's sums, z, gives Var = G/(G-1) * sum z^2 over G
    prompts (their translations and opponents are one); ``paired_test`` makes of it interval and p-value.
    """
    shared = first.merge(second, on=[*_KEY, "language", "opponent"], suffixes=("_1", "_2"))
    if shared.empty:
        return None
    group = shared["language"] if average == "macro" else pd.Series("all", index=shared.index)
    prompt = shared.groupby(_KEY, sort=True).ngroup().to_numpy().astype(np.int64)
    count = int(prompt.max()) + 1
    rates, parts = zip(*(_linear(shared, group, prompt, count, side) for side in ("_1", "_2")), strict=True)
    z = parts[1] - parts[0]
    difference = rates[1] - rates[0]
    error = math.sqrt(count / (count - 1) * float((z * z).sum())) if count > 1 else 0.0
    return PairedDifference(
        rates[0], rates[1], difference, error, paired_test(difference, error, count, 1.0, level), count,
        tuple(sorted(shared["language"].unique())), tuple(sorted(shared["opponent"].unique())), _correlation(*parts),
    )  # fmt: skip


def _linear(
    shared: pd.DataFrame, group: pd.Series[Any], prompt: NDArray[np.int64], count: int, side: str
) -> tuple[float, Floats]:
    """Return the mean of the groups' rates, and each prompt's share in its error [count]."""
    weight, score = (shared[name + side].to_numpy(dtype=np.float64) for name in ("weight", "score"))
    codes, names = pd.factorize(group, sort=True)
    total = np.bincount(codes, weight)
    rates = np.bincount(codes, weight * score) / total
    errors = weight * (score - rates[codes]) / total[codes] / len(names)
    shares: Floats = np.bincount(prompt, weights=errors, minlength=count).astype(np.float64)
    return float(rates.mean()), shares


def _correlation(first: Floats, second: Floats) -> float | None:
    spread = math.sqrt(float((first * first).sum()) * float((second * second).sum()))
    return float((first * second).sum()) / spread if spread > _NEGLIGIBLE**2 else None
