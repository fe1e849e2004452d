"""Scores of single answers in, their means and corpus values with intervals out: over all languages, in each, by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evalharness.languages import AXES, grouped
from evalharness.stats.cells import Cells
from evalharness.stats.coded import CANDIDATE_FAILURE, Coded, coded_scores, parts_of
from evalharness.stats.corpus import Corpus, Scale, Sums, corpus_rates, mean, summed
from evalharness.stats.groups import ALL, MISSING_LANGUAGES, NO_VERDICTS, Average
from evalharness.stats.intervals import Interval, Resampling
from evalharness.stats.rates import GroupRates, mean_rates
from evalharness.stats.sizes import size_class
from evalharness.types import Score

__all__ = ["CANDIDATE_FAILURE", "Mean", "means", "plain_row"]

NO_SPREAD = "no_spread"
_POINT = 1e-9
_USUAL = Resampling()


@dataclass(frozen=True, slots=True)
class Mean:
    """A model's mean score, or the value of its corpus, in one group, on the scale of the scores.

    ``None`` is unknown, ``reason`` says why. ``n_scores`` are all answers, ``n_missing`` those without a score (or without
    the parts of a corpus value), ``n_failed`` those that failed and have the lowest. ``languages`` are those of the group.
    """

    model: str
    by: str
    group: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    interval: str | None
    reason: str | None
    n_prompts: int
    n_scores: int
    n_missing: int
    n_failed: int
    missing_languages: tuple[str, ...]
    languages: tuple[str, ...] = ()


def plain_row(row: Any) -> dict[str, Any]:
    """Return a record as a row of ``summary.json``: plain values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(row).items()}


class _Scheme(NamedTuple):
    """How values and their intervals are made: of bounded scores as rates, else by ``corpus``, kept inside ``scale``."""

    scale: Scale | None
    corpus: Corpus | None
    average: Average
    how: Resampling

    @property
    def as_rates(self) -> bool:
        """Whether scores are put on 0..1 and their means are those of rates."""
        return self.corpus is None and self.scale is not None

    def rates(self, coded: Coded, each_language: bool) -> list[GroupRates]:
        """Return the macro mean over the languages of ``coded`` and, if ``each_language``, then each language."""
        if self.as_rates:
            return mean_rates(_cells(coded), self.how, each_language)
        return corpus_rates(_sums(coded, self.corpus or mean), self.scale, self.how, each_language)

    def parts(self, score: Score) -> Sequence[float] | None:
        """Return what is summed of ``score``, ``None`` where there is nothing."""
        if self.corpus is not None or self.scale is None:
            return parts_of(score, self.corpus)
        if score.value is None:
            return None
        low, high = self.scale
        return ((score.value - low) / (high - low),)


def means(
    scores: Sequence[Score],
    scale: Scale | None,
    *,
    corpus: Corpus | None = None,
    average: Average = "macro",
    how: Resampling = _USUAL,
    sizes: Mapping[str, float | None] | None = None,
) -> list[Mean]:
    """Return the mean score of every model in ``scores`` (of one task and one metric) on ``scale`` (lowest, highest).

    ``all`` is the macro mean over languages unless ``average`` is micro; then come the languages, size classes, categories
    and, of several languages, their families, scripts and levels of resources, each the mean over its languages. A mean on a
    scale is that of a rate: scores are put on 0..1, and intervals resample prompts jointly over languages (``intervals``);
    where all have the lowest or the highest score the interval is Wilson's, which is wide enough for any bounded score. With
    ``corpus`` the value of a language is that of its summed parts (``corpus_rates``), as it is for a mean without a
    ``scale``. Prompts that all have the same mean tell nothing of the spread: there the interval is ``None``. The order of
    ``scores`` changes nothing.
    """
    if not scores:
        return []
    scheme = _Scheme(scale, corpus, average, how)
    coded, categories = coded_scores(scores, [scheme.parts(score) for score in scores])
    overall, *languages = _groups(coded, scheme)
    everyone = list(_rows(ALL, *overall))
    rows = everyone + [row for group in languages for row in _rows("language", *group)]
    rows += [replace(row, by="size", group=size_class((sizes or {}).get(row.model))) for row in everyone]
    for at, name in enumerate(categories.names):
        rows += _group_rows("category", name, coded.where(categories.codes == at), scheme)
    for by in AXES if len(coded.languages) > 1 else ():
        for name, codes in grouped(by, coded.languages).items():
            members = np.array([language in codes for language in coded.languages])
            rows += _group_rows(by, name, coded.where(members[coded.language]), scheme)
    return [_on_scale(row, *scale) for row in rows] if scale is not None and scheme.as_rates else rows


def _on_scale(row: Mean, low: float, high: float) -> Mean:
    value, ci_low, ci_high = (
        None if share is None else low + share * (high - low) for share in (row.value, row.ci_low, row.ci_high)
    )
    return replace(row, value=value, ci_low=ci_low, ci_high=ci_high)


def _groups(coded: Coded, scheme: _Scheme, each_language: bool = True) -> Iterator[tuple[str, Coded, GroupRates]]:
    """Yield (name, scores, means) of all scores, then of each language."""
    macro = scheme.average == "macro"
    rates = scheme.rates(coded if macro else coded.pooled(), each_language and macro)
    if each_language and not macro:
        rates += scheme.rates(coded, each_language=True)[1:]
    yield ALL, coded, rates[0]
    for at, found in enumerate(rates[1:]):
        yield coded.languages[at], coded.where(coded.language == at), found


def _group_rows(by: str, name: str, coded: Coded, scheme: _Scheme) -> Iterator[Mean]:
    for _, part, rates in _groups(coded, scheme, each_language=False):
        yield from _rows(by, name, part, rates)


def _sums(coded: Coded, corpus: Corpus) -> Sums:
    shape = (len(coded.languages), len(coded.models))
    return summed(coded.parts, coded.prompt, coded.language, coded.model, shape, corpus)


def _cells(coded: Coded) -> Cells:
    """Return the sums of scores per (language, prompt) and model; prompts without any score are no clusters."""
    known = coded.known
    cluster, prompts = pd.factorize(coded.prompt[known], sort=True)
    size, columns = max(len(prompts), 1), len(coded.models)
    stratum, strata = pd.factorize(coded.language[known] * size + cluster, sort=True)
    place, cells = stratum * columns + coded.model[known], len(strata) * columns
    starts = np.searchsorted(strata, np.arange(len(coded.languages) + 1) * size)
    return Cells(
        clusters=len(prompts),
        bounds=tuple(int(start) for start in starts),
        cluster=strata % size,
        weight=np.bincount(place, minlength=cells).astype(np.float64).reshape(len(strata), columns),
        score=np.bincount(place, coded.parts[known, 0], cells).astype(np.float64).reshape(len(strata), columns),
    )


def _spread(interval: Interval) -> Interval:
    if interval.low is None or interval.high is None or interval.high - interval.low > _POINT:
        return interval
    return Interval(reason=NO_SPREAD)


def _rows(by: str, name: str, coded: Coded, rates: GroupRates) -> Iterator[Mean]:
    """Yield the means of a group, a row a model that has an answer in it; those of rates are on the unit scale."""
    known = coded.known
    for number, model in enumerate(coded.models):
        own = coded.model == number
        if not own.any():
            continue
        scored = np.bincount(coded.language[own & known], minlength=len(coded.languages)) > 0
        missing = tuple(name for name, some in zip(coded.languages, scored, strict=True) if not some)
        rate, interval = rates.rate[number], _spread(rates.intervals[number])
        value = float(rate) if np.isfinite(rate) else None
        no_value = None if value is not None else MISSING_LANGUAGES if scored.any() else NO_VERDICTS
        yield Mean(
            model=model, by=by, group=name, value=value, ci_low=interval.low, ci_high=interval.high,
            interval=interval.method, reason=no_value or interval.reason, n_prompts=int(rates.n_prompts[number]),
            n_scores=int(own.sum()), n_missing=int((own & ~known).sum()), n_failed=int((own & coded.failed).sum()),
            missing_languages=missing, languages=coded.languages,
        )  # fmt: skip
