"""The nouns of the flow as frozen records: Sample, Request, Result, Completion, Game, Verdict, and the backend seam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, runtime_checkable

Kind = Literal["generate", "loglikelihood", "label_logprobs"]
Order = Literal["ab", "ba"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; role is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is sampled. ``None`` means "not said here": the next lower place of the precedence decides.

    temperature 0 is greedy; top_p in (0, 1]; top_k 0 means no limit; max_tokens counts new tokens; seed is the base
    seed of sampled requests and stays ``None`` for greedy ones.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None

    def over(self, lower: Sampling) -> Sampling:
        """Return this with every ``None`` filled from ``lower``."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return replace(lower, **said)


SAMPLING_DEFAULTS = Sampling(temperature=0.0, top_p=1.0, top_k=0, max_tokens=1024, stop=())


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example before the question: what was asked, and what is right; ``listed`` with its choices listed, ``letter``
    the right one's."""

    prompt: str
    answer: str
    listed: str | None = None
    letter: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What is right, and all that a metric needs to know of a sample besides the answer; stored with the run.

    ``right`` are indices of ``choices`` (of a contexts task these are the contexts' own words); ``texts`` are the answers
    that are accepted. ``letters`` are the language's, for choices that are answered by letter. ``text`` is what a language
    model is scored on. ``program`` are the pieces of a program around the answer.
    """

    right: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    text: str | None = None
    program: tuple[str, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt of a task in one language; ``(task, version, prompt_id)`` is the unit of resampling.

    ``answer_prefix`` is how the answer begins; the model writes on from there. ``turns`` are the user's words after the
    first answer. ``intro`` and ``shots`` stand before the question. For likelihoods: ``contexts`` are what
    ``continuations`` follow, each with its own one (where they are several) or all with the same; ``unconditional`` is the
    prompt without a question. ``delimiter`` stands between a raw prompt and its answer. ``generative`` is the question with
    its choices listed, for models that only write.
    """

    task: str
    version: str
    prompt_id: str
    language: str
    messages: tuple[Message, ...]
    raw_prompt: str | None = None
    category: str | None = None
    reference: str | None = None
    answer_prefix: str | None = None
    turns: tuple[str, ...] = ()
    intro: str = ""
    shots: tuple[Shot, ...] = ()
    shot_delimiter: str = "\n\n"
    delimiter: str = " "
    contexts: tuple[str, ...] = ()
    continuations: tuple[str, ...] = ()
    unconditional: str | None = None
    generative: str | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an engine. ``id`` is the identity: equal ids have equal answers and are asked once.

    Exactly one of ``messages`` (chat format) and ``text`` (raw format) is set. The engine applies its chat template to
    messages and opens the assistant turn, or goes on with the last message where that is the assistant's; ``rendering`` is
    the engine's (see Engine). ``continuations`` are the strings whose log-probability is asked (likelihood kinds).
    ``batch`` numbers the group of requests an engine with fixed batches runs together; ``about`` is the (task, language,
    prompt id) that a backend without an engine looks up, ``index`` the number of the answer among those to one prompt,
    ``turn`` that of the question in its conversation (from 0). None of them is in the identity.
    """

    id: str
    kind: Kind
    messages: tuple[Message, ...] | None
    text: str | None
    sampling: Sampling = SAMPLING_DEFAULTS
    continuations: tuple[str, ...] = ()
    batch: int | None = None
    about: tuple[str, str, str] | None = None
    rendering: tuple[tuple[str, Any], ...] = ()
    index: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one request, or its error.

    ``finish`` is ``stop`` (end of text or stop string), ``length`` (max_tokens reached), ``context`` (the prompt is longer
    than the context), ``refused``, ``filtered`` or ``error``. ``logprobs`` holds one summed natural-log probability per
    continuation. ``error`` is a message; ``transient`` says whether asking again can help (network, engine) or not.
    ``thinking`` is what an API returned apart from the answer (engines leave it in ``text``, between the model's tags);
    ``usage`` is what an API said it will charge, in its own words.
    """

    id: str
    text: str | None = None
    finish: str = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    logprobs: tuple[float, ...] | None = None
    error: str | None = None
    transient: bool = False
    thinking: str | None = None
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """What identifies a loaded engine: (backend, weights, settings), not the model's name. One is loaded once a run.

    ``weights`` is the SHA-256 of the weights or the resolved revision; ``settings`` the output-changing settings it is
    loaded with; ``rendering`` those of how prompts become tokens, which travel with each request, so that models that
    differ in them alone share one load; ``template_sha`` the SHA-256 of the chat template's bytes (``None``: the model has
    none); ``options`` are settings that change no output (batch size, threads). ``versions`` are recorded and shown, not
    hashed.
    """

    backend: str
    path: str
    weights: str
    settings: tuple[tuple[str, Any], ...] = ()
    template_sha: str | None = None
    size_b: float | None = None
    options: tuple[tuple[str, Any], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    rendering: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """The identity of the engine: all that changes what it answers."""
        return (self.backend, self.weights, self.settings, self.rendering, self.template_sha)

    @property
    def load(self) -> tuple[Any, ...]:
        """What is loaded: engines that are equal in it are one."""
        return (self.backend, self.weights, self.settings)

    @property
    def pace(self) -> tuple[Any, ...]:
        """What is loaded, and the options it is loaded with: all that says how fast it answers, but the machine."""
        return (*self.load, self.options)


@runtime_checkable
class Backend(Protocol):
    """The seam to the outside engines.

    ``submit`` pulls at most ``window`` requests ahead of the results it has yielded, yields one Result a request in any
    order, and gives errors of single items as records. ``stop`` lets what is in flight finish and takes no more;
    ``close`` frees everything.
    """

    capabilities: frozenset[str]
    window: int

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer to a sample. ``failure`` names the candidate's own failure (empty, truncated, context, refused).

    ``truncated`` is a thought that reached the limit before its answer began. ``thinking`` is kept apart from ``text``.
    Where likelihoods were asked there are ``logprobs`` instead of a text, as in a Result.
    """

    task: str
    prompt_id: str
    language: str
    model: str
    repeat: int
    text: str
    finish: str
    tokens: int | None = None
    failure: str | None = None
    identity: str = ""
    error: str | None = None
    thinking: str | None = None
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Game:
    """One question to a judge: which of two answers to a prompt is better. ``order`` says which one it reads first."""

    game_id: str
    match_id: str
    round: int
    task: str
    task_version: str
    prompt_id: str
    language: str
    category: str | None
    model_a: str
    model_b: str
    order: Order
    judge: str
    judge_repeat: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge decided, told from the slot read first: ``score`` 1 means the first answer won.

    Of a judge of single answers ``score`` is the value on its scale.
    ``score`` is ``None`` where there is no verdict; ``status`` then says why: unparsed, truncated, empty, refused, error.
    ``candidate_failure`` is a decided game that no judge was asked for.
    """

    label: str | None
    score: float | None
    weight: float = 1.0
    status: str = "ok"
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer scored in one metric; a row of ``scores.parquet``.

    ``value`` is ``None`` where there is none; ``status`` then says why, as that of a Verdict. ``filter`` says how the
    answer was read: for a rubric judge, which judge and model. ``chance`` is what guessing would score. ``parts`` are the sums
    that a metric needs whose value over many prompts is not the mean of theirs; ``answer`` is the answer as it was read.
    """

    task: str
    task_version: str
    prompt_id: str
    language: str
    model: str
    metric: str
    filter: str
    value: float | None
    status: str = "ok"
    category: str | None = None
    target_language: str | None = None
    repeat: int = 0
    chance: float | None = None
    parts: tuple[float, ...] | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One step of progress of a stage: ``done`` of ``total`` items, ``tokens`` generated so far, in this process."""

    stage: str
    subject: str
    done: int
    total: int
    reused: int = 0
    tokens: int = 0
    errors: int = 0
    note: str = ""


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file, for messages: ``file:line`` and the key path."""

    file: str
    line: int | None = None
    key: str = ""

    def child(self, key: str, line: int | None) -> Where:
        """Return the place of ``key`` inside this one."""
        return Where(self.file, line, f"{self.key}.{key}" if self.key else key)


@dataclass(frozen=True, slots=True)
class Rating:
    """A model's row in a table; fields as in ``evalharness rank --json``. Rates are fractions; ``None`` is unknown.

    ``by`` names the axis of ``group``. ``estimate`` says what ``win_rate`` is: ``mean`` (of scores), or ``bradley-terry``
    (the mean implied against the pool, for unbalanced pairings), with the mean of scores apart in ``raw_win_rate``.
    ``reason`` says why a rate, its interval or the rating is missing, ``rating_reason`` why the rating or its interval is.
    ``redrawn`` counts the bootstrap draws in which the rate was undefined, ``rating_redrawn`` those in which the rating was.
    ``rating_interval`` says how the bounds of the rating came about. ``rank_low`` to ``rank_high`` are the places the model
    may hold in its group, ``rank_reason`` says why they are unknown; models of one ``tie_group`` (from 1, the top, on) do not
    differ significantly from its first.
    """

    model: str
    group: str
    win_rate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    interval: str | None = None
    reason: str | None = None
    wins: int = 0
    losses: int = 0
    ties: int = 0
    prompt_wins: int = 0
    prompt_losses: int = 0
    prompt_ties: int = 0
    inconsistent: int = 0
    n_prompts: int = 0
    n_games: int = 0
    n_unparsed: int = 0
    n_unpaired: int = 0
    missing_languages: tuple[str, ...] = field(default_factory=tuple)
    size_b: float | None = None
    size_class: str | None = None
    rating: float | None = None
    rating_low: float | None = None
    rating_high: float | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    by: str = "all"
    estimate: str | None = None
    raw_win_rate: float | None = None
    rating_reason: str | None = None
    redrawn: int = 0
    rating_interval: str | None = None
    rating_redrawn: int = 0
    rank_reason: str | None = None
    tie_group: int | None = None
