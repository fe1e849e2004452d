"""``evalharness compare``: between files, stored runs, judges and training steps; its tables and its errors."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from evalharness import battlefile, battles
from evalharness.cli.main import main
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.flows.compare import compare
from evalharness.plan import Ask
from evalharness.run import run
from tests.conftest import ApiServer

MINI = "m-arenahard-mini"


def stored(
    path: Path, seed: int, models: str = "abc", judge: str = "j", prompts: range = range(30), **more: Any
) -> str:
    """Write the games of every model against the last one, in two languages and both orders."""
    draw = random.Random(seed)
    *contestants, opponent = models
    rows = [
        {"prompt_id": str(p), "language": language, "model_a": model, "model_b": opponent, "order": order, "judge": judge,
         "score": draw.choice([0.0, 0.5, 1.0]), **more}
        for model in contestants
        for p in prompts
        for language in ("de", "fr")
        for order in ("ab", "ba")
    ]  # fmt: skip
    battlefile.write(battles.frame(rows), path)
    return str(path)


def test_runs_are_compared_with_the_first_on_what_they_share(tmp_path: Path) -> None:
    names = [stored(tmp_path / f"{at}.parquet", at, prompts=range(at, 30 + at)) for at in range(3)]
    found = compare(names, tmp_path, baseline="c", by=["language"])
    rows = found.differences
    assert [(row.run_2, row.model, row.group) for row in rows] == [
        (name, model, group) for name in names[1:] for model in "ab" for group in ("all", "de", "fr")
    ]
    assert [row.n_prompts for row in rows if row.group == "all"] == [29, 29, 28, 28]
    for row in rows:
        assert row.difference == pytest.approx(row.rate_2 - row.rate_1)
        assert row.p is not None and row.p_adjusted is not None and row.p <= row.p_adjusted <= 1
        assert row.opponents == ("c",)
    whole, single = ([row for row in rows if (row.group == "all") == flag] for flag in (True, False))
    for family in (whole, single):
        assert min(r.p_adjusted or 0 for r in family) == pytest.approx(
            min(1, len(family) * min(r.p or 0 for r in family))
        )


def test_judges_of_one_file_are_compared(tmp_path: Path) -> None:
    parts = [battlefile.read(Path(stored(tmp_path / f"{j}.parquet", at, judge=j))).frame for at, j in enumerate("xyz")]
    whole = tmp_path / "all.parquet"
    battlefile.write(battles.frame(row for part in parts for row in part.to_dict("records")), whole)
    found = compare([str(whole)], tmp_path)
    assert {(row.between, row.judge_1, row.judge_2) for row in found.differences} == {
        ("judges", "x", "y"),
        ("judges", "x", "z"),
    }
    assert {row.model for row in found.differences} == set("abc")


def test_files_of_one_judge_each_are_compared_and_it_is_said(tmp_path: Path) -> None:
    names = [stored(tmp_path / f"{judge}.parquet", 1, judge=judge) for judge in "xy"]
    found = compare(names, tmp_path)
    assert "differences are of judges as well" in found.notes[0]
    assert all(row.difference == 0 and row.p == 1 for row in found.differences)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"models": "xyz"}, r"no model in common: .*a\.parquet has a, b, c; .*b\.parquet has x, y, z"),
        (
            {"prompts": range(90, 95)},
            r"no prompt in common .* has 30 prompts \(0, 1, 10, 11, …\) of no named task in de, fr",
        ),
        ({"task": "t", "task_version": "2"}, r"5 prompts .* of t 2 in de, fr, played by a, b, c|30 prompts .* of t 2"),
        ({"models": "abd"}, "no prompt in common on which the same model met the same opponent"),
    ],
)
def test_what_cannot_be_compared_says_what_there_is(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    names = [stored(tmp_path / "a.parquet", 0), stored(tmp_path / "b.parquet", 1, **second)]
    with pytest.raises(DataError, match=message):
        compare(names, tmp_path)


def test_words_that_name_nothing(tmp_path: Path) -> None:
    name = stored(tmp_path / "a.parquet", 0)
    with pytest.raises(DataError, match="one run with one judge"):
        compare([name, name], tmp_path)
    with pytest.raises(NotInCatalog, match="no model named 'z'"):
        compare([name, name], tmp_path, baseline="z")
    with pytest.raises(UsageError, match="--by judge"):
        compare([name], tmp_path, by=["judge"])
    with pytest.raises(UsageError, match="no runs in"):
        compare(["nothing"], tmp_path)


def test_the_command_prints_a_table_markdown_json_and_writes_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    one = stored(Path("one.parquet"), 0)
    rows = battlefile.read(Path(one)).frame
    battlefile.write(rows.assign(model_a=rows["model_a"].replace("a", "=a|b")), Path(one))
    battlefile.write(battlefile.read(Path(one)).frame.assign(score=0.5), Path("two.parquet"))

    def said(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["compare", one, "two.parquet", "--baseline", "c", *words])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return out

    document = json.loads(said("--json", "--csv", "out.csv"))
    assert [row["model"] for row in document["differences"]] == ["=a|b", "b"]
    with open("out.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["model"] for row in table] == ["'=a|b", "b"]
    assert float(table[1]["difference"]) == document["differences"][1]["difference"]
    text = said()
    assert f"{100 * document['differences'][1]['difference']:+.1f}" in text and "Holm" in text and " 30" in text
    marked = said("--markdown").splitlines()
    assert "| model | group |" in marked[2] and r"| =a\|b |" in marked[4]
    with pytest.raises(SystemExit) as ended:
        main(["compare", one, "--json", "--markdown"])
    assert ended.value.code == 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_server: ApiServer) -> Path:
    """A folder with answers of a baseline and of three checkpoints, and two judges behind an address."""
    monkeypatch.chdir(tmp_path)
    ids = [
        f"mini-{c}"
        for c in ["reasoning", "writing", "code", "maths", "planning", "extraction", "advice", "explanation"]
    ]
    names = ["base", "step100", "step200", "step1000"]
    rows = [
        {"model": m, "language": lang, "prompt_id": i, "text": f"{m} {i} {lang}"}
        for m in names for lang in ("de", "ar") for i in ids
    ]  # fmt: skip
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    entries: dict[str, Any] = {
        name: {"backend": "replay", "path": f"answers.jsonl#{name}",
               **({"family": "ours", "step": int(name[4:])} if name != "base" else {})}
        for name in names
    }  # fmt: skip
    for judge in ("judge", "judge-2"):
        entries[judge] = {"backend": "openai", "path": judge, "base_url": api_server.url}
    Path("evalharness.yaml").write_text(json.dumps({"models": entries}), encoding="utf-8")
    return tmp_path


def asking(models: str, name: str, judge: str = "judge") -> Ask:
    return Ask(
        models=tuple(models.split(",")), tasks=(f"{MINI}[de,ar]",), baseline="base", judges=("arena-hard",),
        judge_model=judge, name=name,
    )  # fmt: skip


def test_stored_runs_and_their_checkpoints(home: Path) -> None:
    run(asking("step100,step1000", "first"), Path("results"))
    run(asking("step200,step1000", "second"), Path("results"))
    found = compare(["first", "second"], Path("results"), by=["language"])
    assert found.baseline == "base"  # both runs say so
    runs = [row for row in found.differences if row.between == "runs" and row.group == "all"]
    assert [(row.model, row.difference, row.p, row.n_prompts) for row in runs] == [("step1000", 0.0, 1.0, 8)]
    steps = [row for row in found.differences if row.between == "checkpoints" and row.group == "all"]
    assert [(row.model, row.model_2) for row in steps] == [("step100", "step200"), ("step200", "step1000")]
    assert all(row.opponents == ("base",) and row.languages == ("ar", "de") for row in steps)
    alone = compare(["first"], Path("results"))
    assert [(row.between, row.model, row.model_2) for row in alone.differences] == [
        ("checkpoints", "step100", "step1000")
    ]
    table = battlefile.read(Path("results/first/battles.parquet")).frame
    assert len(table) == 64 and alone.differences[0].ci_low is not None


def test_judges_of_a_stored_run(home: Path) -> None:
    ask = Ask(
        models=("step100",), tasks=(f"{MINI}[de]",), baseline="base",
        judges=("arena-hard=judge", "arena-hard=judge-2"), name="two",
    )  # fmt: skip
    run(ask, Path("results"))
    (row,) = compare(["two"], Path("results")).differences
    assert (row.between, row.model, row.judge_1, row.judge_2) == (
        "judges", "step100", "arena-hard/judge", "arena-hard/judge-2",
    )  # fmt: skip
    run(asking("step100", "other", "judge"), Path("results"))
    with pytest.raises(NotInCatalog, match="no run named 'thrid'"):
        compare(["two", "thrid"], Path("results"))
