"""What tests of the `openai` backend ask, and what it wrote to its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalharness.backends.openai.backend import OpenAIBackend
from evalharness.types import Message, Request, Result, Sampling

GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0, max_tokens=50, stop=())


def asking(number: int = 0, kind: Any = "generate", sampling: Sampling = GREEDY, **more: Any) -> Request:
    given = {"messages": (Message("user", f"question {number}"),), "text": None, **more}
    return Request(f"{number:032x}", kind, given.pop("messages"), given.pop("text"), sampling, **given)


def one(backend: OpenAIBackend, request: Request | None = None) -> Result:
    (result,) = backend.submit([request or asking()])
    return result


def logged(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in (tmp_path / "logs").glob("openai-*.log"))
