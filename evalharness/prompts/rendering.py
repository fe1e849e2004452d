"""A template and values in, text out; an expression and values in, its native value out. In Jinja's sandbox, with a bounded
amount of work (see ``specs.jinja``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2

from evalharness.errors import DataError, SpecError
from evalharness.specs.fields import Expr, Template
from evalharness.specs.jinja import BUDGET, Budget, Environment, NoValueError
from evalharness.specs.task import LanguageSpec, place
from evalharness.text import clean_row, clean_text, one_line
from evalharness.types import Row, Where

MAX_RENDERED = 4_000_000
MAX_ITEMS = 10_000  # of a list that an expression gives
_VALUE = "value"

_ENVIRONMENT = Environment()
_BROKEN = (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class NullPrintedError(DataError):
    """A template that would print a value which is null."""


@lru_cache(maxsize=4096)
def _compiled(text: str, where: Where) -> jinja2.Template:
    try:
        return _ENVIRONMENT.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        line = None if where.line is None else where.line + (error.lineno or 1) - 1
        raise SpecError(f"is not a template: {error.message}", where.file, line, where.key) from None
    except (RecursionError, SyntaxError):
        raise SpecError("is not a template: it is nested too deeply", where.file, where.line, where.key) from None


def check(template: Template | Expr) -> None:
    """Raise a SpecError where ``template`` does not compile."""
    if isinstance(template, Expr):
        _compiled(_assignment(template), template.expr.where)
    else:
        _compiled(template.text, template.where)


def _assignment(expression: Expr) -> str:
    return f"{{% set {_VALUE} = ({expression.expr.text}) %}}"


def render(template: Template, values: Mapping[str, Any], subject: str = "") -> str:
    """Return the text of ``template`` filled with ``values``; ``subject`` names the row in messages."""
    compiled = _compiled(template.text, template.where)
    pieces: list[str] = []
    size = 0
    try:
        for piece in compiled.generate({**values, BUDGET: Budget()}):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_RENDERED:
                raise DataError(_failed(template, subject, f"renders more than {MAX_RENDERED:,} characters"))
    except NoValueError as error:
        raise NullPrintedError(_failed(template, subject, str(error))) from None
    except _BROKEN as error:
        raise DataError(_failed(template, subject, str(error))) from None
    return "".join(pieces)


def _failed(template: Template, subject: str, why: str) -> str:
    about = f"{subject}: " if subject else ""
    return (
        f"{place(template.where)}: {template.where.key}: {about}{why}; the template is {one_line(template.text, 120)!r}"
    )


def evaluate(expression: Expr, values: Mapping[str, Any], subject: str = "") -> Any:
    """Return the native value of ``expression``: text, a number, a bool, a list or mapping of them, or ``None``."""
    compiled = _compiled(_assignment(expression), expression.expr.where)
    try:
        found = getattr(compiled.make_module({**values, BUDGET: Budget()}), _VALUE)
        if isinstance(found, Iterable) and not isinstance(found, (str, list, dict)):
            found = [item for _, item in zip(range(MAX_ITEMS), found, strict=False)]
        if isinstance(found, jinja2.Undefined):
            str(found)  # says which name is missing
    except _BROKEN as error:
        raise DataError(_failed(expression.expr, subject, str(error))) from None
    if isinstance(found, list) and len(found) >= MAX_ITEMS:
        raise DataError(_failed(expression.expr, subject, f"gives more than {MAX_ITEMS:,} items"))
    if not isinstance(found, (str, int, float, list, dict, type(None))):
        raise DataError(_failed(expression.expr, subject, f"gives a {type(found).__name__}, which is no plain value"))
    return clean_row({_VALUE: found})[_VALUE]


def texts(part: Sequence[Template] | Expr, values: Mapping[str, Any], subject: str = "") -> tuple[str, ...]:
    """Return the texts of a list of templates, or of an expression that gives a list of texts."""
    if not isinstance(part, Expr):
        return tuple(clean_text(render(template, values, subject)) for template in part)
    found = evaluate(part, values, subject)
    if not isinstance(found, list) or not found or not all(isinstance(item, (str, int, float)) for item in found):
        raise DataError(_failed(part.expr, subject, f"must give a list of texts, not {one_line(str(found), 60)!r}"))
    return tuple(str(item) for item in found)


ALPHABET = "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"


def values_of(language: LanguageSpec, row: Row | None = None, position: int = 0) -> dict[str, Any]:
    """Return what the templates of a task see: the row, its ``position`` among the rows (from 0), the language, its wording.

    ``letters`` are those of the wording (``words.letters``, apart by spaces), by which choices are listed.
    """
    words = dict(language.words)
    letters = words.get("letters", ALPHABET).split()
    values = {"language": language.code, "words": words, "config": language.config, "letters": letters}
    return values if row is None else {"row": row, "position": position, **values}


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills the templates of one row, ``subject`` in messages."""

    values: Mapping[str, Any]
    subject: str

    def text(self, template: Template | None) -> str | None:
        """Return the text of ``template``, cleaned; ``None`` for none."""
        return None if template is None else clean_text(render(template, self.values, self.subject))

    def unless_null(self, template: Template | None) -> str | None:
        """Return the text of ``template``, ``None`` where it would print a null."""
        try:
            return self.text(template)
        except NullPrintedError:
            return None

    def error(self, template: Template | Expr, why: str) -> DataError:
        """Return the error that ``template`` does not fit this row."""
        return DataError(_failed(template.expr if isinstance(template, Expr) else template, self.subject, why))
