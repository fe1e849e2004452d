"""Programs stream through warm sandboxes; a sandbox that dies is replaced; nothing survives the end."""

from __future__ import annotations

import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from evalharness.errors import SandboxError, UsageError
from evalharness.sandbox import Limits, Program, available, facts, run_programs
from evalharness.sandbox.bubblewrap import no_sandbox
from evalharness.sandbox.filter import CLONE, CLONE3, PRLIMIT, REFUSED, SOCKET, filter_for
from tests.sandbox.hostile import HONEST, LIMITS

needs_sandbox = pytest.mark.usefixtures("sandbox")
GONE_SECONDS = 10.0

HONEST_PROGRAMS = {
    "threads": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
    "children": "import subprocess, sys\nassert subprocess.run(['/bin/echo', 'x'], capture_output=True).stdout == b'x\\n'",
    "another interpreter": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import json'], check=True)",
    "pools": "import multiprocessing\nwith multiprocessing.Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]",
    "temporary files": "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x')",
    "a main module": "import pickle\nclass A: pass\nassert __name__ == '__main__' and type(pickle.loads(pickle.dumps(A()))) is A",
    "a signal": "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: 1 / 0)\n"
    "signal.setitimer(signal.ITIMER_REAL, .01)\ntry: time.sleep(9)\nexcept ZeroDivisionError: pass",
    "decimals, dates, patterns": "import decimal, datetime, re, statistics, fractions, zoneinfo, hashlib, sqlite3",
    "letters": "assert 'ß'.upper() == 'SS' and '日本'.encode() == b'\\xe6\\x97\\xa5\\xe6\\x9c\\xac'\nprint('日本 \\ud800'[:2])",
    "closed output": "import sys\nsys.stdout.close()\nsys.stderr.close()",
    "half the memory": "x = bytearray(256 << 20)",
    "as many processes as allowed": "import os, time\nn = 0\nwhile True:\n    try: pid = os.fork()\n    except OSError: break\n"
    "    if not pid: time.sleep(9)\n    n += 1\nassert n == 31, n",
}


@pytest.fixture(scope="module")
def honest() -> dict[str, tuple[str, str]]:
    programs = [Program(name, source) for name, source in HONEST_PROGRAMS.items()]
    return {o.id: (o.status, o.detail) for o in run_programs(programs, replace(LIMITS, seconds=4, wall_seconds=12))}


@needs_sandbox
@pytest.mark.parametrize("name", HONEST_PROGRAMS)
def test_an_honest_program_passes(name: str, honest: dict[str, tuple[str, str]]) -> None:
    assert honest[name] == ("passed", "")


@needs_sandbox
def test_a_program_reads_its_input_and_nobody_else_s() -> None:
    read = "import sys\nassert sys.stdin.read() == {!r}, sys.stdin"
    long = "ü" * 200_000
    programs = [
        Program("long", read.format(long), long),
        Program("none", read.format("")),
        Program("a", read.format("a"), "a"),
    ]
    assert {outcome.status for outcome in run_programs(programs, LIMITS, workers=1)} == {"passed"}
    with pytest.raises(UsageError, match="program big: its stdin is larger than the limit of 16 MB"):
        list(run_programs([Program("big", "", "x" * (17 << 20))], LIMITS))


@needs_sandbox
def test_outcomes_come_while_programs_are_still_being_written() -> None:
    taken = []

    def endless() -> Iterator[Program]:
        for number in itertools.count():
            taken.append(number)
            yield Program(str(number), "pass")

    stream = run_programs(endless(), LIMITS, workers=2)
    assert len(list(itertools.islice(stream, 20))) == 20
    assert len(taken) <= 22
    stream.close()  # type: ignore[attr-defined]


@needs_sandbox
def test_processor_time_is_limited_apart_from_wall_time() -> None:
    (outcome,) = run_programs([Program("loop", "while True: pass")], replace(LIMITS, wall_seconds=60))
    assert (outcome.status, outcome.detail) == ("timeout", "over 1 s of processor time")


@needs_sandbox
def test_sets_have_one_order_and_random_numbers_do_not_repeat() -> None:
    source = "import random\nraise ValueError(list({'a', 'b', 'c', 'd'}), random.random())"
    details = [
        o.detail for n in (1, 2) for o in run_programs([Program(str(i), source) for i in range(3)], LIMITS, workers=n)
    ]
    assert len({detail.split("]")[0] for detail in details}) == 1
    assert len(set(details)) == len(details)


def servers() -> list[psutil.Process]:
    """Return the fork servers below this process."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.is_running() and "/run/server.py" in _words(process)[:7]]


def _words(process: psutil.Process) -> list[str]:
    try:
        return [] if process.name() == "bwrap" else process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


@contextmanager
def killing(times: int) -> Iterator[None]:
    """Kill, from outside, up to ``times`` fork servers while a program runs in them."""
    over, seen = threading.Event(), set()

    def kill() -> None:
        while not over.wait(0.02):
            for server in servers():
                if server.pid not in seen and len(seen) < times and _busy(server):
                    seen.add(server.pid)
                    server.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert len(seen) == times


BUSY = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(1.5)"


def _busy(server: psutil.Process) -> bool:
    """Say whether a program of ``server`` has computed for a while, which tells it from the server's first, empty one."""
    with suppress(psutil.Error):
        return any(sum(child.cpu_times()[:2]) > 0.2 for child in server.children())
    return False


@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="another user cannot find the server, which hides its memory")
@pytest.mark.parametrize(("times", "status"), [(1, "passed"), (2, "sandbox")])
def test_a_program_whose_sandbox_dies_is_run_once_more(times: int, status: str) -> None:
    with killing(times):
        first, second = run_programs([Program("busy", BUSY), HONEST], LIMITS, workers=1)
    assert (first.status, second.status) == (status, "passed")
    assert ("twice" in first.detail) == (times == 2)


def gone(number: Callable[[], int]) -> bool:
    """Wait until ``number`` is 0; say whether that came."""
    deadline = time.monotonic() + GONE_SECONDS
    while number() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not number()


@needs_sandbox
def test_nothing_runs_on_once_the_outcomes_are_no_longer_wanted() -> None:
    others = set(psutil.Process().children())  # of tests before this one
    stream = run_programs(
        [HONEST, *(Program(str(n), "import time\ntime.sleep(99)") for n in range(3))], LIMITS, workers=2
    )
    next(stream)
    assert set(psutil.Process().children()) - others
    stream.close()  # type: ignore[attr-defined]
    assert gone(lambda: len(set(psutil.Process().children()) - others))


@needs_sandbox
def test_a_killed_harness_takes_its_sandboxes_along() -> None:
    script = (
        "from evalharness.sandbox import Program, run_programs\n"
        'sleep = \'import time, subprocess\\nsubprocess.Popen(["/bin/sleep", "98765"])\\ntime.sleep(99)\'\n'
        "stream = run_programs([Program('first', 'pass'), *(Program(str(n), sleep) for n in range(2))], workers=2)\n"
        "print(next(stream).status, flush=True)\n"
        "list(stream)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None and harness.stdout.readline() == "passed\n"
        assert gone(lambda: 2 - _sleepers())
        harness.send_signal(signal.SIGKILL)
    assert gone(_sleepers)


def _sleepers() -> int:
    return sum("98765" in _words(process) for process in psutil.process_iter())


def test_without_bubblewrap_nothing_runs_and_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"bwrap is not installed; .*apt install bubblewrap") as caught:
        list(run_programs([HONEST]))
    assert caught.value.exit_code == 2
    assert available() == str(caught.value)


@pytest.mark.parametrize(
    ("said", "code", "mend"),
    [
        ("bwrap: Unknown option --size", 1, "0.7 or newer"),
        ("bwrap: Creating new namespace failed: Operation not permitted", 1, ""),
    ],
)
def test_a_bubblewrap_that_fails_stops_the_run_with_its_own_words(
    said: str, code: int, mend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxError) as caught:
        list(run_programs([HONEST], workers=2))
    assert said in str(caught.value)
    assert mend in str(caught.value)
    assert str(caught.value) == str(no_sandbox(said))


@needs_sandbox
def test_a_server_that_is_not_process_1_of_a_namespace_runs_nothing() -> None:
    server = Path(__file__).resolve().parents[2] / "evalharness" / "sandbox" / "server.py"
    config = json.dumps({**asdict(LIMITS), "user": None})
    second = [
        "bwrap",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        sys.executable,
    ]  # as process 2
    done = subprocess.run([*second, str(server), config], input="", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"broken": "the server is not process 1 of a namespace of its own"}


@needs_sandbox
def test_the_facts_name_versions_and_limits() -> None:
    found = facts(Limits(seconds=3))
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert str(found["bubblewrap"])[0].isdecimal()
    assert (found["seconds"], found["memory_mb"]) == (3, 1024)


def decide(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> int:
    """Run the filter as the kernel does; return what it answers: 0 to allow, an errno, -1 to kill."""
    own = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    data = struct.pack("=iIQQ", number, own if architecture is None else architecture, 0, argument)
    code = filter_for(machine)
    assert code is not None
    steps = list(struct.iter_unpack("=HBBI", code))
    at, held = 0, 0
    while True:
        operation, true, false, operand = steps[at]
        at += 1
        if operation == 0x20:
            (held,) = struct.unpack_from("=I", data, operand)
        elif operation == 0x06:
            return {0x7FFF0000: 0, 0x80000000: -1}.get(operand, operand & 0xFFFF)
        else:
            met = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}[operation]
            at += true if met else false


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_the_filter_refuses_what_it_names_and_nothing_else(machine: str, column: int) -> None:
    refused = {numbers[column] for numbers in REFUSED.values()}
    for number in range(500):
        expected = 1 if number in refused else 38 if number == CLONE3[column] else 0
        assert decide(machine, number, argument=1 if number == SOCKET[column] else 0) == expected, number
    assert [family for family in range(64) if decide(machine, SOCKET[column], family) == 0] == [1, 2, 10, 16]
    assert decide(machine, CLONE[column], 17) == 0
    assert decide(machine, CLONE[column], 0x10000000 | 17) == 1
    assert decide(machine, PRLIMIT[column], 0) == 0
    assert decide(machine, PRLIMIT[column], 1) == 1
    assert decide(machine, 0x40000000 + 1) == 1
    assert decide(machine, 1, architecture=0x40000003) == -1


def test_another_architecture_has_no_filter_and_so_no_sandbox() -> None:
    assert filter_for("riscv64") is None
