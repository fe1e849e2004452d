"""Scores of single answers in, the same as numbers out: whose they are, and what is summed of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from evalharness.stats.axes import Axis, Integers, axis, combined
from evalharness.stats.corpus import Corpus, padded
from evalharness.stats.games import Flags, Floats
from evalharness.types import Score

CANDIDATE_FAILURE = "candidate_failure"
ALL = "all"


class Coded(NamedTuple):
    """Scores as columns of equal length; NaN where there is none.

    ``parts`` [n, P] are the sums of a corpus value; of bounded scores [n, 1] they are the value as a share of the scale.
    """

    models: tuple[str, ...]
    languages: tuple[str, ...]
    prompt: Integers
    language: Integers
    model: Integers
    parts: Floats
    failed: Flags

    @property
    def known(self) -> Flags:
        """Which scores there are."""
        return np.asarray(np.isfinite(self.parts).all(axis=1))

    def missing(self, model: str) -> int:
        """Return how many scores of ``model`` there are not."""
        return int((~self.known & (self.model == self.models.index(model))).sum()) if model in self.models else 0

    def where(self, rows: Flags) -> Coded:
        """Return the scores of ``rows``, with the languages that have none left out of the numbering."""
        used = np.bincount(self.language[rows], minlength=len(self.languages)) > 0
        names = tuple(name for name, some in zip(self.languages, used, strict=True) if some)
        language = (np.cumsum(used) - 1)[self.language[rows]]
        return Coded(
            self.models, names, self.prompt[rows], language, self.model[rows], self.parts[rows], self.failed[rows]
        )

    def pooled(self) -> Coded:
        """Return the scores with all languages taken for one."""
        return self._replace(languages=(ALL,), language=np.zeros_like(self.language))


def parts_of(score: Score, corpus: Corpus | None) -> Sequence[float] | None:
    """Return what is summed of ``score``: its parts where ``corpus`` needs them, else (value, 1); ``None`` of nothing."""
    if corpus is not None:
        return score.parts
    return None if score.value is None else (score.value, 1.0)


def coded_scores(scores: Sequence[Score], parts: Sequence[Sequence[float] | None]) -> tuple[Coded, Axis]:
    """Return ``scores`` with the ``parts`` of each as numbers, and their categories, in an order of their values alone."""
    table = padded(parts)
    frame = pd.DataFrame({
        "language": [score.language for score in scores], "task_version": [score.task_version for score in scores],
        "prompt_id": [score.prompt_id for score in scores], "model": [score.model for score in scores],
        "category": [score.category for score in scores], "repeat": [score.repeat for score in scores],
        "failed": [score.status == CANDIDATE_FAILURE for score in scores],
        **{f"part {at}": table[:, at] for at in range(table.shape[1])},
    })  # fmt: skip
    frame = frame.sort_values(list(frame.columns), kind="stable", na_position="last").reset_index(drop=True)
    models, languages = axis(frame, "model"), axis(frame, "language")
    prompt = combined([axis(frame, "task_version"), axis(frame, "prompt_id")], len(frame))
    found = frame.iloc[:, -table.shape[1] :].to_numpy(np.float64)
    failed = frame["failed"].to_numpy(np.bool_)
    coded = Coded(models.names, languages.names, prompt, languages.codes, models.codes, found, failed)
    return coded, axis(frame, "category")
