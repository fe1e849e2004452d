"""The Jinja that templates of YAML are written in: plain data in, text out, no Python reached, no chance, bounded work.

``ImmutableSandboxedEnvironment`` keeps templates away from Python's insides but lets them loop and allocate without end.
Here every loop turn and call takes a step and every value made takes cells of a budget, which each rendering has anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import jinja2
import regex  # type: ignore[import-untyped]
from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, meta, nodes, pass_context
from jinja2.exceptions import TemplateRuntimeError
from jinja2.filters import FILTERS, do_join, do_replace
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from evalharness.errors import suggestion

STEPS = 100_000
CELLS = 20_000_000  # characters
ITEM = 16  # cells of an item of a list, whatever it holds
BITS = 10_000  # of a whole number
PATTERN_SECONDS = 2.0
MAX_REPEATS = 10_000  # of all counted repeats of a pattern: they are written out when it is compiled

BUDGET = " budget"  # no name a template could write
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length", "list",
    "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select", "selectattr", "sort", "string",
    "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_METHODS = frozenset({
    "capitalize", "count", "cycle", "endswith", "find", "get", "index", "isalpha", "isdigit", "items", "join", "keys",
    "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "title", "upper", "values",
})  # fmt: skip


_PARSER = jinja2.Environment(autoescape=False)  # noqa: S701 -- it only parses


def names_in(text: str) -> set[str]:
    """Return the names that a template wants to be given; none where it is no template."""
    try:
        return meta.find_undeclared_variables(_PARSER.parse(text))
    except (jinja2.TemplateError, RecursionError, SyntaxError):  # told when it is compiled, with its line
        return set()


class TooMuchError(TemplateRuntimeError):
    """A template that works without end or makes too much."""


class NoValueError(TemplateRuntimeError):
    """A template that prints nothing (null): unknown is not the word ``None``."""


class Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        self._steps = STEPS
        self._cells = CELLS

    def step(self, cells: int = 0) -> None:
        """Take one step that makes ``cells`` characters."""
        self._steps -= 1
        if self._steps < 0:
            raise TooMuchError(f"takes more than {STEPS:,} loop turns and calls")
        self.make(cells)

    def make(self, cells: int) -> None:
        """Take ``cells`` characters."""
        self._cells -= cells
        if self._cells < 0:
            raise TooMuchError(f"makes more than {CELLS:,} characters")

    def weigh(self, value: Any) -> None:
        """Take what ``value`` would need if it were written out, each part as often as it stands there."""
        if isinstance(value, str):
            self.make(len(value))
        elif isinstance(value, dict):
            self.make(len(value) * ITEM)
            for key, item in value.items():
                self.weigh(key)
                self.weigh(item)
        elif isinstance(value, (list, tuple)):
            self.make(len(value) * ITEM)
            for item in value:
                self.weigh(item)


def _budget(context: Context) -> Budget:
    budget: Budget = context.parent[BUDGET]
    return budget


@pass_context
def _turns(context: Context, items: Any, literal: int) -> Any:
    """Return ``items`` counted: each turn of the loop over them is a step that may write ``literal`` characters."""
    return items if isinstance(items, Undefined) else _counted(items, _budget(context), literal)


def _counted(items: Iterable[Any], budget: Budget, literal: int) -> Iterator[Any]:
    for item in items:
        budget.step(literal)
        yield item


@pass_context
def _charged(context: Context, value: Any) -> Any:
    """Return ``value``, the input of a filter, paid for."""
    budget = _budget(context)
    if isinstance(value, (str, list, tuple, dict)):
        budget.step()
        budget.weigh(value)
        return value
    if isinstance(value, Iterable) and not isinstance(value, Undefined):
        return _counted(value, budget, 0)
    budget.step()
    return value


@pass_context
def _joined(context: Context, items: Iterable[Any], separator: str = "", attribute: str | int | None = None) -> str:
    parts = list(items)
    _budget(context).weigh(parts)
    _budget(context).make(len(parts) * len(str(separator)))
    return str(do_join(context.eval_ctx, parts, str(separator), attribute))


@pass_context
def _replaced(context: Context, text: Any, old: str, new: str, count: int | None = None) -> str:
    _budget(context).make(str(text).count(str(old)) * len(str(new)))
    return do_replace(context.eval_ctx, str(text), str(old), str(new), count)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> regex.Pattern[str]:
    if math.prod(max(1, int(count)) for count in regex.findall(r"\{(\d{1,9})", pattern)) > MAX_REPEATS:
        raise TooMuchError(f"has a pattern that repeats more than {MAX_REPEATS:,} times")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise TemplateRuntimeError(f"has a pattern that is no regular expression: {error}") from None


@pass_context
def _regex_replaced(context: Context, text: Any, pattern: str, replacement: str = "", count: int = 0) -> str:
    """Return ``text`` with the first ``count`` matches of ``pattern`` (0: all) replaced by ``replacement``, taken as it is."""
    budget = _budget(context)

    def put(_match: Any) -> str:
        budget.step(len(replacement))
        return replacement

    try:
        return str(_pattern(str(pattern)).sub(put, str(text), count=count, timeout=PATTERN_SECONDS))
    except TimeoutError:
        raise TooMuchError(f"takes more than {PATTERN_SECONDS:g} s to find a pattern") from None


@pass_context
def _printed(context: Context, value: Any) -> Any:
    """Return a value that is printed: text, a number, or data; nothing else has one spelling."""
    if value is None:
        raise NoValueError("prints a value that is null; give it another with `or`, or leave the row out")
    if not isinstance(value, (str, int, float, list, tuple, dict, Undefined)):
        raise TemplateRuntimeError(
            f"prints a {type(value).__name__}, which is not text; call it, or end with `| join` or `| list`"
        )
    _budget(context).weigh(value)
    return value


class _Bounding(NodeTransformer):
    """Puts the filters that count into a parsed template."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise TemplateSyntaxError("a loop may not be recursive", node.lineno)
        literal = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        node.iter = _filter(node.iter, "counted", nodes.Const(literal, lineno=node.lineno))
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.node is not None:
            node.node = _filter(node.node, "charged")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "join")

    def _refused(self, node: nodes.Node) -> nodes.Node:
        raise TemplateSyntaxError("a template stands alone: no include, import or extends", node.lineno)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _refused  # noqa: N815


def _filter(node: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


class Environment(ImmutableSandboxedEnvironment):
    """See the module's first lines. Undefined names are errors; a row's own keys come before the methods of dicts."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_printed)
        own: dict[str, Callable[..., Any]] = {
            "counted": _turns,
            "charged": _charged,
            "join": _joined,
            "replace": _replaced,
            "regex_replace": _regex_replaced,
        }
        self.filters = {name: FILTERS[name] for name in _FILTERS} | own
        self.globals = {name: self.globals[name] for name in ("range", "dict", "namespace")}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Bounding().visit(super()._parse(source, name, filename))
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a key of a row, before a method of the same name."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return self._missing(obj, attribute, super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what ``obj[argument]`` is."""
        return self._missing(obj, argument, super().getitem(obj, argument))

    def _missing(self, obj: Any, key: Any, found: Any) -> Any:
        """Let a key that a row has not got say which it has."""
        if isinstance(found, Undefined) and isinstance(obj, dict) and isinstance(key, str) and not hasattr(obj, key):
            return self.undefined(f"there is no '{key}'; {suggestion(key, map(str, obj))}", obj, key)
        return found

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Say whether a template may use ``attr``: of methods only those that make no more than they are given."""
        return super().is_safe_attribute(obj, attr, value) and (not callable(value) or attr in _METHODS)

    def wrap_str_format(self, value: Any) -> None:
        """Give templates no ``str.format``, whose widths know no bound."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call what a template calls, one step each."""
        budget, owner = _budget(__context), getattr(__obj, "__self__", None)
        budget.step(len(owner) if isinstance(owner, (str, dict)) else 0)
        if isinstance(owner, str) and __obj.__name__ == "join" and args:
            return _joined(__context, args[0], owner)
        if isinstance(owner, str) and __obj.__name__ == "replace":
            return _replaced(__context, owner, *args, **kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return ``left operator right`` if it is not too large."""
        budget = _budget(context)
        sized = [value for value in (left, right) if isinstance(value, (str, list, tuple))]
        if operator == "%" and isinstance(left, str):
            raise TemplateRuntimeError("formats text with %, which templates cannot; join it with ~")
        if operator == "*":
            number = right if sized and sized[0] is left else left
            budget.make(len(sized[0]) * abs(number) if sized and isinstance(number, int) else 0)
        if operator == "+":
            budget.make(sum(map(len, sized)))
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if bits > BITS:
                raise TooMuchError("makes a number that is too large")
        return super().call_binop(context, operator, left, right)
