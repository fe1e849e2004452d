"""The engine's process: one load, groups kept whole, errors told, and nothing left behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from evalharness.backends.process import ProcessBackend
from evalharness.errors import BackendError, ModelError
from evalharness.types import Engine, Request, Result

HERE = Path(__file__).resolve().parent
GONE_SECONDS = 10.0


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ProcessBackend]]:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made: list[ProcessBackend] = []

    def make(path: str = "toy", **options: object) -> ProcessBackend:
        made.append(ProcessBackend(Engine("toy", path, "w"), "toy_engine", **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def asked(*texts: str, batch: int | None = None) -> list[Request]:
    return [Request(f"id-{i}-{text}", "generate", None, text, batch=batch) for i, text in enumerate(texts)]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*pids: int) -> bool:
    """Wait until no process of ``pids`` runs; say whether that came."""
    deadline = time.monotonic() + GONE_SECONDS
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


def members(group: int) -> list[int]:
    """Return the processes of a process group, zombies left out."""
    return [p.pid for p in psutil.process_iter() if alive(p.pid) and _group(p.pid) == group]


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def test_one_result_a_request_with_its_id_from_one_load(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    first = list(backend.submit(asked("a", "b", "c")))
    second = list(backend.submit(asked("d\ud800\n\u2028é")))
    assert [result.id for result in first] == ["id-0-a", "id-1-b", "id-2-c"]
    assert second[0].text is not None and second[0].text.endswith("d\ud800\n\u2028é")
    assert len({result.text.split()[0] for result in first + second if result.text}) == 1
    assert backend.loads == 1


def test_no_child_before_the_first_request(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    assert backend.pid is None
    assert list(backend.submit([])) == []
    backend.start()
    backend.start()
    assert backend.loads == 1


def test_a_batch_is_run_whole_and_none_is_alone(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    requests = [*asked("a", "b", "c", batch=1), *asked("d", "e", batch=2), *asked("f", "g")]
    groups = [result.text.split()[1:] for result in backend.submit(requests) if result.text]
    assert groups == [["3", "a"], ["3", "b"], ["3", "c"], ["2", "d"], ["2", "e"], ["1", "f"], ["1", "g"]]


def test_kinds_are_not_mixed_in_a_group(toy: Callable[..., ProcessBackend]) -> None:
    requests = [
        Request("a", "generate", None, "a", batch=1),
        Request("b", "label_logprobs", None, "b", continuations=("x",), batch=1),
    ]
    assert [r.text.split()[1] for r in toy().submit(requests) if r.text] == ["1", "1"]


@pytest.mark.parametrize("batch", [None, 7])
def test_never_more_than_the_window_is_pulled_ahead(toy: Callable[..., ProcessBackend], batch: int | None) -> None:
    backend = toy(window=9)
    pulled = 0

    def requests() -> Iterator[Request]:
        nonlocal pulled
        for i in range(60):
            pulled += 1
            yield Request(str(i), "generate", None, "x", batch=batch)

    for done, _ in enumerate(backend.submit(requests())):
        assert pulled - done <= backend.window
    assert pulled == 60


def test_large_messages_cross_both_pipes(toy: Callable[..., ProcessBackend]) -> None:
    texts = [f"{i} " + "x" * 300_000 for i in range(12)]
    results = list(toy().submit(asked(*texts)))
    assert [result.text.split()[-1] for result in results if result.text] == ["x" * 300_000] * 12


def test_stop_lets_the_running_group_finish_and_takes_no_more(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    backend.start()
    threading.Timer(0.4, backend.stop).start()
    began = time.monotonic()
    results = list(backend.submit(asked("sleep 1.5", "sleep 30", "sleep 30")))
    assert [result.id for result in results] == ["id-0-sleep 1.5"]
    assert time.monotonic() - began < 10
    assert list(backend.submit(asked("a"))) == []


def test_an_abandoned_submit_leaves_no_stale_results(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    given_up = backend.submit(asked("a", "b", "c"))
    next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    assert [result.id for result in backend.submit(asked("x", "y"))] == ["id-0-x", "id-1-y"]


def test_a_killed_child_is_an_error_with_the_end_of_its_log(toy: Callable[..., ProcessBackend], tmp_path: Path) -> None:
    log = tmp_path / "logs" / "toy.log"
    backend = toy(log=log)
    with pytest.raises(BackendError) as caught:
        list(backend.submit(asked("a", "die")))
    message = str(caught.value)
    assert "killed by SIGKILL" in message and str(log) in message
    assert message.endswith("loading toy\nlast words")  # no escape sequence
    assert caught.value.exit_code == 6


def test_while_it_loads_an_engine_says_what_it_does(toy: Callable[..., ProcessBackend]) -> None:
    backend, said = toy("slow"), []
    assert backend.loading is None
    starting = threading.Thread(target=backend.start)
    starting.start()
    while starting.is_alive():
        said.append(backend.loading)
        time.sleep(0.01)
    assert "Reading weights" in said and backend.loading is None


def test_the_first_error_of_this_child_is_the_cause_that_is_told(
    toy: Callable[..., ProcessBackend], tmp_path: Path
) -> None:
    log = tmp_path / "toy.log"
    log.write_text("OldError: of an earlier process\n")
    with pytest.raises(
        BackendError, match="exit code 1; first error in its log: RuntimeError: a mistake in the engine;"
    ):
        toy("broken", log=log).start()


def test_a_child_killed_from_outside_takes_its_children_along(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    (started,) = backend.submit(asked("child"))
    grandchild, pid = int(started.text or 0), backend.pid or 0
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BackendError):
        list(backend.submit(asked("a")))
    assert gone(pid, grandchild)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("refused", ModelError, "the weights are damaged"),
        ("missing", ModelError, "pip install 'evalharness[hf]'"),
        ("broken", BackendError, "a mistake in the engine"),
    ],
)
def test_a_load_that_fails_says_why(
    toy: Callable[..., ProcessBackend], path: str, error: type[Exception], words: str
) -> None:
    backend = toy(path)
    with pytest.raises(error, match=path) as caught:
        backend.start()
    assert words in str(caught.value)
    assert backend.loads == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of processes")
def test_a_killed_child_takes_those_along_that_left_its_group(toy: Callable[..., ProcessBackend]) -> None:
    backend, other = toy(), toy()
    daemon, neighbour = (int(result.text or 0) for one in (backend, other) for result in one.submit(asked("daemon")))
    os.kill(backend.pid or 0, signal.SIGKILL)
    assert gone(daemon) and alive(neighbour)  # each engine's own, and no other's
    other.close()
    assert gone(neighbour)


def test_close_ends_every_process_and_may_be_repeated(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    (started,) = backend.submit(asked("child"))
    pid = backend.pid or 0
    assert len(members(pid)) >= 3  # the worker, its guard, the grandchild
    backend.close()
    assert gone(pid, int(started.text or 0)) and members(pid) == []
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        list(backend.submit(asked("a")))


def test_close_in_another_thread_ends_a_submit_that_waits(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    backend.start()
    pid = backend.pid or 0
    threading.Timer(0.5, backend.close).start()
    with pytest.raises(BackendError, match="closed"):
        list(backend.submit(asked("sleep 600")))
    assert gone(pid)


def test_interrupt_at_the_terminal_does_not_reach_the_child(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    backend.start()
    assert os.getpgid(backend.pid or 0) != os.getpgid(0)
    assert os.getsid(backend.pid or 0) == backend.pid


def test_the_temporary_log_is_removed(toy: Callable[..., ProcessBackend]) -> None:
    backend = toy()
    backend.start()
    log = backend._log
    assert log is not None and log.exists()
    backend.close()
    assert not log.exists()


PARENT = """
import sys, threading, time
from evalharness.backends.process import ProcessBackend
from evalharness.types import Engine, Request

def main():
    backend = ProcessBackend(Engine("toy", "toy", "w"), "toy_engine")
    asked = [Request(verb, "generate", None, verb) for verb in ("child", "daemon")]
    started = [result.text for result in backend.submit(asked)]
    print(backend.pid, *started, flush=True)
    if "idle" in sys.argv[1]:
        time.sleep(600)
    list(backend.submit([Request("2", "generate", None, "hold")]))

if "thread" in sys.argv[1]:
    threading.Thread(target=main).start()
else:
    main()
"""


@contextmanager
def started_parent(where: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start a process that uses a backend in its main or another thread.

    Yields it, and the ids of its engine and of what that started: a grandchild, and one in a session of its own.
    """
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{HERE}"}
    command = [sys.executable, "-c", textwrap.dedent(PARENT), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids: list[int] = []
        try:
            pids += [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == 3 and all(alive(pid) for pid in pids)
            time.sleep(0.3)  # the engine is then in its long operation, during which no thread of its own can run
            yield parent, pids
        finally:
            parent.kill()
            for pid in filter(alive, pids):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("where", ["thread", "main", "idle thread", "idle main"])
def test_a_killed_parent_takes_the_child_and_its_children_along(where: str) -> None:
    with started_parent(where) as (parent, pids):
        parent.kill()
        assert gone(*pids, *members(pids[0])) and members(pids[0]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_the_child_of_a_killed_parent_ends_even_without_its_guard() -> None:
    with started_parent("main") as (parent, (engine, grandchild, _)):
        (guard,) = set(members(engine)) - {engine, grandchild}
        os.kill(guard, signal.SIGKILL)
        parent.kill()
        assert gone(engine)


def test_results_keep_their_numbers() -> None:
    from evalharness.backends.wire import result_of

    plain = {"id": "a", "text": None, "finish": "stop", "tokens_in": 3, "tokens_out": 0, "logprobs": [-1.5, float("-inf")],
             "error": None, "transient": False}  # fmt: skip
    assert result_of(plain) == Result("a", tokens_in=3, tokens_out=0, logprobs=(-1.5, float("-inf")))
