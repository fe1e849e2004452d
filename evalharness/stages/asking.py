"""What generating and judging share: find what is missing, ask it engine by engine, store every answer as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from evalharness.errors import BudgetReached, Interrupted
from evalharness.stages.budget import Budget
from evalharness.stages.engines import Engines
from evalharness.stages.pace import Watch
from evalharness.stages.schedule import Need, schedule
from evalharness.stages.stream import Stop, drain
from evalharness.store import Journal
from evalharness.types import Engine, Event, Listener, Request, Result

LOADING_SECONDS = 1.0  # between two looks at what a loading engine does


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a stage works: the journal it writes, the engines it may use, who listens, the order to stop, the money."""

    journal: Journal
    engines: Engines
    listen: Listener
    stop: Stop
    budget: Budget | None = None

    def pay(self, engine: Engine, result: Result) -> None:
        """Take what ``result`` cost out of the budget; where that is spent, nothing new is asked."""
        if self.budget is not None:
            self.budget.take(engine, result)
            if self.budget.reached:
                self.stop.set()

    def check(self, missing: int) -> None:
        """Raise BudgetReached or Interrupted where nothing more may be asked, of which ``missing`` requests are left.

        Money that is spent stops nothing that is complete.
        """
        if self.budget is not None and self.budget.reached:
            if missing:
                raise BudgetReached(self.budget.limit, self.budget.spent)
            return
        if self.stop.is_set():
            raise Interrupted(self.stop.signal)


def ask(
    desk: Desk, stage: str, subject: str, engine: Engine, needs: Sequence[Need], request: Callable[[int], Request]
) -> None:
    """Ask ``engine`` for every need that the journal does not answer; ``request`` makes the one at a position of the plan.

    The request carries no batch number yet. Nothing is loaded when nothing is missing. Raises what ``Desk.check`` does.
    """
    identities = list(dict.fromkeys(need.identity for need in needs))
    answered = desk.journal.answered(identities)
    total, done = len(identities), len(answered)
    loading = "" if done == total or desk.engines.holds(engine) else "loading"
    desk.listen(Event(stage, subject, done, total, reused=done, note=loading))
    if done == total:
        return
    desk.check(total - done)
    backend = desk.engines.get(engine)
    turns = schedule(needs, answered, dict(engine.options).get("batch_size"))
    watch = Watch(engine, backend)

    def requests() -> Iterator[Request]:
        for turn in turns:
            asked = replace(request(turn.position), batch=turn.batch, rendering=engine.rendering)
            watch.kind = asked.kind
            yield asked

    reused, tokens, errors, told = done, 0, 0, 0.0

    def tick() -> None:
        nonlocal told
        desk.journal.tick()
        watch.look()
        if (now := time.monotonic()) - told < LOADING_SECONDS:
            return
        told = now
        if (doing := getattr(backend, "loading", None)) is not None:  # of an engine in a process of its own
            desk.listen(Event(stage, subject, done, total, reused, note=f"loading: {doing}"))

    for result in drain(backend, requests(), desk.stop, tick):
        watch.take(result)
        if result.id in answered:  # its batch was run whole again; the stored answer stays
            continue
        desk.journal.put(result)
        desk.pay(engine, result)
        done += 1
        tokens += result.tokens_out or 0
        errors += result.error is not None
        desk.listen(Event(stage, subject, done, total, reused, tokens, errors))
    desk.journal.flush()
    watch.note(desk.journal)
    if deaths := getattr(backend, "deaths", ()):  # of replicas, whose requests the others took over
        first = deaths[0].splitlines()[0]
        desk.listen(
            Event(stage, subject, done, total, reused, tokens, errors, f"replicas that died: {len(deaths)}; {first}")
        )
    desk.check(total - done)
