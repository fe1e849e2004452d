"""pass@k is the share of all draws of k samples that hold one that passes."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.scoring import METRICS
from evalharness.scoring.kind import CodeItem

PASS = METRICS["pass_at_k"]


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(1, 9))
def test_it_is_the_share_of_draws_that_pass(passed: list[bool], k: int) -> None:
    value = PASS.measure(CodeItem("en", tuple(passed)), {"k": k}).value
    draws = list(combinations(passed, k))
    assert value == (pytest.approx(sum(map(any, draws)) / len(draws)) if draws else None)


def test_many_samples_do_not_overflow() -> None:
    item = CodeItem("en", (True,) * 3 + (False,) * 9_997)
    assert PASS.measure(item, {"k": 1}).value == pytest.approx(3e-4)
    assert PASS.measure(item, {"k": 100}).value == pytest.approx(1 - 0.99**3, rel=2e-2)


def test_a_missing_sample_is_left_out_and_counted() -> None:
    measure = PASS.measure(CodeItem("en", (True, None, False)), {"k": 2})
    assert (measure.value, measure.n_missing) == (1.0, 1)
    assert PASS.measure(CodeItem("en", (True, None)), {"k": 2}).status == "missing"
    assert PASS.measure(CodeItem("en", (True,)), {"k": 2}).status == "too_few_samples"


def test_a_list_of_k_is_a_row_each() -> None:
    assert PASS.rows({"k": (1, 10)}) == (("pass@1", {"k": 1}), ("pass@10", {"k": 10}))
    assert PASS.rows({}) == (("pass@1", {"k": 1}),)
    assert METRICS["acc"].rows({}) == (("acc", {}),)
