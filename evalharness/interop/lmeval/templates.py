"""A template of lm-evaluation-harness in, the same template in our sandbox's words out: their columns are our ``row``'s keys.

Their templates see a row's columns as bare names and run unsandboxed; what our sandbox does not have is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import jinja2
from jinja2 import meta, nodes

from evalharness.errors import SpecError
from evalharness.prompts.rendering import check
from evalharness.specs.fields import Template
from evalharness.specs.jinja import Environment

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = Environment()
_GLOBALS = frozenset(_OURS.globals)
_FOREIGN_GLOBALS = frozenset({"lipsum", "cycler", "joiner"})

_THEIRS = jinja2.Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 -- it only parses
_THEIRS.filters["regex_replace"] = str

Token = tuple[str, str]  # kind, text


class UnportableError(Exception):
    """A template that uses what ours do not have: ``reason`` can be counted, ``detail`` says which."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


def is_column(text: str) -> bool:
    """Say whether ``text`` is a word that can be a column's name."""
    return bool(_COLUMN.fullmatch(text))


def has_markup(text: str) -> bool:
    """Say whether ``text`` is more than literal text."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


def literal(text: str) -> str:
    """Return the template that prints ``text`` as it is."""
    return f"{{{{ {quoted(text)} }}}}" if has_markup(text) else text


def quoted(text: str) -> str:
    """Return ``text`` as a string of an expression."""
    return json.dumps(text, ensure_ascii=False)


def column(name: str) -> str:
    """Return the expression of a column's value."""
    return f"row.{name}" if is_column(name) else f"row[{quoted(name)}]"


def ported(text: str) -> str:
    """Return the template ``text`` for our sandbox; raises UnportableError where it uses what ours do not have."""
    return "".join(value for _, value in _tokens(text))


def expression(text: str) -> str | None:
    """Return the template ``text`` as one expression of our sandbox, which keeps a value's kind where it is a single
    ``{{ … }}``; ``None`` where it has statements."""
    tokens = _tokens(text)
    if any(kind.startswith(("block", "raw", "linestatement")) for kind, _ in tokens):
        return None
    parts = list(_parts(tokens))
    if not parts:
        return quoted("")
    if len(parts) == 1:
        return parts[0][1].strip()
    return " ~ ".join(f"({part.strip()})" if kind == "value" else part for kind, part in parts)


def is_whole_number(text: str) -> bool:
    """Say whether the template ``text`` is one expression that can only give a whole number, such as an index."""
    body = _parse(text).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        return False
    return _whole(body[0].nodes[0])


def _parts(tokens: list[Token]) -> Iterator[Token]:
    """Yield (text, a quoted string) and (value, an expression) in turn."""
    inside: list[str] | None = None
    for kind, value in tokens:
        if kind == "variable_begin":
            inside = []
        elif kind == "variable_end":
            yield "value", "".join(inside or [])
            inside = None
        elif inside is not None:
            inside.append(value)
        elif kind == "data" and value:
            yield "text", quoted(value)


def _parse(text: str) -> nodes.Template:
    try:
        return _THEIRS.parse(text)
    except (jinja2.TemplateSyntaxError, RecursionError, SyntaxError) as error:
        raise UnportableError("a template that does not parse", str(error)) from None


def _tokens(text: str) -> list[Token]:
    """Return the tokens of ``text`` with ``row.`` before each column, checked against what our sandbox has."""
    tree = _parse(text)
    _check_parts(tree)
    free = meta.find_undeclared_variables(tree)
    bound = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    if both := sorted(free & bound):
        raise UnportableError("a template with one name for a column and a variable", both[0])
    if foreign := sorted(free & _FOREIGN_GLOBALS):
        raise UnportableError("a template function that is not offered here", foreign[0])
    columns = free - _GLOBALS
    raw = [(kind, value) for _, kind, value in _THEIRS.lex(text)]
    out = [(kind, f"row.{value}" if _is_column_at(raw, i, columns) else value) for i, (kind, value) in enumerate(raw)]
    try:
        check(Template("".join(value for _, value in out)))
    except SpecError as error:
        raise UnportableError("a template that does not compile here", error.message) from None
    return out


def _is_column_at(tokens: list[Token], at: int, columns: set[str]) -> bool:
    """Say whether the token is the name of a column, not of an attribute, a filter, a test, an argument or a statement."""
    kind, value = tokens[at]
    if kind != "name" or value not in columns:
        return False
    before = [token for token in tokens[:at] if token[0] != "whitespace"][-2:]
    after = next((token for token in tokens[at + 1 :] if token[0] != "whitespace"), ("", ""))
    last = before[-1] if before else ("", "")
    if last[0] == "block_begin" or last in (("operator", "."), ("operator", "|"), ("name", "is")):
        return False
    if before == [("name", "is"), ("name", "not")]:
        return False
    return after != ("operator", "=")


def _check_parts(tree: nodes.Template) -> None:
    """Raise UnportableError for a filter, method or function that our sandbox does not have."""
    for used in tree.find_all(nodes.Filter):
        if used.name not in _OURS.filters:
            raise UnportableError("a template filter that is not offered here", used.name)
        if used.name == "regex_replace":
            _check_replacement(used)
    for call in tree.find_all(nodes.Call):
        called = call.node
        if isinstance(called, nodes.Getattr) and not _OURS.is_safe_attribute("", called.attr, len):
            raise UnportableError("a template method that is not offered here", f".{called.attr}()")
        if not isinstance(called, nodes.Getattr) and not (isinstance(called, nodes.Name) and called.name in _GLOBALS):
            raise UnportableError("a template function that is not offered here", getattr(called, "name", "a value"))
    for got in tree.find_all(nodes.Getattr):
        if got.attr.startswith("_"):
            raise UnportableError("a template that reaches into Python", got.attr)
    for mod in tree.find_all(nodes.Mod):
        if isinstance(mod.left, nodes.Const) and isinstance(mod.left.value, str):
            raise UnportableError("a template that formats text with %")


def _check_replacement(used: nodes.Filter) -> None:
    """Refuse a replacement that refers to groups of the match: ours is taken as it is."""
    replacement = used.args[1] if len(used.args) > 1 else None
    if {argument.key for argument in used.kwargs} - {"count"}:
        raise UnportableError("regex_replace with named arguments")
    if not isinstance(replacement, nodes.Const) or "\\" in str(replacement.value):
        raise UnportableError("regex_replace with groups in the replacement")


def _whole(node: nodes.Node) -> bool:
    """Say whether an expression can only give a whole number."""
    if isinstance(node, nodes.TemplateData):
        return False
    if isinstance(node, nodes.Const):
        return isinstance(node.value, int) and not isinstance(node.value, bool)
    if isinstance(node, nodes.Filter):
        return node.name in ("int", "length", "count")
    if isinstance(node, (nodes.Add, nodes.Sub, nodes.Mul)):
        return _whole(node.left) and _whole(node.right)
    if isinstance(node, nodes.CondExpr):
        return _whole(node.expr1) and node.expr2 is not None and _whole(node.expr2)
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and node.node.attr in ("index", "find", "count")
    if isinstance(node, nodes.Getitem):
        held = node.node
        values = [pair.value for pair in held.items] if isinstance(held, nodes.Dict) else getattr(held, "items", None)
        return (
            isinstance(held, (nodes.Dict, nodes.List, nodes.Tuple)) and bool(values) and all(map(_whole, values or ()))
        )
    return False
