"""Prompts in, vLLM's outputs out, through one data set of Ray Data that stays open: its engines are loaded once.

Ray Data's vLLM processor maps a data set to a data set, and its engines live as long as one is computed. So the data set here
has no end: its source waits for the next prompts. Each block of it is one task of an engine.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.llm import build_processor, vLLMEngineProcessorConfig

BLOCK_PROMPTS = 16
BLOCK_BYTES = 1 << 18
LINGER_SECONDS = 0.02  # that a block waits to be filled
WAIT_SECONDS = 1.0
WAITING = 64  # prompts with an engine beyond those it runs, so that one that ends is replaced at once
STAGE = "vLLMEngineStage"
RESTARTS = 8  # of one engine's process

# All prompts have all of these: what one leaves out would be null where it stands beside one that has it.
PARAMETERS: Mapping[str, tuple[Any, Any]] = {
    "temperature": (pa.float64(), 0.0),
    "top_p": (pa.float64(), 1.0),
    "top_k": (pa.int64(), 0),
    "seed": (pa.int64(), None),
    "max_tokens": (pa.int64(), None),
    "stop": (pa.list_(pa.string()), None),
    "stop_token_ids": (pa.list_(pa.int64()), None),
    "ignore_eos": (pa.bool_(), False),
    "detokenize": (pa.bool_(), False),
    "logprob_token_ids": (pa.list_(pa.int64()), None),
    "prompt_logprobs": (pa.int64(), None),
    "skip_reading_prefix_cache": (pa.bool_(), None),
}
_DATA = "__data"  # the processor's own column
_FIELDS = [
    ("name", pa.string()),
    ("tokenized_prompt", pa.list_(pa.int32())),
    ("sampling_params", pa.struct([(name, kind) for name, (kind, _) in PARAMETERS.items()])),
]
_ADAPTER = ("model", pa.string())


@dataclass(frozen=True, slots=True)
class Layout:
    """What is loaded, how often and on what: ``bundle`` is the resources of one of the ``cards`` of an engine.

    ``arguments`` are those of vLLM's engine, ``adapter`` the folder of a LoRA adapter that answers instead of the plain model.
    """

    model: str
    arguments: Mapping[str, Any]
    adapter: str | None
    replicas: int
    cards: int
    bundle: Mapping[str, float]


class Stream:
    """An actor that holds the data set. ``put`` prompts, get ``results``; the source of the data set takes by ``pull``."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._kept: dict[str, Any] | None = None  # a prompt that had no room in a block
        self._out: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._sources = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="dataset")
        self._running = self._pool.submit(self._run)

    def put(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take prompts: ``name``, ``tokenized_prompt``, ``sampling_params``."""
        for row in rows:
            self._waiting.put(row)

    def begin(self) -> None:
        """Be told that the source begins. A second time, it was lost with what it had taken."""
        self._sources += 1

    def pull(self) -> list[dict[str, Any]]:
        """Return the prompts of the next block, none where there is none for a second."""
        rows: list[dict[str, Any]] = []
        size, until = 0, time.monotonic() + WAIT_SECONDS
        while len(rows) < BLOCK_PROMPTS:
            try:
                row = self._kept or self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            self._kept = None
            size += _bytes(row)
            if rows and size > BLOCK_BYTES:
                self._kept = row
                break
            rows.append(row)
            until = min(until, time.monotonic() + LINGER_SECONDS)
        return rows

    def results(self, seconds: float) -> list[dict[str, Any]]:
        """Return what was answered, waiting at most ``seconds`` for the first; raises what has ended the data set."""
        rows: list[dict[str, Any]] = []
        try:
            rows.append(self._out.get(timeout=seconds))
            while True:
                rows.append(self._out.get_nowait())
        except queue.Empty:
            pass
        if not rows and self._sources > 1:
            raise RuntimeError("the source of the data set was lost")
        if not rows and self._running.done():
            self._running.result()
            raise RuntimeError("the data set has ended")
        return rows

    def _run(self) -> None:
        context = DataContext.get_current()
        context.target_max_block_size = BLOCK_BYTES
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        source = _Source(ray.get_runtime_context().current_actor, self._layout.adapter)
        data = _processor(self._layout)(ray.data.read_datasource(source, num_cpus=0, override_num_blocks=1))
        # Batches fetched ahead would keep the last answers back until others follow.
        for batch in data.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pandas"):
            for row in batch[_DATA]:
                self._out.put(_output(row))


class _Source(Datasource):  # type: ignore[misc]
    """The prompts of a ``Stream``, block by block, without end."""

    def __init__(self, stream: Any, adapter: str | None) -> None:
        super().__init__()
        self._stream, self._adapter = stream, adapter

    def estimate_inmemory_data_size(self) -> int | None:
        """Return that it is unknown."""
        return None

    def get_read_tasks(self, parallelism: int, **_: Any) -> list[ReadTask]:
        """Return the one task that reads."""
        stream, adapter = self._stream, self._adapter
        metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(lambda: _blocks(stream, adapter), metadata)][: max(1, parallelism)]


def _blocks(stream: Any, adapter: str | None) -> Iterator[pa.Table]:
    ray.get(stream.begin.remote())
    while True:
        if rows := ray.get(stream.pull.remote()):
            yield block(rows, adapter)


def block(rows: Sequence[Mapping[str, Any]], adapter: str | None = None) -> pa.Table:
    """Return ``rows`` as one block, with a column of zeros that fills it.

    Ray Data hands a block on when it is larger than BLOCK_BYTES, and cuts one that is half as large again.
    """
    named = [{**row, "model": adapter} for row in rows] if adapter else rows
    kind = pa.struct([*_FIELDS, _ADAPTER] if adapter else _FIELDS)
    table = pa.table({_DATA: pa.array(named, kind)})
    missing = max(0, BLOCK_BYTES * 5 // 4 - table.nbytes)
    return table.append_column("fill", pa.array([b"\0" * (missing // len(rows))] * len(rows), pa.binary()))


def row_of(name: str, ids: Sequence[int], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a prompt as a row; raises KeyError for a parameter that a row has no place for."""
    if unknown := set(parameters) - set(PARAMETERS):
        raise KeyError(f"no place for {sorted(unknown)} in a row")
    words = {key: parameters.get(key, default) for key, (_, default) in PARAMETERS.items()}
    return {"name": name, "tokenized_prompt": list(ids), "sampling_params": words}


def _bytes(row: Mapping[str, Any]) -> int:
    words = row["sampling_params"]
    numbers = len(words["stop_token_ids"] or ()) + len(words["logprob_token_ids"] or ())
    return 4 * len(row["tokenized_prompt"]) + 8 * numbers + sum(4 * len(text) for text in words["stop"] or ()) + 256


def _processor(layout: Layout) -> Any:
    """Return the processor: prompts are tokens already, and rows go in and come out as its engines take and give them."""
    tasks = 2 * (-(-(int(layout.arguments["max_num_seqs"]) + WAITING) // BLOCK_PROMPTS))
    processor = build_processor(
        vLLMEngineProcessorConfig(
            model_source=layout.model,
            engine_kwargs=dict(layout.arguments),
            concurrency=(layout.replicas, layout.replicas),
            batch_size=1,  # of a task's block, each prompt for itself: none waits for another one
            max_concurrent_batches=tasks,
            max_tasks_in_flight_per_actor=tasks,
            accelerator_type=None,
            placement_group_config={"bundles": [dict(layout.bundle) for _ in range(layout.cards)]},
            chat_template_stage=False,
            tokenize_stage=False,
            detokenize_stage=False,
            should_continue_on_error=True,
            log_engine_metrics=False,
        )
    )
    processor.get_stage_by_name(STAGE).map_batches_kwargs.update(max_restarts=RESTARTS)
    processor.preprocess = processor.postprocess = None  # each would be a task a block
    return processor


def _output(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is read of a row that has been through an engine."""
    if error := row.get("__inference_error__"):
        return {"name": row["name"], "error": str(error)}
    places = row["logprobs"]
    inside = row["prompt_logprobs"]
    return {
        "name": row["name"],
        "tokens": [int(token) for token in row["generated_tokens"]],
        "text": row["generated_text"],
        "tokens_in": int(row["num_input_tokens"]),
        "following": None if places is None or not len(places) else _values(places[0]),
        "inside": None if inside is None else [None if place is None else _values(place) for place in inside],
    }


def _values(place: Mapping[Any, Any]) -> dict[int, float]:
    return {int(token): float(found["logprob"]) for token, found in place.items()}
