"""A plan and its samples in, every model's completions and likelihoods in the journal out; conversations turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from evalharness.plan import Plan
from evalharness.stages.answers import completion
from evalharness.stages.asking import Desk, ask
from evalharness.stages.questions import Question, manner, next_turn, questions
from evalharness.stages.schedule import Need
from evalharness.store import CompletionRow, Journal
from evalharness.types import Engine, Request, Sample

UNKNOWN = ""  # the identity of a later turn, as long as the answers before it are not there


def generate(
    desk: Desk, plan: Plan, samples: Sequence[Sample], store: Callable[[list[CompletionRow]], None]
) -> list[CompletionRow]:
    """Have every model answer every sample; return which request answers what, in the plan's order.

    ``store`` takes the same before anything is asked, so that a run can be reported as far as it got, and again when the
    questions of later turns are known. Engine by engine: its later turns are asked before the next engine is loaded; one
    that also judges comes last, so that it is still loaded when the judging begins.
    """
    work = _Work(plan, samples)
    for turn in range(1, work.turns):
        for engine in engines_in_order(plan):
            work.learn(desk.journal, engine, turn)
    store(work.rows)
    for engine in engines_in_order(plan):
        names = ", ".join(player.name for player in plan.players if player.engine.key == engine.key)
        ask(desk, "generate", names, engine, work.first.get(engine.key, []), work.request)
        for turn in range(1, work.turns):
            if needs := work.learn(desk.journal, engine, turn):
                store(work.rows)
                ask(desk, f"turn {turn + 1}", names, engine, needs, work.request)
    return work.rows


class _Work:
    """All questions of a plan: sample by sample, model by model, repeat by repeat; those of one answer stand together.

    ``first`` are the needs of each engine (by key) that depend on no answer; ``turns`` is the length of the longest
    conversation.
    """

    def __init__(self, plan: Plan, samples: Sequence[Sample]) -> None:
        self._plan, self._samples = plan, samples
        self._manners = {
            (task.task, language.code, player.name): manner(plan, task, language, player)
            for task, language in plan.languages()
            for player in plan.players
        }
        self.rows: list[CompletionRow] = []
        self.first: dict[tuple[Any, ...], list[Need]] = {}
        self.turns = 1 + max((len(sample.turns) for sample in samples), default=0)
        self._places: list[tuple[int, int, int]] = []  # sample, model, number of the first question
        self._later: dict[tuple[Any, ...], list[int]] = {}  # the rows of an engine's turn
        self._said: dict[int, tuple[str, ...]] = {}  # the answers before the question of a row
        for i in range(len(samples)):
            for j in range(len(plan.players)):
                for number, question in enumerate(self._first_questions(i, j)):
                    self._add(i, j, number, question)

    def _first_questions(self, sample: int, player: int) -> list[Question]:
        own, model = self._samples[sample], self._plan.players[player]
        return list(questions(own, self._manners[own.task, own.language, model.name], model.spec.system))

    def _add(self, i: int, j: int, number: int, question: Question) -> None:
        sample, player = self._samples[i], self._plan.players[j]
        need = Need(len(self.rows), question.identity(sample, player), question.length, question.kind)
        self.first.setdefault(player.engine.key, []).append(need)
        self._places.append((i, j, number))
        self.rows.append(CompletionRow(i, player.name, question.repeat, need.identity, question.part))
        for turn in range(1, 1 + len(sample.turns)):
            self._later.setdefault((player.engine.key, turn), []).append(len(self.rows))
            self._places.append((i, j, number))
            self.rows.append(CompletionRow(i, player.name, question.repeat, UNKNOWN, turn))

    def _question(self, position: int) -> Question:
        i, j, number = self._places[position]
        if (said := self._said.get(position)) is None:
            return self._first_questions(i, j)[number]
        sample, player = self._samples[i], self._plan.players[j]
        how = self._manners[sample.task, sample.language, player.name]
        return next_turn(sample, how, player.spec.system, said, self.rows[position].repeat)

    def request(self, position: int) -> Request:
        """Return the request of the row at ``position``."""
        sample = self._samples[self._places[position][0]]
        return self._question(position).request(self.rows[position].identity, sample)

    def learn(self, journal: Journal, engine: Engine, turn: int) -> list[Need]:
        """Return what ``engine`` is asked in ``turn`` (from 1, after the first), and write it into the rows.

        A turn before which an answer is missing, or failed, is not asked.
        """
        needs = []
        positions = self._later.get((engine.key, turn), [])
        before = {self.rows[at - back].identity for at in positions for back in range(1, turn + 1)} - {UNKNOWN}
        results = journal.results(sorted(before))
        for at in positions:
            i, j, _ = self._places[at]
            sample, player = self._samples[i], self._plan.players[j]
            earlier = [
                completion(sample, row, results.get(row.identity), player.spec.thinking)
                for row in self.rows[at - turn : at]
            ]
            if any(answer.error or answer.failure for answer in earlier):
                continue
            self._said[at] = tuple(answer.text for answer in earlier)
            question = self._question(at)
            identity = question.identity(sample, player)
            self.rows[at] = replace(self.rows[at], identity=identity)
            needs.append(Need(at, identity, question.length, question.kind))
        return needs


def missing(rows: Sequence[CompletionRow], answered: Collection[str]) -> Iterator[CompletionRow]:
    """Yield the rows of a plan that are not ``answered``, without the turns that a failed answer before them ended."""
    ended = False
    for at, row in enumerate(rows):
        if row.identity == UNKNOWN and rows[at - 1].identity != UNKNOWN:
            ended = rows[at - 1].identity in answered
        if row.identity not in answered and not (row.identity == UNKNOWN and ended):
            yield row


def engines_in_order(plan: Plan) -> list[Engine]:
    """Return the engines of the contestants, each once: those of one load together, those that also judge last."""
    engines = {player.engine.key: player.engine for player in plan.players}
    loads = list(dict.fromkeys(engine.load for engine in engines.values()))
    judging = {bench.player.engine.load for bench in plan.benches}
    return sorted(engines.values(), key=lambda engine: (engine.load in judging, loads.index(engine.load)))
