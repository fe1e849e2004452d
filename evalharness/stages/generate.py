"""A plan and its samples in, every model's completions and likelihoods in the journal out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evalharness.plan import Plan
from evalharness.stages.asking import Desk, ask
from evalharness.stages.questions import Question, manner, questions
from evalharness.stages.schedule import Need
from evalharness.store import CompletionRow
from evalharness.types import Engine, Request, Sample


def generate(
    desk: Desk, plan: Plan, samples: Sequence[Sample], store: Callable[[list[CompletionRow]], None]
) -> list[CompletionRow]:
    """Have every model answer every sample; return which request answers what, in the plan's order.

    ``store`` takes the same before anything is asked, so that a run can be reported as far as it got. Engine by engine:
    one that also judges comes last, so that it is still loaded when the judging begins.
    """
    manners = {
        (task.task, language.code, player.name): manner(plan, task, player)
        for task, language in plan.languages()
        for player in plan.players
    }
    places: list[tuple[int, int, int]] = []  # sample, model, number of the question
    rows: list[CompletionRow] = []

    def asked(sample: int, player: int) -> list[Question]:
        own, model = samples[sample], plan.players[player]
        return list(questions(own, manners[own.task, own.language, model.name], model.spec.system))

    def request(position: int) -> Request:
        sample, player, number = places[position]
        return asked(sample, player)[number].request(rows[position].identity, samples[sample])

    needs: dict[tuple[Any, ...], list[Need]] = {}
    for i, sample in enumerate(samples):
        for j, player in enumerate(plan.players):
            for number, question in enumerate(asked(i, j)):
                identity = question.identity(sample, player)
                needs.setdefault(player.engine.key, []).append(
                    Need(len(rows), identity, question.length, question.kind)
                )
                places.append((i, j, number))
                rows.append(CompletionRow(i, player.name, question.repeat, identity, question.part))
    store(rows)
    for engine in engines_in_order(plan):
        names = ", ".join(player.name for player in plan.players if player.engine.key == engine.key)
        ask(desk, "generate", names, engine, needs.get(engine.key, []), request)
    return rows


def engines_in_order(plan: Plan) -> list[Engine]:
    """Return the engines of the contestants, each once: those of one load together, those that also judge last."""
    engines = {player.engine.key: player.engine for player in plan.players}
    loads = list(dict.fromkeys(engine.load for engine in engines.values()))
    judging = {bench.player.engine.load for bench in plan.benches}
    return sorted(engines.values(), key=lambda engine: (engine.load in judging, loads.index(engine.load)))
