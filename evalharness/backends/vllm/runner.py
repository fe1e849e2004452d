"""An engine's description in, a loaded vLLM engine that takes requests while it answers others out; for the worker."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig
from vllm import EngineArgs, SamplingParams
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.llm_engine import LLMEngine

from evalharness.backends.rows import ScoreRow, score_rows
from evalharness.backends.tokens import Codec, Rendering, UnanswerableError, cut
from evalharness.backends.weights import read_json
from evalharness.errors import ModelError
from evalharness.identity import is_greedy, seed_of
from evalharness.types import SAMPLING_DEFAULTS, Engine, Request, Result, Sampling

ALTERNATIVES = 64  # tokens whose probability is read at one position; vLLM answers for at most 128
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the ranks of adapters that vLLM has room for
_OURS = frozenset({"adapter", "adapter_folder", "replicas"})


def load(engine: Engine) -> VllmRunner:
    """Load the model; raises ModelError where its files, its settings or the memory do not allow it."""
    said = {name: _thawed(value) for name, value in (*engine.settings, *engine.options) if name not in _OURS}
    folder = dict(engine.options).get("adapter_folder")
    adapter = {} if folder is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(Path(folder))}
    try:
        arguments = EngineArgs(
            model=engine.path,
            tokenizer=engine.path,
            generation_config="vllm",
            disable_log_stats=True,
            seed=0,
            **said,
            **adapter,
        )
        loaded = LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        tokenizer = AutoTokenizer.from_pretrained(engine.path, local_files_only=True)
    except (OSError, ValueError, TypeError, ImportError, NotImplementedError) as error:
        raise ModelError(f"{type(error).__name__}: {error}") from error
    threading.Thread(target=_end_with, args=(active_children(),), daemon=True, name="engine").start()
    return VllmRunner(loaded, tokenizer, None if folder is None else LoRARequest("adapter", 1, folder))


def _end_with(processes: Sequence[BaseProcess]) -> None:
    """End this process once one of the engine's has: vLLM would wait for its answers for ever."""
    if processes and (ended := wait([process.sentinel for process in processes])):
        names = [process.name for process in processes if process.sentinel in ended]
        sys.stderr.write(f"RuntimeError: the engine's process {', '.join(names)} has ended\n")
        sys.stderr.flush()
        os._exit(1)


class VllmRunner:
    """A loaded engine and its tokenizer."""

    def __init__(self, engine: LLMEngine, tokenizer: Any, adapter: LoRARequest | None) -> None:
        self._engine, self._adapter = engine, adapter
        config = engine.model_config
        try:
            generation = GenerationConfig.from_pretrained(config.model, local_files_only=True)
        except OSError:
            generation = GenerationConfig()

        def codec(rendering: Rendering) -> Codec:
            return Codec(tokenizer, config.hf_config, generation, rendering, most=config.max_model_len)

        self._codec = cache(codec)
        self._jobs: dict[
            str, tuple[_Text | _Score, int]
        ] = {}  # by vLLM's request id: the job, and the number of its part
        self._done: list[tuple[int, Result]] = []

    @property
    def busy(self) -> bool:
        """Whether a request is not answered yet."""
        return bool(self._jobs or self._done)

    def add(self, number: int, request: Request) -> None:
        """Take ``request`` under ``number``; one that cannot be answered is answered by the next step."""
        codec = self._codec(request.rendering)
        try:
            job = _Text(number, request, codec) if request.kind == "generate" else _Score(number, request, codec)
            for part, (ids, parameters) in enumerate(job.parts()):
                name = f"{number}-{part}"
                self._jobs[name] = (job, part)
                self._engine.add_request(name, {"prompt_token_ids": ids}, parameters, lora_request=self._adapter)
        except UnanswerableError as error:
            self._done.append((number, Result(request.id, finish=error.finish, error=str(error))))

    def step(self) -> list[tuple[int, Result]]:
        """Compute one step of the batch; return what has finished."""
        done, self._done = self._done, []
        if not self._jobs:
            return done
        for output in self._engine.step():
            if output.finished:
                job, part = self._jobs.pop(output.request_id)
                if (result := job.take(part, output)) is not None:
                    done.append((job.number, result))
        return done


@dataclass
class _Text:
    """A text to be written."""

    number: int
    request: Request
    codec: Codec

    @property
    def _sampling(self) -> Sampling:
        return self.request.sampling.over(SAMPLING_DEFAULTS)

    def parts(self) -> Iterator[tuple[list[int], SamplingParams]]:
        """Yield its one prompt."""
        sampling, prompt = self._sampling, self.codec.prompt(self.request)
        limit = self.codec.room(prompt, sampling.max_tokens or 1)
        drawn = {} if is_greedy(sampling) else {
            "top_p": sampling.top_p, "top_k": sampling.top_k, "seed": seed_of(self.request.id, sampling.seed)
        }  # fmt: skip
        stops = list(sampling.stop or ())
        yield (
            prompt,
            SamplingParams(
                temperature=(sampling.temperature or 0.0) if drawn else 0.0,
                max_tokens=limit,
                stop=stops,
                stop_token_ids=sorted(self.codec.eos),
                detokenize=bool(stops),
                output_kind=RequestOutputKind.FINAL_ONLY,
                **drawn,
            ),
        )

    def take(self, _: int, output: Any) -> Result:
        """Return the text without the token that ended it."""
        (written,) = output.outputs
        tokens = list(written.token_ids)
        if tokens and tokens[-1] in self.codec.eos:
            tokens.pop()
        text = self.codec.text(tokens)
        return Result(
            self.request.id,
            text=self.codec.opened(self.request) + text[: cut(text, self._sampling.stop or ())],
            finish="length" if written.finish_reason == "length" else "stop",
            tokens_in=len(output.prompt_token_ids),
            tokens_out=len(tokens),
        )


@dataclass
class _Score:
    """Continuations whose log-probability is asked: a prompt for each that the engine has to read apart."""

    number: int
    request: Request
    codec: Codec
    rows: list[ScoreRow] = field(init=False)
    found: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pairs = self.codec.pairs(self.request)
        self.tokens_in = len(pairs[0][0])
        self.rows = [part for row in score_rows(0, pairs) for part in _split(row)]

    def parts(self) -> Iterator[tuple[list[int], SamplingParams]]:
        """Yield what is read: the last target as the token written next, those before it as tokens of the prompt."""
        for row in self.rows:
            targets = sorted(set(row.targets if row.each else row.targets[-1:]))
            inside = {} if row.each or len(row.targets) == 1 else {
                "prompt_logprobs": 0, "skip_reading_prefix_cache": True,
            }  # fmt: skip
            yield (
                row.ids,
                SamplingParams(
                    temperature=0.0,
                    max_tokens=1,
                    ignore_eos=True,
                    detokenize=False,
                    logprob_token_ids=targets,
                    output_kind=RequestOutputKind.FINAL_ONLY,
                    **inside,
                ),
            )

    def take(self, part: int, output: Any) -> Result | None:
        """Keep one row's log-probabilities; return the result once all are there."""
        row = self.rows[part]
        last = output.outputs[0].logprobs[0]
        if row.each:
            self.found[part] = [last[token].logprob for token in row.targets]
        else:
            inside = row.targets[:-1]
            places = output.prompt_logprobs[-len(inside) :] if inside else ()
            before = [place[token].logprob for place, token in zip(places, inside, strict=True)]
            self.found[part] = [sum(before) + last[row.targets[-1]].logprob]
        if len(self.found) < len(self.rows):
            return None
        logprobs = tuple(value for number in range(len(self.rows)) for value in self.found[number])
        return Result(self.request.id, tokens_in=self.tokens_in, tokens_out=0, logprobs=logprobs)


def _split(row: ScoreRow) -> Iterator[ScoreRow]:
    """Yield ``row`` in portions of as many alternatives as vLLM answers for at one position."""
    if not row.each:
        yield row
        return
    for start in range(0, len(row.targets), ALTERNATIVES):
        yield ScoreRow(row.request, row.ids, row.targets[start : start + ALTERNATIVES], each=True)


def _rank(adapter: Path) -> int:
    """Return the smallest rank vLLM has room for that holds the adapter's."""
    said = read_json(adapter / "adapter_config.json")
    rank = max([int(said.get("r") or 1), *map(int, (said.get("rank_pattern") or {}).values())])
    return next((size for size in RANKS if size >= rank), rank)


def _thawed(value: Any) -> Any:
    """Return what ``wire.frozen`` made of mappings and lists as those again."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = list(value)
        pairs = all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items)
        return {key: _thawed(item) for key, item in items} if items and pairs else [_thawed(item) for item in items]
    return value
