"""A task file of lm-evaluation-harness in, its keys with those it includes out: data only, ``!function`` a name and a place.

The files are YAML 1.1 as PyYAML reads it, which is what their authors wrote them for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evalharness.errors import SpecError, UsageError
from evalharness.specs.reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, display
from evalharness.text import clean_text

_SKIPPED = frozenset({"__pycache__", ".ipynb_checkpoints"})
_TEXT_A_VALUE = 64  # characters that count as one value, so that aliases of long texts are bounded too


@dataclass(frozen=True, slots=True)
class Function:
    """``!function utils.name``: a Python function in a file beside the YAML in which the tag stands. It is never loaded."""

    name: str
    file: Path
    line: int

    @property
    def place(self) -> str:
        """``file:line`` of the tag."""
        return f"{display(self.file)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Config:
    """The keys of a file, those of its includes among them; ``places`` says where each key at the top was written."""

    data: Mapping[str, Any]
    file: Path
    places: Mapping[str, str]

    def place(self, key: str = "") -> str:
        """Return ``file:line`` of a key at the top, the file alone where it was not written."""
        return self.places.get(key, display(self.file))

    def over(self, changes: Mapping[str, Any], place: str) -> Config:
        """Return the config with ``changes``, which stand at ``place``."""
        return replace(
            self, data={**self.data, **changes}, places={**self.places, **dict.fromkeys(changes, place)}
        )  # fmt: skip


def task_files(path: Path) -> list[Path]:
    """Return the ``.yaml`` files of a folder, in order; a file as it is. Templates without an ending are only included."""
    if path.is_dir():
        found = [file for file in path.rglob("*.yaml") if file.is_file() and not _SKIPPED & set(file.parts)]
        if not found:
            raise UsageError(f"{path}: holds no .yaml file; name a folder of lm-evaluation-harness's tasks")
        return sorted(found, key=lambda file: file.as_posix())
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    return [path]


def read(path: Path, chain: tuple[Path, ...] = ()) -> Config:
    """Return the keys of the file at ``path`` over those it includes: later includes win over earlier ones, its own over all.

    Raises SpecError for a file that is not YAML, that is missing, or that includes itself.
    """
    own = _own(path)
    data, places = dict(own.data), dict(own.places)
    if "include" not in data:
        return own
    listed = data.pop("include")
    merged: dict[str, Any] = {}
    merged_places: dict[str, str] = {}
    for name in listed if isinstance(listed, list) else [listed]:
        if not isinstance(name, str):
            raise SpecError("must be a path, or a list of paths", own.place("include"), None, "include")
        included = path.parent / name
        if included.resolve() in {file.resolve() for file in (*chain, path)}:
            circle = " -> ".join(file.name for file in (*chain, path, included))
            raise SpecError(f"goes in a circle: {circle}", own.place("include"), None, "include")
        if not included.is_file():
            raise SpecError(f"there is no file '{name}' beside it", own.place("include"), None, "include")
        below = read(included, (*chain, path))
        merged |= below.data
        merged_places |= {key: below.place(key) for key in below.data}
    places.pop("include")
    return Config(merged | data, path, merged_places | places)


def _own(path: Path) -> Config:
    """Return the keys that stand in the file itself."""
    shown = display(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"is more than a task file may have ({MAX_BYTES:,} bytes)", shown)
        text = clean_text(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 (byte {error.start})", shown) from None
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", shown) from None
    try:
        data, lines = _parsed(text, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(
            f"is not YAML: {error.problem or error.context}", shown, mark.line + 1 if mark else None
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"is not YAML: {error}", shown) from None
    except RecursionError:
        raise SpecError(f"is nested deeper than {MAX_DEPTH} levels", shown) from None
    if not isinstance(data, dict):
        raise SpecError("must hold keys and values (`key: value`)", shown, 1)
    _bound(data, shown)
    return Config({str(key): value for key, value in data.items()}, path, {k: f"{shown}:{n}" for k, n in lines.items()})


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """PyYAML's safe loader with the tag ``!function``, whose value is a name and a place."""

    file = Path()


def _function(loader: Any, node: Any) -> Function:
    return Function(str(loader.construct_scalar(node)), loader.file, node.start_mark.line + 1)


_Loader.add_constructor("!function", _function)


def _parsed(text: str, path: Path) -> tuple[Any, dict[str, int]]:
    """Return the data of a YAML text, and the line of each key at the top."""
    loader = _Loader(text)
    loader.file = path
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines = (
            {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
            if isinstance(node, yaml.MappingNode)
            else {}
        )
        return loader.construct_document(node), lines
    finally:
        loader.dispose()


def _bound(data: Any, shown: str) -> None:
    """Raise a SpecError where ``data``, written out without its aliases, is too large or too deep."""
    left = MAX_NODES
    stack: list[tuple[Any, int]] = [(data, 0)]
    while stack:
        value, depth = stack.pop()
        left -= 1 + (len(value) // _TEXT_A_VALUE if isinstance(value, str) else 0)
        if left < 0:
            raise SpecError(f"holds more than {MAX_NODES:,} values", shown)
        if depth > MAX_DEPTH:
            raise SpecError(f"is nested deeper than {MAX_DEPTH} levels", shown)
        inner: Sequence[Any] = (
            list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        stack += [(item, depth + 1) for item in inner]
