"""A data row in, a Sample out: prompt, choices, what is right, and the worked examples before it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from evalharness.errors import DataError
from evalharness.prompts.rendering import Filler, evaluate, render, texts, values_of
from evalharness.prompts.shots import Examples
from evalharness.prompts.targets import listed_prompt, target_of
from evalharness.prompts.where import having
from evalharness.specs.fields import Expr, Template
from evalharness.specs.task import LanguageSpec, TaskSpec
from evalharness.text import clean_text, one_line, sha256
from evalharness.types import Message, Row, Sample, Target

ROLES = ("system", "user", "assistant")


def matching(task: TaskSpec, language: LanguageSpec, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows whose columns have the values of the task's ``where``; a DataError where a column or a row is missing."""
    return having(task.where, rows, values_of(language), f"{task.task}[{language.code}]")


def samples(
    task: TaskSpec, language: LanguageSpec, rows: Iterable[Row], shot_rows: Sequence[Row] | None = None
) -> Iterator[Sample]:
    """Yield the Sample of every row, in the rows' order. An id that comes twice, is empty, or differs from another only
    by Unicode form or spaces is an error that names both rows. ``shot_rows`` are those of the task's ``shots``."""
    seen: dict[str, int] = {}
    prefix = "" if task.prompts.parallel else f"{language.code}/"  # prompts that share nothing must not share a cluster
    examples = Examples(task, language, shot_rows) if shot_rows is not None else None
    for number, row in enumerate(rows, 1):
        sample = _sample(task, language, row, number)
        same = unicodedata.normalize("NFC", sample.prompt_id).strip()
        if not same:
            raise DataError(
                f"{task.task}[{language.code}]: row {number} has an empty id; give sample.id a column that is filled"
            )
        if same in seen:
            raise DataError(
                f"{task.task}[{language.code}]: rows {seen[same]} and {number} have the same id '{one_line(same, 60)}'; "
                "ids must differ within a language"
            )
        seen[same] = number
        shots = examples.before(row, sample.prompt_id) if examples else ()
        yield replace(sample, prompt_id=prefix + sample.prompt_id, shots=shots)


def _sample(task: TaskSpec, language: LanguageSpec, row: Row, number: int) -> Sample:
    values = values_of(language, row, number - 1)
    prompt_id = render(task.sample.id, values, f"row {number} of {task.task}[{language.code}]")
    subject = f"row '{one_line(prompt_id, 60)}' (number {number}) of {task.task}[{language.code}]"
    fill = Filler(values, subject)
    target = target_of(task, fill) if task.metrics or task.output != "text" else None
    first, more = _turns(task, fill)
    system = fill.text(task.system)
    start = (Message("system", system),) if system else ()
    sample = Sample(
        task=task.task, version=task.version, prompt_id=clean_text(prompt_id), language=language.code,
        messages=(*start, *first), raw_prompt=fill.text(task.sample.raw_prompt),
        category=fill.unless_null(task.sample.category), reference=fill.unless_null(task.sample.reference),
        answer_prefix=fill.text(task.answer_prefix), turns=more, intro=fill.text(task.intro) or "",
        delimiter=fill.text(task.delimiter) or "", target=target,
    )  # fmt: skip
    if task.shots is not None:
        sample = replace(sample, shot_delimiter=task.shots.delimiter)
    return sample if target is None else _with_continuations(task, fill, sample, target)


def _turns(task: TaskSpec, fill: Filler) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """Return the conversation up to the first answer, and the user's words after it."""
    spec = task.sample
    if isinstance(spec.messages, Expr):
        return _conversation(spec.messages, fill), ()
    if spec.messages is not None:
        return tuple(Message(turn.role, fill.text(turn.content) or "") for turn in spec.messages), ()
    if spec.turns is not None:
        first, *more = texts(spec.turns, fill.values, fill.subject)
        return (Message("user", first),), tuple(more)
    if spec.contexts is not None:
        return (), ()
    return (Message("user", fill.text(spec.prompt) or ""),), ()


def _conversation(messages: Expr, fill: Filler) -> tuple[Message, ...]:
    """Return the messages that an expression gives, which may have other keys besides role and content."""
    found = evaluate(messages, fill.values, fill.subject)
    listed = found if isinstance(found, list) else []
    turns = [
        Message(item["role"], clean_text(item["content"]))
        for item in listed
        if isinstance(item, dict) and item.get("role") in ROLES and isinstance(item.get("content"), str)
    ]
    if not turns or len(turns) < len(listed) or turns[-1].role != "user":
        raise fill.error(
            messages,
            "must give a list of {role, content} with the roles system, user and assistant that ends with the user",
        )
    return tuple(turns)


def _with_continuations(task: TaskSpec, fill: Filler, sample: Sample, target: Target) -> Sample:
    """Return ``sample`` with what its likelihoods are asked of, and with its choices listed where the task can."""
    spec = task.sample
    if task.output == "loglikelihood":
        return replace(sample, continuations=(target.text or "",), delimiter="")
    if task.output != "choice":
        return sample
    contexts: tuple[str, ...] = ()
    continuations, messages = target.choices, sample.messages
    if spec.contexts is not None:
        contexts, continuations = target.choices, (fill.text(spec.continuation) or "",)
        shown = [f"{context} … {continuations[0]}" for context in contexts]
        messages = (*messages, Message("user", "\n".join(shown)))
    bare = next((m.content for m in reversed(sample.messages) if m.role == "user"), "")
    return replace(
        sample, messages=messages, contexts=contexts, continuations=continuations,
        generative=listed_prompt(task, fill, target, bare), unconditional=fill.text(spec.unconditional),
    )  # fmt: skip


def chosen(items: Iterable[Sample], limit: int | None) -> list[Sample]:
    """Return the samples ordered by the hash of (task, id), the first ``limit`` of them: the same ids in every language,
    nested as the limit grows, whatever the order of the rows."""
    ordered = sorted(items, key=lambda s: (sha256(f"{s.task}\x1f{s.prompt_id}"), s.prompt_id))
    return ordered if limit is None else ordered[:limit]


def dataset_name(language: LanguageSpec, template: Template | None) -> str | None:
    """Return the data set's configuration (or data file) for ``language``."""
    if template is None:
        return None
    values = {"language": language.config, "words": dict(language.words), "code": language.code}
    return render(template, values, f"language {language.code}")
