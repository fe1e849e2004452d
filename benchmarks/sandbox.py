"""Programs a second: our sandbox, beside it a bare fork server and a plain interpreter a program, neither of which guards.

python benchmarks/sandbox.py [PROBLEMS [SAMPLES]]; a trivial solution with its tests, a process for each, as many at once as
there are processors. The plain interpreters run a tenth of them, scaled.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil

from evalharness.sandbox import Limits, Program, available, run_programs

SOURCE = '''
from typing import List

def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """ Check if in given list of numbers, are any two numbers closer to each other than given threshold. """
    ordered = sorted(numbers)
    return any(b - a < threshold for a, b in zip(ordered, ordered[1:]))

def check(candidate):
    assert candidate([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.3) == True
    assert candidate([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.05) == False
    assert candidate([1.0, 2.0, 5.9, 4.0, 5.0], 0.95) == True

check(has_close_elements)
'''
WARM = "from typing import List\ntry:\n    assert [x for x in range(1)] == 1\nexcept AssertionError:\n    pass\n"
CORES = len(os.sched_getaffinity(0))


def ours(number: int) -> float:
    """Run ``number`` programs in the sandbox; return the processor time of the harness and of all sandboxes."""
    began = _spent()
    passed, inside = 0, 0.0
    for outcome in run_programs((Program(str(n), SOURCE) for n in range(number)), Limits()):
        passed += outcome.status == "passed"
        if passed == number:  # before the sandboxes end, and their times with them
            inside = sum(sum(child.cpu_times()) for child in psutil.Process().children(recursive=True))
    assert passed == number
    return _spent() - began + inside


def bare(number: int) -> float:
    """Fork a process a program from as many servers as there are processors, without limits, pipes, or anything to guard."""
    began = _spent()
    servers = [os.fork() for _ in range(CORES) if os.getpid() == _PARENT]
    if os.getpid() != _PARENT:
        exec(compile(WARM, "warm", "exec"), {})
        for _ in range(number // CORES):
            if (child := os.fork()) == 0:
                exec(compile(SOURCE, "program", "exec"), {"__name__": "__main__"})
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        os._exit(0)
    for server in servers:
        assert os.waitpid(server, 0)[1] == 0
    return _spent() - began


def plain(number: int) -> float:
    """Start an interpreter a program."""
    began = _spent()

    def one(_: int) -> int:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", SOURCE], check=False, stdin=subprocess.DEVNULL
        ).returncode

    with ThreadPoolExecutor(CORES) as pool:
        assert set(pool.map(one, range(number))) == {0}
    return _spent() - began


_PARENT = os.getpid()


def _spent() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(name: str, run: Callable[[int], float], number: int, scale: int = 1) -> float:
    """Print wall and processor time of ``number`` programs, measured on a ``scale``-th of them; return the latter."""
    began = time.perf_counter()
    spent = run(number // scale) * scale
    wall = (time.perf_counter() - began) * scale
    print(f"{name:28}{wall:8.2f} s wall {spent:8.2f} s CPU {spent / number * 1e3:8.2f} ms CPU a program", flush=True)
    return spent


def main() -> None:
    """Print the table."""
    if (why := available()) is not None:
        raise SystemExit(why)
    problems, samples = [*map(int, sys.argv[1:3]), *(164, 10)[len(sys.argv[1:3]) :]]
    number = problems * samples
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{problems} x {samples} programs, {CORES} at once; load average {load}")
    guarded = measure("the sandbox", ours, number)
    forked = measure("a bare fork server", bare, number)
    started = measure("an interpreter a program", plain, number, 10)
    print(
        f"CPU: {guarded / forked:.2f} times a bare fork server, {guarded / started:.2f} times an interpreter a program"
    )


if __name__ == "__main__":
    main()
