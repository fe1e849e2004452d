"""Two answers, or one, in; what a judge is shown out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalharness import languages
from evalharness.errors import SpecError, suggestion
from evalharness.prompts.rendering import check, render
from evalharness.specs.jinja import names_in
from evalharness.specs.judge import JudgeSpec
from evalharness.types import Message


def check_judge(judge: JudgeSpec) -> None:
    """Raise a SpecError where a template of ``judge`` does not compile, or has a name that nothing fills."""
    for template in (*judge.prompts.values(), *((judge.system,) if judge.system else ())):
        check(template)
        where = template.where
        for name in sorted(names_in(template.text) - set(judge.names)):
            words = f"{{{{ {name} }}}} is not known here; {suggestion(name, judge.names)}"
            raise SpecError(words, where.file, where.line, where.key)


@dataclass(frozen=True, slots=True)
class Duel:
    """What a judge is asked to compare: the question and the two answers in the order shown."""

    question: str
    first: str
    second: str
    language: str
    reference: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that fill the judge's template, for its identity."""
        return (self.question, self.first, self.second, self.language, self.reference or "")

    @property
    def answers(self) -> dict[str, str]:
        """The answers by their names in the judge's template."""
        return {"answer_a": self.first, "answer_b": self.second}


@dataclass(frozen=True, slots=True)
class Single:
    """What a rubric judge is asked to score: the question and one answer."""

    question: str
    answer: str
    language: str
    reference: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that fill the judge's template, for its identity."""
        return (self.question, self.answer, self.language, self.reference or "")

    @property
    def answers(self) -> dict[str, str]:
        """The answer by its name in the judge's template."""
        return {"answer": self.answer}


def specimen(judge: JudgeSpec, language: str) -> Duel | Single:
    """Return something to put to ``judge`` whose texts say what they stand for, to look at its prompt in ``language``."""
    if judge.compare == "single":
        return Single("‹question›", "‹answer›", language, "‹reference›")
    return Duel("‹question›", "‹answer_a›", "‹answer_b›", language, "‹reference›")


def judge_shown(
    judge: JudgeSpec, asked: Duel | Single, nonce: str, form: Literal["chat", "raw"], repair: bool = False
) -> tuple[Message, ...] | str:
    """Return what the judge is shown for ``asked``; ``nonce`` marks the fences around the untrusted texts."""
    values = {
        "question": asked.question, **asked.answers, "language": asked.language,
        "language_name": languages.name(asked.language), "reference": asked.reference, "nonce": nonce,
    }  # fmt: skip
    subject = f"judge {judge.judge}, language {asked.language}"
    user = render(judge.prompt(asked.language), values, subject)
    if repair and (text := judge.repair_text(asked.language)):
        user = f"{user}\n\n{text}"
    system = render(judge.system, values, subject) if judge.system else ""
    if form == "chat":
        return (*((Message("system", system),) if system else ()), Message("user", user))
    return f"{system}\n\n{user}" if system else user
