"""Translations and references in, chrF++ and BLEU out, by sacreBLEU; needs the extra ``translation``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.utils import SACREBLEU_DIR

from evalharness.scoring.kind import (
    CANDIDATE_FAILURE,
    MISSING,
    NO_MATCH,
    NO_REFERENCE,
    OK,
    Floats,
    Measure,
    Metric,
    TextItem,
    overall,
    ratio,
)

Tokenizer = Literal["13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab", "flores101", "flores200"]

_TEXT = frozenset({"text"})
_NEEDS = {"ja-mecab": ("MeCab", "sacrebleu[ja]"), "ko-mecab": ("mecab_ko", "sacrebleu[ko]")}
_MODELS = {"flores101": "sacrebleu_tokenizer_spm.model", "flores200": "flores200sacrebleuspm"}
_BETA2 = 4.0  # recall weighs twice as much as precision


@dataclass(frozen=True, slots=True)
class ChrfOptions:
    """The longest n-grams of characters (``char_order``) and words (``word_order``; 2 is chrF++, 0 chrF)."""

    char_order: int = 6
    word_order: int = 2

    def __post_init__(self) -> None:
        if self.char_order < 1 or self.word_order < 0:
            raise ValueError("char_order must be 1 or more, word_order 0 or more")


@dataclass(frozen=True, slots=True)
class BleuOptions:
    """``tokenize`` is how sacreBLEU cuts words; ``lowercase`` makes capitals not count."""

    tokenize: Tokenizer = "13a"
    lowercase: bool = False

    def __post_init__(self) -> None:
        if self.tokenize in _NEEDS and find_spec(_NEEDS[self.tokenize][0]) is None:
            raise ValueError(f"tokenize: {self.tokenize} needs a package: pip install '{_NEEDS[self.tokenize][1]}'")
        if self.tokenize in _MODELS:
            model = Path(SACREBLEU_DIR) / "models" / _MODELS[self.tokenize]
            if find_spec("sentencepiece") is None:
                raise ValueError(f"tokenize: {self.tokenize} needs a package: pip install sentencepiece")
            if not model.is_file():
                raise ValueError(
                    f"tokenize: {self.tokenize} needs its model at {model}; download it, or use metric chrf"
                )


@lru_cache(maxsize=16)
def _chrf(options: ChrfOptions) -> CHRF:
    return CHRF(char_order=options.char_order, word_order=options.word_order)


@lru_cache(maxsize=16)
def _bleu(options: BleuOptions) -> BLEU:
    return BLEU(tokenize=options.tokenize, lowercase=options.lowercase, effective_order=True)


def _statistics(metric: Any, hypothesis: str, references: tuple[str, ...]) -> list[int]:
    """Return sacreBLEU's counts of one segment, which it offers under this name to its own bootstrap."""
    found: list[int] = metric._extract_corpus_statistics([hypothesis], [[text] for text in references])[0]  # noqa: SLF001
    return found


def _measure(item: TextItem, metric: Any) -> Measure:
    """Return the mean score of the answers as sentences; parts are the summed counts, of a failed answer as of an empty one."""
    if not item.references:
        return Measure(None, NO_REFERENCE)
    values, statuses, counts = [], [], []
    for at, answer in enumerate(item.answers):
        failure = item.failure(at)
        if failure is None and answer is None:
            statuses.append(MISSING)
            continue
        statuses.append(failure or OK)
        text = answer if failure is None and answer is not None else ""
        counts.append(_statistics(metric, text, item.references))
        values.append(float(metric.sentence_score(text, list(item.references)).score))
    first = next((a for a, status in zip(item.answers, statuses, strict=True) if status == OK), None)
    return Measure(
        math.fsum(values) / len(values) if values else None,
        overall(statuses), tuple(float(sum(column)) for column in zip(*counts, strict=True)) if counts else None, first,
        n_missing=statuses.count(MISSING), n_unread=statuses.count(NO_MATCH), n_failed=statuses.count(CANDIDATE_FAILURE),
    )  # fmt: skip


def chrf(item: TextItem, options: ChrfOptions) -> Measure:
    """Return chrF++ (Popović 2017), 0 to 100; parts: n-grams of the answer, of the reference, and shared, for each order."""
    return _measure(item, _chrf(options))


def corpus_chrf(sums: Floats) -> Floats:
    """Return chrF from summed counts [..., 3 x orders]: F2 of mean precision and recall over the orders that occur."""
    answered, wanted, shared = (sums[..., k::3] for k in range(3))
    occurs = (answered > 0) & (wanted > 0)
    orders = np.maximum(occurs.sum(axis=-1), 1)
    precision = np.where(occurs, shared / np.maximum(answered, 1), 0.0).sum(axis=-1) / orders
    recall = np.where(occurs, shared / np.maximum(wanted, 1), 0.0).sum(axis=-1) / orders
    weighted = _BETA2 * precision + recall
    return np.where(weighted > 0, 100 * (1 + _BETA2) * precision * recall / np.where(weighted > 0, weighted, 1.0), 0.0)


def bleu(item: TextItem, options: BleuOptions) -> Measure:
    """Return BLEU (Papineni et al. 2002; exponential smoothing), 0 to 100, of sentences over the orders they have.

    Parts: length of the answer, of the nearest reference, then shared and all n-grams for n = 1 to 4.
    """
    return _measure(item, _bleu(options))


def corpus_bleu(sums: Floats) -> Floats:
    """Return BLEU from summed counts [..., 10], as sacreBLEU computes it for a corpus."""
    length, wanted, shared, whole = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
    misses = np.cumsum(shared == 0, axis=-1)
    some = whole > 0
    smoothed = np.where(shared > 0, shared, 0.5**misses)  # an order without a match counts half the one before it
    precision = np.where(some, smoothed / np.where(some, whole, 1.0), 1.0)
    mean = np.exp(np.log(precision).mean(axis=-1))
    penalty = np.exp(np.minimum(0.0, 1 - ratio(wanted, length)))
    scored = (shared.sum(axis=-1) > 0) & some.all(axis=-1)
    return np.where(scored, 100 * penalty * mean, 0.0)


METRICS = {
    "chrf": Metric(
        "chrf", _TEXT, chrf, "chrF++: F-score of shared character and word n-grams", options=ChrfOptions,
        corpus=corpus_chrf, range=(0.0, 100.0),
    ),
    "bleu": Metric(
        "bleu", _TEXT, bleu, "BLEU: precision of shared word n-grams", options=BleuOptions, corpus=corpus_bleu,
        range=(0.0, 100.0),
    ),
}  # fmt: skip
