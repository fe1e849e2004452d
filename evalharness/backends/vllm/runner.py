"""An engine's description in, a loaded vLLM engine that takes requests while it answers others out; for the worker."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from transformers import AutoTokenizer
from vllm import EngineArgs, SamplingParams
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.llm_engine import LLMEngine

from evalharness.backends.vllm.arguments import adapter_of, arguments_of
from evalharness.backends.vllm.jobs import Jobs, Output, generation_of
from evalharness.errors import ModelError
from evalharness.types import Engine, Request, Result


def load(engine: Engine) -> VllmRunner:
    """Load the model; raises ModelError where its files, its settings or the memory do not allow it."""
    folder = adapter_of(engine)
    try:
        arguments = EngineArgs(model=engine.path, tokenizer=engine.path, **arguments_of(engine))
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
        self._jobs = Jobs(tokenizer, config.hf_config, generation_of(config.model), config.max_model_len)

    @property
    def busy(self) -> bool:
        """Whether a request is not answered yet."""
        return self._jobs.busy

    def add(self, number: int, request: Request) -> None:
        """Take ``request`` under ``number``; one that cannot be answered is answered by the next step."""
        for prompt in self._jobs.add(number, request):
            parameters = SamplingParams(**prompt.parameters, output_kind=RequestOutputKind.FINAL_ONLY)
            self._engine.add_request(
                prompt.name, {"prompt_token_ids": prompt.ids}, parameters, lora_request=self._adapter
            )

    def step(self) -> list[tuple[int, Result]]:
        """Compute one step of the batch; return what has finished."""
        for output in self._engine.step() if self._jobs.reading else ():
            if output.finished:
                self._jobs.take(output.request_id, _output(output))
        return self._jobs.finished()

    def close(self) -> None:
        """Nothing: what the engine has started ends with its process."""


def _output(output: Any) -> Output:
    (written,) = output.outputs
    return Output(
        tokens=written.token_ids,
        tokens_in=len(output.prompt_token_ids),
        limited=written.finish_reason == "length",
        following=_values(written.logprobs[0]) if written.logprobs else None,
        inside=[place and _values(place) for place in output.prompt_logprobs] if output.prompt_logprobs else None,
    )


def _values(place: Mapping[int, Any]) -> dict[int, float]:
    return {token: found.logprob for token, found in place.items()}
