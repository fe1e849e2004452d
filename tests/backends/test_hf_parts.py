"""Parts of the transformers engine that need no model: tokens and BOS, drawing a token, cutting rows into forward passes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalharness.types import Message, Request, Sampling

from .conftest import TEMPLATE

torch = pytest.importorskip("torch", reason="pip install 'evalharness[hf]'")

from evalharness.backends.hf.decode import sample  # noqa: E402
from evalharness.backends.hf.forward import common  # noqa: E402
from evalharness.backends.hf.score import passes  # noqa: E402
from evalharness.backends.rows import ScoreRow  # noqa: E402
from evalharness.backends.tokens import UnanswerableError  # noqa: E402

BOS = 2
PROBABILITIES = (0.5, 0.3, 0.15, 0.05)
LOGITS = torch.tensor([math.log(p) for p in PROBABILITIES])


def raw(text: str, *continuations: str) -> Request:
    return Request("r", "loglikelihood", None, text, continuations=continuations)


def chat(*contents: str) -> Request:
    return Request("c", "generate", tuple(Message("user", content) for content in contents), None)


@pytest.mark.parametrize(("add_bos", "count"), [(True, 1), (None, 1), (False, 0)])
def test_bos_is_put_before_raw_text_once(codec: Any, add_bos: bool | None, count: int) -> None:
    words = codec(add_bos=add_bos)
    assert words.prompt(raw("A or B")).count(BOS) == count
    assert words.prompt(raw("<bos>A or B")).count(BOS) == 1


def test_a_template_that_writes_bos_gets_no_second_one(codec: Any) -> None:
    ids = codec(chat_template=TEMPLATE, add_bos=True).prompt(chat("A"))
    assert ids[0] == BOS and ids.count(BOS) == 1
    without = codec(chat_template=TEMPLATE.replace("{{ bos_token }}", ""), add_bos=True).prompt(chat("A"))
    assert without == ids[1:]


def test_messages_without_a_template_are_refused(codec: Any) -> None:
    with pytest.raises(UnanswerableError, match="no chat template"):
        codec().prompt(chat("A"))


def test_words_for_the_template_reach_it(codec: Any) -> None:
    words = codec(chat_template="{{ tone }} {{ messages[0].content }}", chat_template_kwargs=(("tone", "calm"),))
    assert words.text(words.prompt(chat("A"))) == "calm A"


def test_a_space_that_ends_the_prompt_goes_to_the_continuation(codec: Any) -> None:
    words = codec()
    assert words.pairs(raw("Answer: ", "A")) == words.pairs(raw("Answer:", " A"))
    (context, continuation), *_ = words.pairs(raw("Answer:", " Paris", " B"))
    assert words.text(context) == "Answer:" and words.text(continuation) == " Paris"


def test_a_continuation_that_would_melt_into_the_prompt_is_read_alone(codec: Any) -> None:
    words = codec()
    context = words.prompt(raw("The capi"))
    assert words.prompt(raw("The capital"))[: len(context)] != context  # the tokens differ at the seam
    ((found, continuation),) = words.pairs(raw("The capi", "tal"))
    assert found == context and words.text(continuation) == "tal"


@pytest.mark.parametrize("continuations", [(), ("",)])
def test_nothing_to_score_is_refused(codec: Any, continuations: tuple[str, ...]) -> None:
    with pytest.raises(UnanswerableError, match="continuation"):
        codec().pairs(raw("A", *continuations))


def test_every_end_of_text_id_counts(codec: Any, tiny: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    from evalharness.backends.tokens import Codec

    words = Codec(
        AutoTokenizer.from_pretrained(tiny), AutoConfig.from_pretrained(tiny), GenerationConfig(eos_token_id=[7, 9]), ()
    )
    assert words.eos == {1, 7, 9}


@pytest.mark.parametrize(
    ("sampling", "uniform", "token"),
    [
        (Sampling(temperature=1.0), 0.0, 0),
        (Sampling(temperature=1.0), 0.49, 0),
        (Sampling(temperature=1.0), 0.51, 1),
        (Sampling(temperature=1.0), 0.81, 2),
        (Sampling(temperature=1.0), 0.999999, 3),
        (Sampling(temperature=1.0, top_k=2), 0.999999, 1),
        (Sampling(temperature=1.0, top_k=2), 0.62, 0),  # 0.5 of 0.8
        (Sampling(temperature=1.0, top_p=0.5), 0.999999, 0),
        (Sampling(temperature=1.0, top_p=0.7), 0.999999, 1),
        (Sampling(temperature=1.0, top_p=0.81), 0.999999, 2),
        (Sampling(temperature=1.0, top_k=3, top_p=0.5), 0.999999, 0),
        (Sampling(temperature=0.01), 0.999999, 0),
    ],
)
def test_a_token_is_drawn_where_the_uniform_number_falls(sampling: Sampling, uniform: float, token: int) -> None:
    from evalharness.types import SAMPLING_DEFAULTS

    assert sample(LOGITS, sampling.over(SAMPLING_DEFAULTS), uniform) == token


def test_top_p_looks_beyond_the_head_where_it_must() -> None:
    from evalharness.types import SAMPLING_DEFAULTS

    flat = torch.zeros(5000)
    nucleus = Sampling(temperature=1.0, top_p=0.9).over(SAMPLING_DEFAULTS)
    drawn = {sample(flat, nucleus, i / 1000) for i in range(1000)}
    assert len(drawn) == 1000  # of 4500 kept; the first 1024 alone would repeat, with 0.2 of the probability
    assert len({sample(flat, replace(nucleus, top_p=0.1), i / 1000) for i in range(1000)}) == 500


def test_draws_follow_the_probabilities() -> None:
    from evalharness.types import SAMPLING_DEFAULTS

    sampling = Sampling(temperature=1.0).over(SAMPLING_DEFAULTS)
    drawn = [sample(LOGITS, sampling, (i + 0.5) / 1000) for i in range(1000)]
    assert [drawn.count(token) / 1000 for token in range(4)] == pytest.approx(PROBABILITIES, abs=0.002)


@pytest.mark.parametrize(
    ("rows", "length"),
    [([[1, 2, 3], [1, 2, 4], [1, 2]], 2), ([[1], [2]], 0), ([[5, 6]], 2), ([[1, 2, 3], [1, 9], [1, 2, 3]], 1)],
)
def test_the_common_beginning(rows: list[list[int]], length: int) -> None:
    assert common(rows) == length


def test_rows_with_a_shared_beginning_are_run_together() -> None:
    german, french = list(range(100, 150)), list(range(300, 350))
    rows = [
        ScoreRow(i, [*start, 900 + i], [1], each=True)
        for i, start in enumerate((german, french, german, [7], french, [8]))
    ]
    assert sorted(map(sorted, passes(rows, 10_000, 50))) == [[0, 2], [1, 4], [3, 5]]


def test_a_pass_keeps_to_its_budgets() -> None:
    rows = [ScoreRow(i, [i] * 100, [1], each=True) for i in range(10)]
    assert [len(numbers) for numbers in passes(rows, 300, 50)] == [3, 3, 3, 1]
    assert sorted(i for numbers in passes(rows, 10, 50) for i in numbers) == list(range(10))
    wide = [ScoreRow(i, [i] * 100, [1] * 50, each=False) for i in range(4)]
    assert [len(numbers) for numbers in passes(wide, 10_000, 1 << 20)] == [1, 1, 1, 1]
