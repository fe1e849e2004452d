"""A reply that is no answer in, what to do about it out: ask again, fail the item, or end the run with one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from evalharness.backends.openai.entry import Endpoint
from evalharness.errors import BackendError, EvalHarnessError, ModelError
from evalharness.text import one_line
from evalharness.types import Result

WORDS = 400  # characters of a server's words that are shown
RETRIED = (408, 409, 425, 429)
BUSY = (429, 503, 529)  # too many requests, no capacity now, overloaded
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size)|max_model_len|prompt is too long|input is too long", re.IGNORECASE
)
_LIMIT = re.compile(r"context length (?:is|of)(?: only)? (\d+)", re.IGNORECASE)
_PROMPT = re.compile(r"(\d+) (?:in the (?:messages|prompt)|(?:input|prompt) tokens)", re.IGNORECASE)
_FILTER = re.compile(r"content[ _](?:filter|policy|management)|responsible ?ai", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|\bmodel\b.{0,120}\b(?:not exist|not found|unknown|not available)", re.IGNORECASE | re.DOTALL
)
_UNSUPPORTED = re.compile(
    r"unsupported[ _](?:parameter|value)|not supported|does not support|unrecognized|unknown parameter|not permitted|"
    r"not allowed|only the default",
    re.IGNORECASE,
)
_LOGPROBS = re.compile(r"log_?prob", re.IGNORECASE)
_MENDS = {  # a field of the request -> what to write so that it is not sent, or is sent otherwise
    "max_tokens": "write engine: {max_tokens_field: max_completion_tokens} in the model's entry",
    "max_completion_tokens": "write engine: {max_tokens_field: max_tokens} in the model's entry",
    "temperature": "give the one it takes: generate: {temperature: 1} in the model's entry, or in the judge's YAML",
    "top_p": "leave top_p at 1",
    "top_k": "leave top_k at 0",
    "stop": "take the stop strings out of the task or judge, or use another model",
    "seed": "use another model, or temperature 0",
    "chat_template_kwargs": "leave chat_template_kwargs out of the model's entry",
}


class AgainError(Exception):
    """An attempt that failed for a fault that may pass. ``wait`` is what the server asked for, in seconds.

    ``told`` marks a server that only asks to wait, ``unreachable`` one that was not spoken to, ``broken`` a connection that
    failed, then or later.
    """

    def __init__(
        self,
        kind: str,
        words: str,
        wait: float | None = None,
        told: bool = False,
        unreachable: bool = False,
        broken: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {words}" if words else kind)
        self.kind, self.wait, self.told, self.unreachable, self.broken = kind, wait, told, unreachable, broken


class ItemError(Exception):
    """A request that failed for good (or, if ``transient``, until it is asked in another run); others go on."""

    def __init__(self, words: str, finish: str = "error", transient: bool = False) -> None:
        super().__init__(words)
        self.finish, self.transient = finish, transient

    def result(self, identity: str) -> Result:
        """Return the item's result; a filtered prompt or too long a one is the model's failure, whatever the words."""
        error = None if self.finish == "filtered" else str(self)
        return Result(identity, finish=self.finish, error=error, transient=self.transient)


class TooLongError(ItemError):
    """The prompt, with the new tokens asked for, does not fit; ``room`` new tokens would (``None``: not said)."""

    def __init__(self, words: str, room: int | None) -> None:
        super().__init__(words, "context")
        self.room = room


class NoModelError(Exception):
    """The server does not know the model."""


class NoLogprobsError(Exception):
    """The server answered without the log-probabilities it was asked for, or refused them; says its words, if any."""


@dataclass(frozen=True, slots=True)
class Said:
    """An error body: the server's words, and its code or type."""

    words: str
    code: str
    parameter: str


def said(text: str) -> Said:
    """Read an error body in the shapes that servers use: ``{"error": {…}}``, ``{"message": …}``, ``{"detail": …}``, text."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Said("" if text.lstrip().startswith("<") else one_line(text, WORDS), "", "")
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return Said(one_line(error if isinstance(error, str) else text, WORDS), "", "")
    words = next((str(error[name]) for name in ("message", "detail", "msg") if error.get(name)), text)
    return Said(
        one_line(words, WORDS), f"{error.get('code') or ''} {error.get('type') or ''}", str(error.get("param") or "")
    )


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that ``retry-after-ms`` or ``Retry-After`` (seconds or an HTTP date) ask for, from ``now`` on."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            seconds = _until(value, now)
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def _until(date: str, now: float) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, OverflowError):
        return float("nan")


def fault(endpoint: Endpoint, status: int, text: str, wait: float | None, location: str = "") -> Exception:
    """Return the exception for a reply with ``status``; ``text`` is its body, ``wait`` what it asked for in seconds."""
    error = said(text)
    words = f"{error.words} (HTTP {status})" if error.words else f"HTTP {status}"
    if status == 402 or "insufficient_quota" in error.code:
        return BackendError(f"{endpoint.base_url}: the account has no credit left: {words}; add credit and go on")
    if status in (401, 403) and not _about_logprobs(error):  # OpenAI's reasoning models forbid them with 403
        return _refused(endpoint, words)
    if status in RETRIED or status >= 500:
        return AgainError(f"HTTP {status}", error.words, wait, told=status in BUSY or wait is not None)
    if 300 <= status < 400:
        return ModelError(f"{endpoint.base_url} redirects to {location or 'another address'}; write that as base_url")
    if status == 404 or _NO_MODEL.search(f"{error.code} {error.words}"):
        return NoModelError(words)
    return _rejected(endpoint, error, words)


def _refused(endpoint: Endpoint, words: str) -> EvalHarnessError:
    if endpoint.key_env is None:
        mend = "name the environment variable that holds the key in api_key_env of the model's entry"
        return BackendError(f"{endpoint.base_url} wants a key: {words}; {mend}")
    mend = f"check the environment variable {endpoint.key_env}"
    return BackendError(f"{endpoint.base_url} refuses the key for model {endpoint.model}: {words}; {mend}")


def _rejected(endpoint: Endpoint, error: Said, words: str) -> Exception:
    """Return the exception for a request that the server calls wrong (400, 413, 422 …)."""
    if _CONTEXT.search(f"{error.code} {error.words}"):
        limit, prompt = _LIMIT.search(error.words), _PROMPT.search(error.words)
        room = int(limit[1]) - int(prompt[1]) if limit and prompt else None
        return TooLongError(words, room if room is not None and room > 0 else None)
    if _FILTER.search(f"{error.code} {error.words}"):
        return ItemError(words, "filtered")
    if _about_logprobs(error):
        return NoLogprobsError(words)
    field = next((name for name in _MENDS if re.search(rf"\b{name}\b", f"{error.parameter} {error.words}")), None)
    if field is None or not _UNSUPPORTED.search(f"{error.code} {error.words}"):
        return ItemError(words)
    return ModelError(f"model {endpoint.model} does not take {field}: {words}; {_MENDS[field]}")


def _about_logprobs(error: Said) -> bool:
    return bool(_LOGPROBS.search(f"{error.parameter} {error.words}"))
