"""The log-probability of a text in, bits per byte and perplexities out: lower is better, and all are ratios of sums."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from evalharness.languages import writes_spaces
from evalharness.scoring.kind import MISSING, Floats, LikelihoodItem, Measure, Metric, plain, ratio

_LIKELIHOOD = frozenset({"loglikelihood"})


def _measure(item: LikelihoodItem, units: int | None, corpus: Callable[[Floats], Floats], unknown: str) -> Measure:
    """Return the value of one text over its ``units``; the parts are (minus the log-probability in nats, units)."""
    if item.logprob is None or math.isnan(item.logprob):
        return Measure(None, MISSING)
    if not units:
        return Measure(None, unknown if units is None else "empty")
    if item.logprob == -math.inf:
        return Measure(None, "zero_probability")
    parts = (-item.logprob, float(units))
    value = float(corpus(np.array(parts)))
    return Measure(value, parts=parts) if math.isfinite(value) else Measure(None, "overflow", parts)


def corpus_bits(sums: Floats) -> Floats:
    """Return bits per unit from summed (nats, units) [..., 2]."""
    return ratio(sums[..., 0], sums[..., 1]) / math.log(2)


def corpus_perplexity(sums: Floats) -> Floats:
    """Return the perplexity per unit from summed (nats, units) [..., 2]."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(ratio(sums[..., 0], sums[..., 1])), np.float64)


def bits_per_byte(item: LikelihoodItem) -> Measure:
    """Return minus the base-2 log-probability of the text per UTF-8 byte."""
    return _measure(item, len(item.text.encode("utf-8")), corpus_bits, "")


def byte_perplexity(item: LikelihoodItem) -> Measure:
    """Return the perplexity per UTF-8 byte."""
    return _measure(item, len(item.text.encode("utf-8")), corpus_perplexity, "")


def word_perplexity(item: LikelihoodItem) -> Measure:
    """Return the perplexity per word, which is a run without white space; a language without such runs has no value."""
    words = len(item.text.split()) if writes_spaces(item.language) else None
    return _measure(item, words, corpus_perplexity, "no_word_boundaries")


METRICS = {
    name: Metric(
        name, _LIKELIHOOD, plain(score), description, corpus=corpus_bits if name == "bits_per_byte" else corpus_perplexity,
        range=None, higher_is_better=False,
    )
    for name, score, description in (
        ("bits_per_byte", bits_per_byte, "bits needed per UTF-8 byte of text"),
        ("byte_perplexity", byte_perplexity, "perplexity per UTF-8 byte"),
        ("word_perplexity", word_perplexity, "perplexity per word, for languages that write spaces"),
    )
}  # fmt: skip
