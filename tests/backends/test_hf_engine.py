"""The transformers engine on a tiny model: batches, sampling, stops, likelihoods, contexts; checked against transformers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends.hf import LOADER
from evalharness.backends.models import resolve
from evalharness.backends.process import ProcessBackend
from evalharness.text import sha256
from evalharness.types import Engine, Message, Request, Result, Sampling

from .conftest import CONTEXT, TEMPLATE, WINDOW

GREEDY = Sampling(temperature=0.0, max_tokens=12)
HOT = Sampling(temperature=1.0, max_tokens=12, seed=5)
PROMPTS = ("The capital of France is", "日本の首都は", "A", "Question: which answer is better, A or B? Answer:")


@pytest.fixture(scope="module")
def engine(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    settings = {"dtype": "float32", "threads": 1, "chat_template": TEMPLATE}
    return resolve(LOADER, "tiny", str(tiny), None, tmp_path_factory.mktemp("cache"), settings)


@pytest.fixture(scope="module")
def runner(engine: Engine) -> Any:
    from evalharness.backends.hf.runner import load

    return load(engine)


@pytest.fixture(scope="module")
def backend(engine: Engine) -> Iterator[ProcessBackend]:
    with ProcessBackend(engine) as backend:
        yield backend


@pytest.fixture(scope="module")
def reference(tiny: Path) -> Any:
    """The same model as transformers loads it, asked without batches, cache or padding: ids in, log-probabilities out."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()

    def logprobs(ids: list[int]) -> Any:
        with torch.no_grad():
            return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0], dim=-1)

    return logprobs


def ask(*texts: str, sampling: Sampling = GREEDY, batch: int | None = 0) -> list[Request]:
    return [Request(sha256(text), "generate", None, text, sampling, batch=batch) for text in texts]


def likelihood(text: str, *continuations: str, kind: Any = "loglikelihood") -> Request:
    return Request(sha256(f"{kind} {text}"), kind, None, text, continuations=continuations)


def greedy(reference: Any, ids: list[int], count: int) -> list[int]:
    """Continue ``ids`` by ``count`` tokens with nothing but full forward passes."""
    new: list[int] = []
    while len(new) < count and (token := int(reference(ids + new)[-1].argmax())) != 1:
        new.append(token)
    return new


def test_the_child_answers_every_kind_from_one_load(backend: ProcessBackend, runner: Any) -> None:
    requests = [*ask(*PROMPTS), likelihood("A or B? Answer:", " A", " B", kind="label_logprobs")]
    results = list(backend.submit(requests))
    assert [result.id for result in results] == [request.id for request in requests]
    assert results == [*runner.run(requests[:-1]), *runner.run(requests[-1:])]
    assert backend.loads == 1 and all(result.error is None for result in results)


def test_a_batch_repeated_gives_the_same_texts(runner: Any) -> None:
    for sampling in (GREEDY, HOT):
        assert runner.run(ask(*PROMPTS, sampling=sampling)) == runner.run(ask(*PROMPTS, sampling=sampling))


def test_greedy_texts_are_those_of_plain_forward_passes(runner: Any, reference: Any, codec: Any) -> None:
    words = codec()
    for request, result in zip(ask(*PROMPTS), runner.run(ask(*PROMPTS)), strict=True):
        ids = words.prompt(request)
        new = greedy(reference, ids, 12)
        assert result.text == words.text(new)
        assert (result.tokens_in, result.tokens_out) == (len(ids), len(new))
        assert result.finish == ("length" if len(new) == 12 else "stop")


@pytest.mark.parametrize(
    "sampling", [HOT, replace(HOT, top_p=0.8), replace(HOT, top_k=5), replace(HOT, temperature=0.6)]
)
def test_a_sampled_row_does_not_depend_on_its_neighbours(runner: Any, sampling: Sampling) -> None:
    together = runner.run(ask(*PROMPTS, sampling=sampling))
    for request, result in zip(ask(*PROMPTS, sampling=sampling), together, strict=True):
        assert runner.run([request]) == [result]


def test_every_row_has_its_own_sampling(runner: Any) -> None:
    mixed = [
        replace(ask(PROMPTS[0])[0], id="a"),
        replace(ask(PROMPTS[0], sampling=HOT)[0], id="b"),
        replace(ask(PROMPTS[0], sampling=replace(GREEDY, max_tokens=3))[0], id="c"),
        replace(ask(PROMPTS[0], sampling=replace(HOT, top_k=1))[0], id="d"),
    ]
    cold, hot, short, one = runner.run(mixed)
    assert cold.text == one.text != hot.text
    assert short.tokens_out == 3 and short.finish == "length" and cold.text.startswith(short.text)


def test_seed_and_identity_choose_the_text(runner: Any) -> None:
    base = ask(PROMPTS[0], sampling=HOT)[0]
    others = [replace(base, id="another"), replace(base, sampling=replace(HOT, seed=6))]
    texts = [runner.run([request])[0].text for request in (base, base, *others)]
    assert texts[0] == texts[1] and len(set(texts)) == 3


def test_a_stop_string_is_cut_where_it_first_occurs(runner: Any) -> None:
    (whole,) = runner.run(ask(PROMPTS[0]))
    text = whole.text
    stop = text[len(text) // 2 : len(text) // 2 + 2]
    (cut,) = runner.run(ask(PROMPTS[0], sampling=replace(GREEDY, stop=("never there", stop))))
    assert cut.text == text[: text.index(stop)] and cut.finish == "stop"
    assert cut.tokens_out < whole.tokens_out
    (kept,) = runner.run(ask(PROMPTS[0], sampling=replace(GREEDY, stop=("never there",))))
    assert kept == whole


def test_likelihoods_are_those_of_plain_forward_passes(runner: Any, reference: Any, codec: Any) -> None:
    request = likelihood("Die Hauptstadt von Frankreich ist", " Paris", " Berlin und Paris", " B")
    (result,) = runner.run([request])
    for value, (context, continuation) in zip(result.logprobs, codec().pairs(request), strict=True):
        table = reference(context + continuation)
        expected = sum(float(table[len(context) - 1 + i, token]) for i, token in enumerate(continuation))
        assert value == pytest.approx(expected, abs=1e-3)
    assert result.tokens_in == len(codec().pairs(request)[0][0]) and result.text is None


def test_labels_of_one_token_are_read_from_one_position(runner: Any, codec: Any) -> None:
    text = "Question: which answer is better, A or B? Answer:"
    labels = likelihood(text, " A", " B", kind="label_logprobs")
    assert {len(continuation) for _, continuation in codec().pairs(labels)} == {1}
    together = runner.run([labels])[0].logprobs
    apart = [runner.run([likelihood(text, label)])[0].logprobs[0] for label in (" A", " B")]
    assert together == pytest.approx(apart, abs=1e-4)
    longer = runner.run([likelihood(text, " A", " B or A", kind="label_logprobs")])[0].logprobs
    assert longer[0] == pytest.approx(apart[0], abs=1e-4) and longer[1] < longer[0]


@pytest.mark.parametrize("length", [60, WINDOW - 2, WINDOW + 40])
def test_shared_beginnings_change_no_likelihood(runner: Any, reference: Any, codec: Any, length: int) -> None:
    words = codec()
    beginning = "Question " * 200
    shared = words.text(words.prompt(ask(beginning)[0])[:length])
    endings = (" A or B? Answer:", " of the two answers: which is better, do you think? Answer:", " Answer:")
    requests = [likelihood(shared + ending, " A", " B", kind="label_logprobs") for ending in endings]
    requests.append(likelihood("東京は", " A", " B", kind="label_logprobs"))
    for request, result in zip(requests, runner.run(requests), strict=True):
        (context, (a,)), (_, (b,)) = words.pairs(request)
        table = reference(context)[-1]
        assert result.logprobs == pytest.approx((float(table[a]), float(table[b])), abs=1e-3)


@pytest.mark.parametrize("length", [50, WINDOW - 20])
def test_shared_beginnings_change_no_text(runner: Any, reference: Any, codec: Any, length: int) -> None:
    words = codec()
    shared = words.text(words.prompt(ask("Answer " * 200)[0])[:length])
    requests = ask(*(shared + ending for ending in (" A or B?", " or which of them is better, do you think?", "")))
    requests = [replace(request, id=str(i)) for i, request in enumerate(requests)]
    for request, result in zip(requests, runner.run(requests), strict=True):
        assert result.text == words.text(greedy(reference, words.prompt(request), 12))


def test_a_prompt_longer_than_the_context_is_an_error_with_both_lengths(runner: Any) -> None:
    long, short, scored = runner.run(ask("A " * CONTEXT, PROMPTS[0])) + runner.run([likelihood("A " * CONTEXT, " A")])
    for result in (long, scored):
        assert result.finish == "context" and not result.transient and result.text is None and result.logprobs is None
        assert str(CONTEXT) in result.error and int(result.error.split()[3]) >= CONTEXT
    assert short.error is None


def test_new_tokens_are_capped_at_the_room_left(runner: Any, codec: Any) -> None:
    text = "A " * (CONTEXT // 2 - 20)
    room = CONTEXT - len(codec().prompt(ask(text)[0]))
    (result,) = runner.run(ask(text, sampling=Sampling(temperature=1.0, max_tokens=100_000, seed=1)))
    assert 0 < room < CONTEXT and result.error is None
    assert result.tokens_out == room and result.finish == "length"


def test_messages_go_through_the_template(runner: Any, reference: Any, codec: Any) -> None:
    words = codec(chat_template=TEMPLATE)
    request = Request(
        "m", "generate", (Message("user", "A or B?"),), None, GREEDY, rendering=(("chat_template", TEMPLATE),)
    )
    assert words.text(words.prompt(request)) == "[user] A or B?\n[assistant]"
    assert runner.run([request])[0].text == words.text(greedy(reference, words.prompt(request), 12))
    (refused,) = runner.run([replace(request, messages=(Message("system", "x"), Message("user", "y")))])
    assert "no system" in refused.error and refused.finish == "error" and not refused.transient


def test_memory_that_does_not_suffice_splits_the_batch_then_tells(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    forward, real = runner._forward, runner._forward.rows
    most = 2

    def rows(ids: Any, *args: Any, **words: Any) -> Any:
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return real(ids, *args, **words)

    monkeypatch.setattr(forward, "rows", rows)
    whole = runner.run(ask(*PROMPTS))
    assert [result.error for result in whole] == [None] * 4
    most = 0
    for result in runner.run(ask(*PROMPTS)):
        assert "out of memory" in result.error and "batch_size" in result.error and result.transient


def test_a_mistake_of_the_engine_is_no_item_error(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(*args: Any, **words: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(runner._forward, "rows", rows)
    with pytest.raises(RuntimeError, match="shapes"):
        runner.run(ask(*PROMPTS))


def test_the_head_in_pieces_gives_the_same_logits(runner: Any) -> None:
    import torch

    hidden = torch.randn(3, 1, 64)
    head = runner._forward.model.get_output_embeddings()
    assert torch.allclose(head(hidden), hidden @ head.weight.T, atol=1e-5)


def test_every_answer_is_a_record(runner: Any) -> None:
    requests = [*ask("", *PROMPTS[:2]), replace(ask("A")[0], text=None, messages=(Message("user", "x"),))]
    results = runner.run(requests)
    assert [result.id for result in results] == [request.id for request in requests]
    assert all(isinstance(result, Result) for result in results)
    assert math.isfinite(runner.run([likelihood("A", " B")])[0].logprobs[0])
