"""``evalharness import``: what it writes and says, its exit codes, and what it refuses before it writes anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalharness import battlefile
from evalharness.backends import replay
from evalharness.cli.main import main
from evalharness.flows.rank import read_and_rank

GAME = {"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": "model_1", "g2_winner": "tie",
        "judge": ["gpt-4", "pair-v2"], "turn": 1}  # fmt: skip
SINGLE = {"question_id": 1, "model": "a", "judge": ["gpt-4", "single-v1"], "judgment": "", "score": 7, "turn": 1}
ANSWER = {"question_id": 1, "model_id": "a", "choices": [{"index": 0, "turns": ["text"]}]}
JUDGMENT = {"question_id": "1", "model": "m", "judge": "j", "games": [{"score": "A>B"}, {"score": "B>A"}]}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(name: str, *rows: Any, end: str = "") -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows) + end, encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["import", *words])
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    return out, err


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_what_is_written_is_read_by_rank_and_replay(
    desk: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    lines("in.jsonl", GAME, SINGLE, ANSWER)
    out, _ = said(capsys, "auto", "in.jsonl", "--out", f"b.{suffix}", "--completions", "c.jsonl", "--scores", "s.parquet",
                  "--language", "en", "--json")  # fmt: skip
    document = json.loads(out)
    assert document["wrote"] == {"battles": f"b.{suffix}", "completions": "c.jsonl", "scores": "s.parquet"}
    assert (document["battles"], document["verdicts"], document["completions"], document["scores"]) == (2, 2, 1, 1)
    assert document["records"] == {"answer": 1, "pair judgment": 1, "single judgment": 1}
    assert (document["models"], document["judges"], document["languages"]) == (["a", "b"], ["gpt-4"], ["en"])
    rates = {rating.model: rating.win_rate for rating in read_and_rank(Path(f"b.{suffix}"), rounds=100)[1].ratings}
    assert rates == {"a": 0.75, "b": 0.25}
    assert [entry.text for entry in replay.read("c.jsonl")["a"].entries.values()] == ["text"]
    assert pd.read_parquet("s.parquet")["value"].tolist() == [7.0]
    assert {row["score"] for row in document["peer_scores"]} == {"fastchat-pair", "fastchat-single"}


def test_rows_left_out_end_with_3_and_the_rest_is_written(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines("in.jsonl", GAME, {"x": 1}, {"y": 1}, end='{"cut')
    out, err = said(capsys, "fastchat", "in.jsonl", "--out", "b.jsonl", code=3)
    assert "left out: 2 × not a record of fastchat (first: in.jsonl:2)" in err
    assert "left out: 1 × the last line is cut off (first: in.jsonl:4)" in err
    assert "battles      2, 2 with a verdict" in out and "wrote        b.jsonl" in out
    assert len(battlefile.read(Path("b.jsonl")).frame) == 2


def test_the_same_files_come_to_the_same_ids_in_any_order(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines("one.jsonl", GAME)
    lines("two.jsonl", {**GAME, "question_id": 2})
    said(capsys, "auto", "one.jsonl", "two.jsonl", "--out", "a.parquet")
    said(capsys, "auto", "two.jsonl", "one.jsonl", "one.jsonl", "--out", "b.parquet")
    one, two = (battlefile.read(Path(f"{name}.parquet")).frame.sort_values("game_id") for name in "ab")
    assert one.reset_index(drop=True).equals(two.reset_index(drop=True))


@pytest.mark.parametrize("option", ["--out", "--completions"])
def test_an_input_is_never_overwritten(desk: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    lines("in.jsonl", GAME, ANSWER)
    before = Path("in.jsonl").read_bytes()
    os.link("in.jsonl", "linked.jsonl")
    Path("also.jsonl").symlink_to("in.jsonl")
    for name in ("in.jsonl", "./in.jsonl", "linked.jsonl", "also.jsonl"):
        _, err = said(capsys, "auto", "in.jsonl", option, name, code=2)
        assert "is one of the files that are imported" in err
    assert Path("in.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arena", "in.jsonl"], "no format named 'arena'; did you mean 'arena-hard'"),
        (["auto", "none.jsonl"], "none.jsonl: no such file"),
        (["auto", "odd.jsonl"], "odd.jsonl: no record of a known format (alpaca-eval"),
        (["fastchat", "odd.jsonl"], "no record of fastchat; the first one has the keys: x, y"),
        (["auto", "cut.jsonl"], "nothing can be read (cut.jsonl:1: the last line is cut off)"),
        (["auto", "in.jsonl", "arena.jsonl"], "several formats: fastchat (in.jsonl:1), arena-hard (arena.jsonl:1)"),
        (["auto", "in.jsonl", "--language", "English"], "--language English: not a language tag"),
        (["auto", "in.jsonl", "--scores", "s.parquet"], "s.parquet: these files hold no scores (they hold 2 battles)"),
        (["auto", "in.jsonl", "--out", "b.xlsx"], "b.xlsx: battles are read and written as"),
        (["auto", "in.jsonl", "--completions", "c.csv"], "c.csv: completions are written as .jsonl"),
        (["auto", "in.jsonl", "--out", "b.jsonl", "--completions", "b.jsonl"], "named for the battles and for the"),
        (["auto"], "Missing argument"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    desk: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    lines("in.jsonl", GAME)
    lines("odd.jsonl", {"x": 1, "y": 2})
    lines("arena.jsonl", JUDGMENT)
    lines("cut.jsonl", end='{"question_id": 1, "g1')
    before = sorted(path.name for path in desk.iterdir())
    _, err = said(capsys, *words, code=2)
    assert message in err and err.count("\n") == 1
    assert sorted(path.name for path in desk.iterdir()) == before


def test_the_baseline_of_ones_own_runs_is_not_that_of_the_peer(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines("in.jsonl", JUDGMENT)
    Path("evalharness.yaml").write_text("run: {baseline: mine}\n", encoding="utf-8")
    monkeypatch.setenv("EVALHARNESS_BASELINE", "mine, too")
    out, err = said(capsys, "arena-hard", "in.jsonl")
    assert "mine" not in out + err and "taken to be gpt-4-0314" in err and "nothing written" in out
    out, _ = said(capsys, "arena-hard", "in.jsonl", "--baseline", "named", "--json")
    assert json.loads(out)["models"] == ["m", "named"]


def test_hostile_text_reaches_no_terminal(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines("in.jsonl", {**GAME, "model_1": "\x1b[31mred\x1b[0m", "judge": "\x1b]0;title\x07j"}, {"\x1b[2J": 1})
    out, err = said(capsys, "fastchat", "in.jsonl", code=3)
    assert "\x1b" not in out + err
