"""`agreement` and `plan` on battle files: what meets what, labels read from either side, errors that name the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness import battlefile, battles
from evalharness.cli.main import main
from evalharness.errors import DataError
from evalharness.flows.agreement import agreement
from evalharness.flows.planning import pilot
from evalharness.stats.intervals import Resampling

HOW = Resampling(rounds=100)


def judged(judge: str, seed: int = 0, flip: float = 0.0, prompts: int = 40) -> list[dict[str, Any]]:
    """Return games of a and b in two languages and orders; a judge errs independently with chance ``flip``."""
    truth, own, rows = np.random.default_rng(0), np.random.default_rng(seed), []
    for prompt in range(prompts):
        for language in ("de", "fr"):
            won = float(truth.random() < 0.6)
            for order in ("ab", "ba"):
                score = won if own.random() >= flip else 1 - won
                rows.append(
                    {"prompt_id": str(prompt), "language": language, "model_a": "a", "model_b": "b", "order": order,
                     "judge": judge, "score": score}
                )  # fmt: skip
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    battlefile.write(battles.frame(rows), path)
    return path


def labels(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_judges_meet_on_the_same_games_whoever_is_called_a(tmp_path: Path) -> None:
    swapped = [
        {
            **row,
            "model_a": "b",
            "model_b": "a",
            "score": 1 - row["score"],
            "order": {"ab": "ba", "ba": "ab"}[row["order"]],
        }
        for row in judged("k")
    ]
    paths = [write(tmp_path / "j.jsonl", judged("j")), write(tmp_path / "k.parquet", swapped)]
    found = agreement(paths, by_language=True, how=HOW)
    assert [(row["group"], row["n"]) for row in found["judges"]] == [("all", 160), ("de", 80), ("fr", 80)]
    assert all(row["kappa"]["value"] == row["alpha_nominal"]["value"] == 1.0 for row in found["judges"])
    assert {row["consistency"]["value"] for row in found["orders"]} == {1.0}
    third = write(tmp_path / "l.jsonl", judged("l", 3, flip=0.4))
    rows = agreement([*paths, third], how=HOW)["judges"]
    assert [row["judges"] for row in rows] == [["j", "k", "l"], ["j", "k"], ["j", "l"], ["k", "l"]]
    assert rows[2]["kappa"]["high"] < 0.6 < rows[1]["kappa"]["value"]
    assert rows[0]["fleiss"] == pytest.approx(rows[0]["alpha_nominal"]["value"], abs=0.01)


def test_labels_are_read_from_either_side_and_correct_the_judge(tmp_path: Path) -> None:
    games = write(tmp_path / "j.jsonl", judged("j", 1, flip=0.2))
    right = [row for row in judged("j") if row["order"] == "ab" and int(row["prompt_id"]) % 2]
    rows = [{"prompt_id": r["prompt_id"], "language": r["language"], "model": "b", "opponent": "a",
             "label": "loss" if r["score"] else "win", "annotator": "x"} for r in right]  # fmt: skip
    rows += [
        {**row, "model": "a", "opponent": "b", "label": "a" if row["label"] == "loss" else 0, "annotator": "y"}
        for row in rows
    ]
    found = agreement([games], labels=labels(tmp_path / "h.jsonl", rows), how=HOW)
    people, judge = found["humans"]
    assert people["alpha_nominal"]["value"] == 1.0 and judge["n"] == 40
    assert np.sum(judge["confusion"]) == 40 and judge["confusion"][2][2] > judge["confusion"][0][2]
    a, b = found["corrected"]
    assert a["human_only"]["value"] == pytest.approx(np.mean([r["score"] for r in right]))
    assert a["corrected"]["value"] == pytest.approx(1 - b["corrected"]["value"])
    assert a["n_labelled"] == 40 and a["n_unlabelled"] == 40 and a["effective"] > 40


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt_id": "1", "model": "a", "opponent": "b", "label": "win"}, "h.jsonl:1: language: missing"),
        ({"prompt_id": "1", "language": "de", "model": "a", "opponent": "b", "label": "good"}, "1: label: 'good'"),
        ({"prompt_id": "1", "language": "de", "model": "a", "opponent": "b"}, "no 'label'"),
        ({"prompt_id": "99", "language": "de", "model": "a", "opponent": "b", "label": 1}, "no game of a against b on"),
        ({"prompt_id": "1", "language": "de", "model": "a", "opponent": "a", "label": 1}, "against itself"),
        ([1], "not an object"),
    ],
)
def test_a_wrong_label_is_named_with_its_line(row: Any, said: str, tmp_path: Path) -> None:
    games = write(tmp_path / "j.jsonl", judged("j"))
    with pytest.raises(DataError, match=said):
        agreement([games], labels=labels(tmp_path / "h.jsonl", [row]), how=HOW)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_commands_print_tables_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = write(tmp_path / "j.jsonl", judged("j")), write(tmp_path / "k.jsonl", judged("k", 2, 0.3))
    human = labels(
        tmp_path / "h.jsonl", [{"prompt_id": "1", "language": "de", "model": "a", "opponent": "b", "label": 1}]
    )
    words = [str(one), str(two), "--labels", str(human), "--rounds", "100"]
    code, out, err = printed(capsys, "agreement", *words, "--json")
    assert code == 0 and set(json.loads(out)) >= {"judges", "orders", "humans", "corrected"}, err
    code, out, _ = printed(capsys, "agreement", *words)
    assert code == 0 and "between the two orders" in out and "corrected by people" in out
    code, out, _ = printed(capsys, "plan", "--sigma", "0.45", "--detect", "5.6", "--json")
    needed = json.loads(out)["needed"]
    assert code == 0 and abs(needed[0]["prompts_to_detect"] - 507) <= 1, "(1.960 + 0.842)^2 * 0.45^2 / 0.056^2"
    code, out, _ = printed(capsys, "plan", "--detect", "5.6")
    assert "to see a difference of 5.6 points with a chance of 80\u00a0% takes 507" in out
    code, out, _ = printed(capsys, "plan", "--width", "2", "--json")
    assert code == 0 and json.loads(out)["needed"][0]["prompts"] == 7779
    code, out, _ = printed(capsys, "plan", "--pilot", str(one), "--languages", "de,fr", "--prompts", "40")
    assert code == 0 and "languages 2" in out
    code, _, err = printed(capsys, "plan", "--languages", "23")
    assert code == 2 and "--r is needed for several languages" in err
    code, _, err = printed(capsys, "plan", "--prompts", "many")
    assert code == 2 and "--prompts many: write whole numbers" in err


def test_a_pilot_foretells_the_interval_of_its_own_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "j.jsonl", judged("j", 1, flip=0.2, prompts=150))
    _, out, _ = printed(capsys, "rank", str(path), "--json")
    row = json.loads(out)["ratings"][0]
    _, out, _ = printed(capsys, "plan", "--pilot", str(path), "--languages", "2", "--prompts", "150", "--json")
    assert json.loads(out)["designs"][0]["width"] == pytest.approx(100 * (row["ci_high"] - row["ci_low"]), rel=0.1)


def test_a_pilot_tells_fresh_answers_from_prompts(tmp_path: Path) -> None:
    r, rows = np.random.default_rng(0), []
    for prompt in range(300):
        p = r.beta(2, 2)
        for again in range(4):
            score = float(r.random() < p)
            game = {
                "prompt_id": str(prompt),
                "language": "de",
                "model_a": "a",
                "model_b": "b",
                "judge": "j",
                "score": score,
            }
            rows += [{**game, "order": order, "repeat_a": again, "repeat_b": again} for order in ("ab", "ba")]
    spread, noise = pilot(write(tmp_path / "p.parquet", rows))
    assert spread.sigma == pytest.approx(np.sqrt(1 / 20), rel=0.15)
    assert spread.within == pytest.approx(np.sqrt(0.2), rel=0.1)
    assert noise["order"].variance == pytest.approx(0, abs=1e-9) and noise["judge"].variance is None
    few = write(tmp_path / "few.jsonl", judged("j", prompts=2))
    with pytest.raises(DataError, match="at least 3 prompts"):
        pilot(few)
