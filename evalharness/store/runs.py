"""What a run is made of: its plan, samples, completions, games and reviews in, the same rows out, joined with their results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from evalharness.errors import NotInCatalog
from evalharness.store.journal import Journal, decoded, text_hash
from evalharness.types import Game, Sample, Target


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run: ``ask`` is what the user asked for, ``plan`` what it was resolved to, ``facts`` what was met on the way."""

    name: str
    plan_hash: str
    ask: dict[str, Any]
    plan: dict[str, Any]
    facts: dict[str, Any]
    created: str
    finished: str | None


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A sample as stored: its place in the plan, the prompt as people read it, and what is right where that is known."""

    position: int
    task: str
    version: str
    prompt_id: str
    language: str
    category: str | None
    prompt: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """Which request answers sample number ``sample`` for ``model``.

    ``part`` numbers the requests of one answer: the contexts of a choice, the turns of a conversation. The identity of a turn
    is empty as long as the answers before it are not there.
    """

    sample: int
    model: str
    repeat: int
    identity: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class GameRow:
    """A game as stored; ``identity`` is its request, ``repair`` the second one; both ``None`` where nobody was asked.

    ``decided`` is model a's score where a candidate failed; ``status`` names why nobody was asked.
    """

    sample: int
    game: Game
    identity: str | None
    repair: str | None
    decided: float | None
    status: str | None


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One answer before a judge of single answers, as stored; the request fields are as in a GameRow.

    ``decided`` is the score of an answer that failed, for which nobody was asked.
    """

    judge: str
    sample: int
    model: str
    identity: str | None
    repair: str | None
    decided: float | None
    status: str | None


class Runs:
    """The tables of runs in a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._db = journal.connection

    def names(self) -> list[str]:
        """Return the names of all runs, newest first."""
        return [row[0] for row in self._db.execute("SELECT name FROM runs ORDER BY created DESC, name")]

    def find(self, name: str) -> RunRow | None:
        """Return the run ``name``, or ``None``."""
        row = self._db.execute("SELECT * FROM runs WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        return RunRow(row[0], row[1], json.loads(row[2]), json.loads(row[3]), json.loads(row[4]), row[5], row[6])

    def get(self, name: str) -> RunRow:
        """Return the run ``name``, or raise NotInCatalog."""
        if (run := self.find(name)) is None:
            raise NotInCatalog("run", name, self.names(), str(self.journal.root))
        return run

    def begin(self, run: RunRow, samples: Iterable[Sample], prompts: Iterable[str]) -> None:
        """Store ``run`` and its samples, in one transaction; the samples' ``prompts`` are the texts people read."""
        rows, texts = [], []
        for i, (s, prompt) in enumerate(zip(samples, prompts, strict=True)):
            target = None if s.target is None else _json(asdict(s.target))
            hashes = (text_hash(prompt), None if target is None else text_hash(target))
            rows.append((run.name, i, s.task, s.version, s.prompt_id, s.language, s.category, *hashes))
            texts += [prompt] if target is None else [prompt, target]
        with self._db:
            self._db.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?,NULL) ON CONFLICT (name) DO UPDATE SET ask=excluded.ask, "
                "plan=excluded.plan, facts=excluded.facts, plan_hash=excluded.plan_hash",
                (run.name, run.plan_hash, _json(run.ask), _json(run.plan), _json(run.facts), run.created),
            )
            self.journal.add_texts(texts)
            self._db.execute("DELETE FROM samples WHERE run = ?", (run.name,))
            self._db.executemany("INSERT INTO samples VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def rescore(self, run: RunRow, targets: Iterable[tuple[int, Target | None]]) -> None:
        """Store another plan for ``run``, and the targets of its samples by position, in one transaction."""
        texts = [(position, None if target is None else _json(asdict(target))) for position, target in targets]
        with self._db:
            self._db.execute("UPDATE runs SET plan = ? WHERE name = ?", (_json(run.plan), run.name))
            self.journal.add_texts(text for _, text in texts if text is not None)
            self._db.executemany(
                "UPDATE samples SET target = ? WHERE run = ? AND position = ?",
                ((None if text is None else text_hash(text), run.name, position) for position, text in texts),
            )

    def finish(self, name: str, when: str) -> None:
        """Note when the run was finished first."""
        with self._db:
            self._db.execute("UPDATE runs SET finished = coalesce(finished, ?) WHERE name = ?", (when, name))

    def put_completions(self, run: str, rows: Iterable[CompletionRow]) -> None:
        """Store which requests answer the run's samples, in the plan's order; replaces what was there."""
        with self._db:
            self._db.execute("DELETE FROM completions WHERE run = ?", (run,))
            self._db.executemany(
                "INSERT INTO completions VALUES (?,?,?,?,?,?,?)",
                ((run, i, r.sample, r.model, r.repeat, bytes.fromhex(r.identity), r.part) for i, r in enumerate(rows)),
            )

    def put_games(self, run: str, judge: str, number: int, rows: Iterable[GameRow]) -> None:
        """Store the games of round ``number`` of ``judge``; replaces what was there."""
        with self._db:
            self._db.execute("DELETE FROM games WHERE run = ? AND judge = ? AND round = ?", (run, judge, number))
            self._db.executemany(
                "INSERT INTO games VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    (run, judge, number, i, r.sample, r.game.game_id, r.game.match_id, r.game.model_a, r.game.model_b,
                     r.game.order, r.game.judge_repeat, _bytes(r.identity), _bytes(r.repair), r.decided, r.status)
                    for i, r in enumerate(rows)
                ),
            )  # fmt: skip

    def put_reviews(self, run: str, judge: str, rows: Iterable[ReviewRow]) -> None:
        """Store what ``judge`` scores one by one, in the plan's order; replaces what was there."""
        with self._db:
            self._db.execute("DELETE FROM reviews WHERE run = ? AND judge = ?", (run, judge))
            self._db.executemany(
                "INSERT INTO reviews VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    (run, judge, i, r.sample, r.model, _bytes(r.identity), _bytes(r.repair), r.decided, r.status)
                    for i, r in enumerate(rows)
                ),
            )

    def samples(self, run: str) -> Iterator[SampleRow]:
        """Yield the run's samples in order."""
        for position, task, version, prompt_id, language, category, body, target in self._db.execute(
            "SELECT s.position, s.task, s.version, s.prompt_id, s.language, s.category, t.body, r.body "
            "FROM samples s JOIN texts t ON t.hash = s.prompt LEFT JOIN texts r ON r.hash = s.target "
            "WHERE s.run = ? ORDER BY s.position", (run,)
        ):  # fmt: skip
            known = None if target is None else target_of(json.loads(decoded(target)))
            yield SampleRow(position, task, version, prompt_id, language, category, decoded(body), known)

    def completions(self, run: str) -> list[CompletionRow]:
        """Return which requests answer the run's samples, in order."""
        rows = self._db.execute(
            "SELECT sample, model, repeat, identity, part FROM completions WHERE run = ? ORDER BY position", (run,)
        )
        return [CompletionRow(sample, model, repeat, key.hex(), part) for sample, model, repeat, key, part in rows]

    def games(self, run: str) -> Iterator[GameRow]:
        """Yield the run's games, judge by judge and round by round, in order."""
        for row in self._db.execute(
            "SELECT g.judge, g.round, g.sample, g.game_id, g.match_id, g.model_a, g.model_b, g.shown, g.judge_repeat, "
            "g.identity, g.repair, g.decided, g.status, s.task, s.version, s.prompt_id, s.language, s.category "
            "FROM games g JOIN samples s ON s.run = g.run AND s.position = g.sample "
            "WHERE g.run = ? ORDER BY g.judge, g.round, g.position", (run,)
        ):  # fmt: skip
            judge, number, sample, game_id, match_id, a, b, shown, repeat, *asked = row
            identity, repair, decided, status, task, version, prompt_id, language, category = asked
            game = Game(
                game_id, match_id, number, task, version, prompt_id, language, category, a, b, shown, judge, repeat
            )
            yield GameRow(sample, game, _hex(identity), _hex(repair), decided, status)

    def reviews(self, run: str) -> Iterator[ReviewRow]:
        """Yield what the run's judges score one by one, judge by judge, in order."""
        for judge, sample, model, identity, repair, decided, status in self._db.execute(
            "SELECT judge, sample, model, identity, repair, decided, status FROM reviews WHERE run = ? "
            "ORDER BY judge, position", (run,)
        ):  # fmt: skip
            yield ReviewRow(judge, sample, model, _hex(identity), _hex(repair), decided, status)


def target_of(plain: dict[str, Any]) -> Target:
    """Return the target that ``asdict`` gave ``plain`` of."""
    values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in plain.items()}
    return Target(**values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _bytes(identity: str | None) -> bytes | None:
    return None if identity is None else bytes.fromhex(identity)


def _hex(identity: bytes | None) -> str | None:
    return None if identity is None else identity.hex()
