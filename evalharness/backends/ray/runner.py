"""An engine in, the same engine on a Ray cluster, that takes requests while it answers others, out; for the worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError
from transformers import AutoConfig, AutoTokenizer

from evalharness.backends.ray import cluster
from evalharness.backends.ray.stream import Layout, Stream, row_of
from evalharness.backends.vllm.arguments import adapter_of, arguments_of
from evalharness.backends.vllm.jobs import Jobs, Output, generation_of
from evalharness.errors import ModelError
from evalharness.types import Engine, Request, Result

POLL_SECONDS = 0.1
WATCH_SECONDS = 10.0  # between two looks at the nodes
LOST_SECONDS = 60.0  # that lost nodes may take to come back before the run goes on without them
PROBE = "probe"
REFUSALS = ("TypeError", "ValueError", "VLLMValidationError")  # of the prompt itself, whoever asks again


def load(engine: Engine) -> RayRunner:
    """Connect, load the engine on the cluster, and ask it a first word; raises ModelError for what a user can mend."""
    options = dict(engine.options)
    cluster.connect(options["ray_address"], options.get("ray_folder"))
    replicas = int(options.get("replicas", 1))
    cards = int(options.get("tensor_parallel_size", 1)) * int(options.get("pipeline_parallel_size", 1))
    own = options["ray_address"] == cluster.LOCAL  # nothing joins it
    bundle = cluster.wait_for(replicas * cards, 0.0 if own else cluster.ROOM_SECONDS)
    adapter = adapter_of(engine)
    model, revision = cluster.located(engine.path, adapter, engine.versions)
    arguments = {**arguments_of(engine), **revision}
    layout = Layout(model, arguments, adapter, replicas, cards, bundle)
    tokenizer = AutoTokenizer.from_pretrained(engine.path, local_files_only=True)
    config = AutoConfig.from_pretrained(engine.path, local_files_only=True)
    engines = Engines(layout, tokenizer("a", add_special_tokens=False)["input_ids"][:1])
    most = cluster.context(model, arguments)
    engines.wait()
    return RayRunner(engines, Jobs(tokenizer, config, generation_of(engine.path), most))


class Engines:
    """The actor that holds the data set, and the prompts that are not answered; these are asked again where it is lost."""

    def __init__(self, layout: Layout, word: list[int]) -> None:
        self.layout = layout
        self._open: dict[str, dict[str, Any]] = {}
        self._answered = 0  # since the engines were loaded
        self._probe = row_of(PROBE, word, {"max_tokens": 1})
        self._looked = time.monotonic()
        self._short_since: float | None = None
        self._load()

    def wait(self) -> None:
        """Wait until an engine has answered its first prompt; ModelError where none can be loaded."""
        self.put([self._probe])
        try:
            while not (found := self._poll()):
                pass
        except RayError as error:
            raise ModelError(cluster.cause(error)) from error
        if failed := found[0][1].get("error"):
            raise ModelError(failed)

    def put(self, rows: list[dict[str, Any]]) -> None:
        """Give prompts to the engines."""
        if rows:
            self._open.update((row["name"], row) for row in rows)
            self._stream.put.remote(rows)

    def take(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return prompts with what was answered, each once, after a moment at most.

        Raises a RayError where the engines were lost before they answered anything: they would be lost again.
        """
        try:
            found = self._poll()
        except RayError as error:
            if not self._answered:
                raise
            self._again(self.layout.replicas, cluster.cause(error))
            return []
        if (replicas := self._left()) < self.layout.replicas:
            self._again(replicas, f"nodes were lost; {replicas} of {self.layout.replicas} replicas have room")
        return found

    def _left(self) -> int:
        """Return how many replicas the nodes have room for, once the others were missing for LOST_SECONDS; never none."""
        now = time.monotonic()
        if now - self._looked < WATCH_SECONDS:
            return self.layout.replicas
        self._looked = now
        room = cluster.room(self.layout.bundle) // self.layout.cards
        if room >= self.layout.replicas:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = now
        elif now - self._short_since > LOST_SECONDS and room:
            self._short_since = None
            return room
        return self.layout.replicas

    def _again(self, replicas: int, why: str) -> None:
        sys.stderr.write(f"{why}; engines are loaded again, and {len(self._open)} prompts asked again\n")
        ray.kill(self._stream)  # and with it all that it has started
        self.layout = replace(self.layout, replicas=replicas)
        self._load()
        self._stream.put.remote(list(self._open.values()))

    def _load(self) -> None:
        self._answered = 0
        self._stream: Any = ray.remote(Stream).options(num_cpus=0, max_concurrency=4).remote(self.layout)

    def _poll(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        rows: list[dict[str, Any]] = ray.get(self._stream.results.remote(POLL_SECONDS))
        found = [(asked, row) for row in rows if (asked := self._open.pop(row["name"], None)) is not None]
        self._answered += len(found)
        return found


class RayRunner:
    """An engine on the nodes of a cluster. A process that ends there costs a retry; so does a node."""

    def __init__(self, engines: Engines, jobs: Jobs) -> None:
        self._engines, self._jobs = engines, jobs
        self._next: list[dict[str, Any]] = []

    @property
    def busy(self) -> bool:
        """Whether a request is not answered yet."""
        return self._jobs.busy

    def add(self, number: int, request: Request) -> None:
        """Take ``request`` under ``number``; one that cannot be answered is answered by the next step."""
        self._next += [row_of(prompt.name, prompt.ids, prompt.parameters) for prompt in self._jobs.add(number, request)]

    def step(self) -> list[tuple[int, Result]]:
        """Send what was added, wait a moment for answers, return what has finished."""
        rows, self._next = self._next, []
        self._engines.put(rows)
        if self._jobs.reading:
            for asked, row in self._engines.take():
                if error := row.get("error"):
                    self._jobs.fail(row["name"], error, transient=not error.startswith(REFUSALS))
                else:
                    self._jobs.take(row["name"], _output(asked["sampling_params"], row))
        return self._jobs.finished()

    def close(self) -> None:
        """Leave the cluster; a Ray that was started for this engine ends."""
        ray.shutdown()


def _output(parameters: Mapping[str, Any], row: Mapping[str, Any]) -> Output:
    tokens = row["tokens"]
    ended = bool(tokens) and tokens[-1] in (parameters["stop_token_ids"] or ())
    return Output(
        tokens=tokens,
        tokens_in=row["tokens_in"],
        limited=len(tokens) >= parameters["max_tokens"] and not ended,
        following=row["following"],
        inside=row["inside"],
    )
