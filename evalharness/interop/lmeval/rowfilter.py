"""A Python function's name in, the columns and values it keeps rows by out: read from the syntax tree, never run.

What is understood: ``dataset.filter`` with a comparison of columns with constants, given directly, in a named function, by
``functools.partial``, or entered under many names by a comprehension or a loop over ``globals()``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from evalharness.interop.lmeval.files import Function
from evalharness.interop.lmeval.refusal import Refused
from evalharness.specs.reader import MAX_BYTES, display

MAX_NAMES = 20_000  # that a loop may enter
NO_FILTER = "needs Python (!function) that is no filter of rows by a column's value"
_TEXT_METHODS = frozenset({"lower", "upper", "replace", "strip", "title"})
_MISSING = object()

Scope = Mapping[str, Any]
Kept = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Partial:
    """A function with some of its arguments given."""

    function: ast.FunctionDef | ast.Lambda
    given: Scope = field(default_factory=dict)


class UnreadError(Exception):
    """Python that is more than a filter by value; ``line`` is where."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


def row_filter(function: Function, key: str) -> Kept:
    """Return column -> values of the rows that ``function`` keeps; raises Refused where it is anything else."""
    module, _, name = function.name.rpartition(".")
    file = function.file.parent / f"{module.replace('.', '/')}.py"
    if not module or not file.is_file():
        raise Refused(key, "needs Python (!function) that is not beside it", function.name, function.place)
    try:
        names = _names(file)
        if isinstance(names, UnreadError):
            raise names
        if name not in names:
            raise UnreadError(1, f"no function {name} that can be found without running it")
        return _applied(names[name], names)
    except UnreadError as error:
        place = f"{display(file)}:{error.line}"
        raise Refused(key, NO_FILTER, f"{function.name}: {place}: {error.what}", function.place) from None


@lru_cache(maxsize=64)
def _names(file: Path) -> Mapping[str, Any] | UnreadError:
    """Return the functions and constants at the top of a Python file, those entered into ``globals()`` among them."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return UnreadError(1, "the file is too large")
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, OSError) as error:
        return UnreadError(1, f"is no Python: {error}")
    names: dict[str, Any] = {}
    for statement in tree.body:
        try:
            _enter(statement, names)
        except UnreadError:  # of no use unless its name is asked for
            continue
    return names


def _enter(statement: ast.stmt, names: dict[str, Any]) -> None:
    """Add what one statement at the top of a file names."""
    if isinstance(statement, ast.FunctionDef):
        names[statement.name] = Partial(statement)
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        value = _value(statement.value, names)
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Subscript) and _is_globals(target.value):
            names[str(_value(target.slice, names))] = value
    elif isinstance(statement, ast.For) and isinstance(statement.target, ast.Name):
        for item in islice(_items(_value(statement.iter, names), statement), MAX_NAMES):
            names[statement.target.id] = item
            for inner in statement.body:
                _enter(inner, names)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if isinstance(call.func, ast.Attribute) and call.func.attr == "update" and _is_globals(call.func.value):
            found = _value(call.args[0], names) if call.args else None
            names.update(found if isinstance(found, dict) else {})


def _is_globals(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "globals"


def _items(value: Any, node: ast.AST) -> list[Any]:
    if isinstance(value, (list, dict)):
        return list(value)
    raise _unread(node, "goes over what is no constant list")


def _unread(node: ast.AST, what: str) -> UnreadError:
    return UnreadError(getattr(node, "lineno", 1), what)


def _value(node: ast.expr, scope: Scope) -> Any:
    """Return the value of an expression of constants, or a function; raises UnreadError for any other."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and (found := scope.get(node.id, _MISSING)) is not _MISSING:
        return found
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [_value(item, scope) for item in node.elts]
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        return {
            _value(key, scope): _value(value, scope) for key, value in zip(node.keys, node.values, strict=True) if key
        }
    if isinstance(node, ast.JoinedStr):
        return "".join(str(_value(part, scope)) for part in node.values)
    if isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
        return str(_value(node.value, scope))
    if isinstance(node, ast.DictComp):
        return _comprehended(node, scope)
    if isinstance(node, ast.Lambda):
        return Partial(node)
    if isinstance(node, ast.Call):
        return _called(node, scope)
    raise _unread(node, "is no constant")


def _comprehended(node: ast.DictComp, scope: Scope) -> dict[Any, Any]:
    loop = node.generators[0]
    if len(node.generators) > 1 or loop.ifs or not isinstance(loop.target, ast.Name):
        raise _unread(node, "is a comprehension of more than one loop over names")
    out = {}
    for item in islice(_items(_value(loop.iter, scope), node), MAX_NAMES):
        inner = {**scope, loop.target.id: item}
        out[_value(node.key, inner)] = _value(node.value, inner)
    return out


def _called(node: ast.Call, scope: Scope) -> Any:
    """Return the value of ``partial(function, name=value)``, or of a method of a constant text."""
    called = node.func
    if getattr(called, "id", getattr(called, "attr", "")) == "partial" and node.args:
        function = _value(node.args[0], scope)
        if isinstance(function, Partial) and len(node.args) == 1:
            given = {word.arg: _value(word.value, scope) for word in node.keywords if word.arg}
            return Partial(function.function, {**function.given, **given})
    if isinstance(called, ast.Attribute) and called.attr in _TEXT_METHODS and not node.keywords:
        text, arguments = _value(called.value, scope), [_value(argument, scope) for argument in node.args]
        if isinstance(text, str) and all(isinstance(argument, str) for argument in arguments) and len(arguments) <= 2:
            try:
                return getattr(text, called.attr)(*arguments)
            except TypeError as error:
                raise _unread(node, str(error)) from None
    raise _unread(node, "is a call that would have to be run")


def _applied(found: Any, names: Scope) -> Kept:
    """Return what a function of a data set keeps of it."""
    if not isinstance(found, Partial):
        raise UnreadError(1, "is no function")
    function, arguments = found.function, found.function.args
    if not arguments.args:
        raise _unread(function, "takes no data set")
    dataset = arguments.args[0].arg
    scope = {**names, **_defaults(arguments, names), **found.given}
    whole: dict[str, Kept] = {dataset: {}}
    if isinstance(function, ast.Lambda):
        return _filtered(function.body, whole, scope)
    for statement in function.body:
        if isinstance(statement, ast.Return) and statement.value is not None:
            return _filtered(statement.value, whole, scope)
        if isinstance(statement, ast.FunctionDef):
            scope[statement.name] = Partial(statement)
        elif isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
            try:
                scope[target.id] = _value(statement.value, scope)
            except UnreadError:
                whole[target.id] = _filtered(statement.value, whole, scope)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):  # a docstring
            raise _unread(statement, "does more than filter rows")
    raise _unread(function, "returns nothing")


def _defaults(arguments: ast.arguments, scope: Scope) -> dict[str, Any]:
    named = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    return {name.arg: _value(value, scope) for name, value in zip(named, arguments.defaults, strict=True)}


def _filtered(node: ast.expr, whole: Mapping[str, Kept], scope: Scope) -> Kept:
    """Return what ``dataset.filter(…)``, or a chain of it, keeps."""
    if isinstance(node, ast.Name) and node.id in whole:
        return dict(whole[node.id])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "filter" and node.args:
        kept = _filtered(node.func.value, whole, scope)
        return _both(kept, _tested(_value(node.args[0], scope), scope), node)
    what = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    raise _unread(node, f"does more than filter rows{f': .{what}()' if what else ''}")


def _both(one: Kept, other: Kept, node: ast.AST) -> Kept:
    if set(one) & set(other):
        raise _unread(node, "tests a column twice")
    return one | other


def _tested(found: Any, scope: Scope) -> Kept:
    """Return what a test of one row demands."""
    if not isinstance(found, Partial) or not found.function.args.args:
        raise UnreadError(1, "filters by what is no function of a row")
    function = found.function
    row = function.args.args[0].arg
    scope = {**scope, **_defaults(function.args, scope), **found.given}
    if isinstance(function, ast.Lambda):
        return _demanded(function.body, row, scope)
    statements = [each for each in function.body if not isinstance(getattr(each, "value", None), ast.Constant)]
    if len(statements) == 1 and isinstance(statements[0], ast.Return) and statements[0].value is not None:
        return _demanded(statements[0].value, row, scope)
    raise _unread(statements[0] if statements else function, "tests a row with more than one comparison")


def _demanded(node: ast.expr, row: str, scope: Scope) -> Kept:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        kept: Kept = {}
        for part in node.values:
            kept = _both(kept, _demanded(part, row, scope), node)
        return kept
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise _unread(node, "is no comparison of a column with a value")
    left, right, test = node.left, node.comparators[0], node.ops[0]
    if isinstance(test, ast.Eq) and _column(left, row) is None:
        left, right = right, left
    name = _column(left, row)
    if name is None or not isinstance(test, (ast.Eq, ast.In)):
        raise _unread(node, "is no comparison of a column with a value")
    value = _value(right, scope)
    values = value if isinstance(test, ast.In) else [value]
    if not isinstance(values, list) or not values or not all(isinstance(one, (str, int)) for one in values):
        raise _unread(node, "compares a column with what is no text and no whole number")
    return {name: [str(one) for one in values]}


def _column(node: ast.expr, row: str) -> str | None:
    """Return the name of the column that ``row["name"]`` or ``row.get("name")`` is, or ``None``."""
    if isinstance(node, ast.Subscript):
        held, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        held, key = node.func.value, node.args[0]
    else:
        return None
    is_row = isinstance(held, ast.Name) and held.id == row
    return key.value if is_row and isinstance(key, ast.Constant) and isinstance(key.value, str) else None
