"""Bits and perplexities by hand; over several texts they are ratios of sums, not means of ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.scoring import METRICS
from evalharness.scoring.kind import LikelihoodItem

TEXT = "ab cd ü"  # 8 bytes, 3 words


@pytest.mark.parametrize(
    ("name", "value"),
    [("bits_per_byte", 1.0), ("byte_perplexity", 2.0), ("word_perplexity", 2 ** (8 / 3))],
)
def test_eight_bits_for_eight_bytes_and_three_words(name: str, value: float) -> None:
    measure = METRICS[name].measure(LikelihoodItem("de", TEXT, -8 * math.log(2)))
    assert measure.value == pytest.approx(value, rel=1e-12)
    assert not METRICS[name].higher_is_better


def test_over_texts_sums_are_divided() -> None:
    metric = METRICS["bits_per_byte"]
    items = [LikelihoodItem("en", "a", -1 * math.log(2)), LikelihoodItem("en", "b" * 9, -29 * math.log(2))]
    parts = np.array([metric.measure(item).parts for item in items])
    assert metric.corpus is not None
    assert metric.corpus(parts.sum(axis=0)) == pytest.approx(3.0)
    drawn = metric.corpus(np.stack([parts[0] * 2, parts.sum(axis=0), np.zeros(2)]))
    assert drawn[:2] == pytest.approx([1.0, 3.0])
    assert np.isnan(drawn[2])


def test_what_is_unknown_has_a_reason() -> None:
    assert METRICS["word_perplexity"].measure(LikelihoodItem("ja", "日本語", -1.0)).status == "no_word_boundaries"
    assert METRICS["bits_per_byte"].measure(LikelihoodItem("en", "a", None)).status == "missing"
    assert METRICS["bits_per_byte"].measure(LikelihoodItem("en", "a", -math.inf)).status == "zero_probability"
    assert METRICS["bits_per_byte"].measure(LikelihoodItem("en", "", 0.0)).status == "empty"
    huge = METRICS["byte_perplexity"].measure(LikelihoodItem("en", "a", -1e6))
    assert (huge.value, huge.status) == (None, "overflow")
