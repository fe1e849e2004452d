"""What was asked, and what it was resolved to: tasks, contestants, judges, and the hash of all that changes numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import UsageError
from evalharness.identity import is_greedy
from evalharness.pairing import Design
from evalharness.prompts import Form, format_for, render, values_of
from evalharness.specs.judge import JudgeSpec
from evalharness.specs.model import ModelSpec, ThinkingSpec
from evalharness.specs.suite import SuiteSpec
from evalharness.specs.task import Format, LanguageSpec, TaskSpec
from evalharness.text import fingerprint
from evalharness.types import SAMPLING_DEFAULTS, Engine, Sampling

Choices = Literal["auto", "likelihood", "generate"]
Way = Literal["text", "likelihood"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """How rates are computed from the games; changes no game. ``level`` of the intervals, bootstrap ``rounds``, ``seed``."""

    average: Literal["macro", "micro"] = "macro"
    level: float = 0.95
    rounds: int = 1000
    seed: int = 0
    pairs: Literal["complete", "any"] = "complete"
    candidate_failure: Literal["loss", "drop"] = "loss"
    min_coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A run in the user's words: names, not yet looked up. Stored with the run, so that ``resume`` can ask again.

    ``judges`` are ``JUDGE`` or ``JUDGE=MODEL``, instead of the tasks' own; ``more_judges`` come on top of either.
    ``shard`` (i, n) asks only for part i of n of the samples; it is in no hash. ``choices`` says how choice tasks are asked.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    languages: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    judge_model: str | None = None
    baseline: str | None = None
    limit: int | None = None
    gen: Mapping[str, Any] = field(default_factory=dict)
    gen_seed: int = 0
    format: Format | None = None
    more_judges: tuple[str, ...] = ()
    name: str | None = None
    specs: tuple[str, ...] = ()
    statistics: Statistics = Statistics()
    shard: tuple[int, int] | None = None
    choices: Choices = "auto"
    allow_code_execution: bool = False

    def folder(self, root: Path) -> Path:
        """Return the results folder to use: a shard has one of its own below ``root``, with a journal of its own."""
        return root if self.shard is None else root / "shard-{}-of-{}".format(*self.shard)

    def plain(self) -> dict[str, Any]:
        """Return this as plain data."""
        return asdict(self)

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Ask:
        """Return the Ask that ``plain`` gave."""
        values = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        gen = {k: tuple(v) if isinstance(v, list) else v for k, v in values.get("gen", {}).items()}
        return cls(**{**values, **lists, "gen": gen, "statistics": Statistics(**values.get("statistics", {}))})


def shard_of(text: str, said: str = "shard") -> tuple[int, int]:
    """Read ``i/n`` as part i (from 1) of n. Raises a UsageError that names the option as it was ``said``."""
    part, slash, parts = text.partition("/")
    numbers = (int(part), int(parts)) if slash and part.isdecimal() and parts.isdecimal() else (0, 0)
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"{said} {text}: write i/n, part i of n from 1 on, as in 1/8 to 8/8")
    return numbers


def command(ask: Ask, verb: str = "run") -> str:
    """Return the command line that asks for ``ask``."""
    words = ["evalharness", verb, "--models", ",".join(ask.models), "--task", ",".join(ask.tasks)]
    options = {
        "--languages": ",".join(ask.languages), "--judge": ",".join((*ask.judges, *ask.more_judges)),
        "--judge-model": ask.judge_model, "--baseline": ask.baseline, "--limit": ask.limit, "--format": ask.format,
        "--gen-seed": ask.gen_seed or None, "--name": ask.name,
        "--choices": None if ask.choices == "auto" else ask.choices,
        "--shard": None if ask.shard is None else "{}/{}".format(*ask.shard),
    }  # fmt: skip
    for flag, value in options.items():
        words += [flag, str(value)] if value not in (None, "") else []
    for key, value in ask.gen.items():
        words += ["--gen", f"{key}={value}"]
    for folder in ask.specs:
        words += ["--specs", folder]
    words += ["--allow-code-execution"] if ask.allow_code_execution else []
    return " ".join(f"'{word}'" if any(c in " []*?'\"$&;|<>()" for c in word) else word for word in words)


@dataclass(frozen=True, slots=True)
class Player:
    """A model with the engine that answers for it, as a contestant or a judge; ``likelihoods`` says whether it tells them."""

    spec: ModelSpec
    engine: Engine
    likelihoods: bool = True

    @property
    def name(self) -> str:
        """The model's name in every table."""
        return self.spec.name

    def format(self, wanted: Format) -> Form:
        """Return the format this model is asked in by a task or judge that wants ``wanted``."""
        return format_for(wanted, self.engine.template_sha is not None)


@dataclass(frozen=True, slots=True)
class Bench:
    """A judge with the model that judges, and the tasks whose games it sees."""

    spec: JudgeSpec
    player: Player
    sampling: Sampling
    tasks: tuple[str, ...]

    @property
    def name(self) -> str:
        """The judge's name in every table: judge and judge model."""
        return f"{self.spec.judge}/{self.player.name}"

    @property
    def key(self) -> str:
        """All that changes what this judge answers, but the games themselves."""
        return fingerprint(
            [self.spec.hash, self.player.engine.key, self.sampling, self.player.format(self.spec.format)]
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, resolved. ``tasks`` holds a TaskSpec for each file that languages come from; those of one name are one task.

    ``suites`` are those that were asked for; they say how figures are put together and change no figure of a task.
    """

    name: str
    tasks: tuple[TaskSpec, ...]
    players: tuple[Player, ...]
    benches: tuple[Bench, ...]
    ask: Ask
    notes: tuple[str, ...] = ()
    suites: tuple[SuiteSpec, ...] = ()

    @property
    def baseline(self) -> str | None:
        """The baseline's name, where there is one."""
        return self.ask.baseline

    @property
    def everyone(self) -> tuple[Player, ...]:
        """The contestants, then the models that judge."""
        return (*self.players, *(bench.player for bench in self.benches))

    @property
    def thinking(self) -> dict[str, ThinkingSpec]:
        """How the contestants think that do, by name."""
        return {player.name: spec for player in self.players if (spec := player.spec.thinking) is not None}

    def languages(self) -> Iterator[tuple[TaskSpec, LanguageSpec]]:
        """Yield every (task, language) in order."""
        for task in self.tasks:
            for language in task.languages:
                yield task, language

    def sampling(self, task: TaskSpec, player: Player, category: str | None = None) -> Sampling:
        """Return how ``player`` answers the samples of ``category`` of ``task``: ``--gen`` before the model's entry before the
        task before the default."""
        said = Sampling(**self.ask.gen, seed=self.ask.gen_seed or None)
        used = said.over(player.spec.generate).over(self._own_sampling(task, player, category)).over(SAMPLING_DEFAULTS)
        return replace(used, seed=None) if is_greedy(used) else used

    def allowed(self, task: TaskSpec, player: Player, category: str | None = None) -> Sampling:
        """Return ``sampling`` with the tokens that ``player`` may think in added: what the engine is asked for."""
        used = self.sampling(task, player, category)
        budget = player.spec.thinking.budget if player.spec.thinking else 0
        return replace(used, max_tokens=(used.max_tokens or 0) + budget) if budget else used

    def stopped(self, task: TaskSpec, language: LanguageSpec, player: Player, used: Sampling) -> Sampling:
        """Return ``used`` with the task's stops in the wording of ``language``, unless ``--gen`` or the model has stops."""
        if "stop" in self.ask.gen or player.spec.generate.stop is not None or not task.stop:
            return used
        own = (render(template, values_of(language), f"{task.task}[{language.code}]") for template in task.stop)
        return replace(used, stop=tuple(dict.fromkeys((*(used.stop or ()), *own))))

    def way(self, task: TaskSpec, player: Player) -> Way:
        """Return how ``player`` answers ``task``: in text, or by the likelihoods of what is offered (where it tells them)."""
        if task.output == "loglikelihood":
            return "likelihood"
        if task.output != "choice" or self.ask.choices == "generate":
            return "text"
        return "likelihood" if player.likelihoods or self.ask.choices == "likelihood" else "text"

    def format(self, task: TaskSpec, player: Player) -> Form:
        """Return the format ``player`` is asked in: ``--format`` before the task's; ``auto`` goes by the model, and is raw
        for likelihoods."""
        wanted = self.ask.format or task.format
        return "raw" if wanted == "auto" and self.way(task, player) == "likelihood" else player.format(wanted)

    def _own_sampling(self, task: TaskSpec, player: Player, category: str | None = None) -> Sampling:
        own = task.generate_by.get(category or "", task.generate)
        listed = task.generative is not None and task.output == "choice" and self.way(task, player) == "text"
        return task.generative.generate.over(own) if listed and task.generative else own

    def deviations(self, task: TaskSpec, player: Player) -> list[str]:
        """Return the values of the task that ``player`` does not keep, as ``temperature 1.0 (task: 0.0)``."""
        out: list[str] = []
        for category in (None, *task.generate_by) if self.way(task, player) == "text" else ():
            used, own = self.sampling(task, player, category), self._own_sampling(task, player, category)
            about = "task" if category is None else f"task, {category}"
            for f in fields(Sampling):
                wanted, got = getattr(own, f.name), getattr(used, f.name)
                if category is not None and wanted == getattr(self._own_sampling(task, player), f.name):
                    continue  # it is told of the task
                if wanted is not None and wanted != got and not (f.name == "seed" and is_greedy(used)):
                    out.append(f"{f.name} {got} ({about}: {wanted})")
        if self.ask.format not in (None, task.format):
            out.append(f"format {self.ask.format} (task: {task.format})")
        return out

    def design(self, bench: Bench) -> Design:
        """Return who meets whom before ``bench``."""
        models = tuple(player.name for player in self.players)
        return Design(models, self.baseline, bench.spec.orders, bench.name, bench.key)

    @property
    def hash(self) -> str:
        """SHA-256 over what changes numbers: tasks, languages, limit, judges, pairing, models' identities, sampling."""
        return plan_hash(self.tasks, self.players, self.benches, self.ask)


def plan_hash(tasks: tuple[TaskSpec, ...], players: tuple[Player, ...], benches: tuple[Bench, ...], ask: Ask) -> str:
    """Return the hash of a plan with these parts; its first eight digits name the run."""
    plan = Plan("", tasks, players, benches, ask)
    return fingerprint({
        "tasks": [[task.task, task.version, task.hash, task.languages, *_scoring(task)] for task in tasks],
        "limit": ask.limit,
        "baseline": ask.baseline,
        "models": [
            [p.name, p.engine.key, p.spec.system, p.spec.thinking, [_manner(plan, task, p) for task in tasks]]
            for p in players
        ],
        "judges": [[b.key, b.spec.orders, b.tasks, _verdicts(b.spec)] for b in benches],
    })  # fmt: skip


def _manner(plan: Plan, task: TaskSpec, player: Player) -> list[Any]:
    """Return how ``player`` answers ``task``."""
    asked: list[Any] = [plan.sampling(task, player), plan.format(task, player)]
    if task.generate_by:
        asked.append({category: plan.sampling(task, player, category) for category in task.generate_by})
    return asked if task.output in ("text", "code") else [*asked, plan.way(task, player)]


def _scoring(task: TaskSpec) -> list[Any]:
    """Return what changes the scores of ``task``; nothing for one that is only judged."""
    return [] if not task.metrics else [task.scoring_hash]


def _verdicts(spec: JudgeSpec) -> list[Any]:
    labels = {label: [worth.score, worth.weight] for label, worth in spec.verdict.labels.items()}
    single = [spec.verdict.range, spec.verdict.key] if spec.compare == "single" else []
    return [spec.verdict.kind, spec.verdict.pattern, spec.verdict.take, labels, *single]
