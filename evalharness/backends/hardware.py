"""This machine in, a line that names what engines run on out: equal on machines of one kind, and no name of any of them."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

CARDS = Path("/proc/driver/nvidia/gpus")
_PROCESSOR = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_MODEL = re.compile(r"^Model:\s*(.+)$", re.MULTILINE)


@cache
def hardware() -> str:
    """Return processors and NVIDIA cards, as ``2 x AMD EPYC, 1 x NVIDIA H100``."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 0
    cards = Counter(found[1].strip() for file in _files() if (found := _MODEL.search(_read(file))))
    return ", ".join([f"{cores} x {_processor()}", *(f"{n} x {name}" for name, n in sorted(cards.items()))])


def _processor() -> str:
    found = _PROCESSOR.search(_read(Path("/proc/cpuinfo")))
    return found[1].strip() if found else platform.processor() or platform.machine()


def _files() -> list[Path]:
    return sorted(CARDS.glob("*/information"))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
