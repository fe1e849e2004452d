"""Files of completions in, answers out: the models of ``replay:GLOB`` or ``replay:GLOB#model``, one a ``model`` field.

A file is JSONL, plain or ``.gz``: ``{prompt_id, language, model, text}``, optionally ``task, task_version, prompt_sha256,
thinking, tokens, finish, generate, size_b, repeat`` (the number of the answer, from 0, where a prompt has several), ``turn``
(the number of the turn, from 1, in a conversation). Other fields are left alone.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalharness.backends.kind import BackendKind
from evalharness.errors import DataError, NotInCatalog
from evalharness.languages import is_tag
from evalharness.specs.model import ModelSpec
from evalharness.text import canonical, clean_row
from evalharness.types import Backend, Engine, Request, Result

FINISHES = ("stop", "length", "context", "refused", "filtered")
Key = tuple[str | None, str, str, int, int]

_STRINGS = ("prompt_id", "language", "model", "text")
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "task": (str,),
    "task_version": (str,),
    "prompt_sha256": (str,),
    "thinking": (str,),
    "tokens": (int,),
    "finish": (str,),
    "generate": (dict,),
    "size_b": (int, float),
    "repeat": (int,),
    "turn": (int,),
}
_WORDS = {str: "a string", int: "a whole number", float: "a number", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One completion of a file. ``place`` is ``file:line``; what the file does not say is ``None``."""

    prompt_id: str
    language: str
    model: str
    text: str
    place: str
    task: str | None = None
    task_version: str | None = None
    prompt_sha256: str | None = None
    thinking: str | None = None
    tokens: int | None = None
    finish: str | None = None
    generate: Mapping[str, Any] | None = None
    size_b: float | None = None
    repeat: int | None = None
    turn: int | None = None

    @property
    def key(self) -> Key:
        """What it answers: (task or ``None``, language, prompt id, number of the answer among those to the prompt, turn)."""
        return self.task, self.language, self.prompt_id, self.repeat or 0, self.turn or 1


@dataclass(frozen=True, slots=True)
class Recording:
    """All completions of one model. ``sha256`` is over their contents, whatever their order and their files."""

    model: str
    entries: Mapping[Key, Recorded]
    sha256: str
    size_b: float | None

    def find(self, task: str, language: str, prompt_id: str, index: int = 0, turn: int = 0) -> Recorded | None:
        """Return completion ``index`` for a prompt, in ``turn`` (from 0) of its conversation: the one recorded for ``task``,
        else one for no task in particular."""
        place = (language, prompt_id, index, turn + 1)
        return self.entries.get((task, *place)) or self.entries.get((None, *place))

    def answer(self, request: Request) -> Result:
        """Return the result of ``request``, looked up by what it is ``about``; a missing completion is an error."""
        if request.about is None:
            return Result(request.id, finish="error", error="a replayed model answers only the prompts of tasks")
        task, language, prompt_id = request.about
        found = self.find(task, language, prompt_id, request.index, request.turn)
        if found is None:
            which = f" (repeat {request.index})" if request.index else ""
            which += f" (turn {request.turn + 1})" if request.turn else ""
            missing = f"{self.model} has no completion for prompt {prompt_id}{which} in {language} of task {task}"
            return Result(request.id, finish="error", error=missing)
        return Result(
            request.id, text=found.text, finish=found.finish or "stop", tokens_out=found.tokens, thinking=found.thinking
        )


def read(pattern: str) -> dict[str, Recording]:
    """Return the recordings of the files of ``pattern`` (``GLOB`` or ``GLOB#model``), by model, sorted.

    Raises DataError with file and line for a malformed file and for two different completions of one prompt, and
    NotInCatalog for a model that no file has.
    """
    files, wanted = _split(pattern)
    found = _read(tuple((file, *_state(file)) for file in files))
    if wanted is None:
        return dict(found)
    if wanted not in found:
        raise NotInCatalog("model", wanted, found, f"replay:{pattern}")
    return {wanted: found[wanted]}


@lru_cache(maxsize=4)
def _read(files: tuple[tuple[Path, int, int], ...]) -> Mapping[str, Recording]:
    """Read files; kept by their size and time of change, since each of their models is resolved on its own."""
    entries: dict[str, dict[Key, Recorded]] = {}
    for recorded in (recorded for file, _, _ in files for recorded in _recorded(file)):
        known = entries.setdefault(recorded.model, {}).setdefault(recorded.key, recorded)
        if known is not recorded and _content(known) != _content(recorded):
            raise DataError(
                f"{recorded.place}: another completion of {recorded.model} for prompt {recorded.prompt_id} in "
                f"{recorded.language} than in {known.place}"
            )
    return {model: _recording(model, entries[model]) for model in sorted(entries)}


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns


def _split(pattern: str) -> tuple[list[Path], str | None]:
    """Return the files of a pattern and the model it picks; a ``#`` that belongs to a file's name is left in it."""
    files, wanted = _files(pattern), None
    if not files and "#" in pattern:
        before, _, wanted = pattern.rpartition("#")
        files = _files(before)
    if not files:
        raise DataError(f"replay:{pattern}: no such file; give files of completions (.jsonl or .jsonl.gz)")
    return files, wanted


def _files(pattern: str) -> list[Path]:
    found = [Path(pattern), *map(Path, sorted(glob.glob(pattern, recursive=True)))]  # noqa: PTH207 (it may be absolute)
    return list(dict.fromkeys(path for path in found if path.is_file()))


def _recorded(file: Path) -> Iterator[Recorded]:
    number = 0
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _entry(line, f"{file}:{number}")
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise DataError(f"{file}:{number + 1}: cannot be read on: {error}") from error


def _entry(line: bytes, place: str) -> Recorded:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        cut = "" if line.endswith(b"\n") else " (the last line is cut off)"
        raise DataError(f"{place}: not JSON{cut}: {error}") from None
    if not isinstance(row, dict):
        raise DataError(f"{place}: a completion is an object with {', '.join(_STRINGS)}")
    _check(row, place)
    known = {field.name for field in fields(Recorded)}
    return Recorded(**clean_row({k: v for k, v in row.items() if k in known and v is not None}), place=place)


def _check(row: Mapping[str, Any], place: str) -> None:
    if missing := [name for name in _STRINGS if row.get(name) is None]:
        raise DataError(f"{place}: {missing[0]} is missing; a completion has {', '.join(_STRINGS)}")
    wanted = dict.fromkeys(_STRINGS, (str,)) | _OPTIONAL
    for name, kinds in wanted.items():
        value = row.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise DataError(f"{place}: {name} must be {_WORDS[kinds[-1]]}, not {json.dumps(value)[:40]}")
    if not is_tag(row["language"]):
        raise DataError(f"{place}: language '{row['language']}' is not a language tag such as de or pt-BR")
    if row.get("finish") not in (None, *FINISHES):
        raise DataError(f"{place}: finish '{row['finish']}' is none of {', '.join(FINISHES)}")
    for name in ("tokens", "size_b", "repeat"):
        if (row.get(name) or 0) < 0:
            raise DataError(f"{place}: {name} is negative")
    if row.get("turn") is not None and row["turn"] < 1:
        raise DataError(f"{place}: turn is {row['turn']}; turns are counted from 1")


def _content(recorded: Recorded) -> bytes:
    """Return what two completions of a prompt must have in common to be the same."""
    key = recorded.key if recorded.key[-1] > 1 else recorded.key[:-1]  # as before there were turns: identities stay
    return canonical([key, recorded.text, recorded.thinking, recorded.finish, recorded.tokens])


def _recording(model: str, entries: Mapping[Key, Recorded]) -> Recording:
    digests = sorted(hashlib.sha256(_content(recorded)).digest() for recorded in entries.values())
    sizes = {recorded.size_b for recorded in entries.values() if recorded.size_b is not None}
    if len(sizes) > 1:
        raise DataError(f"{model} has more than one size_b: {', '.join(map(str, sorted(sizes)))}")
    return Recording(model, entries, hashlib.sha256(b"".join(digests)).hexdigest(), next(iter(sizes), None))


class ReplayBackend:
    """The completions of one model as a backend that generates; holds no process and nothing to free."""

    capabilities = frozenset({"generate"})
    window = 1

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._stopping = False

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Yield the recorded answer of every request, in order."""
        for request in requests:
            if self._stopping:
                return
            yield self._recording.answer(request)

    def stop(self) -> None:
        """Take no more requests."""
        self._stopping = True

    def close(self) -> None:
        """Free nothing: there is nothing to free."""


def _models(spec: ModelSpec) -> list[ModelSpec]:
    """Return one model for each that the files have; an entry that has a name of its own keeps it."""
    found = read(spec.path)
    named = len(found) == 1 and spec.name != spec.path
    return [
        replace(
            spec,
            name=spec.name if named else model,
            path=spec.path if spec.path.endswith(f"#{model}") else f"{spec.path}#{model}",
            size_b=spec.size_b if spec.size_b is not None else recording.size_b,
        )
        for model, recording in found.items()
    ]


def _one(path: str) -> Recording:
    (recording,) = read(path).values()
    return recording


def _resolve(spec: ModelSpec) -> Engine:
    recording = _one(spec.path)
    return Engine("replay", spec.path, recording.sha256, size_b=recording.size_b)


def _open(engine: Engine, _logs: Path) -> Backend:
    recording = _one(engine.path)
    if recording.sha256 != engine.weights:
        raise DataError(f"replay:{engine.path}: the completions were changed since the run was planned; start it again")
    return ReplayBackend(recording)


BACKEND = BackendKind(resolve=_resolve, open=_open, models=_models, loads=False, likelihoods=lambda engine: False)
