"""Requests become vLLM's prompts, and its outputs results: the part of the engine that needs no vLLM, and Ray shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.backends import executor, opened
from evalharness.backends.kind import LOCAL, Executor
from evalharness.backends.process import ProcessBackend
from evalharness.errors import UsageError
from evalharness.plan import Ask
from evalharness.resolve import resolve
from evalharness.run import _staying
from evalharness.types import Engine, Request, Sampling


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def jobs(tokenizer: Any, tiny_model: Path) -> Any:
    from transformers import AutoConfig

    from evalharness.backends.vllm.jobs import Jobs, generation_of

    return Jobs(tokenizer, AutoConfig.from_pretrained(tiny_model), generation_of(str(tiny_model)), 64)


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


@pytest.mark.parametrize(
    ("written", "limited", "stop", "text", "finish"),
    [
        ("Hello there", True, (), "Hello there", "length"),
        ("Hello there", False, (), "Hello there", "stop"),
        ("Hello there", True, (" th",), "Hello", "stop"),  # the stop string came with the last token
    ],
)
def test_a_text_ends_at_its_stop_or_its_limit(
    jobs: Any, tokenizer: Any, written: str, limited: bool, stop: tuple[str, ...], text: str, finish: str
) -> None:
    from evalharness.backends.vllm.jobs import Output

    (prompt,) = jobs.add(1, Request("r", "generate", None, "Hi", Sampling(max_tokens=9, stop=stop)))
    assert (prompt.ids, prompt.parameters["max_tokens"]) == (ids(tokenizer, "Hi"), 9)
    assert jobs.busy and jobs.reading
    jobs.take(prompt.name, Output(ids(tokenizer, written), len(prompt.ids), limited))
    ((number, result),) = jobs.finished()
    assert (number, result.text, result.finish, result.tokens_in) == (1, text, finish, len(prompt.ids))
    assert not jobs.busy and jobs.finished() == []


def test_a_likelihood_is_the_sum_over_the_tokens_of_its_continuation_whatever_comes_first(
    jobs: Any, tokenizer: Any
) -> None:
    from evalharness.backends.vllm.jobs import Output

    endings = (" Paris is old", " x")
    parts = jobs.add(4, Request("r", "loglikelihood", None, "Hello", continuations=endings))
    assert len(parts) == 2
    for part, ending in reversed(list(zip(parts, endings, strict=True))):
        whole = ids(tokenizer, "Hello" + ending)
        assert part.ids == whole[:-1] and part.parameters["logprob_token_ids"] == [whole[-1]]
        inside = [None, *({token: -1.0} for token in whole[1:-1])]
        jobs.take(part.name, Output([0], len(part.ids), True, {whole[-1]: -0.5}, inside))
    ((_, result),) = jobs.finished()
    lengths = [len(ids(tokenizer, "Hello" + ending)) - len(ids(tokenizer, "Hello")) for ending in endings]
    assert result.logprobs == pytest.approx([-(length - 1) - 0.5 for length in lengths])


def test_what_the_engine_refuses_is_an_error_of_its_request_once(jobs: Any) -> None:
    parts = jobs.add(4, Request("r", "loglikelihood", None, "Hello", continuations=(" Paris is old", " x")))
    for part in parts:
        jobs.fail(part.name, "ValueError: no", transient=False)
    ((_, result),) = jobs.finished()
    assert (result.id, result.finish, result.error, result.transient) == ("r", "error", "ValueError: no", False)
    assert jobs.add(5, Request("long", "generate", None, "word " * 100)) == []
    ((_, result),) = jobs.finished()
    assert result.finish == "context" and not jobs.busy


def test_an_executor_is_local_or_ray() -> None:
    assert executor("local") == LOCAL
    with pytest.raises(UsageError, match="--executor slurm: there is: local, ray"):
        executor("slurm")


def test_models_that_are_not_of_vllm_stay_on_this_machine_and_that_is_said(tiny_model: Path, tmp_path: Path) -> None:
    model = f"hf:{tiny_model}"
    ask = Ask((model,), ("m-arenahard-mini[de]",), judges=("rubric",), judge_model=model)
    plan = resolve(ask)
    assert _staying(plan, LOCAL) == []
    (note,) = _staying(plan, Executor("ray"))
    assert note.startswith("only models of vLLM run on Ray; on this machine: ")
    backend = opened(plan.players[0].engine, tmp_path, Executor("ray"))
    assert isinstance(backend, ProcessBackend) and backend.engine == plan.players[0].engine


def test_an_engine_of_vllm_is_opened_on_ray_with_the_same_identity_and_loads_nothing_yet(tmp_path: Path) -> None:
    engine = Engine("vllm", "/models/m", "0123456789abcdef", options=(("max_num_seqs", 8), ("replicas", 2)))
    backend = opened(engine, tmp_path, Executor("ray", "head:6379"))
    assert isinstance(backend, ProcessBackend) and backend.pid is None
    assert backend.engine.key == engine.key and backend.window == 2 * (8 + 64)
    own = opened(engine, tmp_path, Executor("ray"))
    folder = Path(str(dict(own.engine.options)["ray_folder"]))  # type: ignore[attr-defined]
    assert folder.is_dir()
    own.close()
    assert not folder.exists()
