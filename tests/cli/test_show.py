"""`ls` and `show`: every kind, as text and as JSON; what a judge sees; the first sample of a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.ls import KINDS
from evalharness.cli.main import main
from evalharness.store import Journal, RunRow, Runs

PLAN = {"models": [{"name": "a"}, {"name": "b"}], "tasks": [{"task": "mini", "version": "1", "languages": ["de"]}]}
ASK = {"models": ["a", "b"], "tasks": ["mini[de]"], "limit": 2}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what a command prints."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return out


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the one JSON document that a command prints."""
    return json.loads(said(capsys, *arguments, "--json"))


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run in its journal."""
    monkeypatch.chdir(tmp_path)
    with Journal.writing(tmp_path / "results") as journal:
        Runs(journal).begin(RunRow("mini-1234", "h", ASK, PLAN, {}, "2026-01-01", None), [], [])
    return tmp_path


def test_ls_alone_lists_the_kinds_and_each_lists_something(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = said(capsys, "ls").split()
    assert kinds == list(KINDS) == document(capsys, "ls")
    for kind in kinds:
        rows = document(capsys, "ls", kind)
        assert rows and all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows), kind
        lines = said(capsys, "ls", kind).splitlines()
        assert len(lines) == len(rows) + 1 and lines[0].split() == list(rows[0]), kind


def test_backends_say_whether_they_load_weights(capsys: pytest.CaptureFixture[str]) -> None:
    loads = {row["backend"]: row["loads_weights"] for row in document(capsys, "ls", "backends")}
    assert loads["hf"] is True and loads["replay"] is False


def test_show_gives_each_kind_readable_and_as_json(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in {
        "m-arenahard-mini": "task: m-arenahard-mini", "arena-hard": "judge: arena-hard", "gemma-3-270m": "backend: hf",
        "mini-1234": "created: 2026-01-01",
    }.items():  # fmt: skip
        assert line in said(capsys, "show", name).splitlines()
        assert isinstance(document(capsys, "show", name), dict)
    brief = said(capsys, "show", "mini-1234")
    assert "command: evalharness run --models a,b --task 'mini[de]' --limit 2\n" in brief
    assert "tasks: mini v1 [de]\nmodels: a, b\n" in brief and "finished: not yet" in brief
    assert "languages: ar, cs, de, el" in said(capsys, "show", "m-arenahard-mini")


def test_a_judge_is_shown_as_it_reads_with_placeholders(capsys: pytest.CaptureFixture[str]) -> None:
    german = document(capsys, "show", "pairwise-logprob", "--language", "de")
    assert german["wording"] == "its own" and german["text"].startswith("Entscheide")
    for placeholder in ("‹question›", "‹answer_a›", "‹answer_b›", "‹nonce›"):
        assert placeholder in german["text"]
    swahili = document(capsys, "show", "arena-hard", "--language", "sw")
    assert swahili["wording"] == "default" and "in Swahili unless" in swahili["messages"][0]["content"]
    assert "‹answer_b›" in said(capsys, "show", "arena-hard", "--language", "sw")


def test_a_task_is_shown_by_its_first_sample_where_its_rows_are_here(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = document(capsys, "show", "m-arenahard-mini", "--language", "ar")
    assert sample["id"] == "mini-reasoning" and sample["messages"][0]["role"] == "user" and sample["raw"]
    monkeypatch.setenv("HF_HOME", str(stored / "hf"))
    absent = document(capsys, "show", "m-arenahard", "--language", "de")
    assert "not on this machine" in absent["note"] and "evalharness pin 'm-arenahard[de]'" in absent["note"]
    (stored / "tasks").mkdir()
    added = "extends: m-arenahard-mini\nlanguage: sw\ndataset: {path: json, data_files: sw.jsonl, split: train}\n"
    (stored / "tasks/m-arenahard-mini.sw.yaml").write_text(added, encoding="utf-8")
    row = {"question_id": "q", "category": "x", "prompt": "Habari?", "raw_prompt": "Habari?"}
    (stored / "tasks/sw.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert "content: Habari?" in said(capsys, "show", "m-arenahard-mini", "--language", "sw")
