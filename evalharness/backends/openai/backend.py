"""Requests in, results out, from an OpenAI-compatible endpoint: many in flight at once, asked again where that can help.

The event loop runs in a thread of its own; the thread that iterates ``submit`` only waits for results.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from random import uniform
from typing import TYPE_CHECKING, Any

from evalharness.backends.openai import reply
from evalharness.backends.openai.body import compose
from evalharness.backends.openai.entry import endpoint
from evalharness.backends.openai.faults import AgainError, ItemError, NoLogprobsError, NoModelError, TooLongError
from evalharness.backends.openai.pace import Pace
from evalharness.errors import BackendError, EvalHarnessError, ModelError, suggestion
from evalharness.types import Engine, Request, Result

if TYPE_CHECKING:
    from evalharness.backends.openai.client import Client

FIRST_WAIT = 0.5  # seconds, doubled with every attempt
LONGEST_WAIT = 30.0
UNREACHED_RETRIES = 3  # of a server that was never spoken to: it is more likely misspelt than busy

_Task = asyncio.Task[Result | None]  # None: stopped before it was asked


class OpenAIBackend:
    """One endpoint. The SDK is imported and the loop started at the first ``submit``; nothing is asked before.

    Errors that no item can escape (key, model name, credit, a server that was never reached) end ``submit`` as errors of
    ``errors``, after the answers that were in flight were given. ``counts`` holds the attempts and the faults met; each
    fault is a line in the log ``logs/openai-….log``.
    """

    capabilities = frozenset({"generate", "loglikelihood", "label_logprobs"})

    def __init__(self, engine: Engine, logs: Path) -> None:
        self.endpoint = endpoint(engine)
        self.window = self.endpoint.concurrency
        self.counts: Counter[str] = Counter()
        self.log = logs / f"openai-{hashlib.sha256(engine.weights.encode('utf-8')).hexdigest()[:12]}.log"
        self._lock = threading.Lock()  # around starting, launching and closing, which may come from three threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Client | None = None
        self._hurry = asyncio.Event()  # set: nothing is asked again
        self._pace = Pace(self.endpoint.concurrency, self.endpoint.requests_per_minute)
        self._stopping = threading.Event()
        self._closed = False
        self._has_logprobs = False

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Yield one result a request, in the order they come; after ``stop`` those of what is in flight."""
        source, done = iter(requests), SimpleQueue[_Task]()
        fatal: EvalHarnessError | None = None
        waiting = 0
        while True:
            wanted = 0 if fatal is not None or self._stopping.is_set() else self.window - waiting
            waiting += self._launch(list(islice(source, wanted)), done)
            if not waiting:
                break
            for task in _taken(done):
                waiting -= 1
                if task.cancelled():
                    raise BackendError(f"{self.endpoint.base_url}: the connection was closed while it was asked")
                error = task.exception()
                if error is None:
                    if (result := task.result()) is not None:
                        yield result
                elif isinstance(error, EvalHarnessError):
                    fatal = fatal or error
                else:
                    raise error
        if fatal is not None:
            raise fatal

    def stop(self) -> None:
        """Take no more requests; the attempts in flight are still answered. Safe in any thread or signal handler."""
        self._stopping.set()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                loop.call_soon_threadsafe(self._hasten)

    def close(self) -> None:
        """Give up what is in flight, close the connections and end the thread; done twice it does nothing."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()

    def _launch(self, requests: Sequence[Request], done: SimpleQueue[_Task]) -> int:
        """Have ``requests`` answered, and say how many; their tasks come back through ``done`` whatever becomes of them."""
        if not requests:
            return 0
        with self._lock:
            if self._closed:
                raise BackendError(f"{self.endpoint.base_url}: the connection was closed")
            if self._loop is None:
                self._start()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._begin, requests, done)
        return len(requests)

    def _begin(self, requests: Sequence[Request], done: SimpleQueue[_Task]) -> None:
        for request in requests:
            asyncio.ensure_future(self._answer(request)).add_done_callback(done.put)

    def _start(self) -> None:
        # Half a second of imports, and only where something is asked.
        from evalharness.backends.openai.client import Client  # noqa: PLC0415

        self._client = Client(self.endpoint)
        key = f"the key in {self.endpoint.key_env}" if self.endpoint.key_env else "no key"
        self._note(f"{self.endpoint.model} at {self.endpoint.base_url}, {self.window} at once, with {key}")
        self._loop = asyncio.new_event_loop()
        if self._stopping.is_set():
            self._hasten()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="openai", daemon=True)
        self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run ``loop`` until it is stopped, then end what is left in it."""
        try:
            loop.run_forever()
            loop.run_until_complete(self._end())
        finally:
            loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
        self._note("closed; " + ", ".join(f"{name}: {number}" for name, number in sorted(self.counts.items())))

    async def _answer(self, request: Request) -> Result | None:
        path = ""
        try:
            path, body = compose(self.endpoint, request)
            return await self._asked(request, path, body)
        except ItemError as error:
            self._fault(request, str(error))
            return error.result(request.id)
        except NoLogprobsError as error:
            if self._has_logprobs:
                return ItemError("the answer has no log-probabilities", transient=True).result(request.id)
            self._hasten()
            words = f" (it said: {error})" if str(error) else ""
            raise ModelError(
                f"model {self.endpoint.model} does not return log-probabilities{words}; use a judge that reads labels, such "
                "as arena-hard, or a server that returns them"
            ) from None
        except NoModelError as error:
            self._hasten()
            raise await self._unknown(path, str(error)) from None
        except EvalHarnessError:
            self._hasten()
            raise

    async def _asked(self, request: Request, path: str, body: dict[str, Any]) -> Result | None:
        """Ask until there is an answer, a fault that asking again cannot mend, or no time left; ``None`` if never asked."""
        began, failed, attempt = None, 0, 0
        again: AgainError | None = None
        while True:
            if (number := await self._pace.turn()) is None:
                return None if again is None else self._failed(request, again, attempt, 0.0, 0.0)
            began = began or time.monotonic()
            attempt += 1
            answered = False
            try:
                result = await self._attempt(request, path, body, began)
                answered = True
                return result
            except TooLongError as error:
                if error.room is None or not _shortened(body, error.room):
                    raise
                self._fault(request, f"{error}; asked again for {error.room} tokens")
                continue
            except AgainError as error:
                again = error
            finally:
                self._pace.ended(number, answered)
            self.counts[again.kind] += 1
            failed += not again.told
            rest = self.endpoint.deadline - (time.monotonic() - began)
            wait = again.wait if again.wait is not None else _backoff(attempt)
            if self._given_up(again, failed) or wait > rest:
                return self._failed(request, again, attempt, wait, rest)
            if again.told:
                self._pace.told_to_wait(number, again.wait or 0.0)
            if not await self._waited(request, again, wait):
                return self._failed(request, again, attempt, wait, rest)

    def _hasten(self) -> None:
        """Ask nothing again, and nothing that still waits for its turn."""
        self._hurry.set()
        self._pace.stop()

    async def _attempt(self, request: Request, path: str, body: dict[str, Any], began: float) -> Result:
        assert self._client is not None
        self.counts["attempts"] += 1
        seconds = min(self.endpoint.timeout, self.endpoint.deadline - (time.monotonic() - began))
        result = reply.result(request, await self._client.post(path, body, seconds))
        self._has_logprobs = self._has_logprobs or request.kind != "generate"
        return result

    def _given_up(self, error: AgainError, failed: int) -> bool:
        if self._never_reached(error):
            return failed > min(UNREACHED_RETRIES, self.endpoint.max_retries)
        return failed > self.endpoint.max_retries

    def _never_reached(self, error: AgainError) -> bool:
        return error.unreachable and self._client is not None and not self._client.reached

    async def _waited(self, request: Request, error: AgainError, seconds: float) -> bool:
        """Wait before the next attempt; say whether there shall be one."""
        if self._hurry.is_set():
            return False
        self._fault(request, f"{error}; asked again in {seconds:.1f} s")
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def _failed(self, request: Request, error: AgainError, attempts: int, wait: float, rest: float) -> Result:
        if self._never_reached(error) and not self._hurry.is_set():
            raise BackendError(
                f"{self.endpoint.base_url} cannot be reached ({error}); check the address (base_url of the model's entry, "
                "or OPENAI_BASE_URL), the network, and that the server runs"
            )
        late = f"; it asks to wait {wait:.0f} s, past the deadline" if error.wait is not None and wait > rest else ""
        words = f"{error} ({attempts} attempts{late})" if attempts > 1 or late else str(error)
        self._fault(request, words)
        return Result(request.id, finish="error", error=words, transient=True)

    async def _unknown(self, path: str, words: str) -> ModelError:
        """Say whether it is the model or the path that the server does not have."""
        assert self._client is not None
        url, model = self.endpoint.base_url, self.endpoint.model
        names = await self._client.model_names()
        if model in names:
            return ModelError(f"{url} has the model {model}, but not {path}: {words}; ask it in another format")
        if names:
            return ModelError(f"{url} has no model '{model}': {words}; {suggestion(model, names)}")
        mend = "check the model's name, and that base_url ends as the server wants it (often /v1)"
        return ModelError(f"{url}{path} has no model '{model}': {words}; {mend}")

    def _fault(self, request: Request, words: str) -> None:
        self._note(f"{request.id[:12]} {words}")

    def _note(self, line: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")


def _taken(done: SimpleQueue[_Task]) -> list[_Task]:
    """Wait for a task that has ended; return it with all others that have: one change of threads for many answers."""
    tasks = [done.get()]
    while not done.empty():
        tasks.append(done.get())
    return tasks


def _backoff(attempt: int) -> float:
    """Return seconds to wait after the failed ``attempt``: twice as long each time, spread so that not all come at once."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 16)) * uniform(0.5, 1.0)


def _shortened(body: dict[str, Any], room: int) -> bool:
    """Ask for no more new tokens than fit, as an engine does that writes until its context is full; say if that is less."""
    field = next(name for name in ("max_completion_tokens", "max_tokens") if name in body)
    fits = bool(room < body[field])
    if fits:
        body[field] = room
    return fits
