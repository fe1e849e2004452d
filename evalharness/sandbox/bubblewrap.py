"""Limits in, the command line of a sandbox out: what a program sees of this machine, and what to do where there is none.

The view: /usr and the libraries of the system, the interpreter and its standard library, all read-only; /proc and /dev of
its own; /tmp and /dev/shm in memory, bounded. No network, no home, no environment, no other process.

Started as root, the sandbox needs no user namespace: programs run as a user of their own, under a server that they can
neither kill nor see into. Started as anyone else, programs and server are the same user of a user namespace; the server is
safe as process 1, with its memory closed to others, and with the limits of others closed to programs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from evalharness.errors import SandboxError
from evalharness.sandbox.filter import ARCHITECTURES
from evalharness.sandbox.records import Limits
from evalharness.text import one_line

INSTALL = "install bubblewrap 0.7 or newer (apt install bubblewrap, dnf install bubblewrap)"
OLDEST_KERNEL = (5, 14)  # the first that counts the processes of a user namespace apart
SERVER = Path(__file__).with_name("server.py")
_INSIDE = "/run/server.py"
_NOBODY = 65534
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",  # noqa: S108
    "PYTHONHASHSEED": "0", "PYTHONUTF8": "1",  # sets have one order, so a program has one outcome
}  # fmt: skip
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def environment() -> dict[str, str]:
    """Return the whole environment of a sandbox; nothing of the caller's is in it."""
    return dict(_ENVIRONMENT)


def as_root() -> bool:
    """Say whether sandboxes are made with root's rights instead of a user namespace."""
    return os.geteuid() == 0


def command(limits: Limits, slot: int, filter_file: int) -> list[str]:
    """Return the command of sandbox number ``slot``, whose filter of system calls is read from descriptor ``filter_file``.

    Raises SandboxError where bubblewrap cannot be had here.
    """
    program = _program()
    config = {**asdict(limits), "user": _user(slot) if as_root() else None}
    size = str(limits.file_mb << 20)
    return [
        program, *_namespaces(), "--as-pid-1", "--die-with-parent", "--new-session", "--hostname", "sandbox",
        "--seccomp", str(filter_file), *_view(),
        "--proc", "/proc", "--dev", "/dev",
        "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm",  # noqa: S108
        "--perms", "1777", "--size", size, "--tmpfs", "/tmp",  # noqa: S108
        "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp",  # noqa: S108
        interpreter(), "-P", "-s", "-S", "-B", _INSIDE, json.dumps(config),
    ]  # fmt: skip


def interpreter() -> str:
    """Return the Python that programs run with: the one that runs us, outside of its virtual environment."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def facts(limits: Limits) -> dict[str, str | float]:
    """Return what an outcome depends on, for the manifest: versions, the kind of sandbox, the limits."""
    said = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=False, env=environment())
    return {
        "bubblewrap": one_line(said.stdout.removeprefix("bubblewrap")),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "user": "of its own" if as_root() else "of a user namespace",
        **asdict(limits),
    }


def no_sandbox(said: str) -> SandboxError:
    """Return the error for a sandbox that did not start, and said ``said``, with the mend."""
    last = one_line((said.strip().splitlines() or ["bwrap said nothing"])[-1], 300)
    return SandboxError(f"model output runs in a sandbox only, and none can be made: {last}; {_mend(said)}")


def _program() -> str:
    if sys.platform != "linux":
        raise SandboxError("model output runs in a sandbox only, which needs Linux; on Windows, WSL is one")
    if platform.machine() not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SandboxError(f"model output runs in a sandbox only, which needs a processor of {known}")
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if not as_root() and release is not None and (int(release[1]), int(release[2])) < OLDEST_KERNEL:
        raise SandboxError(
            f"model output runs in a sandbox only, which needs Linux {OLDEST_KERNEL[0]}.{OLDEST_KERNEL[1]} or newer, "
            f"or root; this is {platform.release()}"
        )
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError(f"model output runs in a sandbox only, and bwrap is not installed; {INSTALL}")
    return program


def _mend(said: str) -> str:
    if "nknown option" in said:
        return INSTALL
    if as_root():
        return (
            "in a container, start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined, or run code tasks on a machine of their own"
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "this system keeps user namespaces from bwrap: give it an AppArmor profile (docs/code.md), or "
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "user namespaces are off: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        return "user namespaces are off: sudo sysctl user.max_user_namespaces=10000"
    return "see whether `bwrap --unshare-all --ro-bind / / true` works, and docs/code.md"


def _setting(name: str) -> str | None:
    file = Path("/proc/sys", name)
    return file.read_text(encoding="ascii").strip() if file.is_file() else None


def _namespaces() -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--cap-drop", "ALL")
    if as_root():
        for right in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):  # to become the program's user, and to kill it
            yield from ("--cap-add", right)
    else:
        yield from ("--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY))


def _user(slot: int) -> int:
    """Return a user id for the programs of ``slot`` that most likely nobody has, so that their processes are counted alone.

    In a container only the ids of its map can be had.
    """
    extents = [line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    top = max(int(first) + int(length) for first, _, length in extents)
    if top > 1 << 30:
        return (1 << 30) + (os.getpid() * 64 + slot % 64) % (1 << 29)
    return max(top - 2 - (os.getpid() * 64 + slot) % 4096, 1)


def _view() -> Iterator[str]:
    """Yield the read-only places, each after its parents, which bwrap would make for its own user alone."""
    made: set[Path] = set()
    for kind, source, place in _places():
        for parent in reversed(place.parents[:-1]):
            if parent not in made and not parent.is_relative_to("/usr"):
                made.add(parent)
                yield from ("--perms", "0755", "--dir", str(parent))
        yield from (kind, source, str(place))


def _places() -> Iterator[tuple[str, str, Path]]:
    """Yield (option of bwrap, its source, the place inside)."""
    yield "--ro-bind", "/usr", Path("/usr")
    for name in _SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            yield "--symlink", str(place.readlink()), place
        elif place.is_dir():
            yield "--ro-bind", str(place), place
    for name in ("/etc/ld.so.cache", "/etc/localtime"):
        yield "--ro-bind-try", name, Path(name)
    prefixes = {Path(sys.base_prefix).resolve(), Path(sys.base_exec_prefix).resolve()}
    for place in (*(prefix / name for prefix in sorted(prefixes) for name in ("lib", "lib64")), Path(interpreter())):
        if place.exists() and not place.is_relative_to("/usr"):
            yield "--ro-bind", str(place), place
    yield "--ro-bind", str(SERVER), Path(_INSIDE)
