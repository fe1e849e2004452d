"""YAML 1.2 text in, plain data with the place of every value out; data only, bounded, duplicate keys refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from evalharness.errors import SpecError
from evalharness.text import clean_text
from evalharness.types import Where

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000

Path_ = tuple[str | int, ...]

_TEXT_A_VALUE = 64  # characters that count as one value, so that aliases of long texts are bounded too
_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Loader = getattr(yaml, "CLoader", yaml.Loader)  # libyaml where it was built in; only its event stream is used
_INT = re.compile(r"[-+]?[0-9]+$")
_BASED_INT = re.compile(r"0o[0-7]{1,20}$|0x[0-9a-fA-F]{1,16}$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one YAML file (or of several merged by ``extends``) and where each value was written."""

    data: dict[str, Any]
    places: dict[Path_, tuple[str, int]] = field(default_factory=dict)
    file: str = ""

    def where(self, path: Path_ = ()) -> Where:
        """Return the place of ``path``, or of the nearest enclosing key that was written."""
        for length in range(len(path), -1, -1):
            if (place := self.places.get(path[:length])) is not None:
                return Where(place[0], place[1], dotted(path))
        return Where(self.file, None, dotted(path))

    def error(self, path: Path_, message: str) -> SpecError:
        """Return a SpecError at ``path``."""
        where = self.where(path)
        return SpecError(message, where.file, where.line, where.key)


def dotted(path: Path_) -> str:
    """Return ``('sample', 'messages', 0)`` as ``sample.messages[0]``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def read_file(path: Path, shown: str | None = None) -> Document:
    """Read a YAML file; ``shown`` is its name in messages."""
    shown = shown or display(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError(
                f"{size:,} bytes is more than a spec may have ({MAX_BYTES:,}); move data into a data file", shown
            )
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 (byte {error.start}); save it as UTF-8", shown) from None
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", shown) from None
    return read(text, shown)


def display(path: Path) -> str:
    """Return ``path`` relative to the working folder where it lies inside it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read(text: str, file: str = "<text>") -> Document:
    """Read YAML ``text``: one document, a mapping at the top."""
    composer = _Composer(file)
    text = clean_text(text)
    if found := _NOT_YAML.search(text):
        code = f"U+{ord(found[0]):04X}"
        raise SpecError(
            f"holds the character {code}, which YAML does not allow; remove it",
            file,
            text.count("\n", 0, found.start()) + 1,
        )
    try:
        data = composer.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(_syntax(error, text), file, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise SpecError(f"is not YAML: {error}", file) from None
    if not isinstance(data, dict):
        raise SpecError("must hold keys and values (`key: value`)", file, 1)
    return Document(data, composer.places, file)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    if "nesting depth" in str(error.problem):  # libyaml's own limit, far beyond ours, met while it reads ahead
        return _TOO_DEEP
    mark, lines = error.problem_mark or error.context_mark, text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    tabs = (
        "; tabs cannot indent YAML, use spaces"
        if "\t" in line[: len(line) - len(line.lstrip())] or "\\t" in str(error.problem)
        else ""
    )
    return f"is not YAML: {error.problem or error.context}{tabs}"


class _Composer:
    """Builds plain data from parser events, recording the line of every value."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path_, tuple[str, int]] = {}
        self.anchors: dict[str, tuple[Any, int, int]] = {}  # value, how many values it holds, how deep it is
        self.nodes = 0
        self.deepest = 0

    def document(self, events: Iterator[Any]) -> Any:
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error("holds more than one document; keep one a file", event)
                data = self._node(next(events), events, (), 0)
        return data

    def _node(self, event: Any, events: Iterator[Any], path: Path_, depth: int) -> Any:
        self.places[path] = (self.file, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        before, outside = self.nodes, self.deepest
        self.deepest = depth
        self._count(1 + len(getattr(event, "value", "")) // _TEXT_A_VALUE, event)
        self._check_depth(depth, event)
        self._check_tag(event)
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self._mapping(events, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(events, path, depth)
        else:
            value = _scalar(event)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.nodes - before, self.deepest - depth)
        self.deepest = max(self.deepest, outside)
        return value

    def _mapping(self, events: Iterator[Any], path: Path_, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error("a key must be plain text", event)
            self._check_tag(event)
            key = event.value
            if key in out:
                first = self.places[(*path, key)][1]
                raise SpecError(
                    f"is written twice (first on line {first}); keep one", self.file, _line(event), dotted((*path, key))
                )
            out[key] = self._node(next(events), events, (*path, key), depth + 1)
            self.places[(*path, key)] = (self.file, _line(event))
        return out

    def _sequence(self, events: Iterator[Any], path: Path_, depth: int) -> list[Any]:
        out: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            out.append(self._node(event, events, (*path, len(out)), depth + 1))
        return out

    def _alias(self, event: Any, depth: int) -> Any:
        if event.anchor not in self.anchors:
            raise self._error(f"refers to *{event.anchor}, which is not defined above it", event)
        value, size, height = self.anchors[event.anchor]
        self._count(size, event)
        self._check_depth(depth + height, event)
        return value

    def _check_depth(self, depth: int, event: Any) -> None:
        self.deepest = max(self.deepest, depth)
        if depth > MAX_DEPTH:
            raise self._error(_TOO_DEEP, event)

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            raise self._error(f"has the tag {event.tag}; specs are data only, no tags", event)

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._error(f"holds more than {MAX_NODES:,} values", event)

    def _error(self, message: str, event: Any) -> SpecError:
        return SpecError(message, self.file, _line(event))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style:  # quoted or block text stays text
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.match(text):
        return int(text) if len(text) < 20 else text
    if _BASED_INT.match(text):
        return int(text, 0)
    if _FLOAT.match(text) and math.isfinite(number := float(text)):
        return number
    return text


def merged(base: Document, over: Document, deep: frozenset[str]) -> Document:
    """Return ``base`` with the keys of ``over`` in their place; the keys in ``deep`` are merged one level."""
    data = dict(base.data)
    places = dict(base.places)
    for key, value in over.data.items():
        if key in deep and isinstance(value, dict) and isinstance(data.get(key), dict):
            data[key] = {**data[key], **value}
            replaced: list[Path_] = [(key, inner) for inner in value]
        else:
            data[key] = value
            replaced = [(key,)]
        places = {p: at for p, at in places.items() if not any(p[: len(r)] == r for r in replaced)}
        places.update({p: at for p, at in over.places.items() if any(p[: len(r)] == r for r in replaced)})
        places.setdefault((key,), over.places[(key,)])
    places[()] = over.places.get((), (over.file, 1))
    return Document(data, places, over.file)
