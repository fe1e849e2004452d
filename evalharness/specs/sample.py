"""The keys of a task's YAML that say what one row becomes: prompt, choices, what is right, worked examples before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from evalharness.specs.fields import Expr, Template
from evalharness.specs.reader import Document
from evalharness.types import Sampling

Output = Literal["text", "choice", "loglikelihood", "code"]
MAX_SHOTS = 100
MAX_CHOICES = 1000

# What each kind of output needs of a sample, and what it can have no use for.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "text": (), "choice": ("target",), "loglikelihood": ("text",), "code": ("program",),
}  # fmt: skip
_FOREIGN: Mapping[str, tuple[str, ...]] = {
    "text": ("contexts", "continuation", "unconditional", "text", "program"),
    "choice": ("text", "program"),
    "loglikelihood": ("choices", "contexts", "continuation", "unconditional", "target", "program"),
    "code": ("choices", "contexts", "continuation", "unconditional", "text", "target"),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as a template."""

    role: Literal["system", "user", "assistant"]
    content: Template


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """Templates that turn a row into a sample.

    ``id`` tells prompts apart; where no column does, ``{{ position }}`` is the row's place among the rows, from 0.
    ``prompt`` is what is asked; ``messages`` are a conversation to answer (or an expression that gives a list of ``role`` and
    ``content``), ``turns`` the user's words of one that the model answers turn by turn (one of the three). ``choices``
    complete the prompt; with ``contexts`` (one a choice) it is the other way round: each context is completed by the same
    ``continuation``. ``target`` says what is right: of ``choices`` one's text or index (or, as an expression, a list of
    indices), of an answer in text the text or texts that are accepted.
    ``unconditional`` is the prompt without a question that ``acc_pmi`` compares with, ``text`` what a language model is
    scored on, ``program`` what is run, around ``completion``.
    """

    id: Template
    prompt: Template | None = None
    messages: tuple[Turn, ...] | Expr | None = None
    turns: tuple[Template, ...] | Expr | None = None
    raw_prompt: Template | None = None
    category: Template | None = None
    reference: Template | None = None
    choices: tuple[Template, ...] | Expr | None = None
    contexts: tuple[Template, ...] | Expr | None = None
    continuation: Template | None = None
    target: Template | Expr | None = None
    unconditional: Template | None = None
    text: Template | None = None
    program: Template | None = None


@dataclass(frozen=True, slots=True)
class ShotsSpec:
    """Worked examples before the question: ``n`` rows of ``split``, in the language of the question.

    ``data_files`` is a file beside the YAML to take them from instead. ``where`` keeps only the rows whose columns have these
    values (that of the task is for the rows that are asked).
    ``sampler`` takes the ``first`` ones, or draws anew for each question (``random``, seeded by its id); ``ids`` names
    rows instead; with ``same`` they are of the rows for which it renders the same text as for the one that is asked, as its
    subject. The row that is asked is never among them. ``prompt`` and ``answer`` are templates of the example, where
    its rows differ from those asked; ``delimiter`` stands between examples.
    """

    n: int | None = None
    split: str | None = None
    data_files: Template | None = None
    where: Mapping[str, Template | tuple[Template, ...]] | None = None
    sampler: Literal["first", "random"] = "first"
    ids: tuple[str, ...] | None = None
    same: Template | None = None
    prompt: Template | None = None
    answer: Template | None = None
    delimiter: str = "\n\n"


@dataclass(frozen=True, slots=True)
class GenerativeSpec:
    """How a choice task is asked of a model that writes text and tells no likelihoods: its ``prompt`` lists ``choices``
    beside ``letters``, and the answer is read as a letter. Its figures are never in one column with likelihoods."""

    prompt: Template
    generate: Sampling = Sampling()
    answer_prefix: Template | None = None


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """The limits of a program: seconds of wall clock and of CPU, MiB of memory."""

    seconds: float = 10.0
    memory_mb: int = 512


def templates(record: Any) -> Iterator[Template | Expr]:
    """Yield every template and expression that ``record`` holds, in its order."""
    if isinstance(record, (Template, Expr)):
        yield record
    elif isinstance(record, (tuple, Mapping)):
        for item in record.values() if isinstance(record, Mapping) else record:
            yield from templates(item)
    elif isinstance(record, (SampleSpec, ShotsSpec, GenerativeSpec, Turn)):
        for f in fields(record):
            yield from templates(getattr(record, f.name))


def check_sample(sample: SampleSpec, output: Output, document: Document) -> None:
    """Raise a SpecError where the keys of ``sample`` do not make a sample of a task with this ``output``."""
    said = {f.name for f in fields(SampleSpec) if getattr(sample, f.name) is not None}
    for key in _NEEDS[output]:
        if key not in said:
            raise document.error(("sample", key), f"missing; a task with output: {output} needs it")
    for key in _FOREIGN[output]:
        if key in said:
            raise document.error(("sample", key), f"means nothing with output: {output}; leave it out")
    asked = {"prompt", "messages", "turns"} & said
    if output == "loglikelihood":
        if len(asked) > 1:
            raise document.error(("sample",), "takes at most one of prompt and messages before its text")
    elif "contexts" in said:
        if asked or "continuation" not in said or "choices" in said:
            raise document.error(("sample", "contexts"), "needs continuation, and no prompt and no choices beside it")
        if "unconditional" in said:
            raise document.error(("sample", "unconditional"), "means nothing beside contexts; leave it out")
    elif len(asked) != 1:
        raise document.error(("sample",), "needs exactly one of prompt, messages and turns")
    elif output == "choice" and "choices" not in said:
        raise document.error(("sample", "choices"), "missing; a task with output: choice needs choices, or contexts")
    if output != "text" and "turns" in said:
        raise document.error(("sample", "turns"), f"means nothing with output: {output}; use prompt")


def check_shots(shots: ShotsSpec, document: Document) -> None:
    """Raise a SpecError where ``shots`` does not say which examples."""
    if (shots.n is None) == (shots.ids is None):
        raise document.error(("shots",), "needs exactly one of n (how many) and ids (which rows)")
    if shots.n is not None and not 0 <= shots.n <= MAX_SHOTS:
        raise document.error(("shots", "n"), f"{shots.n} must lie in 0..{MAX_SHOTS}")
    if shots.ids is not None and not shots.ids:
        raise document.error(("shots", "ids"), "is empty; name rows, or leave shots out")
    if shots.ids is not None and shots.same is not None:
        raise document.error(("shots", "same"), "means nothing beside ids, which name the rows; leave one out")
