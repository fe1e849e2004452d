"""``evalharness.yaml`` in, model entries and settings out; a model is named there or written ``backend:path[@revision]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import UsageError
from evalharness.specs.fields import build
from evalharness.specs.reader import Document, Path_, read_file
from evalharness.specs.sampling import check_sampling
from evalharness.types import Sampling

_BACKEND = re.compile(r"^([a-z][a-z0-9_-]*):(?!//)(.+)$", re.DOTALL)
_STEP = re.compile(r"(?:^|[^a-z])(?:global_?)?(?:step|checkpoint|ckpt)[-_]?(\d+)", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:\.\.(\d+))?")
MAX_EXPANDED = 1000

_VARIABLE = re.compile(r"^[A-Z_][A-Z0-9_]*$")  # a key itself has small letters or dashes
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?$")


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's text taken apart. ``thinking`` is ``None`` where it did not think; ``ended`` says that its thought came to an
    end, so that ``answer`` is one."""

    thinking: str | None
    answer: str
    ended: bool


@dataclass(frozen=True, slots=True)
class ThinkingSpec:
    """How a model thinks before it answers: the tags around the thought, and ``budget`` new tokens on top of the task's.

    ``opened`` says that the chat template writes the opening tag, so that the model's own text begins inside the thought.
    """

    open: str = "<think>"
    close: str = "</think>"
    budget: int = 0
    opened: bool = False

    def split(self, text: str) -> Thought:
        """Return the thought that ``text`` begins with apart from what follows it; nothing is lost.

        A text that closes a thought it did not open began inside it. What follows a thought loses the white space before
        it.
        """
        before, closed, after = text.partition(self.close)
        opened = before.lstrip().startswith(self.open)
        if closed and (opened or self.open not in before):
            return Thought(before.lstrip().removeprefix(self.open).strip(), after.lstrip(), True)
        if opened or (self.opened and not closed):
            return Thought(before.lstrip().removeprefix(self.open).strip(), "", False)
        return Thought(None, text, True)


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """What a model's tokens cost: US dollars a million of them, read (``input``) and written (``output``)."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model as a contestant or judge. ``size_b`` and ``active_b`` are billions of parameters; ``None`` is unknown.

    ``step`` is the training step of a checkpoint. ``adapter`` is a LoRA adapter on top of the weights at ``path``;
    ``chat_template`` is a template or the path of one. ``base_url`` (a list: the same model behind several addresses),
    ``api_key_env`` (the name of an environment variable, never the key) and ``price`` are for API backends.
    ``tokens_per_second`` is how many tokens the whole engine, with all its replicas, writes a second: for forecasts alone.
    ``engine`` holds settings of the backend (``dtype``, …).
    """

    name: str
    backend: str
    path: str
    revision: str | None = None
    size_b: float | None = None
    active_b: float | None = None
    family: str | None = None
    variant: str | None = None
    step: int | None = None
    license: str | None = None
    note: str | None = None
    base_url: tuple[str, ...] | str | None = None
    api_key_env: str | None = None
    price: PriceSpec | None = None
    tokens_per_second: float | None = None
    system: str | None = None
    add_bos: bool | None = None
    adapter: str | None = None
    chat_template: str | None = None
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    thinking: ThinkingSpec | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    generate: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class _ConfigYaml:
    models: Mapping[str, Any] = field(default_factory=dict)
    run: Any = None  # read by ``specs.settings``, and only by commands that take its options


def load_models(path: Path) -> dict[str, ModelSpec]:
    """Read the ``models:`` of an ``evalharness.yaml``."""
    document = read_file(path)
    entries = build(_ConfigYaml, document).models
    models = {name: build(ModelSpec, document, ("models", name), given={"name": name}) for name in entries}
    for name, model in models.items():
        check_model(model, document, ("models", name))
    return models


def check_model(model: ModelSpec, document: Document, path: Path_) -> None:
    """Raise a SpecError for the first value of ``model``, written at ``path``, that cannot be meant."""
    check_sampling(model.generate, document, (*path, "generate"))
    _check_thinking(model.thinking, document, (*path, "thinking"))
    for key in ("input", "output") if model.price is not None else ():
        if not 0 <= getattr(model.price, key) < float("inf"):
            raise document.error((*path, "price", key), "must be 0 or above: US dollars a million tokens")
    if model.tokens_per_second is not None and not 0 < model.tokens_per_second < float("inf"):
        raise document.error((*path, "tokens_per_second"), "must be above 0: tokens that the engine writes a second")
    if model.api_key_env is not None and not _VARIABLE.match(model.api_key_env):
        raise document.error(
            (*path, "api_key_env"),
            "is not the name of an environment variable; put the key into one, and its name (OPENAI_API_KEY) here",
        )


def _check_thinking(thinking: ThinkingSpec | None, document: Document, path: Path_) -> None:
    if thinking is None:
        return
    for key in ("open", "close"):
        if not getattr(thinking, key).strip():
            raise document.error((*path, key), "is empty; name the tag as the model writes it")
    if thinking.open == thinking.close:
        raise document.error((*path, "close"), "is the opening tag; name the closing one")
    if thinking.budget < 0:
        raise document.error((*path, "budget"), f"{thinking.budget} is below 0; it counts new tokens")


def parse_model(text: str) -> ModelSpec | None:
    """Return the model written as ``backend:path[@revision]`` or ``org/name[@revision]``; ``None`` if it is a plain name.

    Its name in tables is the text as written, without the backend; a training step is read from the revision or path.
    """
    if match := _BACKEND.match(text):
        backend, written = match.groups()
    elif _HUB_ID.match(text):
        backend, written = "vllm", text
    else:
        return None
    path, revision = (written, None) if backend == "replay" else split_revision(written)
    if not path or revision == "":
        raise UsageError(f"model '{text}': write it as backend:path or backend:path@revision")
    return ModelSpec(name=written, backend=backend, path=path, revision=revision, step=step_of(revision or path))


def split_revision(text: str) -> tuple[str, str | None]:
    """Return (path, revision) of ``path@revision``; an ``@`` of a path that exists is part of it."""
    if "@" not in text or Path(text).expanduser().exists():
        return text, None
    path, _, revision = text.rpartition("@")
    return path, revision


def step_of(text: str) -> int | None:
    """Return the training step that a revision or path names last (``step3000``, ``checkpoint-500``), if it names one."""
    found = _STEP.findall(text)
    return int(found[-1]) if found else None


def expanded(text: str) -> list[str]:
    """Return the texts that ``text`` stands for: ``m@step{1000..3000..1000}`` is three, ``m-{base,chat}`` two.

    At most MAX_EXPANDED; a backwards range counts down.
    """
    match = _BRACES.search(text)
    if match is None:
        return [text]
    numbers = _RANGE.fullmatch(match[1])
    if numbers is not None:
        parts = _numbers(text, *numbers.groups())
    else:
        parts = [part.strip() for part in match[1].split(",")]
        if len(parts) < 2 or not all(parts):
            raise UsageError(f"model '{text}': write {{a,b}} for names or {{1000..5000..1000}} for numbers")
    return [whole for part in parts for whole in expanded(text[: match.start()] + part + text[match.end() :])]


def _numbers(text: str, first: str, last: str, step: str | None) -> list[str]:
    by = int(step or 1)
    if by == 0:
        raise UsageError(f"model '{text}': the range goes on for ever; its step must be above 0")
    start, end = int(first), int(last)
    numbers = range(start, end + 1, by) if start <= end else range(start, end - 1, -by)
    if len(numbers) > MAX_EXPANDED:
        raise UsageError(f"model '{text}': stands for {len(numbers):,} models; at most {MAX_EXPANDED:,}")
    width = len(first) if first.startswith("0") else 0
    return [str(number).zfill(width) for number in numbers]
