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
from typing import Any

from evalharness.backends.openai import reply
from evalharness.backends.openai.address import Address
from evalharness.backends.openai.body import compose, tokens
from evalharness.backends.openai.entry import endpoint
from evalharness.backends.openai.faults import AgainError, ItemError, NoLogprobsError, NoModelError, TooLongError
from evalharness.backends.openai.retries import Retries
from evalharness.backends.openai.turns import Turn, Turns
from evalharness.errors import BackendError, EvalHarnessError, ModelError, suggestion
from evalharness.types import Engine, Request, Result

FIRST_WAIT = 0.5  # seconds, doubled with every attempt
LONGEST_WAIT = 30.0
LONGEST_PATIENCE = 4.0  # of a request that was told to wait, and not how long: its address is asked less anyway
OUTAGE_SECONDS = 120.0  # without anybody at an address that was reached before: a server that starts anew takes less
UNREACHED_RETRIES = 3  # of a server that was never spoken to: it is more likely misspelt than busy

_Task = asyncio.Task[Result | None]  # None: stopped before it was asked


class OpenAIBackend:
    """One endpoint, at one address or more. The SDK is imported and the loop started at the first ``submit``; nothing is
    asked before.

    Errors that no item can escape (key, model name, credit, a server that was never reached) end ``submit`` as errors of
    ``errors``, after the answers that were in flight were given. ``counts`` holds the attempts and the faults met; each
    fault is a line in the log ``logs/openai-….log``.
    """

    capabilities = frozenset({"generate", "loglikelihood", "label_logprobs"})

    def __init__(self, engine: Engine, logs: Path) -> None:
        self.endpoint = endpoint(engine)
        addresses = [Address(alone, self._note) for alone in self.endpoint.addresses]
        self.window = self.endpoint.concurrency * len(addresses)
        self.counts: Counter[str] = Counter()
        self.log = logs / f"openai-{hashlib.sha256(engine.weights.encode('utf-8')).hexdigest()[:12]}.log"
        self._lock = threading.Lock()  # around starting, launching and closing, which may come from three threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._hurry = asyncio.Event()  # set: nothing is asked again
        self._turns = Turns(addresses)
        self._retries = Retries(float(self.window * self.endpoint.max_retries), self.endpoint.deadline)
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
        key = f"the key in {self.endpoint.key_env}" if self.endpoint.key_env else "no key"
        urls = " and ".join(
            address.client.endpoint.base_url for address in self._turns.addresses
        )  # and makes the clients
        self._note(f"{self.endpoint.model} at {urls}, {self.window} at once, with {key}")
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
        for address in self._turns.addresses:
            await address.close()
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
        began, failed, attempts, weight = None, 0, 0, self._weight(body)
        again: AgainError | None = None
        shunned: Address | None = None
        while True:
            if (turn := await self._turns.turn(weight, shunned)) is None:
                return None if again is None else self._failed(request, str(again), attempts)
            began = turn.began if began is None else began
            if again is not None and turn.began >= began + self.endpoint.deadline:
                self._turns.ended(turn, answered=None)
                return self._failed(request, str(again), attempts)
            attempts += 1
            try:
                return await self._attempt(request, turn, path, body, began + self.endpoint.deadline)
            except TooLongError as error:
                if error.room is None or not _shortened(body, error.room):
                    raise
                self._fault(request, f"{error}; asked again for {error.room} tokens")
                continue
            except AgainError as error:
                again, shunned = error, turn.address
            self.counts[again.kind] += 1
            failed += not again.told
            wait = self._wait(again, attempts)
            why = self._given_up(again, failed, wait, began + self.endpoint.deadline - time.monotonic())
            if why is not None:
                return self._failed(request, f"{again}{why}", attempts)
            if not await self._waited(request, again, wait):
                return self._failed(request, str(again), attempts)

    def _weight(self, body: dict[str, Any]) -> int:
        return 0 if self.endpoint.tokens_per_minute is None else tokens(body)

    def _hasten(self) -> None:
        """Ask nothing again, and nothing that still waits for its turn."""
        self._hurry.set()
        self._turns.stop()

    async def _attempt(self, request: Request, turn: Turn, path: str, body: dict[str, Any], deadline: float) -> Result:
        """Ask once, at the address of ``turn``, and tell address and turns what came of it."""
        address, used, answered, replied = turn.address, None, False, True
        self.counts["attempts"] += 1
        try:
            await address.settled()
            seconds = min(self.endpoint.timeout, max(0.0, deadline - time.monotonic()))
            answer = await address.client.post(path, body, seconds)
            address.heard(answer)
            result = reply.result(request, answer)
            answered, used = True, _used(result)
            self._retries.answered()
            self._has_logprobs = self._has_logprobs or request.kind != "generate"
            return result
        except AgainError as error:
            replied = error.told
            self._take_in(error, turn, deadline)
            raise
        finally:
            if replied:
                address.health.replied()
            self._turns.ended(turn, answered, used)

    def _take_in(self, error: AgainError, turn: Turn, deadline: float) -> None:
        """Let the address of ``turn`` be asked less, or be left out, by what it said or did not say."""
        address, now = turn.address, time.monotonic()
        url = address.endpoint.base_url
        if error.told:
            wait = error.wait or 0.0
            if wait <= deadline - now and address.pace.told_to_wait(turn.number, wait, now):
                self.counts["cuts"] += 1
                self._note(f"{url} asks to wait; at most {max(1.0, address.pace.limit):.0f} at once from now on")
            return
        if error.broken:
            address.doubt()
        if address.health.missed(turn.number, error.unreachable, now) and len(self._turns.addresses) > 1:
            self._note(f"{url} is left out until it answers again: {error}")

    def _wait(self, error: AgainError, attempts: int) -> float:
        """Return the seconds before the next attempt, besides those for which the address is not asked at all."""
        if error.unreachable:
            return 0.0
        if error.wait is not None:
            return error.wait
        return min(_backoff(attempts), LONGEST_PATIENCE if error.told else LONGEST_WAIT)

    def _given_up(self, error: AgainError, failed: int, wait: float, rest: float) -> str | None:
        """Return why a request is not asked again, ``None`` where it is. Raises BackendError where nobody is answered at all."""
        now = time.monotonic()
        if self._hurry.is_set():
            return ""
        if error.unreachable:
            self._check_reached(error, now)
        elif not error.told and failed > self.endpoint.max_retries:
            return ""
        if wait > rest:
            return f"; it asks to wait {wait:.0f} s, past the deadline" if error.wait is not None else ""
        if not self._retries.patient(now) and error.told:
            url, seconds = self.endpoint.base_url, self.endpoint.deadline
            raise BackendError(f"{url} has done nothing but ask to wait for {seconds:.0f} s ({error}); go on later")
        if not error.told and not error.unreachable and not self._retries.take():
            self.counts["retries spared"] += 1
            return "; too much fails to ask again"
        return None

    def _check_reached(self, error: AgainError, now: float) -> None:
        """Raise BackendError where no address was ever reached, or where all that were have been gone for long."""
        urls = " and ".join(address.endpoint.base_url for address in self._turns.addresses)
        if any(address.client.reached for address in self._turns.addresses):
            if (seconds := self._turns.gone_for(now)) >= min(OUTAGE_SECONDS, self.endpoint.deadline):
                raise BackendError(
                    f"nobody answers at {urls} any more, for {seconds:.0f} s ({error}); start the server and go on"
                )
        elif self._turns.lost(min(UNREACHED_RETRIES, self.endpoint.max_retries)):
            raise BackendError(
                f"{urls} cannot be reached ({error}); check the address (base_url of the model's entry, or OPENAI_BASE_URL), "
                "the network, and that the server runs"
            )

    async def _waited(self, request: Request, error: AgainError, seconds: float) -> bool:
        """Wait before the next attempt; say whether there shall be one."""
        self._fault(request, f"{error}; asked again in {seconds:.1f} s")
        if error.unreachable or (error.told and error.wait is not None):  # its address is not asked meanwhile
            return True
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def _failed(self, request: Request, words: str, attempts: int) -> Result:
        words = f"{words} ({attempts} attempts)" if attempts > 1 else words
        self._fault(request, words)
        return Result(request.id, finish="error", error=words, transient=True)

    async def _unknown(self, path: str, words: str) -> ModelError:
        """Say whether it is the model or the path that the server does not have."""
        url, model = self.endpoint.base_url, self.endpoint.model
        try:
            names = list(await self._turns.addresses[0].client.models())
        except AgainError:
            names = []
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


def _used(result: Result) -> int | None:
    return None if result.tokens_in is None or result.tokens_out is None else result.tokens_in + result.tokens_out


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
