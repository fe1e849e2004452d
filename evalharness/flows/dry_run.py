"""An Ask in, what it would come to out: requests, reuse, games, loads, tokens, money; nobody is asked, nothing is written.

The stages do the work, before an engine that answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from pathlib import Path

from evalharness.backends import BACKENDS
from evalharness.plan import Ask, Bench, Plan, Player
from evalharness.prompts import Duel, Single, judge_shown, question
from evalharness.resolve import resolve
from evalharness.stages.answers import Answers
from evalharness.stages.asking import Desk
from evalharness.stages.bench import Table
from evalharness.stages.engines import Engines
from evalharness.stages.generate import UNKNOWN, generate, missing
from evalharness.stages.judge import judge
from evalharness.stages.load import load_samples
from evalharness.stages.review import review
from evalharness.stages.silent import Silent
from evalharness.stages.stream import Stop
from evalharness.store import CompletionRow, GameRow, Journal, ReviewRow, SampleRow
from evalharness.types import Event, Message, Request, Sample

# Of our prompts in 23 languages Gemma 3's tokenizer makes tokens of 3.0 (Czech), 4.1 (English) to 8.6 bytes (Hindi).
BYTES_A_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One stage before one engine: ``requests`` in all, of which ``reused`` are answered in the journal.

    ``at_most`` says that games, or later turns of conversations, are among them whose earlier answers are not there yet: those
    that a candidate fails, and those with equal answers, will be fewer. For a judge ``games`` counts all its games (or the
    single answers it scores), ``decided`` those that need no judge.

    ``tokens_in`` is an estimate, from bytes and without what a chat template adds, of what the model would read;
    ``tokens_out`` the most it may write. ``cost`` is what both come to in US dollars, ``None`` where the entry has no price.
    """

    stage: str
    subject: str
    backend: str
    requests: int
    reused: int
    at_most: bool = False
    games: int | None = None
    decided: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would come to. ``prompts`` are distinct ids; ``samples`` counts them in every language.

    ``loads`` names the engines that would be loaded, in order, as ``backend:path``.
    """

    name: str
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    languages: int
    prompts: int
    samples: int
    steps: tuple[Step, ...]
    loads: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Tally:
    """What an engine would be asked: bytes to ``read``, tokens that may be ``written``."""

    read: int = 0
    written: int = 0

    def add(self, request: Request) -> None:
        """Count ``request``."""
        prompt = request.messages if request.text is None else request.text
        self.count(_bytes(prompt or ""), (request.sampling.max_tokens or 0) if request.kind == "generate" else 1)

    def count(self, read: int, written: int) -> None:
        """Add one request."""
        self.read += read
        self.written += written

    def taken(self) -> tuple[int, int]:
        """Return the tokens read and written since this was asked last."""
        counts = (ceil(self.read / BYTES_A_TOKEN), self.written)
        self.read = self.written = 0
        return counts


def dry_run(ask: Ask, root: Path, *, judged: bool = True) -> Forecast:
    """Return what ``ask`` would come to in the results folder ``root``; data sets are read, and weights fetched, if need be.

    Without ``judged`` only the completions are looked at. Raises what a run raises before it asks.
    """
    plan = resolve(ask)
    loaded = load_samples(plan, root, extend=False)
    events: list[Event] = []
    tally = _Tally()
    with Journal.looking(root) as journal, Engines(lambda engine: Silent(tally.add)) as engines:
        steps: list[Step] = []

        def generated(event: Event) -> None:
            _counted(steps, plan, tally)  # what the stage before this event asked
            steps.append(_completions(plan, event))

        completions = generate(Desk(journal, engines, generated, Stop()), plan, loaded.samples, lambda rows: None)
        _counted(steps, plan, tally)
        steps = _with_later_turns(plan, loaded.samples, journal, completions, steps)
        desk = Desk(journal, engines, events.append, Stop())
        rows = tuple(_row(number, sample) for number, sample in enumerate(loaded.samples))
        table = Table(loaded.samples, rows, Answers(journal, rows, completions, plan.thinking))
        benches = sorted(plan.benches if judged else (), key=lambda b: not engines.holds(b.player.engine))
        steps += [_games(desk, plan, bench, table, events, tally) for bench in benches]
        loads = tuple(f"{engine.backend}:{engine.path}" for engine in engines.opened if BACKENDS[engine.backend].loads)
    return Forecast(
        plan.name, tuple(dict.fromkeys(task.task for task in plan.tasks)), tuple(p.name for p in plan.players),
        len({s.language for s in loaded.samples}), len({(s.task, s.prompt_id) for s in loaded.samples}),
        len(loaded.samples), tuple(steps), loads, plan.notes,
    )  # fmt: skip


def _completions(plan: Plan, event: Event) -> Step:
    backend = next(p.engine.backend for p in plan.players if p.name == event.subject.split(", ", maxsplit=1)[0])
    return Step(event.stage, event.subject, backend, event.total, event.reused)


def _with_later_turns(
    plan: Plan, samples: Sequence[Sample], journal: Journal, rows: Sequence[CompletionRow], steps: Sequence[Step]
) -> list[Step]:
    """Return ``steps`` with the turns that are asked once the answers before them are there, each as long as it may be."""
    answered = journal.answered([row.identity for row in rows])
    unknown = [row for row in missing(rows, answered) if row.identity == UNKNOWN]
    parts = [(f"turn {part + 1}", part) for part in sorted({row.part for row in unknown})]
    out: list[Step] = []
    for at, step in enumerate(steps):
        out.append(step)
        names = step.subject.split(", ")
        if any(later.subject == step.subject for later in steps[at + 1 :]):
            continue  # the last step of its engine
        for stage, part in parts:
            own = [row for row in unknown if row.part == part and row.model in names]
            if own:
                known = next((s for s in out if (s.stage, s.subject) == (stage, step.subject)), None)
                out = [other for other in out if other is not known]
                out.append(_later_turn(plan, samples, own, known or replace(step, stage=stage, requests=0, reused=0)))
    return out


def _later_turn(plan: Plan, samples: Sequence[Sample], rows: Sequence[CompletionRow], step: Step) -> Step:
    """Return ``step`` with ``rows`` added, whose questions are not known yet."""
    tasks = {(task.task, language.code): task for task, language in plan.languages()}
    players = {player.name: player for player in plan.players}
    tally = _Tally()
    for row in rows:
        sample, player = samples[row.sample], players[row.model]
        written = plan.allowed(tasks[sample.task, sample.language], player, sample.category).max_tokens or 0
        asked = (*(message.content for message in sample.messages), *sample.turns[: row.part])
        tally.count(_bytes("".join(asked)) + BYTES_A_TOKEN * written * row.part, written)
    counted = _priced(step, players[rows[0].model], *tally.taken())
    before = step if step.requests else replace(step, tokens_in=0, tokens_out=0, cost=None)
    cost = counted.cost if counted.cost is None or before.cost is None else counted.cost + before.cost
    return replace(
        counted, requests=before.requests + len(rows), at_most=True, cost=cost,
        tokens_in=counted.tokens_in + before.tokens_in, tokens_out=counted.tokens_out + before.tokens_out,
    )  # fmt: skip


def _counted(steps: list[Step], plan: Plan, tally: _Tally) -> None:
    """Give the last step the tokens that were counted since."""
    if not steps:
        return
    names = steps[-1].subject.split(", ")
    player = next(player for player in plan.players if player.name == names[0])
    steps[-1] = _priced(steps[-1], player, *tally.taken())


def _priced(step: Step, player: Player, tokens_in: int, tokens_out: int) -> Step:
    price = player.spec.price
    cost = None if price is None else (tokens_in * price.input + tokens_out * price.output) / 1e6
    return replace(step, tokens_in=tokens_in, tokens_out=tokens_out, cost=cost)


def _games(desk: Desk, plan: Plan, bench: Bench, table: Table, events: list[Event], tally: _Tally) -> Step:
    games: list[GameRow | ReviewRow] = []
    events.clear()
    if bench.spec.compare == "single":
        review(desk, plan.players, bench, table, games.extend)
    else:
        judge(desk, plan, bench, table, lambda number, rows: games.extend(rows))
    known = next((event for event in events if event.stage == "judge"), None)
    later = sum(game.status == "no_answer" for game in games)
    decided = sum(game.decided is not None for game in games)
    if later:
        desk.engines.get(bench.player.engine)
        _count_later(plan, bench, table, games, tally)
    total, reused = (known.total, known.reused) if known else (0, 0)
    backend = bench.player.engine.backend
    step = Step("judge", bench.name, backend, total + later, reused, bool(later), len(games), decided)
    return _priced(step, bench.player, *tally.taken())


def _count_later(plan: Plan, bench: Bench, table: Table, games: list[GameRow | ReviewRow], tally: _Tally) -> None:
    """Count the games whose answers are not there yet, each answer as long as it may be."""
    tasks = {(task.task, language.code): task for task, language in plan.languages()}
    players = {player.name: player for player in plan.players}
    written = 1 if bench.spec.verdict.kind == "logprob" else bench.sampling.max_tokens or 0
    around = cache(lambda number: _bytes(_without_answers(bench, table, number)))
    for row in games:
        if row.status != "no_answer":
            continue
        sample = table.samples[row.sample]
        task = tasks[sample.task, sample.language]
        names = [row.game.model_a, row.game.model_b] if isinstance(row, GameRow) else [row.model]
        longest = sum(plan.sampling(task, players[name], sample.category).max_tokens or 0 for name in names)
        answers = longest * (1 + len(sample.turns))
        tally.count(around(row.sample) + BYTES_A_TOKEN * answers, written)


def _without_answers(bench: Bench, table: Table, number: int) -> tuple[Message, ...] | str:
    """Return what the judge reads of a sample besides the answers."""
    sample, prompt = table.samples[number], table.rows[number].prompt
    asked: Duel | Single = Duel(prompt, "", "", sample.language, sample.reference)
    if bench.spec.compare == "single":
        asked = Single(prompt, "", sample.language, sample.reference)
    return judge_shown(bench.spec, asked, "", bench.player.format(bench.spec.format))


def _bytes(prompt: tuple[Message, ...] | str) -> int:
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _row(number: int, sample: Sample) -> SampleRow:
    shown = question(sample)
    return SampleRow(number, sample.task, sample.version, sample.prompt_id, sample.language, sample.category, shown)


def lines(forecast: Forecast) -> Iterator[str]:
    """Yield the forecast as people read it."""
    yield f"run       {forecast.name}"
    models = f"{len(forecast.models)} models"
    yield f"prompts   {forecast.prompts:,} in {forecast.languages} languages: {forecast.samples:,} samples, {models}"
    for step in forecast.steps:
        ask = step.requests - step.reused
        most = "at most " if step.at_most else ""
        about = f", {step.games:,} games ({step.decided:,} decided without the judge)" if step.games is not None else ""
        yield f"{step.stage.ljust(9)} {step.subject} ({step.backend}): {most}{ask:,} to ask, {step.reused:,} reused{about}"
        if ask:
            cost = "" if step.cost is None else f": about {step.cost:,.2f} dollars"
            yield f"{'':9} about {step.tokens_in:,} tokens read, at most {step.tokens_out:,} written{cost}"
    costs = [step.cost for step in forecast.steps if step.requests > step.reused and step.backend != "replay"]
    known = [cost for cost in costs if cost is not None]
    if known:
        others = f"; steps without a price: {len(costs) - len(known)}" if len(known) < len(costs) else ""
        yield f"cost      about {sum(known):,.2f} dollars{others}"
    yield f"loads     {len(forecast.loads)}: {', '.join(forecast.loads)}" if forecast.loads else "loads     none"
    yield "nothing was asked, nothing was written"
