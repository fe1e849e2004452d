"""What an entry becomes, what a request becomes, and what replies and errors are read as: no server needed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.backends import resolve
from evalharness.backends.openai import logprobs
from evalharness.backends.openai.body import compose
from evalharness.backends.openai.entry import Endpoint, apart, endpoint
from evalharness.backends.openai.faults import (
    AgainError,
    ItemError,
    NoLogprobsError,
    NoModelError,
    TooLongError,
    fault,
    wait_of,
)
from evalharness.backends.openai.reply import document, result
from evalharness.backends.openai.scrub import Scrub
from evalharness.errors import BackendError, ModelError
from evalharness.plan import Player
from evalharness.specs.model import ModelSpec, load_models, parse_model
from evalharness.types import SAMPLING_DEFAULTS, Message, Request, Sampling

HERE = "http://127.0.0.1:8000/v1"
SERVED = Endpoint("m", HERE)
USER = (Message("user", "q"),)


def spec(**changed: Any) -> ModelSpec:
    return replace(ModelSpec("m", "openai", "org/m", base_url=HERE), **changed)


def test_the_default_judges_model_is_resolved_without_a_network_call_if_there_is_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = parse_model("openai:gpt-4o-2024-08-06")
    assert model is not None
    with pytest.raises(BackendError, match=r"gpt-4o-2024-08-06.*OPENAI_API_KEY is not set.*api.openai.com") as caught:
        resolve(model)
    assert caught.value.exit_code == 6
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
    engine = resolve(model)
    assert engine.weights == "https://api.openai.com/v1 gpt-4o-2024-08-06"
    assert dict(engine.settings)["max_tokens_field"] == "max_completion_tokens"
    assert endpoint(engine).key == "sk-1234" and "sk-1234" not in repr(engine) + repr(endpoint(engine))
    assert Player(model, engine).format("auto") == "chat"


def test_openai_base_url_moves_names_of_the_command_line_and_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "HTTP://LocalHost:80/v1/")
    model = parse_model("openai:org/m@7")
    assert model is not None
    engine = resolve(model)
    assert (engine.weights, engine.path) == ("http://localhost/v1 org/m@7", "org/m@7")
    assert endpoint(engine).key is None
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert endpoint(resolve(model)).key == "k"
    assert endpoint(resolve(spec())).key is None  # an entry's own address never gets OpenAI's key


def test_an_entrys_revision_is_in_its_identity_and_not_in_the_name_asked_for() -> None:
    engine = resolve(spec(revision="abc"))
    assert engine.weights == f"{HERE} org/m@abc" and engine.path == "org/m"


def test_what_changes_answers_changes_the_identity_and_what_does_not_does_not() -> None:
    key = resolve(spec()).key
    for engine in (
        {"api": "completions"},
        {"max_tokens_field": "max_completion_tokens"},
        {"extra_body": {"min_p": 0.1}},
    ):
        assert resolve(spec(engine=engine)).key != key
    assert resolve(spec(chat_template_kwargs={"enable_thinking": False})).key != key
    free = {
        "concurrency": 3,
        "requests_per_minute": 9,
        "tokens_per_minute": 9,
        "timeout": 9,
        "max_retries": 1,
        "deadline": 5.5,
        "max_response_bytes": 4096,
    }
    assert resolve(spec(engine=free)).key == key == resolve(spec(base_url=f"{HERE}/")).key
    served = endpoint(resolve(spec(engine=free, chat_template_kwargs={"a": [1, {}]})))
    assert (served.concurrency, served.timeout, served.deadline, served.chat_template_kwargs) == (
        3,
        9,
        5.5,
        {"a": [1, {}]},
    )
    assert Player(spec(), resolve(spec(engine={"api": "completions"}))).format("auto") == "raw"


def test_more_addresses_are_more_of_the_same_and_change_no_identity() -> None:
    alone, two = resolve(spec()), resolve(spec(base_url=(HERE, "http://OTHER:80/v1/")))
    assert two.key == alone.key and two.weights == f"{HERE} org/m"
    assert resolve(spec(base_url=(HERE,))) == alone  # nothing of one address changed
    assert resolve(spec(base_url=(HERE, "http://third/v1", "http://other/v1"))).key == alone.key
    assert resolve(spec(base_url=("http://other/v1", HERE))).key != alone.key
    assert [part.base_url for part in endpoint(two).addresses] == [HERE, "http://other/v1"]
    assert [endpoint(part).base_url for part in apart(two)] == [HERE, "http://other/v1"]
    assert apart(alone) == [alone] and {part.key for part in apart(two)} == {alone.key}


def test_the_addresses_of_a_yaml_are_one_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "evalharness.yaml"
    file.write_text(
        "models:\n  m: {backend: openai, path: m, base_url: [http://a/v1, http://b/v1]}\n", encoding="utf-8"
    )
    assert load_models(file)["m"].base_url == ("http://a/v1", "http://b/v1")
    file.write_text("models:\n  m: {backend: openai, path: m, base_url: http://a/v1}\n", encoding="utf-8")
    assert load_models(file)["m"].base_url == "http://a/v1"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"engine": {"concurency": 3}}, "did you mean 'concurrency'"),
    ({"engine": {"concurrency": 0}}, "concurrency must be a whole number from 1"),
    ({"engine": {"concurrency": True}}, "whole number"),
    ({"engine": {"timeout": "10"}}, "timeout must be a number of seconds"),
    ({"engine": {"api": "chats"}}, "api must be one of chat, completions, not 'chats'"),
    ({"engine": {"extra_body": 3}}, "extra_body must hold keys"),
    ({"base_url": "file:///etc/passwd"}, "must be an http or https address"),
    ({"base_url": "127.0.0.1:8000"}, "must be an http or https address"),
    ({"base_url": "http://h:99999/v1"}, "no address"),
    ({"base_url": "https://user:secret-word@h/v1"}, "without user name"),
    ({"base_url": "https://h/v1?key=secret-word"}, "plain address"),
    ({"base_url": ()}, "base_url is an empty list"),
    ({"base_url": (HERE, f"{HERE}/")}, f"base_url names {HERE} twice"),
    ({"base_url": (HERE, "https://api.openai.com/v1")}, "names OpenAI and other addresses"),
    ({"base_url": (HERE, "https://user:secret-word@h/v1")}, "without user name"),
    ({"engine": {"tokens_per_minute": 0}}, "tokens_per_minute must be a whole number from 1"),
    ({"api_key_env": "sk-secret-word-123"}, "never a key itself"),
    ({"api_key_env": "gsk_secretword123"}, "never a key itself"),
    ({"adapter": "x"}, "adapter is for models that are loaded here"),
    ({"chat_template": "x"}, "chat_template is for"),
]


@pytest.mark.parametrize(("changed", "words"), WRONG)
def test_a_wrong_entry_is_refused_with_a_line_that_holds_no_secret(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=f"^model 'm': .*{words}") as caught:
        resolve(spec(**changed))
    assert "secret" not in str(caught.value)


def test_a_key_that_is_named_must_be_there_and_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="MY_KEY is not set"):
        resolve(spec(api_key_env="MY_KEY"))
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(BackendError, match="MY_KEY holds no API key") as caught:
        resolve(spec(api_key_env="MY_KEY"))
    assert "two" not in str(caught.value)
    monkeypatch.setenv("MY_KEY", "right\n")
    assert endpoint(resolve(spec(api_key_env="MY_KEY"))).key == "right"


def asked(served: Endpoint = SERVED, sampling: Sampling = SAMPLING_DEFAULTS, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"kind": "generate", "messages": USER, "text": None, **more}
    return compose(served, Request("ab" * 16, sampling=sampling, **given))[1]


def test_sampling_is_sent_where_something_is_drawn_and_the_seed_is_the_requests_own() -> None:
    greedy = asked(sampling=Sampling(0.0, 0.9, 40, 99, (), None))
    assert greedy == {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "q"}], "max_tokens": 99}
    drawn = asked(sampling=Sampling(0.7, 0.9, 40, 99, ("\n", "Q:"), 5))
    assert (drawn["temperature"], drawn["top_p"], drawn["top_k"], drawn["stop"]) == (0.7, 0.9, 40, ["\n", "Q:"])
    assert 0 <= drawn["seed"] < 2**31 and drawn["seed"] != asked(sampling=Sampling(0.7, 0.9, 40, 99, (), 6))["seed"]
    assert "top_k" not in asked(sampling=Sampling(0.7, 1.0, 0, 99, (), None))


def test_an_entry_adds_to_the_body_and_names_the_field_of_the_limit() -> None:
    served = replace(
        SERVED, max_tokens_field="max_completion_tokens", extra_body={"top_k": -1}, chat_template_kwargs={"x": 1}
    )
    body = asked(served)
    assert (body["max_completion_tokens"], body["top_k"], body["chat_template_kwargs"]) == (1024, -1, {"x": 1})
    assert "max_tokens" not in body and "chat_template_kwargs" not in asked(served, messages=None, text="t")


def test_the_beginning_of_an_answer_is_gone_on_with_only_where_the_entry_says_so() -> None:
    begun = (*USER, Message("assistant", "The answer is"))
    with pytest.raises(ItemError, match="continue_final_message: true"):
        asked(messages=begun)
    body = asked(replace(SERVED, continue_final_message=True), messages=begun)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in asked(replace(SERVED, continue_final_message=True))


def test_messages_cannot_be_asked_through_completions() -> None:
    with pytest.raises(ModelError, match="api: completions"):
        asked(replace(SERVED, api="completions"))


FIELDS = ("choices", "message", "content", "finish_reason", "logprobs", "top_logprobs", "tokens", "usage", "index")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner)))
def test_any_json_is_a_result_or_an_error_of_ours(value: Any) -> None:
    for kind in ("generate", "label_logprobs", "loglikelihood"):
        request = Request("ab" * 16, kind, None, "t", continuations=("A", "B"))  # type: ignore[arg-type]
        for reply in (
            value,
            {"choices": value},
            {"choices": [value]},
            {"choices": [{"message": value, "logprobs": value}]},
        ):
            try:
                found = result(request, reply) if isinstance(reply, dict) else None
            except (ItemError, NoLogprobsError):
                continue
            assert found is None or found.id == request.id


@given(st.text())
def test_any_text_is_a_document_or_an_error_of_ours(text: str) -> None:
    try:
        assert isinstance(document(text), dict)
    except ItemError as error:
        assert error.transient


def chances(*pairs: tuple[str, float]) -> list[tuple[str, float]]:
    return [(token, math.log(p)) for token, p in pairs]


def test_labels_are_found_with_or_without_white_space_and_summed() -> None:
    found = logprobs.of_labels((" A", " B"), chances((" A", 0.5), ("A", 0.1), ("\nB", 0.3), ("Both", 0.05)))
    assert found is not None and [math.exp(value) for value in found] == pytest.approx([0.6, 0.3])


def test_a_label_that_is_not_among_the_alternatives_counts_as_nothing_only_where_it_is_nearly_nothing() -> None:
    assert logprobs.of_labels(("A", "B"), chances(("A", 0.6), ("x", 0.3))) is None  # B may have up to 0.1
    assert logprobs.of_labels(("A", "B"), chances(("A", 0.9), ("x", 0.001))) == (
        pytest.approx(math.log(0.9)),
        -math.inf,
    )
    assert logprobs.of_labels(("A", "B"), chances(("A", 0.9995))) == (pytest.approx(math.log(0.9995)), -math.inf)
    assert logprobs.of_labels(("A", "B"), chances(("x", 0.9), ("y", 0.1))) is None
    assert logprobs.of_labels(("A", "B"), [("A", -9999.0), ("x", -9999.0)]) is None


def test_no_first_token_is_no_verdict_and_no_log_probabilities_at_all_are_a_fault_of_the_server() -> None:
    assert logprobs.alternatives({"content": []}) == [] and logprobs.of_labels(("A", "B"), []) is None
    for nothing in (None, {}, {"content": None}, {"content": [{"token": "A", "logprob": -1, "top_logprobs": []}]}):
        assert logprobs.alternatives(nothing) is None


def test_a_token_across_the_border_belongs_to_the_continuation() -> None:
    reply = {"tokens": ["The", " sky", " is b", "lue", "!"], "token_logprobs": [None, -1.0, -2.0, -4.0, -8.0]}
    assert logprobs.of_continuation("The sky is blue", " blue", reply) == -6.0
    assert logprobs.of_continuation("The sky is blue", "lue", reply) == -4.0
    assert logprobs.of_continuation("The sky is blue", "The sky is blue", reply) is None  # the first has no probability
    assert logprobs.of_continuation("The sky is grün", "grün", reply) is None


def test_the_first_bytes_of_a_letter_belong_to_the_continuation_that_begins_with_it() -> None:
    reply = {
        "tokens": ["Η", " Άννα", "", " ψ", "", "η", "."],
        "token_logprobs": [None, -1.0, -2.0, -4.0, -8.0, -16.0, -99.0],
    }
    assert logprobs.of_continuation("Η Άννα ψη", " ψη", reply) == -30.0
    assert logprobs.of_continuation("Η Άννα ψη", "η", reply) == -24.0


def test_retry_after_is_read_as_milliseconds_seconds_or_a_date() -> None:
    now = 1_800_000_000.0
    assert wait_of({"retry-after-ms": "1500", "retry-after": "9"}, now) == 1.5
    assert wait_of({"retry-after": "2.5"}, now) == 2.5
    assert wait_of({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, now) == 30.0
    assert wait_of({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, now) == 0.0
    for nothing in ("soon", "", "inf", "nan", "-3"):
        assert wait_of({"retry-after": nothing}, now) is None


FAULTS: list[tuple[int, str, type[Exception]]] = [
    (429, '{"error": {"message": "slow"}}', AgainError), (529, "<html>", AgainError), (500, "", AgainError),
    (429, '{"error": {"type": "insufficient_quota", "message": "x"}}', BackendError), (402, "{}", BackendError),
    (401, "", BackendError), (403, '{"message": "no"}', BackendError),
    (403, '{"error": {"message": "no logprobs here"}}', NoLogprobsError),
    (404, "", NoModelError), (400, '{"error": {"message": "The model `x` does not exist"}}', NoModelError),
    (400, '{"error": {"code": "context_length_exceeded", "message": "m"}}', TooLongError), (400, '{"error": "plain"}', ItemError),
    (413, "too large", ItemError), (422, '{"detail": "x"}', ItemError), (302, "", ModelError), (400, "[" * 99999, ItemError),
    (400, '{"error": {"message": "temperature: 3 is too high"}}', ItemError),
    (400, '{"error": {"message": "Unsupported parameter: seed", "param": "seed"}}', ModelError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "told"), [(429, True), (503, True), (529, True), (500, False), (502, False), (408, False)]
)
def test_a_server_without_room_asks_to_wait_and_a_broken_one_does_not(status: int, told: bool) -> None:
    error = fault(SERVED, status, "", None)
    assert isinstance(error, AgainError) and error.told is told


@pytest.mark.parametrize(("status", "text", "kind"), FAULTS)
def test_every_status_has_its_consequence(status: int, text: str, kind: type[Exception]) -> None:
    assert type(fault(SERVED, status, text, None)) is kind


@pytest.mark.parametrize(
    ("words", "room"),
    [
        ("maximum context length is 4097 tokens. However, you requested 4927 tokens (831 in the messages, 4096 in …)", 3266),
        ("This model's maximum context length is 100 tokens and your request has 90 input tokens (9 > 100 - 90).", 10),
        ("You passed 2049 input tokens. However, the model's context length is only 2048 tokens", None),
        ("This model's maximum context length is 10 tokens. However, your messages resulted in 99 tokens.", None),
    ],
)  # fmt: skip
def test_the_room_for_new_tokens_is_read_from_what_servers_say(words: str, room: int | None) -> None:
    error = fault(SERVED, 400, f'{{"error": {{"message": "{words}"}}}}', None)
    assert isinstance(error, TooLongError) and error.room == room


def test_scrubbing_takes_the_key_out_of_errors_and_leaves_answers_alone() -> None:
    scrub = Scrub("sk-proj-0123456789abcdef")
    assert scrub.words("got sk-proj-01***ef, sorry") == "got [key], sorry"
    assert scrub.words("at http://u:p@host/x") == "at http://host/x"
    assert scrub.words("a\x1b[31m\nb\ud800") == "a b\ufffd"
    assert scrub.body('{"x": "keys look like sk-proj-…"}') == '{"x": "keys look like sk-proj-…"}'
    assert scrub.body('{"x": "sk-proj-0123456789abcdef"}') == '{"x": "[key]"}'
    assert Scrub("EMPTY").body("EMPTY") == "EMPTY" and Scrub("EMPTY").words("key EMPTY") == "key [key]"
    assert Scrub(None).words("key") == "key"
