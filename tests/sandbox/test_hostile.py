"""A program written to pass without solving anything, or to do harm, neither passes nor harms."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.sandbox import Outcome, Program, run_programs
from tests.conftest import skip_or_fail
from tests.sandbox.hostile import CASES, HONEST, LIMITS, REFUSED, Case, run

pytestmark = pytest.mark.usefixtures("sandbox")
HERE = Path(__file__).resolve().parent
PACKAGE = Path(evalharness.__file__).resolve().parent


def outcomes(*sources: str, **options: Any) -> list[Outcome]:
    """Run ``sources`` one after the other in one sandbox."""
    named = (Program(str(number), source) for number, source in enumerate(sources))
    return sorted(run_programs(named, LIMITS, workers=1, **options), key=lambda outcome: int(outcome.id))


@pytest.fixture(scope="module")
def ended() -> Iterator[dict[str, list[Outcome]]]:
    """How all cases ended, each followed by an honest program."""
    found: dict[str, list[Outcome]] = {}
    for outcome in run():
        found.setdefault(outcome.id, []).append(outcome)
    yield found


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_program_ends_as_it_has_to(name: str, ended: dict[str, list[Outcome]]) -> None:
    (outcome,) = ended[name]
    assert outcome.status in CASES[name].ends, outcome
    assert CASES[name].says in outcome.detail
    assert outcome.detail.isprintable()


def test_every_honest_program_between_hostile_ones_passes(ended: dict[str, list[Outcome]]) -> None:
    assert [outcome.status for outcome in ended[HONEST.id]] == ["passed"] * len(CASES)


def test_the_same_holds_for_a_user_without_rights() -> None:
    """Who is not root gets a user namespace: another sandbox, which has to hold as well."""
    if os.geteuid() != 0:
        pytest.skip("the tests above ran as a user without rights")
    python = next((path for path in (shutil.which("python3", path="/usr/bin"),) if path and _new_enough(path)), None)
    if python is None:
        skip_or_fail("no Python from 3.11 on that every user may run: apt install python3")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("__init__.py", "errors.py", "text.py", "sandbox"):
            copy = shutil.copytree if (PACKAGE / name).is_dir() else shutil.copyfile
            Path(folder, "evalharness").mkdir(exist_ok=True)
            copy(PACKAGE / name, Path(folder, "evalharness", name))  # type: ignore[operator]
        shutil.copyfile(HERE / "hostile.py", Path(folder, "hostile.py"))
        user = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", str(python)]
        done = subprocess.run([*user, "hostile.py"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for found in json.loads(done.stdout):
        case = CASES.get(found["id"], Case("", ("passed",)))
        assert found["status"] in case.ends, found
        assert case.says in found["detail"]


def _new_enough(python: str) -> bool:
    done = subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    return done.returncode == 0


def test_nothing_of_the_machine_is_in_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-0123456789")
    (tmp_path / "evalharness.db").write_text("results")
    hidden = [
        tmp_path / "evalharness.db",
        Path.cwd() / "pyproject.toml",
        Path("/etc/shadow"),
        Path("/etc/passwd"),
        HERE,
    ]
    hidden += [
        Path(sys.prefix) / "pyvenv.cfg",
        Path.home() / ".bashrc",
        Path.home() / ".ssh",
        Path("/sys"),
        Path("/var"),
    ]
    (seen,) = outcomes(
        REFUSED
        + f"""
import os
for path in {[str(path) for path in hidden]!r}:
    assert refused(os.stat, path), path
assert sorted(os.environ) == ["HOME", "LANG", "PATH", "PWD", "PYTHONHASHSEED", "PYTHONUTF8"], sorted(os.environ)
for name in os.listdir("/proc"):
    for file in ("environ", "cmdline"):
        try:
            assert b"canary" not in open(f"/proc/{{name}}/{{file}}", "rb").read()
        except OSError:
            pass
"""
    )
    assert (seen.status, seen.detail) == ("passed", "")


def test_no_socket_reaches_the_machine() -> None:
    reached: list[str] = []
    name = f"evalharness-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as inet, closing(socket.socket(socket.AF_UNIX)) as unix:
        unix.bind(f"\0{name}")
        unix.listen()
        for server in (inet, unix):
            threading.Thread(target=_accept, args=(server, reached), daemon=True).start()
        with socket.create_connection(inet.getsockname()), closing(socket.socket(socket.AF_UNIX)) as control:
            control.connect(f"\0{name}")
        port = inet.getsockname()[1]
        (tried,) = outcomes(
            REFUSED
            + f"""
import socket
assert refused(socket.create_connection, ("127.0.0.1", {port}), 1), "loopback"
assert refused(socket.create_connection, ("192.0.2.1", 80), 1), "the network"
assert refused(socket.getaddrinfo, "example.org", 80), "names"
assert refused(socket.socket(socket.AF_UNIX).connect, "\\0{name}"), "an abstract socket"
assert refused(socket.socket, 40), "a virtual machine's way to its host"
assert [name for _, name in socket.if_nameindex()] == ["lo"]
"""
        )
    assert (tried.status, tried.detail) == ("passed", "")
    assert len(reached) == 2, "only the test itself got through, which shows that one can"


def _accept(server: socket.socket, reached: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # closed by the test
            return
        reached.append(str(server.family))
        connection.close()


DAEMON = """
import os, socket, time
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        listener = socket.create_server(("127.0.0.1", 4321))
        os.write(told, b"x")
        while True:
            {then}
            time.sleep(0.001)
    os._exit(0)
os.read(ready, 1)
"""
QUIET = DAEMON.format(then="")
WRITING = DAEMON.format(then='open("/tmp/left", "w").close()')
NOTHING_LEFT = (
    REFUSED
    + """
import os, socket, stat
assert os.listdir("/tmp") == os.listdir("/dev/shm") == []
assert stat.S_IMODE(os.stat("/tmp").st_mode) == 0o1777
assert sorted(name for name in os.listdir("/proc") if name.isdecimal()) == ["1", str(os.getpid())]
assert refused(socket.create_connection, ("127.0.0.1", 4321), 1)
"""
)


@pytest.mark.parametrize("daemon", [QUIET, WRITING], ids=["quiet", "writing"])
def test_a_daemon_is_gone_before_the_next_program_begins(daemon: str) -> None:
    before, after = outcomes(daemon, NOTHING_LEFT)
    assert (before.status, after.status, after.detail) == ("passed", "passed", "")


@pytest.mark.parametrize(
    "left",
    [
        "open('/tmp/conftest.py', 'w').write('x = 1')",
        "import os\nos.makedirs('/tmp/' + '/'.join('d' * 100))",
        "import os\nos.chmod('/tmp', 0)",
        "import os\nos.symlink('/tmp', '/tmp/loop')",
        "from multiprocessing import shared_memory\nshared_memory.SharedMemory('left', create=True, size=4096)",
        "import builtins, math, sys\nbuiltins.len = lambda _: 0\nmath.pi = 3\nsys.path.insert(0, '/tmp')",
    ],
)
def test_what_a_program_leaves_is_not_there_for_the_next(left: str) -> None:
    before, after = outcomes(
        left, NOTHING_LEFT + "import math, sys\nassert len('ab') == 2 and math.pi > 3 and '/tmp' not in sys.path"
    )
    assert after.status == "passed", (before, after)
