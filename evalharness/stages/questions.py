"""A sample and a model in, all that the model is asked about it out: one request, one a repeat, one a context, one a turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evalharness.identity import replay_id, request_id
from evalharness.plan import Plan, Player, Way
from evalharness.prompts import Form, Prompt, after, listed, scored, shown
from evalharness.specs.task import LanguageSpec, TaskSpec
from evalharness.types import Kind, Request, Sample, Sampling

_NOTHING = Sampling()


@dataclass(frozen=True, slots=True)
class Manner:
    """How one model answers one task in one language; ``by`` is how it samples in the categories that differ."""

    sampling: Sampling
    form: Form
    way: Way
    n: int
    output: str
    by: Mapping[str, Sampling] = field(default_factory=dict)

    def sampling_of(self, sample: Sample) -> Sampling:
        """Return how the answer to ``sample`` is sampled."""
        return self.by.get(sample.category or "", self.sampling)


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
            return replay_id(player.engine, sample.task, sample.language, sample.prompt_id, self.repeat, self.part)
        return request_id(player.engine, self.kind, self.prompt, self.sampling, self.continuations, self.repeat)

    def request(self, identity: str, sample: Sample) -> Request:
        """Return the request to an engine."""
        text, messages = (self.prompt, None) if isinstance(self.prompt, str) else (None, self.prompt)
        about = (sample.task, sample.language, sample.prompt_id)
        return Request(
            identity, self.kind, messages, text, self.sampling, self.continuations, about=about, index=self.repeat,
            turn=self.part if self.kind == "generate" else 0,
        )  # fmt: skip


def manner(plan: Plan, task: TaskSpec, language: LanguageSpec, player: Player) -> Manner:
    """Return how ``player`` answers ``task`` in ``language``."""

    def sampling(category: str | None = None) -> Sampling:
        return plan.stopped(task, language, player, plan.allowed(task, player, category))

    by = {category: sampling(category) for category in task.generate_by}
    return Manner(sampling(), plan.format(task, player), plan.way(task, player), task.n, task.output, by)


def questions(sample: Sample, how: Manner, system: str | None) -> Iterator[Question]:
    """Yield what a model with the system prompt ``system`` is asked about ``sample``, in the manner ``how``."""
    if how.way == "likelihood":
        for part, asked in enumerate(scored(sample, how.form, system)):
            yield Question("loglikelihood", asked.prompt, _NOTHING, asked.continuations, part=part)
        return
    asked_of = listed(sample) if how.output == "choice" else sample
    first = Question("generate", shown(asked_of, how.form, system), how.sampling_of(sample))
    for repeat in range(how.n):
        yield replace(first, repeat=repeat)


def next_turn(sample: Sample, how: Manner, system: str | None, said: Sequence[str], repeat: int) -> Question:
    """Return what a model is asked after it ``said`` its answers to the first turns of ``sample``."""
    prompt = shown(after(sample, said), how.form, system)
    return Question("generate", prompt, how.sampling_of(sample), repeat=repeat, part=len(said))
