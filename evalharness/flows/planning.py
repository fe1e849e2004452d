"""A pilot's battle file, or assumed spreads, and a grid of designs in; what each design could tell out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalharness import battlefile, battles
from evalharness.errors import DataError, UsageError
from evalharness.stats import planning
from evalharness.stats.games import coded
from evalharness.stats.noise import GENERATION, JUDGE, LANGUAGE, LEVELS, ORDER, PROMPT, Noise, components
from evalharness.stats.planning import Design, Spread

Json = dict[str, Any]

ASSUMED = Spread(sigma=0.45)


def plan(
    *,
    width: float,
    spread: Spread,
    detect: float | None = None,
    grid: Mapping[str, Sequence[int]],
    level: float = 0.95,
    power: float = 0.8,
    noise: Mapping[str, Noise] | None = None,
) -> Json:
    """Return the document of ``evalharness plan``: prompts for an interval of ``width`` points, and a table of designs.

    With ``detect`` also the prompts that see a difference of so many points with probability ``power``.

    ``grid`` has the numbers of ``prompts``, ``languages`` and ``repeats`` to combine. ``noise`` is what a pilot said.
    Raises UsageError for several languages whose correlation is unknown.
    """
    if spread.r is None and max(grid["languages"]) > 1:
        raise UsageError(
            "--r is needed for several languages: the correlation of a prompt's scores in two of them, which a --pilot in "
            "several languages tells too"
        )
    combined = [(languages, repeats) for languages, repeats in product(grid["languages"], grid["repeats"])]
    document: Json = {
        "level": level, "power": power, "width": width, "detect": detect, "sigma": spread.sigma, "r": spread.r,
        "deff": spread.deff, "within": spread.within,
        "needed": [
            {
                "languages": languages,
                "repeats": repeats,
                "prompts": planning.prompts_for_width(spread, width / 100.0, languages, repeats, level),
                "prompts_to_detect": None
                if detect is None
                else planning.prompts_for_difference(spread, detect / 100.0, languages, repeats, level, power),
            }
            for languages, repeats in combined
        ],
        "designs": [
            _row(spread, Design(prompts, languages, repeats), level, power)
            for (languages, repeats), prompts in product(combined, grid["prompts"])
        ],
    }  # fmt: skip
    if noise is not None:
        document["noise"] = [
            {"level": name, "variance": n.variance, "groups": n.groups, "repeats": n.repeats}
            for name, n in noise.items()
        ]
    return document


def _row(spread: Spread, design: Design, level: float, power: float) -> Json:
    return {
        "prompts": design.prompts, "languages": design.languages, "repeats": design.repeats, "games": design.games,
        "standard_error": 100.0 * planning.standard_error(spread, design),
        "width": 100.0 * planning.interval_width(spread, design, level),
        "detectable": 100.0 * planning.detectable(spread, design, level, power),
    }  # fmt: skip


def pilot(path: Path) -> tuple[Spread, Mapping[str, Noise]]:
    """Return spread and noise of the games of a battle file: means over its pairs of models, of the same judge.

    ``sigma`` is the standard deviation of a prompt's mean score within a language, over all its orders; ``r`` the mean
    correlation of two languages over the prompts they share, at least 0, None for one language. Raises DataError for a
    file of one prompt.
    """
    frame, _ = battlefile.read(path)
    battles.require_unmixed(frame, (), ("task", "version"), str(path))
    games = coded(frame)
    scores = _scores(frame, games.rated)
    if not len(scores) or scores["prompt"].nunique() < 3:
        raise DataError(f"{path}: a pilot needs verdicts on at least 3 prompts")
    variances, correlations, noise = [], [], []
    for _, own in scores.groupby("pair", sort=True):
        found = components(own)
        noise.append(found)
        table = own.groupby(["prompt", "language"])["score"].mean().unstack()
        repeated = _repeats_share(found)
        variances.append((float(table.var(ddof=1).mean()) - repeated, repeated))
        correlations += _correlations(table)
    together = {name: _mean([n[name] for n in noise]) for name in LEVELS}
    own, repeated = np.nanmean(np.array(variances), axis=0)
    r = max(0.0, float(np.mean(correlations))) if correlations else None
    within = float(np.sqrt(repeated * together[GENERATION].repeats))
    return Spread(sigma=float(np.sqrt(max(own, 0.0))), r=r, within=within), together


def _scores(frame: pd.DataFrame, rated: Any) -> pd.DataFrame:
    """Return the rated games told from the lower-named model, with a column for each level of noise."""
    frame = frame[rated].reset_index(drop=True)
    swapped = frame["model_a"] > frame["model_b"]
    lower = frame["model_a"].where(~swapped, frame["model_b"])
    higher = frame["model_b"].where(~swapped, frame["model_a"])
    a, b, again = (frame[n].fillna(0) if n in frame else 0 for n in ("repeat_a", "repeat_b", "judge_repeat"))
    text = {name: frame[name].fillna("") if name in frame else "" for name in ("task", "task_version")}
    first = frame["order"].fillna("").eq(swapped.map({True: "ba", False: "ab"}))
    out = pd.DataFrame({"pair": lower + "\n" + higher, "score": frame["score"].where(~swapped, 1.0 - frame["score"])})
    out[PROMPT] = text["task"] + "\n" + text["task_version"] + "\n" + frame["prompt_id"]
    out[LANGUAGE], out[ORDER] = frame["language"], first.where(frame["order"].notna(), False)
    out[GENERATION] = _joined(a, b, frame.index)
    out[JUDGE] = again
    return out


def _joined(a: Any, b: Any, index: pd.Index) -> pd.Series[Any]:
    one, two = pd.Series(a, index=index).astype("int64"), pd.Series(b, index=index).astype("int64")
    return one * 1_000_000 + two


def _repeats_share(found: Mapping[str, Noise]) -> float:
    """Return what fresh answers put into the variance of a prompt's mean in a language, at the pilot's repeats."""
    generation = found[GENERATION]
    return 0.0 if generation.variance is None else generation.variance / generation.repeats


def _correlations(table: pd.DataFrame) -> list[float]:
    found = (float(np.asarray(table[[a, b]].dropna().corr())[0, 1]) for a, b in combinations(table.columns, 2))
    return [r for r in found if np.isfinite(r)]


def _mean(parts: Sequence[Noise]) -> Noise:
    known = [part.variance for part in parts if part.variance is not None]
    variance = float(np.mean(known)) if known else None
    return Noise(variance, sum(part.groups for part in parts), float(np.mean([part.repeats for part in parts])))
