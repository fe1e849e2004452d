"""An engine's description in, a loaded transformers model that answers groups of requests out; for the worker."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from evalharness.backends.hf.decode import Row, generate
from evalharness.backends.hf.forward import Forward
from evalharness.backends.hf.score import score
from evalharness.backends.tokens import Codec, UnanswerableError
from evalharness.errors import ModelError
from evalharness.types import SAMPLING_DEFAULTS, Engine, Request, Result

HEAD_ROWS = 512  # rows of the output matrix multiplied at a time on a CPU
_FULL = ("out of memory", "can't allocate memory", "not enough memory")


def load(engine: Engine) -> HfRunner:
    """Load the model; raises ModelError where its files, its type or the memory do not allow it."""
    settings, options = dict(engine.settings), dict(engine.options)
    if threads := options.get("threads"):
        torch.set_num_threads(threads)
    device = options.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        tokenizer = AutoTokenizer.from_pretrained(engine.path, local_files_only=True, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(
            engine.path, local_files_only=True, dtype=getattr(torch, settings["dtype"])
        )
        if folder := options.get("adapter_folder"):
            model = _adapted(model, folder)
        model.to(device).eval()
        if device == "cpu":
            _head_in_pieces(model)
    except (OSError, ValueError, SafetensorError, ImportError) as error:
        raise ModelError(f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:
        if not _is_full(error):
            raise
        raise ModelError(f"{device} has too little memory for it: {error}") from error
    return HfRunner(model, tokenizer)


def _adapted(model: Any, folder: str) -> Any:
    """Return ``model`` with the LoRA adapter in ``folder`` added to its weights."""
    from peft import PeftModel  # noqa: PLC0415 (seconds of imports that only adapters need)

    return PeftModel.from_pretrained(model, folder).merge_and_unload()


def _head_in_pieces(model: Any) -> None:
    """Let the output layer multiply piece by piece.

    The product of few rows with a matrix of a whole vocabulary (262,144 x 640 in Gemma 3) is half of a decoding step; in
    pieces that fit the caches it takes half the time, and rows come out in the order that argmax is fast on.
    """
    head = model.get_output_embeddings()
    if isinstance(head, torch.nn.Linear) and head.bias is None:
        pieces = head.weight.split(HEAD_ROWS)
        head.forward = lambda hidden: torch.cat([functional.linear(hidden, piece) for piece in pieces], dim=-1)


class HfRunner:
    """A loaded model and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._codec = cache(partial(Codec, tokenizer, model.config, model.generation_config))
        self._forward = Forward(model, self._codec(()).pad)

    def run(self, requests: Sequence[Request]) -> list[Result]:
        """Answer requests of one kind as one batch: one result each, those that cannot be answered as errors."""
        results: dict[int, Result] = {}
        rows: list[tuple[int, Any]] = []
        for number, request in enumerate(requests):
            try:
                rows.append((number, self._read(request)))
            except UnanswerableError as error:
                results[number] = Result(request.id, finish=error.finish, error=str(error))
        with torch.inference_mode():
            answers = self._answer([row for _, row in rows], halves=True)
        results.update(zip([number for number, _ in rows], answers, strict=True))
        return [results[number] for number in range(len(requests))]

    def _read(self, request: Request) -> Any:
        """Return the request with its token ids: a Row to generate, or (request, pairs) to score."""
        codec = self._codec(request.rendering)
        if request.kind != "generate":
            return request, codec.pairs(request)
        prompt = codec.prompt(request)
        wanted = request.sampling.over(SAMPLING_DEFAULTS).max_tokens or 1
        return Row(request, codec, prompt, codec.room(prompt, wanted))

    def _answer(self, rows: list[Any], halves: bool) -> list[Result]:
        """Answer ``rows`` together; where memory does not suffice, in two halves, then not at all."""
        if not rows:
            return []
        try:
            return self._together(rows)
        except RuntimeError as error:
            if not _is_full(error):
                raise
            message = str(error).splitlines()[0]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if halves and len(rows) > 1:
            middle = len(rows) // 2
            return self._answer(rows[:middle], False) + self._answer(rows[middle:], False)
        return [_no_memory(row, len(rows), message) for row in rows]

    def _together(self, rows: list[Any]) -> list[Result]:
        if not isinstance(rows[0], Row):
            return score(self._forward, rows)
        return generate(self._forward, [Row(row.request, row.codec, row.prompt, row.limit) for row in rows])


def _no_memory(row: Any, rows: int, message: str) -> Result:
    request = row.request if isinstance(row, Row) else row[0]
    error = f"out of memory in a batch of {rows} (a smaller batch_size may help): {message}"
    return Result(request.id, finish="error", error=error, transient=True)


def _is_full(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _FULL)
