"""A sample and a model in, all that the model is asked about it out: one request, one a repeat, one a context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from evalharness.identity import replay_id, request_id
from evalharness.plan import Plan, Player, Way
from evalharness.prompts import Form, Prompt, listed, scored, shown
from evalharness.specs.task import TaskSpec
from evalharness.types import Kind, Request, Sample, Sampling

_NOTHING = Sampling()


@dataclass(frozen=True, slots=True)
class Manner:
    """How one model answers one task in one language."""

    sampling: Sampling
    form: Form
    way: Way
    n: int
    output: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request about a sample. ``part`` numbers those that make one answer, ``repeat`` the answers to one prompt."""

    kind: Kind
    prompt: Prompt
    sampling: Sampling
    continuations: tuple[str, ...] = ()
    repeat: int = 0
    part: int = 0

    @property
    def length(self) -> int:
        """Return how many characters the model reads."""
        text = self.prompt
        shown_ = len(text) if isinstance(text, str) else sum(len(message.content) for message in text)
        return shown_ + sum(map(len, self.continuations))

    def identity(self, sample: Sample, player: Player) -> str:
        """Return the identity of asking ``player``."""
        if player.engine.backend == "replay":
            return replay_id(player.engine, sample.task, sample.language, sample.prompt_id, self.repeat)
        return request_id(player.engine, self.kind, self.prompt, self.sampling, self.continuations, self.repeat)

    def request(self, identity: str, sample: Sample) -> Request:
        """Return the request to an engine."""
        text, messages = (self.prompt, None) if isinstance(self.prompt, str) else (None, self.prompt)
        about = (sample.task, sample.language, sample.prompt_id)
        return Request(
            identity, self.kind, messages, text, self.sampling, self.continuations, about=about, index=self.repeat
        )


def manner(plan: Plan, task: TaskSpec, player: Player) -> Manner:
    """Return how ``player`` answers ``task``."""
    return Manner(plan.allowed(task, player), plan.format(task, player), plan.way(task, player), task.n, task.output)


def questions(sample: Sample, how: Manner, system: str | None) -> Iterator[Question]:
    """Yield what a model with the system prompt ``system`` is asked about ``sample``, in the manner ``how``."""
    if how.way == "likelihood":
        for part, asked in enumerate(scored(sample, how.form, system)):
            yield Question("loglikelihood", asked.prompt, _NOTHING, asked.continuations, part=part)
        return
    asked_of = listed(sample) if how.output == "choice" else sample
    first = Question("generate", shown(asked_of, how.form, system), how.sampling)
    for repeat in range(how.n):
        yield replace(first, repeat=repeat)
