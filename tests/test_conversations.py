"""Conversations: every turn is asked with the answers before it, engine by engine, and judged as a whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import SpecError, UsageError
from evalharness.flows.batch import export
from evalharness.flows.dry_run import dry_run
from evalharness.plan import Ask
from evalharness.resolve import resolve
from evalharness.run import resume, run
from evalharness.store import Journal, Runs
from evalharness.types import Event, Sampling

ROOT = Path("results")
ROWS = [
    {"id": "tea", "kind": "writing", "said": ["Write a line about tea.", "Now about coffee.", "Which is shorter?"]},
    {"id": "sum", "kind": "math", "said": ["What is 2 + 3?", "And twice that?"]},
    {"id": "one", "kind": "other", "said": ["Say hello."]},
]
TASK = {
    "task": "talk", "version": "1", "description": "d", "prompts": {"origin": "native"}, "judge": "arena-hard",
    "dataset": {"path": "json", "data_files": "talk.jsonl"}, "languages": ["en"],
    "sample": {"id": "{{ row.id }}", "category": "{{ row.kind }}", "turns": {"expr": "row.said"}},
    "generate": {
        "by": "category", "writing": {"temperature": 0.7}, "math": {"max_tokens": 9},
        "default": {"temperature": 0, "max_tokens": 64},
    },
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_server: Any) -> Path:
    """A working folder with the task `talk` and models behind a server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_SECRET", "s")
    folder = tmp_path / "tasks"
    folder.mkdir()
    write(TASK)
    (folder / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    entry = {"backend": "openai", "base_url": api_server.url, "engine": {"max_retries": 1}}
    models = {name: {**entry, "path": path} for name, path in {"api": "good", "two": "other", "judge": "judge"}.items()}
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    return tmp_path


def write(task: dict[str, Any]) -> None:
    Path("tasks/talk.yaml").write_text(json.dumps(task), encoding="utf-8")


def replay(*rows: dict[str, Any]) -> None:
    """Write a file of completions of model `old`."""
    lines = [json.dumps({"language": "en", "model": "old", **row}) + "\n" for row in rows]
    Path("old.jsonl").write_text("".join(lines), encoding="utf-8")


def asking(*models: str) -> Ask:
    return Ask(models=models, tasks=("talk",), judge_model="judge")


def documents(name: str) -> dict[str, dict[str, Any]]:
    with gzip.open(ROOT / name / "samples.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["prompt_id"]: row for row in map(json.loads, lines)}


def test_each_turn_is_asked_with_the_answers_before_it(home: Path, api_server: Any) -> None:
    run(asking("api", "two"), ROOT, until="generate")
    asked = [entry["body"] for entry in api_server.log("good")]
    assert len(asked) == 3 + 2 + 1
    talks = [body["messages"] for body in asked]
    (last,) = (talk for talk in talks if talk[-1]["content"] == "Which is shorter?")
    assert [turn["role"] for turn in last] == ["user", "assistant"] * 2 + ["user"]
    assert [turn["content"] for turn in last[::2]] == ROWS[0]["said"]
    assert all(turn["content"].startswith("good says ") for turn in last[1::2])
    assert last[:3] in talks and last[:1] in talks, "what was said before stays as it was said"


def test_a_category_has_its_own_sampling_in_every_turn(home: Path, api_server: Any) -> None:
    run(asking("api", "two"), ROOT, until="generate")
    seen: dict[str, set[tuple[float, int]]] = {}
    for body in (entry["body"] for entry in api_server.log("good")):
        most = body.get("max_tokens") or body["max_completion_tokens"]
        seen.setdefault(body["messages"][0]["content"], set()).add((body["temperature"], most))
    assert seen == {"Write a line about tea.": {(0.7, 64)}, "What is 2 + 3?": {(0, 9)}, "Say hello.": {(0, 64)}}
    plan = resolve(asking("api", "two"))
    (task,) = plan.tasks
    assert task.generate == Sampling(temperature=0, max_tokens=64)
    hot = resolve(Ask(models=("api", "two"), tasks=("talk",), judge_model="judge", gen={"temperature": 0.7}))
    assert hot.hash != plan.hash
    assert hot.deviations(task, hot.players[0]) == ["temperature 0.7 (task: 0.0)"], "of writing it is none"
    write({**TASK, "generate": {**TASK["generate"], "writing": {"temperature": 0.8}}})
    assert resolve(asking("api", "two")).hash != plan.hash


def test_an_engine_finishes_its_conversations_before_the_next_one_begins(home: Path) -> None:
    events: list[Event] = []
    run(asking("api", "two"), ROOT, until="generate", listen=events.append)
    stages = list(dict.fromkeys((event.subject, event.stage) for event in events))
    assert stages == [(model, stage) for model in ("api", "two") for stage in ("generate", "turn 2", "turn 3")]


def test_people_and_judges_read_the_whole_conversation(home: Path, api_server: Any) -> None:
    name = run(asking("api", "two"), ROOT).name
    shown = documents(name)
    assert shown["tea"]["prompt"] == (
        "[turn 1]\nWrite a line about tea.\n\n[turn 2]\nNow about coffee.\n\n[turn 3]\nWhich is shorter?"
    )
    text = shown["tea"]["answers"]["api"]["text"]
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[turn 1]", "[turn 2]", "[turn 3]"]
    assert text.count("good says ") == 3 and shown["tea"]["answers"]["api"]["tokens"] == 9
    assert shown["one"]["prompt"] == "Say hello." and shown["one"]["answers"]["api"]["text"].startswith("good says ")
    games = [entry["body"]["messages"][-1]["content"] for entry in api_server.log("judge")]
    assert len(games) == 6 and sum(text in game for game in games) == 2
    assert json.loads((ROOT / name / "manifest.json").read_text())["requests"]["planned"] == 2 * 6 + 6


def test_nothing_is_asked_twice(home: Path, api_server: Any) -> None:
    name = run(asking("api", "two"), ROOT).name
    before = len(api_server.log())
    assert resume(name, ROOT).exit_code == 0
    assert len(api_server.log()) == before


def test_a_conversation_ends_where_an_answer_is_missing_or_failed(home: Path) -> None:
    replay(
        {"prompt_id": "tea", "text": "Tea is warm."},  # its second turn is missing
        {"prompt_id": "tea", "turn": 3, "text": "The first."},
        {"prompt_id": "sum", "text": " "},  # an empty answer: the model's own failure
        {"prompt_id": "sum", "turn": 2, "text": "10"},
        {"prompt_id": "one", "text": "Hello."},
    )
    outcome = run(asking("replay:old.jsonl", "api"), ROOT)
    old = {prompt: row["answers"]["old"] for prompt, row in documents(outcome.name).items()}
    assert "no completion for prompt tea (turn 2)" in old["tea"]["error"]
    assert (old["sum"]["failure"], old["sum"]["error"]) == ("empty", None)
    assert (old["one"]["text"], old["one"]["failure"]) == ("Hello.", None)
    assert outcome.exit_code == 3 and outcome.summary is not None
    with Journal.reading(ROOT) as journal:
        asked = [row.part for row in Runs(journal).completions(outcome.name) if row.model == "old" and row.identity]
    assert sorted(asked) == [0, 0, 0, 1], "of the three, one has a second turn, and none a third"
    again = dry_run(asking("replay:old.jsonl", "api"), ROOT)
    assert not any(step.at_most for step in again.steps if step.stage != "judge"), "what ended is not foretold"
    games = [game for row in documents(outcome.name).values() for game in row["games"]]
    assert sorted(game["status"] for game in games) == ["candidate_failure"] * 2 + ["no_answer"] * 2 + ["ok"] * 2


def test_turns_of_a_file_are_told_apart(home: Path) -> None:
    replay(*({"prompt_id": row["id"], "turn": at, "text": f"{row['id']} {at}"} for row in ROWS for at in (3, 2, 1)))
    outcome = run(asking("replay:old.jsonl", "api"), ROOT)
    assert documents(outcome.name)["sum"]["answers"]["old"]["text"] == "[turn 1]\nsum 1\n\n[turn 2]\nsum 2"
    replay({"prompt_id": "one", "text": "x", "turn": 0})
    with pytest.raises(UsageError, match=r"old\.jsonl:1: turn is 0; turns are counted from 1"):
        run(asking("replay:old.jsonl", "api"), ROOT)


def test_later_turns_are_foretold_as_at_most(home: Path) -> None:
    said = dry_run(asking("api", "two"), ROOT)
    steps = [(step.stage, step.subject, step.requests, step.at_most) for step in said.steps if step.stage != "judge"]
    assert steps == [
        (stage, model, number, stage != "generate")
        for model in ("api", "two") for stage, number in (("generate", 3), ("turn 2", 2), ("turn 3", 1))
    ]  # fmt: skip
    assert all(step.tokens_in and step.tokens_out for step in said.steps)
    longest = next(step for step in said.steps if step.stage == "turn 3")
    assert longest.tokens_out == 64 and longest.tokens_in >= 2 * 64
    run(asking("api", "two"), ROOT, until="generate")
    again = dry_run(asking("api", "two"), ROOT)
    assert not any(step.at_most for step in again.steps if step.stage != "judge")
    assert sum(step.requests - step.reused for step in again.steps if step.stage != "judge") == 0


def test_a_batch_holds_the_turns_that_can_be_asked(home: Path) -> None:
    first = export(asking("api", "two"), ROOT, "api", Path("a.jsonl"))
    assert (first.stage, first.requests) == ("generate", 3)
    name = run(asking("api", "two"), ROOT, until="generate").name
    with Journal.writing(ROOT) as journal, journal.connection:
        later = [(bytes.fromhex(row.identity),) for row in Runs(journal).completions(name) if row.part]
        journal.connection.executemany("DELETE FROM results WHERE identity = ?", later)
    second = export(asking("api", "two"), ROOT, "api", Path("b.jsonl"))
    assert (second.stage, second.requests) == ("generate", 2), "the third turn needs the answer to the second"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"generate": {"by": "language", "default": {}}},
            r"talk\.yaml:\d+: generate\.by: 'language' is not one of category",
        ),
        ({"generate": {"by": "category", "math": "category"}}, r"generate\.math: must hold keys and values"),
        ({"generate": {"by": "category", "math": {"temperature": -1}}}, r"generate\.math\.temperature: -1 must be 0"),
        ({"generate": {"by": "category", "math": {"heat": 1}}}, r"generate\.math\.heat: unknown key"),
        ({"sample": {"id": "{{ row.id }}", "turns": ["a"]}}, r"generate\.by: category is what sample\.category says"),
        ({"answer_prefix": "So:"}, r"answer_prefix: means nothing beside sample\.turns"),
    ],
)
def test_what_is_wrong_with_a_conversation_is_told(home: Path, changed: dict[str, Any], message: str) -> None:
    write({**TASK, **changed})
    with pytest.raises(SpecError, match=message):
        resolve(asking("api", "two"))
