"""Servers that refuse most of what they are asked (R4): everything is answered, and little is asked in vain."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import BackendError
from tests.backends.questions import asking, logged, one

WAYS = ("", "-seconds", "-date", "-503", "-529")
NUMBER = 120


def test_after_a_storm_of_refusals_of_any_kind_everything_is_answered_and_nothing_is_asked_in_vain(
    api_server: Any, backend: Any
) -> None:
    """Nine in ten are refused at first. After that, each request that is left is asked once."""
    made = {f"storm{way}": backend(f"storm{way}", concurrency=32) for way in WAYS}

    def ask(model: str) -> None:
        results = list(made[model].submit(asking(i) for i in range(NUMBER)))
        assert len(results) == NUMBER and all(result.error is None for result in results), model

    with ThreadPoolExecutor(len(made)) as pool:
        list(pool.map(ask, made))
    storms = api_server.state()["storms"]
    for model, served in made.items():
        seen = storms[model]
        answered_before = seen["calls"] - seen["late"] - seen["refused"]
        assert seen["refused"] > 25, (model, seen)
        assert seen["late"] == NUMBER - answered_before, (model, seen)
        assert seen["calls"] < 1.3 * NUMBER + 32, (model, seen)
        assert 1 <= served.counts["cuts"] <= 12, (model, served.counts)


def test_above_a_rate_limit_of_any_kind_everything_is_answered_with_few_calls_for_an_answer(
    api_server: Any, backend: Any
) -> None:
    """The server takes 100 a second and 10 at once; it is asked 32 at once at first."""
    made = {f"limit{way}": backend(f"limit{way}", concurrency=32) for way in WAYS}

    def ask(model: str) -> None:
        number = NUMBER if "date" in model else 2 * NUMBER  # a date has whole seconds, which are waited for
        results = list(made[model].submit(asking(i) for i in range(number)))
        assert len(results) == number and all(result.error is None for result in results), model

    with ThreadPoolExecutor(len(made)) as pool:
        list(pool.map(ask, made))
    storms = api_server.state()["storms"]
    for model in made:
        seen = storms[model]
        assert seen["refused"] > 0 and seen["calls"] < 1.3 * (seen["calls"] - seen["refused"]) + 22, (model, seen)


def test_a_round_of_refusals_cuts_once_and_is_told_in_the_log(api_server: Any, backend: Any, tmp_path: Path) -> None:
    served = backend("429-round", concurrency=16)
    results = list(served.submit(asking(i) for i in range(16)))
    assert all(result.error is None for result in results) and len(api_server.log("429-round")) == 32
    assert served.counts["cuts"] == 1
    assert "asks to wait; at most 8 at once from now on" in logged(tmp_path)


def test_a_server_that_only_ever_asks_to_wait_ends_the_run(api_server: Any, backend: Any) -> None:
    served, began = backend("429-ms-always", deadline=1.5, concurrency=4), time.monotonic()
    with pytest.raises(BackendError, match=r"nothing but ask to wait for 2 s \(HTTP 429: slow down\); go on later"):
        list(served.submit(asking(i) for i in range(400)))
    assert time.monotonic() - began < 10 and len(api_server.log("429-ms-always")) < 400


def test_a_broken_server_is_not_asked_many_times_for_each_request(
    api_server: Any, backend: Any, tmp_path: Path
) -> None:
    served = backend("500-always", concurrency=4, max_retries=2)
    results = list(served.submit(asking(i) for i in range(200)))
    assert len(results) == 200 and all(result.transient for result in results)
    assert len(api_server.log("500-always")) == 208  # four at once may be asked twice more each
    assert served.counts["retries spared"] > 150 and "too much fails to ask again" in logged(tmp_path)
    assert any("too much fails to ask again" in str(result.error) for result in results)


def test_tokens_a_minute_are_spread_by_estimates_and_corrected_by_what_the_server_counts(
    api_server: Any, backend: Any
) -> None:
    """53 or 54 tokens are counted for each request, ten taken; the server of odd-usage does not say so."""
    took = {}
    for model in ("odd-usage", "good"):
        served, began = backend(model, concurrency=8, tokens_per_minute=54 * 600), time.monotonic()
        assert len(list(served.submit(asking(i) for i in range(16)))) == 16
        took[model] = time.monotonic() - began
    assert 1.4 <= took["odd-usage"] < 4 and took["good"] < 0.8 * took["odd-usage"]
    assert (
        one(backend("good", tokens_per_minute=1)).error is None
    )  # a request above the limit is asked, and then waited for
