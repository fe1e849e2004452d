"""The laws of pace, health, retry budget and turns on a clock of the test's own: limits, cuts, rests, tokens, probes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.backends.openai.address import FIRST_OUT, LONGEST_OUT, MISSES, Health
from evalharness.backends.openai.body import tokens
from evalharness.backends.openai.pace import Pace
from evalharness.backends.openai.retries import Retries


def test_all_refusals_of_requests_that_were_under_way_together_are_one_cut() -> None:
    pace = Pace(64)
    numbers = [pace.begin(0.0, 0) for _ in range(64)]
    assert pace.ready(0.0) == math.inf
    assert [pace.told_to_wait(number, 0.0, 0.1) for number in numbers] == [True] + [False] * 63
    for number in numbers:
        pace.ended(number, answered=False, seconds=0.1)
    assert pace.limit == 32 and pace.cuts == 1
    later = pace.begin(10.0, 0)
    assert pace.told_to_wait(later, 0.0, 10.1) and pace.limit == 16


def test_the_time_a_server_asks_for_is_kept_and_a_shorter_one_later_does_not_shorten_it() -> None:
    pace = Pace(8)
    first, second = pace.begin(0.0, 0), pace.begin(0.0, 0)
    pace.told_to_wait(first, 3.0, 1.0)
    pace.told_to_wait(second, 0.5, 1.0)
    assert pace.ready(1.0) == 3.0 and pace.ready(4.0) == 0.0


def test_a_limit_below_one_is_a_rest_between_requests_of_at_most_a_second() -> None:
    pace, now = Pace(8), 0.0
    for _ in range(40):
        number = pace.begin(now, 0)
        now += 0.01
        pace.told_to_wait(number, 0.0, now)
        pace.ended(number, answered=False, seconds=0.01)
        now += pace.ready(now)
    assert pace.limit == pytest.approx(0.01)
    number = pace.begin(now, 0)
    assert pace.ready(now) == math.inf
    pace.ended(number, answered=True, seconds=0.01)
    assert pace.ready(now + 0.01) == pytest.approx(0.99)


def test_after_a_storm_the_limit_comes_back_within_the_answers_of_a_minute() -> None:
    pace, now, answers = Pace(64), 0.0, 0
    for answered in [False] * 12 + [True] * 1000:
        number = pace.begin(now, 0)
        now += 0.02
        if not answered:
            pace.told_to_wait(number, 0.0, now)
        pace.ended(number, answered, seconds=0.02)
        wait = pace.ready(now)
        now += wait
        answers += answered
        if answered and pace.limit == pace.most:
            break
    assert pace.limit == 64 and now < 60


@given(st.lists(st.integers(1, 400), min_size=2, max_size=60), st.integers(100, 5000), st.integers(1, 600))
def test_no_minute_has_more_requests_or_tokens_than_allowed_but_for_its_last_request(
    weights: list[int], per_minute: int, requests: int
) -> None:
    pace, now, begun = Pace(10_000, requests, per_minute), 0.0, []
    for weight in weights:
        now += pace.ready(now)
        pace.begin(now, weight)
        begun.append((now, weight))
    for start, _ in begun:
        inside = [weight for at, weight in begun if start <= at < start + 60 - 1e-6]
        assert len(inside) <= requests + 1 and sum(inside[:-1]) <= per_minute * (1 + 1e-9)


def test_tokens_that_were_counted_and_not_taken_are_given_back_and_more_than_counted_are_waited_for() -> None:
    pace = Pace(4, tokens_per_minute=600)  # ten a second
    number = pace.begin(0.0, 100)
    assert pace.ready(0.0) == 10.0
    pace.ended(number, answered=True, seconds=1.0, unused=80)
    assert pace.ready(1.0) == pytest.approx(1.0)
    number = pace.begin(2.0, 10)
    pace.ended(number, answered=True, seconds=1.0, unused=-20)
    assert pace.ready(3.0) == pytest.approx(2.0)


def test_a_request_is_counted_for_its_texts_at_three_bytes_a_token_and_for_what_it_asks() -> None:
    assert tokens({"messages": [{"role": "user", "content": "日本の"}], "max_tokens": 50}) == 53
    assert tokens({"prompt": ["abc", "abcdef"], "max_tokens": 1}) == 4
    assert tokens({"prompt": "abc", "max_completion_tokens": 7}) == 8


@pytest.mark.parametrize("latency", [0.002, 0.02, 0.5])
def test_answers_at_a_rate_limit_cost_few_refusals(latency: float) -> None:
    """A token bucket of 100 a second, asked for 64 at once: in steady state fewer than 1.25 calls an answer."""
    pace, now, bucket, filled, ends, calls, served = Pace(64), 0.0, 10.0, 0.0, [], 0, 0
    chance = random.Random(1)
    while now < 60:
        if pace.ready(now) == 0.0:
            number = pace.begin(now, 0)
            bucket, filled = min(10.0, bucket + (now - filled) * 100), now
            answered = bucket >= 1
            bucket -= answered
            ends.append((now + (latency * (1 + chance.random() / 2) if answered else 0.002), number, answered, now))
            calls, served = calls + (now > 10), served + (answered and now > 10)
            continue
        ends.sort()
        next_end = ends[0][0] if ends else math.inf
        if next_end > now + pace.ready(now):
            now += pace.ready(now)
            continue
        now, number, answered, began = ends.pop(0)
        if not answered:
            pace.told_to_wait(number, 0.0, now)
        pace.ended(number, answered, now - began)
    assert calls < 1.25 * served and served > 0.6 * 100 * 50


def test_an_address_is_left_out_after_misses_in_a_row_and_then_gets_one_request_at_a_time() -> None:
    health, now = Health(), 0.0
    for number in range(MISSES):
        assert health.ready(now) == 0.0
        health.begun(number)
        assert health.missed(number, gone=False, now=now) is (number == MISSES - 1)
    assert health.ready(now) == FIRST_OUT
    assert not health.missed(99, gone=False, now=now) and health.misses == MISSES  # it was under way before
    now += FIRST_OUT
    assert health.ready(now) == 0.0
    health.begun(5)
    assert health.ready(now) == math.inf
    health.missed(5, gone=False, now=now)
    assert health.ready(now) == 2 * FIRST_OUT
    for number in range(6, 20):
        health.begun(number)
        health.missed(number, gone=False, now=now)
    assert health.ready(now) == LONGEST_OUT
    health.replied()
    assert health.ready(now) == 0.0 and health.misses == 0


def test_one_connection_that_fails_leaves_an_address_out_and_answers_in_between_keep_it_in() -> None:
    health = Health()
    health.begun(1)
    assert health.missed(1, gone=True, now=5.0) and health.gone and health.gone_for(7.0) == 2.0
    health.replied()
    for number in range(10):
        health.begun(number)
        assert not health.missed(number, gone=False, now=0.0)
        health.replied()
    assert not health.gone


def test_a_probe_that_ends_without_a_word_lets_another_try() -> None:
    health = Health()
    health.begun(1)
    health.missed(1, gone=True, now=0.0)
    health.begun(2)
    health.given_up(2)
    assert health.ready(10.0) == 0.0


def test_retries_are_as_many_as_the_reserve_and_a_fifth_of_the_answers() -> None:
    retries = Retries(3.0, 60.0)
    assert [retries.take() for _ in range(4)] == [True, True, True, False]
    for _ in range(5):
        retries.answered()
    assert retries.take() and not retries.take()
    for _ in range(100):
        retries.answered()
    assert retries.left == 3.0


def test_patience_ends_where_nothing_was_answered_for_long_and_begins_anew_with_an_answer() -> None:
    retries = Retries(3.0, 60.0)
    assert retries.patient(1000.0) and retries.patient(1059.0) and not retries.patient(1060.0)
    retries.answered()
    assert retries.patient(2000.0) and not retries.patient(2061.0)
