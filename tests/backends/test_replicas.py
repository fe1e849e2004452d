"""Several loads of one engine behind one queue, and an engine that streams: nothing is lost, nothing asked twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evalharness.backends import opened, resolve
from evalharness.backends.process import ProcessBackend
from evalharness.backends.replicas import Replicas, count, places
from evalharness.errors import BackendError, ModelError
from evalharness.specs.model import ModelSpec
from evalharness.types import Engine, Request, Sampling

HERE = Path(__file__).resolve().parent


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ProcessBackend]]:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made: list[ProcessBackend] = []

    def make(module: str = "toy_stream", **options: object) -> ProcessBackend:
        streams = module == "toy_stream"
        made.append(ProcessBackend(Engine("toy", "toy", "w"), module, streams=streams, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def asked(*texts: str, batch: int | None = None) -> list[Request]:
    return [Request(f"id-{i}", "generate", None, text, batch=batch) for i, text in enumerate(texts)]


def test_a_streaming_engine_gives_results_as_they_finish(toy: Callable[..., ProcessBackend]) -> None:
    order = [result.id for result in toy().submit(asked("steps 60", "steps 1", "steps 30"))]
    assert order == ["id-1", "id-2", "id-0"]


def test_a_streaming_engine_has_its_whole_window_and_never_more(toy: Callable[..., ProcessBackend]) -> None:
    backend, pulled = toy(window=7), 0

    def requests() -> Iterator[Request]:
        nonlocal pulled
        for request in asked(*["steps 3"] * 50):
            pulled += 1
            yield request

    ahead = [pulled - done for done, _ in enumerate(backend.submit(requests()))]
    assert max(ahead) == 7 and pulled == 50 and len(ahead) == 50


def test_a_stopped_stream_answers_what_has_begun_and_drops_the_rest(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy(window=100)
    stream = backend.submit(asked(*["steps 20"] * 5_000))
    first = next(stream)
    backend.stop()
    rest = [first, *stream]
    assert 4 <= len(rest) <= 100
    assert list(backend.submit(asked("steps 1"))) == []


def test_all_replicas_answer_from_one_queue_and_nothing_twice(toy: Callable[..., ProcessBackend]) -> None:
    replicas = Replicas([toy(window=8), toy(window=8)])
    results = list(replicas.submit(asked(*["steps 5"] * 200)))
    assert sorted(r.id for r in results) == sorted(f"id-{i}" for i in range(200))
    share = Counter(r.text for r in results)
    assert len(share) == 2 and min(share.values()) > 10  # on a busy machine one may be far ahead
    assert replicas.loads == 2


def test_a_dead_replica_gives_its_requests_back(toy: Callable[..., ProcessBackend]) -> None:
    first, second = toy(window=8), toy(window=8)
    replicas = Replicas([first, second])
    results = []
    for result in replicas.submit(asked(*["steps 5"] * 300)):
        results.append(result)
        if len(results) == 50:
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
    assert sorted(r.id for r in results) == sorted(f"id-{i}" for i in range(300))
    assert len(replicas.deaths) == 1 and "killed by SIGKILL" in replicas.deaths[0]


def test_a_replica_that_dies_last_of_all_work_gives_back_too(toy: Callable[..., ProcessBackend]) -> None:
    slow, quick = toy(window=2), toy(window=2)
    slow.start()

    def kill() -> None:
        time.sleep(0.5)
        assert slow.pid is not None
        os.kill(slow.pid, signal.SIGKILL)

    threading.Thread(target=kill).start()
    results = list(Replicas([slow, quick]).submit(asked(*["steps 500"] * 16)))
    assert sorted(r.id for r in results) == sorted(f"id-{i}" for i in range(16))


def test_the_death_of_the_last_replica_is_an_error(toy: Callable[..., ProcessBackend]) -> None:
    replicas = Replicas([toy(window=2), toy(window=2)])
    with pytest.raises(BackendError, match="killed by SIGKILL"):
        list(replicas.submit(asked(*["steps 5"] * 40, "die", *["steps 5"] * 40)))
    assert len(replicas.deaths) == 2  # the request that kills went to the other one
    with pytest.raises(BackendError, match="killed by SIGKILL"):
        list(replicas.submit(asked("steps 5")))


def test_a_stop_after_a_death_ends_with_what_is_in_flight(toy: Callable[..., ProcessBackend]) -> None:
    first, second = toy(window=4), toy(window=4)
    replicas = Replicas([first, second])
    results = []
    for result in replicas.submit(asked(*["steps 20"] * 2_000)):
        results.append(result)
        if len(results) == 20:
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            replicas.stop()
    assert 20 <= len(results) < 60 and list(replicas.submit(asked("steps 1"))) == []


def test_never_more_than_the_window_is_pulled_ahead(toy: Callable[..., ProcessBackend]) -> None:
    replicas, pulled = Replicas([toy(window=5), toy(window=5)]), 0

    def requests() -> Iterator[Request]:
        nonlocal pulled
        for request in asked(*["steps 3"] * 100):
            pulled += 1
            yield request

    ahead = []
    for done, _ in enumerate(replicas.submit(requests())):
        ahead.append(pulled - done)
        time.sleep(0.01)  # slower than the engines, which must wait for it
    assert max(ahead) <= replicas.window and pulled == 100


def test_a_caller_that_gives_up_leaves_nothing_hanging(toy: Callable[..., ProcessBackend]) -> None:
    replicas = Replicas([toy(window=5), toy(window=5)])
    stream = replicas.submit(asked(*["steps 1"] * 500))
    next(stream)
    stream.close()
    assert len(list(replicas.submit(asked("steps 1", "steps 1")))) == 2


def test_a_batch_stays_on_one_replica(toy: Callable[..., ProcessBackend]) -> None:
    replicas = Replicas([toy("toy_engine"), toy("toy_engine")])
    requests = [Request(f"{b}-{i}", "generate", None, "x", batch=b) for b in range(12) for i in range(5)]
    answers: dict[str, set[str]] = {}
    for result in replicas.submit(requests):
        pid, size, _ = str(result.text).split()
        answers.setdefault(result.id.split("-")[0], set()).add(f"{pid} {size}")
    assert {len(seen) for seen in answers.values()} == {1}
    assert all(next(iter(seen)).endswith(" 5") for seen in answers.values())


def test_every_replica_has_cards_of_its_own() -> None:
    shown = {"CUDA_VISIBLE_DEVICES": "0,1,2,3,6"}
    assert places(2, 2, shown) == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"}]
    assert places(2, 2, {"CUDA_VISIBLE_DEVICES": ""}) == [{}, {}]
    with pytest.raises(ModelError, match="replicas: 3 on 2 GPUs each need 6, and this machine shows 5; set fewer"):
        places(3, 2, shown)
    for wrong in (0, -1, True, "two", 1.5):
        with pytest.raises(ModelError, match=r"replicas: .* is no whole number above 0"):
            count(wrong)


def test_replicas_of_a_real_model_answer_as_one_does(tiny_model: Path, tmp_path: Path) -> None:
    answers, keys = [], set()
    for replicas in (1, 2):
        entry = ModelSpec("m", "hf", str(tiny_model), engine={"replicas": replicas, "threads": 1})
        engine = resolve(entry)
        keys.add(engine.key)
        backend = opened(engine, tmp_path)
        requests = [
            Request(
                f"{b}-{i}",
                "generate",
                None,
                f"Hello {b} {i}",
                Sampling(max_tokens=8),
                batch=b,
                rendering=engine.rendering,
            )
            for b in range(6)
            for i in range(3)
        ]
        try:
            answers.append({result.id: result.text for result in backend.submit(requests)})
        finally:
            backend.close()
    assert answers[0] == answers[1] and len(keys) == 1
    with pytest.raises(ModelError, match="replicas: 0 is no whole number above 0"):
        resolve(ModelSpec("m", "hf", str(tiny_model), engine={"replicas": 0}))
