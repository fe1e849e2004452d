"""vLLM's server driven through the openai backend: texts, likelihoods and labels are those of plain transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agreement import Plain, ask, check, generate, likelihood, prompts
from tiny import TEMPLATE

from evalharness.backends import opened, resolve
from evalharness.specs.model import ModelSpec
from evalharness.types import Message

pytestmark = pytest.mark.engines
ENTRY = {"concurrency": 8, "top_logprobs": 1000}  # of 1000 tokens in all
PAIRS = prompts(23)
TEXTS = [text for text, _ in PAIRS]


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> Plain:
    return Plain(tiny_model)


@pytest.fixture(scope="module")
def url(serve: Callable[..., str], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server of random weights in float32 with a chat template."""
    template = tmp_path_factory.mktemp("template") / "template.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    return serve(tiny_model, "--dtype", "float32", "--max-logprobs", "1000", "--chat-template", str(template))


@pytest.fixture
def served(url: str, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """The server through the openai backend."""
    engine = resolve(ModelSpec("m", "openai", "served", base_url=url, engine={**ENTRY, "continue_final_message": True}))
    backend = opened(engine, tmp_path)
    yield engine, backend
    backend.close()


def test_texts_agree(served: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = served
    answers = ask(backend, [generate(engine, f"{i}", text) for i, text in enumerate(TEXTS)])
    assert [result.error for result in answers if result.error] == []
    assert check([plain.greedy(plain.ids(text)) for text in TEXTS], [str(result.text) for result in answers]) == 1.0
    assert [result.tokens_in for result in answers] == [len(plain.ids(text)) for text in TEXTS]


def test_chats_agree_and_begun_answers_are_gone_on_with(served: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = served
    chats = [(Message("system", "Be brief."), Message("user", text)) for text in TEXTS[:6]]
    chats += [(Message("user", text), Message("assistant", "It is")) for text in TEXTS[6:10]]
    answers = ask(backend, [generate(engine, f"{i}", chat) for i, chat in enumerate(chats)])
    assert [result.error for result in answers if result.error] == []
    rendered = [
        "<bos>" + "".join(f"<|{m.role}|>{m.content}{'<eos>' * (m.role != 'assistant')}" for m in chat) for chat in chats
    ]
    ids = [plain.ids(text + "<|assistant|>" * text.endswith("<eos>")) for text in rendered]
    assert [result.tokens_in for result in answers] == [len(prompt) for prompt in ids]
    assert check([plain.greedy(prompt) for prompt in ids], [str(result.text) for result in answers]) == 1.0


def test_likelihoods_agree(served: tuple[Any, Any], plain: Plain) -> None:
    engine, backend = served
    asked = [likelihood(engine, f"{i}", text, ending, " x") for i, (text, ending) in enumerate(PAIRS)]
    answers = ask(backend, asked)
    # letters cut in bytes, of which the server cannot always spell the whole: no number then
    unspelled = [answer.error for answer in answers if answer.logprobs is None]
    assert len(unspelled) <= 2 and all("do not spell the text" in str(error) for error in unspelled), unspelled
    compared = 0
    for request, answer in zip(asked, answers, strict=True):
        for value, ending in zip(answer.logprobs or (), request.continuations, strict=bool(answer.logprobs)):
            wanted, tokens = plain.ending(str(request.text), ending)
            if plain.joins(str(request.text), ending):
                compared += 1
                assert value == pytest.approx(wanted, abs=1e-3 * tokens), request
    assert compared >= 30, compared


@pytest.mark.parametrize("chat", [False, True])
def test_labels_agree(served: tuple[Any, Any], plain: Plain, chat: bool) -> None:
    engine, backend = served
    labels = ("A", "B", "x")
    asked = likelihood(engine, "1", "A or B?", *labels, kind="label_logprobs")
    shown = "A or B?"
    if chat:
        asked = generate(engine, "1", (Message("user", "A or B?"),))
        asked = type(asked)("1", "label_logprobs", asked.messages, None, continuations=labels)
        shown = "<bos><|user|>A or B?<eos><|assistant|>"
    (answer,) = ask(backend, [asked])
    assert answer.logprobs == pytest.approx(plain.spelled(shown, labels), abs=1e-3), answer.error


def test_a_prompt_longer_than_the_context_is_an_error_of_its_own(served: tuple[Any, Any]) -> None:
    engine, backend = served
    long, short = ask(backend, [generate(engine, "long", "word " * 600), generate(engine, "short", "Hello")])
    assert short.error is None and long.finish == "context"
    assert "512" in str(long.error), long.error
