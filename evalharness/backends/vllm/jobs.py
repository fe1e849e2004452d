"""Requests in, the prompts that vLLM has to read for them out, and its outputs put together to results; without vLLM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from transformers import GenerationConfig

from evalharness.backends.rows import ScoreRow, score_rows
from evalharness.backends.tokens import Codec, Rendering, UnanswerableError, cut
from evalharness.identity import is_greedy, seed_of
from evalharness.types import SAMPLING_DEFAULTS, Request, Result, Sampling

ALTERNATIVES = 64  # tokens whose probability is read at one position; vLLM answers for at most 128


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine is to read: token ids, and the words of its ``SamplingParams``; ``name`` is told with the output."""

    name: str
    ids: list[int]
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Output:
    """What the engine wrote after one prompt: token ids, and whether their limit is reached and the last one ends nothing.

    ``following`` holds natural-log probabilities of the first written token by token id, ``inside`` those of the prompt's
    tokens (``None`` for the first one); both as far as they were asked for.
    """

    tokens: Sequence[int]
    tokens_in: int
    limited: bool
    following: Mapping[int, float] | None = None
    inside: Sequence[Mapping[int, float] | None] | None = None


class Jobs:
    """The requests that an engine works on. ``most`` is the context it was loaded with, in tokens."""

    def __init__(self, tokenizer: Any, config: Any, generation: Any, most: int) -> None:
        def codec(rendering: Rendering) -> Codec:
            return Codec(tokenizer, config, generation, rendering, most=most)

        self._codec = cache(codec)
        self._open: dict[
            str, tuple[_Text | _Score, int]
        ] = {}  # by the prompt's name: the job, and the number of its part
        self._done: list[tuple[int, Result]] = []

    @property
    def busy(self) -> bool:
        """Whether a request is not answered yet, or its answer not yet taken by ``finished``."""
        return bool(self._open or self._done)

    @property
    def reading(self) -> bool:
        """Whether the engine has a prompt to work on."""
        return bool(self._open)

    def add(self, number: int, request: Request) -> list[Prompt]:
        """Return the prompts of ``request``, which is told by ``number``; none where it cannot be answered at all."""
        codec = self._codec(request.rendering)
        try:
            job = _Text(number, request, codec) if request.kind == "generate" else _Score(number, request, codec)
            parts = [Prompt(f"{number}-{part}", *what) for part, what in enumerate(job.parts())]
        except UnanswerableError as error:
            self._done.append((number, Result(request.id, finish=error.finish, error=str(error))))
            return []
        self._open.update((prompt.name, (job, part)) for part, prompt in enumerate(parts))
        return parts

    def take(self, name: str, output: Output) -> None:
        """Take what the engine wrote after the prompt ``name``."""
        job, part = self._open.pop(name)
        if (result := job.take(part, output)) is not None:
            self._done.append((job.number, result))

    def fail(self, name: str, error: str, transient: bool) -> None:
        """Take that the engine has no answer to the prompt ``name``: an error of its request, once for all its prompts."""
        if name not in self._open:
            return
        job, _ = self._open[name]
        self._open = {other: found for other, found in self._open.items() if found[0] is not job}
        self._done.append((job.number, Result(job.request.id, finish="error", error=error, transient=transient)))

    def finished(self) -> list[tuple[int, Result]]:
        """Return what has finished since the last call."""
        done, self._done = self._done, []
        return done


def generation_of(folder: str) -> GenerationConfig:
    """Return the generation settings of the model in ``folder``, empty ones where it has none."""
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:
        return GenerationConfig()


@dataclass
class _Text:
    """A text to be written."""

    number: int
    request: Request
    codec: Codec

    @property
    def _sampling(self) -> Sampling:
        return self.request.sampling.over(SAMPLING_DEFAULTS)

    def parts(self) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Yield its one prompt."""
        sampling, prompt = self._sampling, self.codec.prompt(self.request)
        limit = self.codec.room(prompt, sampling.max_tokens or 1)
        drawn = {} if is_greedy(sampling) else {
            "top_p": sampling.top_p, "top_k": sampling.top_k, "seed": seed_of(self.request.id, sampling.seed)
        }  # fmt: skip
        stops = list(sampling.stop or ())
        yield (
            prompt,
            {
                "temperature": (sampling.temperature or 0.0) if drawn else 0.0,
                "max_tokens": limit,
                "stop": stops,
                "stop_token_ids": sorted(self.codec.eos),
                "detokenize": bool(stops),
                **drawn,
            },
        )

    def take(self, _: int, output: Output) -> Result:
        """Return the text without the token that ended it."""
        tokens = list(output.tokens)
        if tokens and tokens[-1] in self.codec.eos:
            tokens.pop()
        text = self.codec.text(tokens)
        end = cut(text, self._sampling.stop or ())
        return Result(
            self.request.id,
            text=self.codec.opened(self.request) + text[:end],
            finish="length" if output.limited and end is None else "stop",
            tokens_in=output.tokens_in,
            tokens_out=len(tokens),
        )


@dataclass
class _Score:
    """Continuations whose log-probability is asked: a prompt for each that the engine has to read apart."""

    number: int
    request: Request
    codec: Codec
    rows: list[ScoreRow] = field(init=False)
    found: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pairs = self.codec.pairs(self.request)
        self.tokens_in = len(pairs[0][0])
        self.rows = [part for row in score_rows(0, pairs) for part in _split(row)]

    def parts(self) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Yield what is read: the last target as the token written next, those before it as tokens of the prompt."""
        for row in self.rows:
            targets = sorted(set(row.targets if row.each else row.targets[-1:]))
            inside = {} if row.each or len(row.targets) == 1 else {
                "prompt_logprobs": 0, "skip_reading_prefix_cache": True,
            }  # fmt: skip
            yield (
                row.ids,
                {
                    "temperature": 0.0,
                    "max_tokens": 1,
                    "ignore_eos": True,
                    "detokenize": False,
                    "logprob_token_ids": targets,
                    **inside,
                },
            )

    def take(self, part: int, output: Output) -> Result | None:
        """Keep one row's log-probabilities; return the result once all are there."""
        row, last = self.rows[part], output.following or {}
        if row.each:
            self.found[part] = [last[token] for token in row.targets]
        else:
            inside = row.targets[:-1]
            places = (output.inside or ())[-len(inside) :] if inside else ()
            before = [(place or {})[token] for place, token in zip(places, inside, strict=True)]
            self.found[part] = [sum(before) + last[row.targets[-1]]]
        if len(self.found) < len(self.rows):
            return None
        logprobs = tuple(value for number in range(len(self.rows)) for value in self.found[number])
        return Result(self.request.id, tokens_in=self.tokens_in, tokens_out=0, logprobs=logprobs)


def _split(row: ScoreRow) -> Iterator[ScoreRow]:
    """Yield ``row`` in portions of as many alternatives as vLLM answers for at one position."""
    if not row.each:
        yield row
        return
    for start in range(0, len(row.targets), ALTERNATIVES):
        yield ScoreRow(row.request, row.ids, row.targets[start : start + ALTERNATIVES], each=True)
