"""A Sample in, what a model is shown out: messages or raw text to answer, or prompts with continuations to score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evalharness.specs.task import Format
from evalharness.types import Message, Sample, Shot

Form = Literal["chat", "raw"]
Prompt = tuple[Message, ...] | str


@dataclass(frozen=True, slots=True)
class Scored:
    """A prompt and the continuations whose likelihood is asked."""

    prompt: Prompt
    continuations: tuple[str, ...]


def format_for(wanted: Format, has_template: bool) -> Form:
    """Return the format a model is asked in: ``auto`` is chat where the model has a chat template, else raw."""
    if wanted == "auto":
        return "chat" if has_template else "raw"
    return wanted


def shown(sample: Sample, form: Form, system: str | None = None) -> Prompt:
    """Return what a model is shown: messages, or raw text (``raw_prompt``; without one, the turns joined by blank lines).

    ``system`` is the model's own system prompt; it stands before the task's in one message, since many chat templates
    refuse a second. Worked examples are earlier turns, or raw text before the question. An answer prefix is the beginning
    of the assistant's turn, or the end of the raw text.
    """
    if form == "chat":
        prefix = (Message("assistant", sample.answer_prefix),) if sample.answer_prefix else ()
        return (*_with_system(system, _with_shots(sample)), *prefix)
    own = [m.content for m in sample.messages if m.role == "system"] if sample.raw_prompt is None else []
    turns = [m.content for m in sample.messages if m.role != "system"]
    question_ = sample.raw_prompt if sample.raw_prompt is not None else "\n\n".join(turns)
    text = "\n\n".join([*([system] if system else []), *own, f"{_before(sample)}{question_}"])
    if not sample.answer_prefix:
        return text
    space = "" if text[-1:].isspace() or sample.answer_prefix[0].isspace() else " "
    return f"{text}{space}{sample.answer_prefix}"


def _before(sample: Sample) -> str:
    """Return the introduction and the worked examples as raw text."""
    shots = [f"{shot.prompt}{sample.delimiter}{shot.answer}{sample.shot_delimiter}" for shot in sample.shots]
    return sample.intro + "".join(shots)


def _with_shots(sample: Sample) -> tuple[Message, ...]:
    """Return the messages with the worked examples as turns before the question, the introduction before them all."""
    if not sample.shots and not sample.intro:
        return sample.messages
    start = [m for m in sample.messages if m.role == "system"]
    rest = [m for m in sample.messages if m.role != "system"]
    turns = [
        turn for shot in sample.shots for turn in (Message("user", shot.prompt), Message("assistant", shot.answer))
    ]
    first, *more = [*turns, *rest]
    return (*start, replace(first, content=f"{sample.intro}{first.content}"), *more)


def _with_system(system: str | None, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    if not system:
        return messages
    if messages and messages[0].role == "system":
        return (Message("system", f"{system}\n\n{messages[0].content}"), *messages[1:])
    return (Message("system", system), *messages)


def scored(sample: Sample, form: Form, system: str | None = None) -> tuple[Scored, ...]:
    """Return the prompts whose continuations are scored: one with all choices, or one a context.

    In raw format, and after a begun answer, the delimiter stands before each continuation; in chat the answer begins the
    assistant's turn. Where the
    sample has an ``unconditional`` prompt, it comes last, with the same continuations.
    """
    begun = bool(sample.answer_prefix) and not (sample.answer_prefix or "")[-1:].isspace()
    glue = sample.delimiter if form == "raw" or begun else ""
    continuations = tuple(f"{glue}{text}" for text in sample.continuations)
    if sample.contexts:
        asked = [
            replace(sample, messages=(*_system(sample), Message("user", context)), raw_prompt=None)
            for context in sample.contexts
        ]
    else:
        asked = [sample]
    if sample.unconditional is not None:
        bare = replace(sample, raw_prompt=None, intro="", shots=())
        asked.append(replace(bare, messages=(*_system(sample), Message("user", sample.unconditional))))
    return tuple(Scored(shown(one, form, system), continuations) for one in asked)


def _system(sample: Sample) -> Sequence[Message]:
    return [m for m in sample.messages if m.role == "system"]


def listed(sample: Sample) -> Sample:
    """Return the sample of a choice task as a question in text, its choices listed; a sample without that form is an error
    of the caller."""
    assert sample.generative is not None
    shots = tuple(Shot(shot.listed or shot.prompt, shot.letter or shot.answer) for shot in sample.shots)
    messages = (*_system(sample), Message("user", sample.generative))
    return replace(sample, messages=messages, raw_prompt=None, shots=shots)


def after(sample: Sample, answers: Sequence[str]) -> Sample:
    """Return ``sample`` with the conversation so far: ``answers`` to its first turns, and the user's next words."""
    talk = [turn for answer, words in zip(answers, sample.turns, strict=False)
            for turn in (Message("assistant", answer), Message("user", words))]  # fmt: skip
    return replace(sample, messages=(*sample.messages, *talk), raw_prompt=None, answer_prefix=None)


def question(sample: Sample) -> str:
    """Return the prompt as people and judges read it: the user's words; turns of a conversation are named."""
    turns = [m for m in sample.messages if m.role != "system"]
    if sample.turns:
        return named_turns([turns[-1].content, *sample.turns])
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"[{m.role}]\n{m.content}" for m in turns)


def named_turns(texts: Sequence[str]) -> str:
    """Return the turns of one side of a conversation as one text."""
    return "\n\n".join(f"[turn {number}]\n{text}" for number, text in enumerate(texts, 1))
