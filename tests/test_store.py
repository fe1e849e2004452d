"""The journal: an answer once stored never changes, a fault is never an answer, and no death of a process takes either."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.errors import JournalError, Locked, NotInCatalog, UsageError
from evalharness.store import CompletionRow, GameRow, Journal, ReviewRow, RunRow, Runs, SampleRow, held
from evalharness.store.journal import COMMIT_RESULTS, COMMIT_SECONDS, FILE
from evalharness.store.lock import on_network
from evalharness.store.schema import VERSION
from evalharness.text import clean_text, sha256
from evalharness.types import Game, Message, Order, Result, Sample, Target


def identity(of: object) -> str:
    return sha256(str(of))[:32]


def answer(of: object, text: str = "text", **changed: Any) -> Result:
    return replace(Result(identity(of), text=text, tokens_in=3, tokens_out=5), **changed)


def fault(of: object, why: str = "connection reset") -> Result:
    return Result(identity(of), finish="error", error=why, transient=True)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.writing(tmp_path) as opened:
        yield opened


def stored(journal: Journal, *results: Result) -> dict[str, Result]:
    """Store ``results``, in one commit, and return all that is known of them."""
    for result in results:
        journal.put(result)
    journal.flush()
    return journal.results([result.id for result in results])


# --- results ---

RESULTS = [
    answer("plain"),
    answer("empty", ""),
    answer("none", None),  # type: ignore[arg-type]
    answer("long", "wort " * 50_000),
    answer("just below compression", "x" * 4095),
    answer("just at compression", "x" * 4096),
    answer("unicode", "Vie\u0323\u0302t עברית \u202e \U0001f469\u200d\U0001f467 \u2028 \ufeff \ufffe " * 300),
    answer("words that look like nothing", "null"),
    answer("cut", finish="length"),
    answer("unknown counts", tokens_in=None, tokens_out=None),
    answer("refused", None, finish="refused", error="content policy"),  # type: ignore[arg-type]
    answer("too long", None, finish="context", error="4096 tokens are too many"),  # type: ignore[arg-type]
    answer("probabilities", None, logprobs=(-0.1, -math.inf, -1e-300, -123.456789012345678)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: (result.text or result.finish)[:20])
def test_a_result_comes_back_as_it_was(journal: Journal, result: Result) -> None:
    assert stored(journal, result) == {result.id: result}
    assert journal.answered([result.id]) == {result.id}


def test_a_result_comes_back_from_the_disk(tmp_path: Path) -> None:
    with Journal.writing(tmp_path) as writing:
        for result in RESULTS:
            writing.put(result)
    with Journal.reading(tmp_path) as reading:
        assert reading.results([result.id for result in RESULTS]) == {result.id: result for result in RESULTS}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200).map(clean_text), st.integers(1, 80))
def test_any_clean_text_comes_back(journal: Journal, text: str, times: int) -> None:
    result = answer(text + str(times), text * times)
    assert stored(journal, result)[result.id] == result


def test_half_an_emoji_in_an_answer_loses_no_other_answer(journal: Journal) -> None:
    journal.put(answer(1, "half an emoji: \ud83d"))
    journal.put(answer(2, "whole"))
    journal.flush()
    found = journal.results([identity(1), identity(2)])
    assert [found[identity(n)].text for n in (1, 2)] == ["half an emoji: \ufffd", "whole"]


def test_a_stored_answer_never_changes(journal: Journal) -> None:
    first = answer("q", "first")
    stored(journal, first)
    for other in (
        answer("q", "second"),
        answer("q", "first", finish="length"),
        fault("q"),
        Result(first.id, finish="refused", error="no"),
    ):
        assert stored(journal, other) == {first.id: first}
    assert stored(journal, answer("p", "one"), answer("p", "two"))[identity("p")].text == "one"


def test_a_fault_of_ours_is_never_an_answer(journal: Journal) -> None:
    found = stored(journal, fault("q", "reset"))
    assert found == {identity("q"): fault("q", "reset")}
    assert journal.answered([identity("q")]) == set()
    assert stored(journal, fault("q", "timeout"))[identity("q")].error == "timeout"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("fault_first", [True, False])
def test_an_answer_takes_the_place_of_a_fault_and_never_the_other_way(
    journal: Journal, together: bool, fault_first: bool
) -> None:
    results = [fault("q"), answer("q")] if fault_first else [answer("q"), fault("q")]
    if together:
        stored(journal, *results)
    else:
        for result in results:
            stored(journal, result)
    assert journal.results([identity("q")]) == {identity("q"): answer("q")}
    assert journal.answered([identity("q")]) == {identity("q")}
    assert journal.connection.execute("SELECT count(*) FROM failures").fetchone() == (0,)


def test_what_was_refused_for_good_is_not_asked_again(journal: Journal) -> None:
    stored(journal, answer("q", None, finish="refused", error="content policy"))  # type: ignore[arg-type]
    assert journal.answered([identity("q")]) == {identity("q")}


def test_thousands_of_identities_can_be_asked_for_at_once(journal: Journal) -> None:
    results = [answer(i) for i in range(2500)]
    found = stored(journal, *results)
    assert len(found) == 2500
    unknown = [identity(f"never {i}") for i in range(1500)]
    assert journal.answered([*unknown, *found]) == set(found)
    assert journal.results(unknown) == {}
    assert journal.answered([]) == set()


# --- when it is on disk ---


def on_disk(root: Path) -> int:
    with sqlite3.connect(root / FILE) as other:
        count = int(other.execute("SELECT count(*) FROM results").fetchone()[0])
    other.close()
    return count


def test_results_are_on_disk_with_the_256th_that_waits(journal: Journal, tmp_path: Path) -> None:
    for i in range(COMMIT_RESULTS - 1):
        journal.put(answer(i))
    assert on_disk(tmp_path) == 0, "a commit for each would be slow"
    journal.put(answer("last"))
    assert on_disk(tmp_path) == COMMIT_RESULTS


def test_results_are_on_disk_half_a_second_after_the_first_that_waits(journal: Journal, tmp_path: Path) -> None:
    journal.put(answer(0))
    journal.tick()
    assert on_disk(tmp_path) == 0
    time.sleep(COMMIT_SECONDS)
    journal.tick()
    assert on_disk(tmp_path) == 1


def test_leaving_by_an_error_stores_what_waits(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Journal.writing(tmp_path) as journal:
        journal.put(answer(0))
        raise RuntimeError
    assert on_disk(tmp_path) == 1


WRITER = """
import sys, time, pathlib
from evalharness.store import Journal, held
from evalharness.text import sha256
from evalharness.types import Result
root = pathlib.Path(sys.argv[1])
with held(root), Journal.writing(root) as journal:
    for number in range(1_000_000):
        journal.put(Result(sha256(str(number))[:32], text=f"answer {number} " * 50))
        print(number, time.monotonic(), flush=True)
        time.sleep(0.002)
        journal.tick()
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def started(program: str, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


@pytest.mark.parametrize("network", ["0", "1"])
def test_kill_9_loses_at_most_what_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    monkeypatch.setitem(ENVIRONMENT, "EVALHARNESS_NETWORK_FS", network)
    writer = started(WRITER, tmp_path)
    assert writer.stdout is not None
    said: list[tuple[int, float]] = []
    begun = time.monotonic()
    while time.monotonic() - begun < 1.5:
        number, when = writer.stdout.readline().split()
        said.append((int(number), float(when)))
    killed = time.monotonic()
    writer.kill()
    rest, _ = writer.communicate()
    said += [
        (int(number), float(when))
        for number, when in (line.split() for line in rest.splitlines() if line.count(" ") == 1)
    ]
    with held(tmp_path), Journal.writing(tmp_path) as journal:
        found = journal.results([identity(number) for number, _ in said])
        assert journal.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    old = [number for number, when in said if when < killed - COMMIT_SECONDS - 0.2]
    assert len(old) > 50
    assert all(found[identity(number)].text == f"answer {number} " * 50 for number in old)


# --- one writer ---

HOLDER = """
import sys, time, pathlib
from evalharness.store import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    holder = started(HOLDER, tmp_path)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked) as refused, held(tmp_path):
            pytest.fail("two writers")
        assert refused.value.exit_code == 7
        assert f"{tmp_path} is being written by process {holder.pid} on {os.uname().nodename} since 20" in str(
            refused.value
        )
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with held(tmp_path):
            assert json.loads((tmp_path / "evalharness.lock").read_text(encoding="utf-8"))["pid"] == os.getpid()
    finally:
        holder.kill()
        holder.communicate()


def test_a_lock_is_free_again_after_its_block_and_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), held(tmp_path):
        raise RuntimeError
    with held(tmp_path), pytest.raises(Locked, match=rf"process {os.getpid()} "), held(tmp_path):
        pytest.fail("two writers")


def test_a_lock_whose_file_says_nothing_is_still_a_lock(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "evalharness.lock").write_text("torn", encoding="utf-8")
        with pytest.raises(Locked, match="is being written by another process; wait for it"), held(tmp_path):
            pytest.fail("two writers")


def test_readers_need_no_lock_and_see_what_is_committed(journal: Journal, tmp_path: Path) -> None:
    journal.put(answer(0))
    with held(tmp_path), Journal.reading(tmp_path) as reader:
        assert reader.results([identity(0)]) == {}
        journal.flush()
        assert reader.results([identity(0)]) == {identity(0): answer(0)}


def test_a_reader_cannot_write(journal: Journal, tmp_path: Path) -> None:
    with Journal.reading(tmp_path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        stored(reader, answer(0))


@pytest.mark.parametrize(("network", "mode"), [("0", "wal"), ("1", "delete")])
def test_a_network_file_system_gets_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, mode: str
) -> None:
    monkeypatch.setenv("EVALHARNESS_NETWORK_FS", network)
    assert on_network(tmp_path) == (network == "1")
    with Journal.writing(tmp_path) as journal:
        assert journal.connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert stored(journal, answer(0))
    with Journal.reading(tmp_path) as journal:
        assert journal.answered([identity(0)])


def test_a_local_disk_is_known_by_the_mount_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_NETWORK_FS", raising=False)
    assert not on_network(tmp_path)


# --- what cannot be opened ---


def test_a_folder_without_runs_says_how_to_start_one(tmp_path: Path) -> None:
    with (
        pytest.raises(
            UsageError, match=r"no runs in .*; start one with `evalharness run`, or name the folder with --results"
        ),
        Journal.reading(tmp_path),
    ):
        pytest.fail("there is no journal")


def test_a_journal_whose_writer_died_before_its_tables_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(UsageError, match="no runs in "), Journal.reading(tmp_path):
        pytest.fail("there are no tables")
    with Journal.writing(tmp_path) as journal:
        assert stored(journal, answer(0))


@pytest.mark.parametrize("opened", [Journal.writing, Journal.reading])
def test_a_journal_of_a_newer_program_is_left_alone(tmp_path: Path, opened: Any) -> None:
    with Journal.writing(tmp_path) as journal:
        stored(journal, answer(0))
        journal.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with (
        pytest.raises(
            JournalError, match=rf"newer evalharness .journal version {VERSION + 1}, this one knows {VERSION}.; upgrade"
        ),
        opened(tmp_path),
    ):
        pytest.fail("it cannot know these tables")
    assert on_disk(tmp_path) == 1


@pytest.mark.parametrize("opened", [Journal.writing, Journal.reading])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, opened: Any) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, " * 100)
    with pytest.raises(JournalError, match=f"{FILE}: cannot be opened: file is not a database"), opened(tmp_path):
        pytest.fail("it is no database")


def test_the_secret_is_drawn_once_a_journal_or_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = []
    for folder in ("a", "a", "b"):
        with Journal.writing(tmp_path / folder) as journal:
            secrets.append(journal.secret)
            assert journal.secret == secrets[-1]
    assert secrets[0] == secrets[1] != secrets[2]
    assert len(secrets[0]) == 64
    monkeypatch.setenv("EVALHARNESS_SECRET", "given")
    with Journal.writing(tmp_path / "c") as journal:
        assert journal.secret == b"given"


# --- runs ---

RUN = RunRow(
    "run",
    "hash",
    {"models": ["a"]},
    {"tasks": [{"name": "größe"}]},
    {"python": "3.11"},
    "2024-05-01T00:00:00+00:00",
    None,
)
SAMPLES = [
    Sample("t", "1", "p1", "de", (Message("user", "Was?"),), category="why"),
    Sample("t", "1", "p2", "de", (Message("user", "Wer?"),)),
    Sample("u", "2", "../p\n1", "fr", (Message("user", "Qui?"),), category=""),
]
PROMPTS = ["Was?", "long " * 5000, "Was?"]


@pytest.fixture
def runs(journal: Journal) -> Runs:
    begun = Runs(journal)
    begun.begin(RUN, SAMPLES, PROMPTS)
    return begun


def test_a_run_and_its_samples_come_back_as_they_were(runs: Runs) -> None:
    assert runs.get("run") == RUN
    assert list(runs.samples("run")) == [
        SampleRow(i, s.task, s.version, s.prompt_id, s.language, s.category, prompt)
        for i, (s, prompt) in enumerate(zip(SAMPLES, PROMPTS, strict=True))
    ]
    assert runs.journal.connection.execute("SELECT count(*) FROM texts").fetchone() == (2,), (
        "equal prompts are stored once"
    )


def test_what_is_right_comes_back_with_its_sample_and_can_be_told_anew(runs: Runs) -> None:
    target = Target(right=(1,), choices=("ja", "nein"), letters=("أ", "ب"), program=("a", "b"), language="de")
    runs.begin(RUN, [replace(SAMPLES[0], target=target), *SAMPLES[1:]], PROMPTS)
    assert [row.target for row in runs.samples("run")] == [target, None, None]
    runs.rescore(replace(RUN, plan={"tasks": []}), [(0, replace(target, right=(0,))), (1, target), (2, None)])
    assert [row.target for row in runs.samples("run")] == [replace(target, right=(0,)), target, None]
    assert runs.get("run").plan == {"tasks": []}


@pytest.mark.parametrize("opened", [Journal.writing, Journal.reading])
def test_a_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path, opened: Any) -> None:
    with Journal.writing(tmp_path) as journal:
        before = Runs(journal)
        before.begin(RUN, SAMPLES, PROMPTS)
        before.put_completions("run", [CompletionRow(0, "a", 0, identity(0))])
        stored(journal, answer(0))
        for step in ("samples DROP COLUMN target", "completions DROP COLUMN part"):
            journal.connection.execute(f"ALTER TABLE {step}")
        journal.connection.execute("PRAGMA user_version = 1")
    with opened(tmp_path) as journal:
        after = Runs(journal)
        assert [row.prompt_id for row in after.samples("run")] == [sample.prompt_id for sample in SAMPLES]
        assert after.completions("run") == [CompletionRow(0, "a", 0, identity(0))]
        assert journal.answered([identity(0)]) == {identity(0)}


def test_a_run_that_begins_again_keeps_its_beginning_and_takes_the_new_samples(runs: Runs) -> None:
    runs.finish("run", "2024-05-02")
    runs.begin(replace(RUN, created="2030-01-01", ask={"models": ["b"]}), SAMPLES[:1], PROMPTS[:1])
    again = runs.get("run")
    assert (again.created, again.finished, again.ask) == (RUN.created, "2024-05-02", {"models": ["b"]})
    assert len(list(runs.samples("run"))) == 1


def test_a_run_was_finished_when_it_was_finished_first(runs: Runs) -> None:
    runs.finish("run", "first")
    runs.finish("run", "second")
    assert runs.get("run").finished == "first"


def test_runs_are_listed_newest_first_and_an_unknown_one_names_the_nearest(runs: Runs) -> None:
    runs.begin(replace(RUN, name="older", created="2020-01-01"), [], [])
    runs.begin(replace(RUN, name="newer", created="2030-01-01"), [], [])
    assert runs.names() == ["newer", "run", "older"]
    assert runs.find("rum") is None
    with pytest.raises(NotInCatalog, match="no run named 'rum'; did you mean 'run'"):
        runs.get("rum")


def test_samples_and_prompts_that_do_not_match_store_nothing(journal: Journal) -> None:
    with pytest.raises(ValueError, match="zip"):
        Runs(journal).begin(RUN, SAMPLES, PROMPTS[:1])
    assert Runs(journal).names() == []


def test_completions_come_back_in_the_plans_order_and_are_replaced(runs: Runs) -> None:
    rows = [CompletionRow(sample, model, 0, identity((sample, model))) for sample in (0, 1) for model in ("b", "a")]
    runs.put_completions("run", rows)
    assert runs.completions("run") == rows
    runs.put_completions("run", rows[:1])
    assert runs.completions("run") == rows[:1]
    assert runs.completions("other") == []


def game(sample: int, order: Order, judge: str = "j/m", number: int = 0) -> Game:
    s = SAMPLES[sample]
    name = f"{sample}-{judge}-{number}"
    return Game(
        f"{name}-{order}", name, number, s.task, s.version, s.prompt_id, s.language, s.category, "a", "b", order, judge
    )


def test_games_come_back_judge_by_judge_and_round_by_round(runs: Runs) -> None:
    asked = GameRow(2, game(2, "ab"), identity("ask"), identity("repair"), None, None)
    failed = GameRow(0, game(0, "ba"), None, None, 0.5, "candidate_failure")
    missing = GameRow(1, game(1, "ab"), None, None, None, "no_answer")
    second = GameRow(0, game(0, "ab", number=1), identity("2"), None, None, None)
    other = GameRow(0, game(0, "ab", "a/m"), identity("o"), None, None, None)
    runs.put_games("run", "j/m", 1, [second])
    runs.put_games("run", "j/m", 0, [asked, failed, missing])
    runs.put_games("run", "a/m", 0, [other])
    assert list(runs.games("run")) == [other, asked, failed, missing, second]
    runs.put_games("run", "j/m", 0, [missing])
    assert list(runs.games("run")) == [other, missing, second], "a round is replaced, the others stay"
    assert list(runs.games("other")) == []


def test_reviews_come_back_as_they_were_judge_by_judge(journal: Journal) -> None:
    runs = Runs(journal)
    asked = ReviewRow("j/m", 0, "a", identity("1"), identity("2"), None, None)
    failed = ReviewRow("j/m", 0, "b", None, None, 1.0, "candidate_failure")
    missing = ReviewRow("j/m", 1, "a", None, None, None, "no_answer")
    other = ReviewRow("a/m", 0, "a", identity("o"), None, None, None)
    runs.put_reviews("run", "j/m", [asked, failed, missing])
    runs.put_reviews("run", "a/m", [other])
    assert list(runs.reviews("run")) == [other, asked, failed, missing]
    runs.put_reviews("run", "j/m", [missing])
    assert list(runs.reviews("run")) == [other, missing], "a judge's rows are replaced, the others' stay"
    assert list(runs.reviews("other")) == []


GROWTH = """
import hashlib, resource, sys
from pathlib import Path
from evalharness.store import Journal
from evalharness.types import Result

def write(journal, first, last):
    for i in range(first, last):
        journal.put(Result(hashlib.sha256(str(i).encode()).hexdigest()[:32], f"{i} " + "x y " * 375))
    journal.flush()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)

with Journal.writing(Path(sys.argv[1])) as journal:
    few = write(journal, 0, 12_000)
    print(write(journal, 12_000, 36_000) - few)
"""


def test_the_memory_of_a_journal_does_not_grow_with_what_it_holds(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 8  # megabytes, for 36 MB of texts more
