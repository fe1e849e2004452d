"""What a run would still ask of one API model in, files in OpenAI's batch format out; their output files in the journal.

The stages do the work, before engines that answer nothing and keep what they are asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

from evalharness.backends.openai import batch
from evalharness.backends.openai.entry import Endpoint, endpoint
from evalharness.backends.openai.faults import ItemError
from evalharness.backends.openai.scrub import Scrub
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.files import write_bytes
from evalharness.plan import Ask, Bench, Plan, Player, command
from evalharness.resolve import resolve
from evalharness.stages.answers import Answers
from evalharness.stages.asking import Desk
from evalharness.stages.begin import begin
from evalharness.stages.bench import Table
from evalharness.stages.engines import Engines
from evalharness.stages.generate import generate, missing
from evalharness.stages.judge import judge
from evalharness.stages.load import Loaded, load_samples
from evalharness.stages.review import review
from evalharness.stages.silent import Silent
from evalharness.stages.stream import Stop
from evalharness.store import CompletionRow, GameRow, Journal, ReviewRow, Runs, held
from evalharness.types import Engine, Event, Request

Keep = Callable[[Request], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written for ``model`` of ``run``: ``requests`` of a ``stage`` (generate, judge) in ``files``.

    ``unaskable`` counts requests that the endpoint cannot be asked, by the reason; a run says the same of them.
    """

    run: str
    model: str
    stage: str
    requests: int
    files: tuple[str, ...]
    unaskable: dict[str, int]


@dataclass(slots=True)
class Taken:
    """What the output files of a batch held: ``stored`` answers, ``known`` ones (answered before), ``failed`` requests.

    ``unknown`` lines are of no request of the run; ``left_out`` are the places (``file:line``) of lines that are broken.
    """

    run: str
    lines: int = 0
    stored: int = 0
    known: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every line was an answer."""
        return not (self.failed or self.unknown or self.left_out)


class _Files:
    """The numbered files of an export, each at most as large as OpenAI takes; each is written at once."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines: list[bytes] = []
        self._bytes = 0
        self.written: list[Path] = []

    def add(self, line: bytes) -> None:
        if len(self._lines) >= batch.MOST_REQUESTS or self._bytes + len(line) > batch.MOST_BYTES:
            self.flush()
        self._lines.append(line)
        self._bytes += len(line)

    def flush(self) -> None:
        if not self._lines:
            return
        out, number = self._out, len(self.written) + 1
        there = sorted(out.parent.glob(f"{escape(out.stem)}-[0-9]*{escape(out.suffix)}"))
        if number == 1 and there:
            raise UsageError(f"{there[0]}: is there already, and may be of another batch; name other files with --out")
        self.written.append(out.with_stem(f"{out.stem}-{number}"))
        write_bytes(self.written[-1], b"".join(self._lines))
        self._lines, self._bytes = [], 0


def export(ask: Ask, root: Path, model: str, out: Path) -> Exported:
    """Write what ``ask`` would still have to ask of ``model`` to files named after ``out``, and note the run in ``root``.

    Its missing completions come first; where none is missing, what it is to judge, for which every completion must be
    there. Raises a UsageError where one is not, where ``out-1`` is there already, and for a model that is not behind an API.
    """
    plan = resolve(ask)
    player = _player(plan, model)
    place, files = endpoint(player.engine), _Files(out)
    counts, unaskable = Counter[str](), Counter[str]()

    def keep(request: Request) -> None:
        try:
            files.add(batch.line(place, request))
            counts["requests"] += 1
        except ItemError as error:
            unaskable[str(error)] += 1

    stage = "generate"
    with held(root), Journal.writing(root) as journal:
        loaded = load_samples(plan, root)
        begin(Runs(journal), plan, loaded)
        with _desk(journal, lambda engine: keep if engine.key == player.engine.key else None) as desk:
            completions = generate(desk, plan, loaded.samples, lambda rows: None)
            benches = [bench for bench in plan.benches if bench.player.engine.key == player.engine.key]
            if benches and not counts and not unaskable:
                stage = "judge"
                _check_complete(journal, plan, completions, root)
                _judge(desk, plan, benches, _table(journal, plan, loaded, completions))
    files.flush()
    return Exported(plan.name, model, stage, counts["requests"], tuple(map(str, files.written)), dict(unaskable))


def _player(plan: Plan, model: str) -> Player:
    players = {player.name: player for player in plan.everyone}
    if model not in players:
        raise NotInCatalog("model of this run", model, players)
    if players[model].engine.backend != "openai":
        raise UsageError(
            f"model {model} has the backend {players[model].engine.backend}; batch files are for models with the backend openai"
        )
    return players[model]


@contextmanager
def _desk(journal: Journal, keeper: Callable[[Engine], Keep | None]) -> Iterator[Desk]:
    """Give a desk at which what an engine is asked goes to its ``keeper``, or nowhere."""

    def unheard(event: Event) -> None: ...

    with Engines(lambda engine: Silent(keeper(engine))) as engines:
        yield Desk(journal, engines, unheard, Stop())


def _table(journal: Journal, plan: Plan, loaded: Loaded, completions: Sequence[CompletionRow]) -> Table:
    rows = tuple(Runs(journal).samples(plan.name))
    return Table(loaded.samples, rows, Answers(journal, rows, completions, plan.thinking))


def _judge(desk: Desk, plan: Plan, benches: Sequence[Bench], table: Table) -> list[GameRow | ReviewRow]:
    """Put everything to ``benches``; return the rows that say which request is which."""
    rows: list[GameRow | ReviewRow] = []
    for bench in benches:
        if bench.spec.compare == "single":
            review(desk, plan.players, bench, table, rows.extend)
        else:
            judge(desk, plan, bench, table, lambda number, games: rows.extend(games))
    return rows


def _check_complete(journal: Journal, plan: Plan, completions: Sequence[CompletionRow], root: Path) -> None:
    answered = journal.answered([row.identity for row in completions])
    left = Counter(row.model for row in missing(completions, answered))
    if left:
        models = ", ".join(f"{count:,} of {name}" for name, count in left.items())
        raise UsageError(
            f"a judge reads finished answers, and some are missing ({models}); "
            f"make them first: {command(plan.ask, 'generate')} --results {root}, or export theirs"
        )


def take(plan: Plan, root: Path, paths: Sequence[Path]) -> Taken:
    """Store the answers in the output files ``paths`` of batches of the stored run ``plan``, as if they had come directly.

    The first answer to a request stays; a failure is none, and is asked again by the run. Raises DataError for a file
    that cannot be read.
    """
    open_requests: dict[str, tuple[Request, Endpoint]] = {}

    def keeper(engine: Engine) -> Keep | None:
        if engine.backend != "openai":
            return None
        place = endpoint(engine)

        def keep(request: Request) -> None:
            bare = None if request.messages is None else ()  # what was shown is not needed to read the reply
            open_requests[request.id] = (replace(request, messages=bare), place)

        return keep

    with held(root), Journal.writing(root) as journal:
        loaded = load_samples(plan, root)
        with _desk(journal, keeper) as desk:
            completions = generate(desk, plan, loaded.samples, lambda rows: None)
            rows = _judge(desk, plan, plan.benches, _table(journal, plan, loaded, completions))
        known = {row.identity for row in completions}
        known |= {identity for row in rows for identity in (row.identity, row.repair) if identity}
        taken, failed = Taken(plan.name), dict[str, str]()
        scrubs = [Scrub(key) for key in {place.key for _, place in open_requests.values()}]
        for where, answer in _lines(paths, scrubs):
            taken.lines += 1
            identity = answer.get("custom_id") if answer is not None else None
            if answer is None or not isinstance(identity, str):
                taken.left_out.append(where)
            elif identity in open_requests:
                request, place = open_requests[identity]
                found = batch.result(place, request, answer)
                journal.put(found)
                if found.error is None:
                    taken.stored += 1
                    failed.pop(identity, None)
                    del open_requests[identity]
                else:
                    failed[identity] = found.error
            elif identity in known:
                taken.known += 1
            else:
                taken.unknown += 1
        taken.failed = dict(Counter(failed.values()))
    return taken


def _lines(paths: Sequence[Path], scrubs: Sequence[Scrub]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield every line with its place, ``file:line``; ``None`` for one that is no JSON object."""
    for path in paths:
        try:
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                for number, text in enumerate(file, start=1):
                    if text.strip():
                        for scrub in scrubs:
                            text = scrub.body(text)
                        yield f"{path}:{number}", _object(text)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
