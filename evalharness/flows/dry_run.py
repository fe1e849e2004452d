"""An Ask in, what it would come to out: requests, reuse, games, loads, tokens, money; nobody is asked, nothing is written.

The stages do the work, before an engine that answers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from pathlib import Path

from evalharness.backends import BACKENDS
from evalharness.backends.counting import BYTES, Counter, counter
from evalharness.backends.hardware import hardware
from evalharness.backends.prices import price
from evalharness.flows.forecast import Forecast, Step
from evalharness.flows.tally import Tally, Tokens
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
from evalharness.store import CompletionRow, GameRow, Journal, ReviewRow, SampleRow, speed_of
from evalharness.text import fingerprint
from evalharness.types import Engine, Event, Kind, Message, Sample


def dry_run(ask: Ask, root: Path, *, judged: bool = True) -> Forecast:
    """Return what ``ask`` would come to in the results folder ``root``; data sets are read, and weights fetched, if need be.

    Without ``judged`` only the completions are looked at. Raises what a run raises before it asks.
    """
    plan = resolve(ask)
    loaded = load_samples(plan, root, extend=False)
    events: list[Event] = []
    tally = Tally()
    with Journal.looking(root) as journal, Engines(lambda engine: Silent(tally.add)) as engines:
        steps: list[Step] = []

        def generated(event: Event) -> None:
            _counted(steps, plan, tally, journal)  # what the stage before this event asked
            steps.append(_completions(plan, event))

        completions = generate(Desk(journal, engines, generated, Stop()), plan, loaded.samples, lambda rows: None)
        _counted(steps, plan, tally, journal)
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
    left = missing(rows, journal.answered([row.identity for row in rows]))
    unknown: dict[tuple[str, int], list[CompletionRow]] = {}
    for row in (row for row in left if row.identity == UNKNOWN):
        unknown.setdefault((row.model, row.part), []).append(row)
    out: list[Step] = []
    for at, step in enumerate(steps):
        out.append(step)
        if any(later.subject == step.subject for later in steps[at + 1 :]):
            continue  # later turns come after the last step of their engine
        names = step.subject.split(", ")
        for part in sorted({part for model, part in unknown if model in names}):
            own = [row for name in names for row in unknown.get((name, part), ())]
            later = Step(f"turn {part + 1}", step.subject, step.backend, len(own), 0, at_most=True)
            out.append(_later_turn(plan, samples, own, later, journal))
    return out


def _later_turn(
    plan: Plan, samples: Sequence[Sample], rows: Sequence[CompletionRow], step: Step, journal: Journal
) -> Step:
    """Return ``step`` with what ``rows``, whose questions are not known yet, come to."""
    tasks = {(task.task, language.code): task for task, language in plan.languages()}
    players = {player.name: player for player in plan.players}
    tally = Tally()
    for row in rows:
        sample, player = samples[row.sample], players[row.model]
        written = plan.allowed(tasks[sample.task, sample.language], player, sample.category).max_tokens or 0
        asked = (*(message.content for message in sample.messages), *sample.turns[: row.part])
        tally.count("".join(asked), written * row.part, written)
    return _told(step, players[rows[0].model], tally, journal, "generate")


def _counted(steps: list[Step], plan: Plan, tally: Tally, journal: Journal) -> None:
    """Give the last step the tokens that were counted since."""
    if not steps:
        return
    names = steps[-1].subject.split(", ")
    player = next(player for player in plan.players if player.name == names[0])
    steps[-1] = _told(steps[-1], player, tally, journal, "generate")


def _told(step: Step, player: Player, tally: Tally, journal: Journal, kind: Kind) -> Step:
    """Return ``step`` with what it comes to: tokens, money, time, bytes."""
    if not step.asked or step.backend == "replay":
        tally.taken(BYTES)
        return step
    tokens, said = tally.taken(_counter(player.engine)), price(player.spec, player.engine)
    requests = max(1, tokens.requests)
    cost = None if said is None else requests * said.of(tokens.read / requests, tokens.written / requests)
    seconds, basis = _seconds(player, tokens, journal, kind)
    cards = BACKENDS[step.backend].cards(player.engine)
    return replace(
        step, tokens_in=tokens.read, tokens_out=tokens.written, counted=tokens.how, sampled=tokens.sampled, cost=cost,
        price=None if said is None else said.source, seconds=seconds, basis=basis,
        gpu_hours=None if seconds is None or not BACKENDS[step.backend].loads else seconds / 3600 * cards,
        bytes_out=ceil(tokens.written * tokens.bytes_a_token) if kind == "generate" else 0,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _counter(engine: Engine) -> Counter:
    return counter(engine)


def _seconds(player: Player, tokens: Tokens, journal: Journal, kind: Kind) -> tuple[float | None, str | None]:
    """Return the seconds that the engine takes for ``tokens``, and what they rest on.

    Where texts are generated, the time goes by what is written (what is read was in the measured time, too), else by what
    is read. ``tokens_per_second`` of the entry wins over what was measured. Servers elsewhere have no time of their own.
    """
    if kind == "generate" and (said := player.spec.tokens_per_second) is not None:
        return tokens.written / said, f"{said:,.1f} tokens a second: tokens_per_second of the entry"
    if not BACKENDS[player.engine.backend].loads:
        return None, None
    speed = speed_of(journal, fingerprint(player.engine.pace), hardware(), kind)
    if speed is None:
        return None, "no run of this engine, with these settings, on such a machine yet"
    done, wanted = (speed.tokens_out, tokens.written) if kind == "generate" else (speed.tokens_in, tokens.read)
    if not done:
        return None, "its runs on such a machine counted no tokens"
    what = "written" if kind == "generate" else "read"
    rate = done / speed.seconds
    return (
        wanted / rate,
        f"{rate:,.1f} tokens {what} a second, measured over {speed.requests:,} requests on such a machine",
    )


def _games(desk: Desk, plan: Plan, bench: Bench, table: Table, events: list[Event], tally: Tally) -> Step:
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
    return _told(
        step,
        bench.player,
        tally,
        desk.journal,
        "label_logprobs" if bench.spec.verdict.kind == "logprob" else "generate",
    )


def _count_later(plan: Plan, bench: Bench, table: Table, games: list[GameRow | ReviewRow], tally: Tally) -> None:
    """Count the games whose answers are not there yet, each answer as long as it may be."""
    tasks = {(task.task, language.code): task for task, language in plan.languages()}
    players = {player.name: player for player in plan.players}
    written = 1 if bench.spec.verdict.kind == "logprob" else bench.sampling.max_tokens or 0
    around = lru_cache(maxsize=1)(lambda number: _without_answers(bench, table, number))
    for row in games:
        if row.status != "no_answer":
            continue
        sample = table.samples[row.sample]
        task = tasks[sample.task, sample.language]
        names = [row.game.model_a, row.game.model_b] if isinstance(row, GameRow) else [row.model]
        longest = sum(plan.sampling(task, players[name], sample.category).max_tokens or 0 for name in names)
        tally.count(around(row.sample), longest * (1 + len(sample.turns)), written)


def _without_answers(bench: Bench, table: Table, number: int) -> tuple[Message, ...] | str:
    """Return what the judge reads of a sample besides the answers."""
    sample, prompt = table.samples[number], table.rows[number].prompt
    asked: Duel | Single = Duel(prompt, "", "", sample.language, sample.reference)
    if bench.spec.compare == "single":
        asked = Single(prompt, "", sample.language, sample.reference)
    return judge_shown(bench.spec, asked, "", bench.player.format(bench.spec.format))


def _row(number: int, sample: Sample) -> SampleRow:
    shown = question(sample)
    return SampleRow(number, sample.task, sample.version, sample.prompt_id, sample.language, sample.category, shown)
