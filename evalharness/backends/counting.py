"""An engine in, how its tokens are counted out: its own tokenizer, tiktoken's, or bytes. Imports no torch and no engine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from evalharness.types import Engine

How = Literal["tokenizer", "tiktoken", "bytes"]

# Of our prompts in 23 languages Gemma 3's tokenizer makes tokens of 3.0 (Czech), 4.1 (English) to 8.6 bytes (Hindi).
BYTES_A_TOKEN = 3
FETCH_SECONDS = 20.0

_TOKENIZER = "tokenizer.json"
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_FETCH = "import sys, tiktoken; tiktoken.get_encoding(sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Counter:
    """``count`` returns how many tokens texts have in all, without special tokens; ``how`` says who counts them."""

    how: How
    count: Callable[[Sequence[str]], int]


def counter(engine: Engine) -> Counter:
    """Return how the tokens of ``engine`` are counted.

    By the ``tokenizer.json`` of its weights' folder, or of a model of that name in the local Hugging Face cache, where
    the package ``tokenizers`` is installed; for OpenAI's models by tiktoken, where that is installed and its vocabulary
    is there or comes within FETCH_SECONDS; else by bytes.
    """
    return _by_file(Path(engine.path) / _TOKENIZER) or _by_tiktoken(engine) or _by_cache(engine) or BYTES


def _by_file(file: Path) -> Counter | None:
    if not file.is_file() or find_spec("tokenizers") is None:
        return None
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(file))

    def count(texts: Sequence[str]) -> int:
        return sum(map(len, tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)))

    return Counter("tokenizer", count)


def _by_cache(engine: Engine) -> Counter | None:
    if not _HUB_ID.match(engine.path):
        return None
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = try_to_load_from_cache(engine.path, _TOKENIZER)
    return _by_file(Path(found)) if isinstance(found, str) else None


def _by_tiktoken(engine: Engine) -> Counter | None:
    if engine.backend != "openai" or find_spec("tiktoken") is None:
        return None
    import tiktoken  # noqa: PLC0415

    try:
        name = tiktoken.encoding_name_for_model(engine.path.removeprefix("openai/"))
    except KeyError:
        return None
    try:  # tiktoken fetches a vocabulary without a time limit, so a process that has one does it
        subprocess.run([sys.executable, "-c", _FETCH, name], check=True, timeout=FETCH_SECONDS, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return None
    encoding = tiktoken.get_encoding(name)
    return Counter("tiktoken", lambda texts: sum(map(len, encoding.encode_ordinary_batch(list(texts)))))


def _bytes(texts: Sequence[str]) -> int:
    return -(-sum(len(text.encode("utf-8")) for text in texts) // BYTES_A_TOKEN)


BYTES = Counter("bytes", _bytes)
