"""A row's templates in, what is right out: the index of a choice, the texts that are accepted, a program around the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalharness.prompts.rendering import Filler, evaluate, texts
from evalharness.specs.fields import Expr, Template
from evalharness.specs.task import TaskSpec
from evalharness.text import one_line
from evalharness.types import Target

_HOLE = "\ue000completion\ue001"  # private characters: no template writes them by chance


def target_of(task: TaskSpec, fill: Filler) -> Target | None:
    """Return the target of one row; a DataError that names the row where it has none. ``None`` where the task tells none."""
    spec = task.sample
    language = fill.text(task.target_language)
    if task.output == "loglikelihood":
        return Target(text=fill.text(spec.text), language=language)
    if task.output == "code":
        return Target(program=_program(task, fill), language=language)
    if task.output == "text":
        found = () if spec.target is None else accepted(spec.target, fill)
        letters = tuple(fill.values["words"].get("letters", "").split())
        return Target(texts=found, letters=letters, language=language)
    offered = spec.contexts if spec.contexts is not None else spec.choices
    assert offered is not None
    assert spec.target is not None
    choices = texts(offered, fill.values, fill.subject)
    if len(choices) < 2:
        raise fill.error(spec.target, f"has {len(choices)} choices; at least two are needed")
    if (empty := next((i for i, choice in enumerate(choices) if not choice.strip()), None)) is not None:
        raise fill.error(spec.target, f"has an empty choice (number {empty + 1})")
    return Target(
        right=right_choices(spec.target, choices, fill),
        choices=choices,
        letters=tuple(fill.values["letters"][: len(choices)]),
        language=language,
    )


def listed_prompt(task: TaskSpec, fill: Filler, target: Target, prompt: str) -> str | None:
    """Return the question with its choices listed, ``None`` where the task has no such form; ``prompt`` is the bare one."""
    if task.generative is None:
        return None
    more = {"choices": list(target.choices), "letters": list(target.letters), "prompt": prompt}
    return Filler({**fill.values, **more}, fill.subject).text(task.generative.prompt)


def right_choices(target: Template | Expr, choices: Sequence[str], fill: Filler) -> tuple[int, ...]:
    """Return the indices of the choices that are right.

    An expression gives an index, a choice's text, or a list of either. A template's text is that of a choice, or an index;
    one that could be both is an error.
    """
    if isinstance(target, Expr):
        found = evaluate(target, fill.values, fill.subject)
        listed = found if isinstance(found, list) else [found]
        if not listed:
            raise fill.error(target, "names no choice")
        return tuple(dict.fromkeys(_index(item, target, choices, fill) for item in listed))
    text = fill.text(target) or ""
    at = choices.index(text) if text in choices else None
    number = int(text) if text.isdecimal() and text.isascii() and int(text) < len(choices) else None
    if at is not None and number is not None and at != number:
        raise fill.error(target, f"'{text}' is the text of choice {at} and the index {number}; write it as {{expr: …}}")
    if at is None and number is None:
        return (_index(text, target, choices, fill),)
    return (at if at is not None else number or 0,)


def _index(item: Any, target: Template | Expr, choices: Sequence[str], fill: Filler) -> int:
    if isinstance(item, bool):
        item = int(item)
    if isinstance(item, int) and 0 <= item < len(choices):
        return item
    if isinstance(item, str) and item in choices:
        return choices.index(item)
    offered = one_line(" | ".join(choices), 120)
    raise fill.error(
        target, f"gives {one_line(str(item), 60)!r}, which is neither a choice ({offered}) nor the index of one"
    )


def accepted(target: Template | Expr, fill: Filler) -> tuple[str, ...]:
    """Return the texts that are accepted: a template gives one, an expression one or a list."""
    found: tuple[str, ...]
    if isinstance(target, Template):
        found = (fill.text(target) or "",)
    else:
        value = evaluate(target, fill.values, fill.subject)
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int, float)) for item in listed):
            raise fill.error(target, f"gives {one_line(str(value), 60)!r}, which is no text and no list of texts")
        found = tuple(dict.fromkeys(str(item) for item in listed))
    if not any(text.strip() for text in found):
        raise fill.error(target, "names no answer that would be right")
    return found


def _program(task: TaskSpec, fill: Filler) -> tuple[str, ...]:
    template = task.sample.program
    assert template is not None
    text = Filler({**fill.values, "completion": _HOLE}, fill.subject).text(template) or ""
    pieces = tuple(text.split(_HOLE))
    if len(pieces) < 2:
        raise fill.error(template, "does not hold {{ completion }}, the model's answer")
    return pieces
