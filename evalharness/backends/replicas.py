"""Several loads of one engine behind one queue: each takes the next requests as it has room; one that dies gives back."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from queue import Queue
from typing import Protocol

from evalharness.errors import BackendError, ModelError
from evalharness.types import Backend, Request, Result

HANDFUL = 8  # requests without a batch that are taken at once
_DRIVER = Path("/proc/driver/nvidia/gpus")


class Loaded(Backend, Protocol):
    """A backend that counts how often it has loaded its engine."""

    loads: int


class Replicas:
    """``backends`` are equal: whichever answers, the answer is the same. ``loads`` counts the loads of all.

    Requests with the same ``batch`` number go to one of them. One that dies gives its unanswered requests back to the
    others and is not started again; only when the last one dies is that an error. ``deaths`` says how they died.
    """

    def __init__(self, backends: Sequence[Loaded]) -> None:
        self._alive = list(backends)
        self._all = tuple(backends)
        self.capabilities = backends[0].capabilities
        self.window = sum(backend.window + 2 * HANDFUL for backend in backends)
        self.deaths: list[str] = []
        self._stopping = threading.Event()

    @property
    def loads(self) -> int:
        """How many engines were loaded."""
        return sum(backend.loads for backend in self._all)

    @property
    def loading(self) -> str | None:
        """What the first engine that still loads says."""
        return next((said for backend in self._all if (said := getattr(backend, "loading", None)) is not None), None)

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Yield one result a request, in the order they come; after ``stop`` those of what is in flight."""
        queue = _Queue(requests)
        yield from self._round(queue)
        while queue.returned and not self._stopping.is_set():
            queue.go_on()
            yield from self._round(queue)

    def stop(self) -> None:
        """Take no more requests; what is in flight is still answered. Safe in any thread or signal handler."""
        self._stopping.set()
        for backend in self._all:
            backend.stop()

    def close(self) -> None:
        """End all engines; done twice it does nothing."""
        for backend in self._all:
            backend.close()

    def _round(self, queue: _Queue) -> Iterator[Result]:
        """Let every living backend answer until the queue is empty."""
        if not (alive := list(self._alive)):
            raise BackendError(self.deaths[-1])
        told: Queue[Result | None] = Queue(HANDFUL * len(alive))  # a caller that is slow is waited for
        ended = 0
        with ThreadPoolExecutor(len(alive), thread_name_prefix="replica") as pool:
            served = [pool.submit(self._serve, backend, queue, told) for backend in alive]
            try:
                while ended < len(served):
                    if (result := told.get()) is None:
                        ended += 1
                    else:
                        yield result
            finally:
                queue.pause()  # where the caller gave up, nothing more is taken, and what comes is nobody's
                while ended < len(served):
                    ended += told.get() is None
        for future in served:
            future.result()
        if not self._alive:
            raise BackendError(self.deaths[-1])

    def _serve(self, backend: Loaded, queue: _Queue, told: Queue[Result | None]) -> None:
        share = _Share(queue)
        try:
            for result in backend.submit(share):
                share.answered(result)
                told.put(result)
        except BackendError as error:
            share.give_back()
            self._alive.remove(backend)
            self.deaths.append(str(error))
        except ModelError:  # of a load, and so of every load
            queue.pause()
            raise
        finally:
            told.put(None)


class _Queue:
    """The requests in groups that stay together, and those that came back; shared by the threads of the backends."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._groups = _groups(requests)
        self._lock = threading.Lock()
        self._paused = False
        self.returned: deque[list[Request]] = deque()

    def next(self) -> list[Request]:
        """Return the next group, none where there is none now."""
        with self._lock:
            if self._paused:
                return []
            return self.returned.popleft() if self.returned else next(self._groups, [])

    def give_back(self, groups: Iterable[list[Request]]) -> None:
        with self._lock:
            self.returned.extend(groups)

    def pause(self) -> None:
        """Give nothing out until ``go_on``."""
        self._paused = True

    def go_on(self) -> None:
        self._paused = False


class _Share:
    """What one backend has taken of the queue and not answered yet."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._taken: dict[str, Request] = {}

    def __iter__(self) -> Iterator[Request]:
        while group := self._queue.next():
            self._taken.update((request.id, request) for request in group)
            yield from group

    def answered(self, result: Result) -> None:
        self._taken.pop(result.id, None)

    def give_back(self) -> None:
        """Return what is not answered, batch by batch."""
        self._queue.give_back(_groups(self._taken.values()))


def _groups(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Yield requests of one batch together, of those without one a handful: neighbours share the beginnings of prompts."""
    for batch, run in groupby(requests, key=lambda request: request.batch):
        while group := list(islice(run, HANDFUL if batch is None else None)):
            yield group


def places(replicas: int, cards: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the environment of every replica: ``cards`` GPUs of its own; nothing where the machine has none.

    Raises ModelError where there are too few.
    """
    visible = _visible(environment)
    if not visible:
        return [{} for _ in range(replicas)]
    if replicas * cards > len(visible):
        raise ModelError(
            f"replicas: {replicas} on {cards} GPU{'s' * (cards > 1)} each need {replicas * cards}, and this machine shows "
            f"{len(visible)}; set fewer"
        )
    shares = [visible[start : start + cards] for start in range(0, replicas * cards, cards)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]


def _visible(environment: Mapping[str, str]) -> list[str]:
    said = environment.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [card.strip() for card in said.split(",") if card.strip() and card.strip() != "-1"]
    return [str(number) for number, _ in enumerate(_DRIVER.iterdir())] if _DRIVER.is_dir() else []


def opened(
    options: Mapping[str, object], cards: int, log: Path, make: Callable[[Path, Mapping[str, str]], Loaded]
) -> Backend:
    """Return the backend that ``make`` makes of a log and an environment, or as many of them as ``replicas`` asks for."""
    number = count(options.get("replicas", 1))
    if number == 1:
        return make(log, {})
    logs = [log.with_name(f"{log.stem}-{replica + 1}{log.suffix}") for replica in range(number)]
    return Replicas([make(file, place) for file, place in zip(logs, places(number, cards, os.environ), strict=True)])


def count(said: object, name: str = "replicas") -> int:
    """Return the number that an entry says under ``name``; raises ModelError where it is none above 0."""
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise ModelError(f"{name}: {said} is no whole number above 0")
    return said
