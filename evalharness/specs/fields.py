"""A mapping read from YAML in, a frozen record out, by the record's own annotations; unknown keys name the nearest known."""

from __future__ import annotations

import json
import types as python_types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from evalharness.errors import SpecError, suggestion
from evalharness.specs.reader import Document, Path_
from evalharness.text import one_line
from evalharness.types import Where

T = TypeVar("T")
_NONE: Mapping[Any, Iterable[str]] = {}
_SCALARS = (bool, int, float)
_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Template:
    """A Jinja template and where it was written; rendering is the business of ``prompts``."""

    text: str
    where: Where = field(default=Where(""), compare=False)


@dataclass(frozen=True, slots=True)
class Expr:
    """A sandboxed Jinja expression that keeps its native value (a number, a list), written ``{expr: row.choices.text}``."""

    expr: Template


def build(cls: type[T], document: Document, path: Path_ = (), given: Mapping[str, Any] | None = None) -> T:
    """Return the record ``cls`` from the mapping at ``path`` of ``document``.

    ``given`` holds values that do not come from YAML (a name, a folder). Raises SpecError with file, line and key.
    """
    data = _at(document.data, path)
    if not isinstance(data, dict):
        raise document.error(path, f"must hold keys and values, not {_shown(data)}")
    given = dict(given or {})
    hints = _hints(cls)  # type: ignore[arg-type]
    known = [name for name in hints if name not in given and not name.startswith("_")]
    for key in data:
        if key not in known:
            raise document.error((*path, key), f"unknown key; {suggestion(key, known)}")
    values = {key: convert(hints[key], value, document, (*path, key)) for key, value in data.items()}
    for f in fields(cls):  # type: ignore[arg-type]
        required = f.default is MISSING and f.default_factory is MISSING
        if required and f.name not in values and f.name not in given:
            raise document.error((*path, f.name), "missing; add it")
    return cls(**values, **given)


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls)}


def faults(
    hint: Any, document: Document, path: Path_ = (), given: Mapping[Any, Iterable[str]] = _NONE
) -> Iterator[SpecError | Template | Expr]:
    """Yield every error of the value at ``path``, of which ``convert`` raises the first, and every template and
    expression there.

    ``given`` names the fields of records that do not come from YAML.
    """
    value, origin = _at(document.data, path), get_origin(hint)
    if origin in (Union, python_types.UnionType):
        if (option := _alternative(hint, value)) is not None:
            yield from faults(option, document, path, given)
    elif is_dataclass(hint) and hint not in (Template, Expr) and isinstance(value, dict):
        yield from _record_faults(hint, document, path, given)
    elif origin in (dict, Mapping) and isinstance(value, dict):
        for key in value:
            yield from faults(get_args(hint)[1], document, (*path, key), given)
    elif origin is tuple and isinstance(value, list):
        for i in range(len(value)):
            yield from faults(get_args(hint)[0], document, (*path, i), given)
    else:
        try:
            converted = convert(hint, value, document, path)
        except SpecError as error:
            yield error
        else:
            yield from [converted] if isinstance(converted, (Template, Expr)) else []


def _record_faults(
    cls: Any, document: Document, path: Path_, given: Mapping[Any, Iterable[str]]
) -> Iterator[SpecError | Template | Expr]:
    data = _at(document.data, path)
    known = {name: hint for name, hint in _hints(cls).items() if name not in given.get(cls, ())}
    for key in data:
        if key not in known:
            yield document.error((*path, key), f"unknown key; {suggestion(key, known)}")
        else:
            yield from faults(known[key], document, (*path, key), given)
    for f in fields(cls):
        if f.name in known and f.name not in data and f.default is MISSING and f.default_factory is MISSING:
            yield document.error((*path, f.name), "missing; add it")


def convert(hint: Any, value: Any, document: Document, path: Path_) -> Any:
    """Return ``value`` as the annotated type ``hint``, or raise a SpecError that says what was expected."""
    origin = get_origin(hint)
    if origin in (Union, python_types.UnionType):
        return _optional(hint, value, document, path)
    if origin is Literal:
        return _choice(get_args(hint), value, document, path)
    if origin is tuple:
        return _tuple(get_args(hint)[0], value, document, path)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise document.error(path, f"must hold keys and values, not {_shown(value)}")
        return {key: convert(get_args(hint)[1], item, document, (*path, key)) for key, item in value.items()}
    if hint is Template:
        return Template(convert(str, value, document, path), document.where(path))
    if is_dataclass(hint):
        return build(hint, document, path)  # type: ignore[arg-type]
    return _plain(hint, value, document, path)


def _optional(hint: Any, value: Any, document: Document, path: Path_) -> Any:
    option = _alternative(hint, value)
    return None if option is None else convert(option, value, document, path)


def _alternative(hint: Any, value: Any) -> Any:
    """Return the type of the union ``hint`` that ``value`` is meant as; ``None`` for a null that may stand there."""
    options = [option for option in get_args(hint) if option is not type(None)]
    if value is None and len(options) < len(get_args(hint)):
        return None
    if (
        isinstance(value, dict)
        and "by" in value
        and (tables := [o for o in options if get_origin(o) in (dict, Mapping)])
    ):
        return tables[0]  # one record for each value of what ``by`` names, rather than one record
    words = [option for option in options if get_origin(option) is Literal]
    if words and len(options) > 1:  # a word beside other forms
        if isinstance(value, str) and (word := next((o for o in words if value in get_args(o)), None)) is not None:
            return word
        if isinstance(value, str) and all(is_dataclass(o) or o in _SCALARS for o in options if o not in words):
            return words[0]  # a word that is not offered, rather than a record or a number that is none
        options = [option for option in options if option not in words]
    if isinstance(value, list) and (lists := [option for option in options if get_origin(option) is tuple]):
        return lists[0]
    if isinstance(value, str) and str in options:
        return str
    if isinstance(value, list) and (lists := [option for option in options if get_origin(option) is tuple]):
        return lists[0]
    if len(options) > 1 and not isinstance(value, dict):  # text or a mapping of texts, and the like
        options = [option for option in options if get_origin(option) not in (dict, Mapping)] or options
    elif len(options) > 1:
        options = [
            option
            for option in options
            if get_origin(option) in (dict, Mapping) or (is_dataclass(option) and option is not Template)
        ] or options
    return options[0]


def _choice(offered: tuple[Any, ...], value: Any, document: Document, path: Path_) -> Any:
    if value in offered:
        return value
    names = [str(o) for o in offered]
    raise document.error(path, f"{_shown(value)} is not one of {', '.join(names)}; {suggestion(str(value), names)}")


def _tuple(hint: Any, value: Any, document: Document, path: Path_) -> tuple[Any, ...]:
    if not isinstance(value, list):
        mend = (
            f"; write [{json.dumps(value, ensure_ascii=False)}]" if isinstance(value, str) and len(value) < 60 else ""
        )
        raise document.error(path, f"must be a list, not {_shown(value)}{mend}")
    return tuple(convert(hint, item, document, (*path, i)) for i, item in enumerate(value))


def _plain(hint: Any, value: Any, document: Document, path: Path_) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    mend = "; put it in quotes" if hint is str and isinstance(value, (int, float)) else ""
    raise document.error(path, f"must be {_NAMES.get(hint, hint.__name__)}, not {_shown(value)}{mend}")


def _at(data: Any, path: Path_) -> Any:
    for part in path:
        data = data[part]
    return data


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return (
        f"'{one_line(value)}'"
        if isinstance(value, str)
        else repr(value).lower()
        if isinstance(value, bool)
        else repr(value)
    )


def plain(record: Any) -> Any:
    """Return a record as plain data, templates as their text (where they were written does not count)."""
    if isinstance(record, Template):
        return record.text
    if isinstance(record, Expr):
        return {"expr": record.expr.text}
    if isinstance(record, Path):
        return str(record)
    if isinstance(record, (tuple, list)):
        return [plain(item) for item in record]
    if isinstance(record, Mapping):
        return {key: plain(value) for key, value in record.items()}
    if is_dataclass(record) and not isinstance(record, type):
        return {f.name: plain(getattr(record, f.name)) for f in fields(record)}
    return record
