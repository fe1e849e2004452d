"""The `openai` backend against a real server in another process: answers, faults, waits, bounds, secrets, ends."""

from __future__ import annotations

import base64
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from evalharness.errors import BackendError, EvalHarnessError, ModelError
from evalharness.stages.stream import Stop, drain
from evalharness.types import Request, Sampling
from tests.backends.questions import asking, logged, one

KEY = "sk-canary-0123456789abcdef/ghij+KLMN"


def test_a_chat_answer_has_its_text_tokens_and_usage(api_server: Any, backend: Any) -> None:
    result = one(backend("good"))
    assert result.text is not None and result.text.startswith("good says ")
    assert (result.finish, result.tokens_in, result.tokens_out, result.error) == ("stop", 7, 3, None)
    assert result.usage is not None and result.usage["prompt_tokens_details"] == {"cached_tokens": 4}
    (asked,) = api_server.log()
    assert asked["body"] == {
        "model": "good", "temperature": 0, "messages": [{"role": "user", "content": "question 0"}], "max_tokens": 50,
    }  # fmt: skip
    assert asked["headers"]["accept-encoding"] == "identity"
    assert not {"authorization", "openai-organization"} & set(asked["headers"])


def test_raw_requests_use_completions(api_server: Any, backend: Any) -> None:
    result = one(backend("good"), asking(messages=None, text="Once upon"))
    assert result.finish == "length" and result.text is not None
    (asked,) = api_server.log()
    assert asked["path"] == "/v1/completions" and asked["body"]["prompt"] == "Once upon"


def test_nothing_is_asked_before_the_first_request(api_server: Any, backend: Any, tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    assert list(backend("good").submit([])) == [] and set(threading.enumerate()) <= threads
    assert not (tmp_path / "logs").exists() and api_server.log() == []


def test_many_are_in_flight_at_once_and_never_more_over_connections_that_are_kept(
    api_server: Any, backend: Any
) -> None:
    served = backend("slow", concurrency=8)
    began = time.monotonic()
    results = list(served.submit(asking(i) for i in range(24)))
    assert {r.id for r in results} == {f"{i:032x}" for i in range(24)} and all(r.error is None for r in results)
    assert 0.9 <= time.monotonic() - began < 3.0  # three rounds of 0.3 s
    assert api_server.state()["most"] == 8 == served.window
    assert len({entry["port"] for entry in api_server.log()}) == 8


def test_a_crowded_server_gets_about_as_many_requests_at_once_as_it_serves(api_server: Any, backend: Any) -> None:
    number = 400
    results = list(backend("crowded", concurrency=32).submit(asking(i) for i in range(number)))
    assert len(results) == number and all(result.error is None for result in results)
    assert len(api_server.log("crowded")) < 1.3 * number


def test_requests_a_minute_are_begun_evenly(api_server: Any, backend: Any) -> None:
    began = time.monotonic()
    results = list(backend("good", concurrency=8, requests_per_minute=600).submit(asking(i) for i in range(16)))
    assert len(results) == 16 and 1.4 <= time.monotonic() - began < 4  # 15 gaps of 0.1 s


def test_a_stop_asks_none_of_those_that_wait_for_their_turn(api_server: Any, backend: Any) -> None:
    served = backend("good", concurrency=8, requests_per_minute=60)
    threading.Timer(0.5, served.stop).start()
    began = time.monotonic()
    results = list(served.submit(asking(i) for i in range(20)))
    assert time.monotonic() - began < 3
    assert [result.error for result in results] == [None] and len(api_server.log()) == 1


def test_at_most_window_requests_are_pulled_ahead(backend: Any) -> None:
    pulled = 0

    def requests() -> Iterator[Request]:
        nonlocal pulled
        for pulled in range(1, 21):
            yield asking(pulled)

    for given, _ in enumerate(backend("good", concurrency=4).submit(requests()), 1):
        assert pulled <= given + 4
    assert pulled == 20


PASSES = {
    "429-seconds": (2, 0.4), "429-ms": (9, 0.15), "429-bare": (1, 0.2), "500-once": (1, 0.2), "503-once": (1, 0.2),
    "529-once": (1, 0.2), "408-once": (1, 0.2), "409-once": (1, 0.2), "reset-once": (1, 0.2), "429-date": (1, 0.3),
}  # fmt: skip


def test_faults_that_pass_are_asked_again_after_the_wait_the_server_wants(
    api_server: Any, backend: Any, tmp_path: Path
) -> None:
    """429-ms asks nine times for 20 ms: more than max_retries, since to be told to wait is no failure."""
    took: dict[str, float] = {}

    def ask(model: str) -> None:
        began = time.monotonic()
        result = one(backend(model))
        took[model] = time.monotonic() - began
        assert result.text is not None and result.text.startswith(f"{model} says"), (model, result)

    with ThreadPoolExecutor(len(PASSES)) as pool:
        list(pool.map(ask, PASSES))
    for model, (faults, seconds) in PASSES.items():
        assert len(api_server.log(model)) == faults + 1, model
        assert seconds <= took[model] < seconds + 10, (model, took[model])
    log = logged(tmp_path)
    assert log.count("asked again in") == sum(faults for faults, _ in PASSES.values()) and "HTTP 529" in log


def test_retries_end_with_max_retries_and_with_the_deadline_as_transient_errors(api_server: Any, backend: Any) -> None:
    one(backend("good"))
    result = one(backend("500-always", max_retries=1))
    assert result.transient and result.finish == "error" and result.error == "HTTP 500 (2 attempts)"
    assert len(api_server.log("500-always")) == 2
    began = time.monotonic()
    long = one(backend("429-long", deadline=60))
    assert long.transient and "86400 s, past the deadline" in str(long.error) and time.monotonic() - began < 2
    assert one(backend("reset-always", max_retries=0)).transient


@pytest.mark.parametrize("model", ["stall", "drip"])
def test_an_answer_that_does_not_come_or_comes_a_byte_at_a_time_is_a_timeout_and_the_others_go_on(
    model: str, backend: Any
) -> None:
    began = time.monotonic()
    result = one(backend(model, timeout=0.6, max_retries=0))
    assert result.transient and result.error == "timeout: no answer within 0.6 s" and time.monotonic() - began < 3
    assert one(backend("good")).error is None


MALFORMED = {
    "html": "an HTML page", "cut": "cut off", "nothing": "an empty body", "a-list": "no JSON object", "nan": "broken",
    "deep": "broken",
    "no-choices": "no choices", "empty-choices": "choices is empty", "wrong-choices": "no list", "no-message": "no message",
    "null-content": "content is null", "list-content": "no text", "no-finish": "finish_reason is missing",
    "bomb": "longer than max_response_bytes", "huge": "longer than max_response_bytes", "brotli": "packs its answer as br",
    "huge-error": "longer than max_response_bytes",
}  # fmt: skip


@pytest.mark.parametrize("model", MALFORMED)
def test_a_malformed_answer_is_an_error_that_names_its_kind(model: str, api_server: Any, backend: Any) -> None:
    result = one(backend(model, max_response_bytes=1 << 19))
    assert result.transient and result.finish == "error" and MALFORMED[model] in str(result.error), result
    assert len(api_server.log(model)) == 1


def test_a_packed_answer_is_unpacked_and_odd_counts_are_unknown(backend: Any) -> None:
    assert str(one(backend("zipped")).text).startswith("zipped says")
    odd = one(backend("odd-usage"))
    assert (odd.text, odd.tokens_in, odd.tokens_out) == ("x", None, None)


ENDS = {  # model: (finish, text, thinking, beginning of the error, transient)
    "length": ("length", "length says", None, None), "filter": ("filtered", "", None, None),
    "filter-400": ("filtered", None, None, None), "refusal": ("refused", "I cannot", None, None),
    "thinker": ("stop", "thinker says", "Hm. So.", None), "thinker-2": ("stop", "thinker-2 says", "Hm. So.", None),
    "thinker-cut": ("length", "", "Hm", None),
    "context": ("context", None, None, "maximum context length is 10 tokens, you sent 99"),
    "tools": ("error", None, None, "the answer ended with finish_reason 'tool_calls'"),
    "bad": ("error", None, None, "messages: must alternate (HTTP 400)"),
    "bad-422": ("error", None, None, "[{'msg': 'wrong'}] (HTTP 422)"),
}  # fmt: skip


@pytest.mark.parametrize("model", ENDS)
def test_each_end_of_an_answer_has_its_finish_and_is_asked_once(model: str, api_server: Any, backend: Any) -> None:
    finish, text, thinking, error = ENDS[model]
    result = one(backend(model))
    assert (result.finish, result.thinking, result.transient) == (finish, thinking, False)
    assert result.text is None if text is None else str(result.text).startswith(text)
    assert result.error is None if error is None else str(result.error).startswith(error), result.error
    assert len(api_server.log(model)) == 1


def test_where_the_prompt_fits_but_not_all_new_tokens_the_answer_ends_at_the_context(
    api_server: Any, backend: Any
) -> None:
    result = one(backend("context-room"))
    assert result.finish == "length" and str(result.text).startswith("context-room says")
    assert [entry["body"]["max_tokens"] for entry in api_server.log()] == [50, 10]


FATAL = {
    "forbidden": (BackendError, "wants a key: your country is not served"), "quota": (BackendError, "no credit left"),
    "payment": (BackendError, "no credit left"), "godo": (ModelError, "has no model 'godo'"),
    "no-temperature": (ModelError, "does not take temperature"),
    "no-max-tokens": (ModelError, "max_tokens_field: max_completion_tokens"),
    "redirect": (ModelError, "http://elsewhere.invalid/v1; write that as base_url"),
}  # fmt: skip


@pytest.mark.parametrize("model", FATAL)
def test_what_no_item_can_escape_ends_the_run_with_one_message(model: str, api_server: Any, backend: Any) -> None:
    kind, words = FATAL[model]
    with pytest.raises(kind, match=words.replace("(", "\\(")) as caught:
        list(backend(model, concurrency=4).submit(asking(i) for i in range(50)))
    assert caught.value.exit_code == (2 if kind is ModelError else 6)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert len(api_server.log(model)) <= 8  # those in flight, not the fifty


def test_a_proxy_of_the_environment_is_used_except_for_the_hosts_it_names(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"choices": [{"message": {"content": "through"}, "finish_reason": "stop"}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json; charset=klingon")  # JSON is UTF-8, whatever is said
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        assert one(backend("good", base_url="http://models.invalid/v1")).text == "through"
        assert asked == ["http://models.invalid/v1/chat/completions"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert one(backend("good")).text != "through"
        proxy.shutdown()
    assert len(asked) == 1


def test_an_address_without_the_path_is_not_taken_for_a_wrong_model_name(api_server: Any, backend: Any) -> None:
    with pytest.raises(ModelError, match=r"/v1/v2/chat/completions has no model 'good'.*base_url ends as"):
        one(backend("good", base_url=f"{api_server.url}/v2"))


def test_a_wrong_model_name_is_answered_with_the_nearest_of_the_servers_own(backend: Any) -> None:
    with pytest.raises(ModelError, match="did you mean 'good'"):
        one(backend("godo"))


def test_no_stop_is_named_with_its_mend(backend: Any) -> None:
    with pytest.raises(ModelError, match=r"does not take stop.*take the stop strings out"):
        one(backend("no-stop"), asking(sampling=Sampling(temperature=0, max_tokens=5, stop=("\n",))))


def test_answers_in_flight_are_taken_in_before_a_fatal_error_is_raised(api_server: Any, backend: Any) -> None:
    served, results = backend("slow", concurrency=3, api="completions"), []
    with pytest.raises(ModelError, match="sends messages"):  # the third request: messages to /completions
        results.extend(served.submit(asking(i, text="t", messages=None) if i < 2 else asking(i) for i in range(9)))
    assert [str(result.text)[:4] for result in results] == ["slow", "slow"] and len(api_server.log()) == 2


def test_a_host_that_was_never_reached_ends_the_run_and_names_the_address(backend: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BackendError, match=f"{url} cannot be reached.*base_url") as caught:
        list(backend("good", base_url=url, max_retries=1).submit(asking(i) for i in range(40)))
    assert caught.value.exit_code == 6
    with pytest.raises(BackendError, match="cannot be reached"):
        one(backend("good", base_url="http://nowhere.invalid/v1", max_retries=0))


def test_label_probabilities_come_from_the_first_tokens_alternatives(api_server: Any, backend: Any) -> None:
    result = one(backend("labels"), asking(kind="label_logprobs", continuations=("A", "B")))
    assert result.logprobs is not None and math.fsum(map(math.exp, result.logprobs)) == pytest.approx(0.99)
    body = api_server.log()[0]["body"]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1) and "stop" not in body
    raw = one(
        backend("labels"), asking(kind="label_logprobs", messages=None, text="Answer:", continuations=(" A", " B"))
    )
    assert raw.logprobs is not None and math.fsum(map(math.exp, raw.logprobs)) == pytest.approx(0.99)
    assert api_server.log()[1]["body"]["logprobs"] == 20
    rare = one(backend("labels-rare"), asking(kind="label_logprobs", continuations=("A", "B")))
    assert (
        rare.logprobs is not None
        and rare.logprobs[0] == pytest.approx(math.log(0.9985))
        and rare.logprobs[1] == -math.inf
    )
    for model in ("labels-far", "labels-none"):  # a null verdict, and no error
        unknown = one(backend(model), asking(kind="label_logprobs", continuations=("A", "B")))
        assert unknown.logprobs is None and unknown.error is None


@pytest.mark.parametrize("model", ["mute", "no-logprobs"])
def test_a_server_without_log_probabilities_is_found_at_its_first_reply(
    model: str, api_server: Any, backend: Any
) -> None:
    with pytest.raises(ModelError, match=f"{model} does not return log-probabilities.*arena-hard") as caught:
        list(
            backend(model, concurrency=2).submit(
                asking(i, "label_logprobs", continuations=("A", "B")) for i in range(30)
            )
        )
    assert caught.value.exit_code == 2 and len(api_server.log(model)) <= 4


def test_log_likelihoods_are_read_from_the_echoed_prompt(api_server: Any, backend: Any) -> None:
    """The server cuts texts into tokens of three characters, each as probable as minus its length."""
    request = asking(kind="loglikelihood", messages=None, text="abcdef", continuations=("ghi", "ghijklm"))
    assert one(backend("good"), request).logprobs == (-3.0, -7.0)
    assert len(api_server.log()) == 1
    assert "do not spell the text" in str(one(backend("misspelt"), request).error)
    assert "raw format" in str(one(backend("good"), asking(kind="loglikelihood", continuations=("x",))).error)
    with pytest.raises(ModelError, match="does not return log-probabilities"):
        one(backend("mute"), request)


def test_stop_takes_in_what_is_in_flight_and_waits_for_nobody(api_server: Any, backend: Any) -> None:
    served, stop, results = backend("slow", concurrency=2), Stop(), []
    for result in drain(served, (asking(i) for i in range(50)), stop, lambda: None):
        results.append(result)
        stop.set()
    assert 2 <= len(results) <= 4 and len(api_server.log()) == len(results)
    waiting, began = backend("429-long", deadline=1e6), time.monotonic()
    threading.Timer(0.3, waiting.stop).start()
    assert one(waiting).transient and time.monotonic() - began < 3


def test_close_ends_what_is_in_flight_and_leaves_no_thread(backend: Any) -> None:
    before = threading.active_count()
    served = backend("stall", timeout=60)
    threading.Timer(0.3, served.close).start()
    began = time.monotonic()
    with pytest.raises(BackendError, match="closed"):
        one(served)
    served.close()
    while threading.active_count() > before and time.monotonic() - began < 3:
        time.sleep(0.01)
    assert time.monotonic() - began < 3
    assert threading.active_count() <= before, threading.enumerate()
    with pytest.raises(BackendError, match="closed"):
        one(served)


def test_a_caller_that_gives_up_ends_the_backend(backend: Any) -> None:
    stream = drain(backend("slow", concurrency=4), (asking(i) for i in range(100)), Stop(), lambda: None)
    next(stream)
    began = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 2


def encodings(key: str) -> set[str]:
    """The key, and its first eight characters, in six spellings."""
    coded = {base64.b64encode(b"\0" * shift + key.encode())[4:-4].decode() for shift in range(3)}
    return {key, quote(key, safe=""), key.replace("/", "\\/"), repr(key)[1:-1], key[:8], *(text[:12] for text in coded)}


@pytest.mark.parametrize("model", ["echo-400", "echo-401", "echo-500", "echo-200"])
def test_no_key_is_in_results_errors_or_logs(
    model: str, backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", KEY)
    try:
        shown = repr(one(backend(model, api_key_env="CANARY", max_retries=0)))
    except EvalHarnessError as error:
        shown = str(error)
    assert "[key]" in shown
    found = [text for text in encodings(KEY) if text in shown + logged(tmp_path)]
    assert found == []


def test_the_key_is_sent_as_a_bearer_token_and_no_other(
    api_server: Any, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", KEY)
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "someone-elses")
    one(backend("good", api_key_env="CANARY"))
    one(backend("good"))  # another address than OpenAI's, and no key named: none is sent
    first, second = (entry["headers"] for entry in api_server.log())
    assert first["authorization"] == f"Bearer {KEY}" and "authorization" not in second
    assert "someone-elses" not in str((first, second))
