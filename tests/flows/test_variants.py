"""``evalharness compare --base``: a table computed by hand, steps, win rates, every form of output, and what cannot be done."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from evalharness import battlefile, battles
from evalharness.cli.main import main
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.flows.variants import VariantRow, compare_variants, document
from evalharness.plan import Ask
from evalharness.report.artefacts import write_json, write_scores
from evalharness.run import run
from evalharness.stats.intervals import Resampling
from evalharness.stats.student import t_quantile
from evalharness.types import Score

HOW = Resampling(rounds=200)

# What each variant got right in the first prompts of each task; the rest is wrong.
PROMPTS = {"logic": 10, "stories": 10, "facts": 8, "functions": 10}
CHANCE = {"logic": 0.1, "stories": 0.1, "facts": 0.25, "functions": None}
CATEGORY = {"logic": "reasoning", "stories": "reasoning", "facts": "knowledge", "functions": "code"}
RIGHT = {
    0.47: {
        "text": {"logic": 5, "stories": 8, "facts": 6, "functions": 1},
        "code": {"logic": 6, "stories": 7, "facts": 3, "functions": 6},
        "half": {"logic": 6, "stories": 9, "facts": 6, "functions": 4},
        "cooldown": {"logic": 5, "stories": 8, "facts": 7, "functions": 4},
    },
    2.8: {
        "text": {"logic": 8, "stories": 8, "facts": 6, "functions": 5},
        "code": {"logic": 6, "stories": 6, "facts": 3, "functions": 8},
        "half": {"logic": 9, "stories": 9, "facts": 5, "functions": 6},
        "cooldown": {"logic": 8, "stories": 8, "facts": 6, "functions": 9},
    },
}


def write_run(folder: Path, models: list[dict[str, Any]], right: dict[str, dict[str, int]], **more: Any) -> str:
    """Write a finished run: ``right`` says of each model how many of the first prompts of each task it got right."""
    scores = [
        Score(task, "1", f"p{at}", "en", model, "acc", "likelihood", float(at < n), chance=CHANCE[task])
        for model, tasks in right.items() for task, n in tasks.items() for at in range(PROMPTS[task])
    ]  # fmt: skip
    tasks = list(dict.fromkeys(score.task for score in scores))
    summary = {
        "run": folder.name, "models": models, "judges": [], "baseline": None, "ratings": {}, "suites": [],
        "tasks": [{"task": task, "suite_category": CATEGORY[task]} for task in tasks],
        "results": [
            {"task": task, "metric": "acc", "filter": "likelihood", "by": "all", "range": [0.0, 1.0], "chance": CHANCE[task],
             "headline": True, "higher_is_better": True}
            for task in tasks
        ],
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_json(folder / "summary.json", {**summary, **more})
    write_scores(folder / "scores.parquet", [asdict(score) for score in scores])
    return folder.name


def model(variant: str | None, size: float | None, step: int | None = None) -> dict[str, Any]:
    name = f"{variant}-{size}" + ("" if step is None else f"-{step}")
    return {"name": name, "variant": variant, "size_b": size, "step": step}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs, one a size, of four variants each."""
    for name, size in (("small", 0.47), ("large", 2.8)):
        models = [model(variant, size) for variant in RIGHT[size]]
        write_run(tmp_path / name, models, {f"{v}-{size}": tasks for v, tasks in RIGHT[size].items()})
    return tmp_path


def rows_of(
    root: Path, *names: str, base: str = "text", **more: Any
) -> dict[tuple[float | None, str, str], VariantRow]:
    found = compare_variants(names, root, base, how=HOW, **more)
    return {(row.size_b, row.variant, row.category): row for row in found.rows}


# (size, variant, category): value, points, relative, mean of ratios, by hand. Reasoning is the mean of logic and stories:
# small text (.5 + .8) / 2 = .65, code (.6 + .7) / 2 = .65, half (.6 + .9) / 2 = .75; large text .8, code .6, half .9.
# Small code: ratios .6/.5 - 1 = +.2 and .7/.8 - 1 = -.125, mean +.0375, though the means are equal.
# Small half: .75/.65 - 1 = 2/13; ratios +.2 and +.125, mean +.1625. Large half: .9/.8 - 1 = +.125 both ways.
# Knowledge: small text 6/8, code 3/8 -> -.5, cooldown 7/8 -> +1/6. Large half 5/8 -> -1/6.
# Code: small text 1 of 10, whose interval .1 +- 2.26 * .1 reaches 0: no ratio. Large text .5 +- 2.26 * .167 does not:
# code .8 -> +.6, half .6 -> +.2, cooldown .9 -> +.8.
GOLDEN = {
    (0.47, "text", "reasoning"): (0.65, None, None, None),
    (0.47, "code", "reasoning"): (0.65, 0.0, 0.0, 0.0375),
    (0.47, "half", "reasoning"): (0.75, 0.1, 2 / 13, 0.1625),
    (0.47, "cooldown", "reasoning"): (0.65, 0.0, 0.0, 0.0),
    (0.47, "text", "knowledge"): (0.75, None, None, None),
    (0.47, "code", "knowledge"): (0.375, -0.375, -0.5, -0.5),
    (0.47, "half", "knowledge"): (0.75, 0.0, 0.0, 0.0),
    (0.47, "cooldown", "knowledge"): (0.875, 0.125, 1 / 6, 1 / 6),
    (0.47, "text", "code"): (0.1, None, None, None),
    (0.47, "code", "code"): (0.6, 0.5, None, None),
    (0.47, "half", "code"): (0.4, 0.3, None, None),
    (0.47, "cooldown", "code"): (0.4, 0.3, None, None),
    (2.8, "text", "reasoning"): (0.8, None, None, None),
    (2.8, "code", "reasoning"): (0.6, -0.2, -0.25, -0.25),
    (2.8, "half", "reasoning"): (0.9, 0.1, 0.125, 0.125),
    (2.8, "cooldown", "reasoning"): (0.8, 0.0, 0.0, 0.0),
    (2.8, "text", "knowledge"): (0.75, None, None, None),
    (2.8, "code", "knowledge"): (0.375, -0.375, -0.5, -0.5),
    (2.8, "half", "knowledge"): (0.625, -0.125, -1 / 6, -1 / 6),
    (2.8, "cooldown", "knowledge"): (0.75, 0.0, 0.0, 0.0),
    (2.8, "text", "code"): (0.5, None, None, None),
    (2.8, "code", "code"): (0.8, 0.3, 0.6, 0.6),
    (2.8, "half", "code"): (0.6, 0.1, 0.2, 0.2),
    (2.8, "cooldown", "code"): (0.9, 0.4, 0.8, 0.8),
}


def test_the_table_of_four_variants_in_two_sizes_is_that_computed_by_hand(root: Path) -> None:
    rows = rows_of(root, "small", "large")
    found = {key: (row.value, row.difference, row.relative, row.mean_of_ratios) for key, row in rows.items()}
    assert found.keys() == GOLDEN.keys()
    for key, numbers in GOLDEN.items():
        assert found[key] == tuple(None if n is None else pytest.approx(n) for n in numbers), key
    assert {row.base_model for row in rows.values()} == {None, "text-0.47", "text-2.8"}
    blank = rows[0.47, "code", "code"]
    assert (blank.reason, blank.mean_of_ratios_reason, blank.tasks_at_chance) == ("base_at_chance",) * 2 + (
        ("functions",),
    )
    # Small half against text: one prompt of ten differs in each task, variance of each mean .1 / 10 = .01, of the mean of
    # two tasks .02 / 4; degrees of freedom .02^2 / (2 * .01^2 / 9) = 18.
    half = t_quantile(0.975, 18) * math.sqrt(0.005)
    own = rows[0.47, "half", "reasoning"]
    assert (own.difference_low, own.difference_high) == pytest.approx((0.1 - half, 0.1 + half))
    assert own.relative_low is not None and own.relative_high is not None
    assert own.relative_low < 0 < 2 / 13 < own.relative_high
    assert rows[0.47, "cooldown", "reasoning"].reason == "no_spread"
    assert rows[0.47, "code", "knowledge"].relative_low == -1.0  # nothing falls by more than all of it


def test_a_base_is_of_the_same_size_and_what_has_none_is_named(tmp_path: Path) -> None:
    models = [model("text", 1.0), model("code", 1.0), model("code", 7.0), model("code", None), model(None, 1.0)]
    write_run(tmp_path / "r", models, {m["name"]: {"facts": 6} for m in models})
    found = compare_variants(["r"], tmp_path, "text", how=HOW)
    reasons = {(row.size_b, row.variant): (row.base_model, row.reason) for row in found.rows}
    assert reasons == {
        (1.0, "text"): (None, "base"), (1.0, "code"): ("text-1.0", "no_spread"),
        (7.0, "code"): (None, "no_base_of_this_size"), (None, "code"): (None, "unknown_size"),
    }  # fmt: skip
    assert "no variant, so not compared: None-1.0" in found.notes
    assert any("code-7.0: no text of 7 B" in note for note in found.notes)
    assert any("code-None: its size is unknown" in note and "size_b" in note for note in found.notes)


def test_steps_give_curves_and_without_them_the_latest_counts(tmp_path: Path) -> None:
    right = {("text", 100): 4, ("text", 200): 6, ("code", 100): 5, ("code", 200): 7, ("code", 300): 8}
    models = [model(variant, 1.0, step) for variant, step in right]
    write_run(tmp_path / "r", models, {m["name"]: {"facts": n} for m, n in zip(models, right.values(), strict=True)})
    curves = compare_variants(["r"], tmp_path, "text", x="step", how=HOW).rows
    assert {(row.variant, row.step): (row.value, row.difference) for row in curves} == {
        ("text", 100): (0.5, None), ("text", 200): (0.75, None), ("code", 100): (0.625, 0.125), ("code", 200): (0.875, 0.125),
        ("code", 300): (1.0, None),
    }  # fmt: skip
    assert curves[-1].reason == "no_base_at_this_step"
    latest = compare_variants(["r"], tmp_path, "text", how=HOW)
    assert [(row.model, row.base_model, row.difference) for row in latest.rows] == [
        ("text-1.0-200", None, None), ("code-1.0-300", "text-1.0-200", 0.25),
    ]  # fmt: skip
    assert latest.notes == ("code is at step 300, text of the same size at step 200",)


def test_the_categories_of_a_suite_come_first_with_their_weights_and_missing_tasks_are_named(tmp_path: Path) -> None:
    models = [model("text", 1.0), model("code", 1.0), model("half", 1.0)]
    right = {"text-1.0": {"logic": 5, "facts": 4}, "code-1.0": {"logic": 6, "facts": 6}, "half-1.0": {"logic": 7}}
    suite = {"suite": "s", "label": "all", "kind": "score", "tasks": ["logic", "facts"], "weights": [0.75, 0.25]}
    write_run(tmp_path / "r", models, right, suites=[suite])
    rows = rows_of(tmp_path, "r")
    assert {category for _, _, category in rows} == {"all"}
    assert rows[1.0, "text", "all"].value == pytest.approx(0.5)
    assert rows[1.0, "code", "all"].difference == pytest.approx(0.75 * 0.1 + 0.25 * 0.25)
    half = rows[1.0, "half", "all"]
    assert (half.value, half.value_reason, half.reason, half.missing_tasks) == (None,) + ("missing_tasks",) * 2 + (
        ("facts",),
    )


def games(pairs: dict[tuple[str, str], float], n: int = 12) -> list[dict[str, Any]]:
    """Return games in both orders, of which the first model of each pair wins that share of the prompts."""
    return [
        {"prompt_id": str(p), "language": "en", "model_a": a, "model_b": b, "order": order, "judge": "j", "task": "open",
         "score": float(p < share * n)}
        for (a, b), share in pairs.items() for p in range(n) for order in ("ab", "ba")
    ]  # fmt: skip


def test_win_rates_are_a_category_against_the_opponents_of_both(tmp_path: Path) -> None:
    models = [model("text", 1.0), model("code", 1.0), {"name": "opponent", "variant": None, "size_b": 9.0}]
    write_run(tmp_path / "r", models, {"text-1.0": {"facts": 6}, "code-1.0": {"facts": 6}})
    shares = {("text-1.0", "opponent"): 0.5, ("code-1.0", "opponent"): 0.75, ("code-1.0", "text-1.0"): 1.0}
    battlefile.write(battles.frame(games(shares)), tmp_path / "r" / "battles.parquet")
    rows = rows_of(tmp_path, "r")
    text, code = rows[1.0, "text", "win rate"], rows[1.0, "code", "win rate"]
    assert (text.value, text.reason, text.kind, text.n_prompts) == (0.5, "base", "win-rate", 12)
    assert (code.value, code.difference, code.relative) == (0.75, pytest.approx(0.25), pytest.approx(0.5))


def test_variants_that_only_met_each_other_are_measured_against_one_half(tmp_path: Path) -> None:
    write_run(
        tmp_path / "r", [model("text", 1.0), model("code", 1.0)], {"text-1.0": {"facts": 6}, "code-1.0": {"facts": 6}}
    )
    battlefile.write(battles.frame(games({("text-1.0", "code-1.0"): 1 / 3})), tmp_path / "r" / "battles.parquet")
    rows = rows_of(tmp_path, "r")
    text, code = rows[1.0, "text", "win rate"], rows[1.0, "code", "win rate"]
    assert (text.value, text.ci_low) == (0.5, None)
    assert (code.value, code.difference, code.relative) == pytest.approx((2 / 3, 1 / 6, 1 / 3))
    assert code.relative_low is not None and code.reason is None


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *words])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return out


def test_the_command_prints_tables_markdown_latex_csv_and_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("small", "large", "--base", "text", "--results", str(root), "--rounds", "200")
    parsed = json.loads(said(capsys, *words, "--json"))
    assert parsed == json.loads(json.dumps(document(compare_variants(["small", "large"], root, "text", how=HOW))))
    text = said(capsys, *words)
    assert [line for line in text.splitlines() if line.endswith(("value", "points", "in %"))] == [
        f"{size} B: {what}" for size in ("0.47", "2.8")
        for what in ("value", "difference to text in points", "relative change to text in %")
    ]  # fmt: skip
    assert "-0.0" not in text.replace("-0.0,", "") and text.count("prompts of both") == 2 and text.count("missing") == 2
    assert "+10.0 [-4.9, +24.9]" in text and "base at chance" in text and "-50.0 [" in text and "65.0 [" in text
    marked = said(capsys, *words, "--format", "md")
    assert marked.startswith("**0.47 B: value**") and r"| half |" in marked and r"+10.0 \[-4.9, +24.9\]" in marked
    assert said(capsys, *words, "--markdown") == marked
    tex = said(capsys, *words, "--format", "latex")
    assert tex.count(r"\begin{tabular}{lrrr}") == tex.count(r"\end{table}") == 6 and r"in \%" in tex
    table = list(csv.DictReader(io.StringIO(said(capsys, *words, "--format", "csv", "--csv", str(root / "out.csv")))))
    assert (
        len(table) == 24 and list(csv.DictReader(io.StringIO((root / "out.csv").read_text(encoding="utf-8")))) == table
    )
    assert [row["relative"] for row in table][:2] == [
        repr(row["relative"]) if row["relative"] else "" for row in parsed["rows"][:2]
    ]


def test_curves_are_printed_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [model(variant, 1.0, step) for variant in ("text", "code") for step in (1000, 200)]
    write_run(tmp_path / "r", models, {m["name"]: {"facts": 6} for m in models})
    text = said(capsys, "r", "--base", "text", "--x", "step", "--results", str(tmp_path))
    lines = text.splitlines()
    assert lines[0] == "knowledge, 1 B: value by step" and lines[1].split() == ["step", "text", "code"]
    assert [line.split()[0] for line in lines[2:4]] == ["200", "1000"]


def test_what_cannot_be_compared_says_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotInCatalog, match="no variant named 'txt'; did you mean 'text'"):
        compare_variants(["small"], root, "txt")
    with pytest.raises(NotInCatalog, match="no run named 'smal'"):
        compare_variants(["smal"], root, "text")
    (root / "half").mkdir()
    with pytest.raises(DataError, match=r"no summary\.json; write it with `evalharness report half"):
        compare_variants(["half"], root, "text")
    (root / "games.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="a battle file has neither"):
        compare_variants([str(root / "games.jsonl")], root, "text")
    with pytest.raises(UsageError, match="no model of the runs has a `step`"):
        compare_variants(["small"], root, "text", x="step")
    plain = {"name": "m", "variant": None, "size_b": 1.0}
    write_run(root / "plain", [plain], {"m": {"facts": 6}})
    with pytest.raises(DataError, match=r"no model has a variant \(m\); say `variant: NAME`"):
        compare_variants(["plain"], root, "text")
    write_run(root / "twice", [model("text", 1.0), {**model("text", 1.0), "name": "other"}], {"other": {"facts": 6}})
    with pytest.raises(DataError, match=r"text-1.0 and other are both variant text"):
        compare_variants(["twice"], root, "text")
    write_run(root / "changed", [{**model("code", 2.8), "name": "text-0.47"}], {"text-0.47": {"facts": 6}})
    with pytest.raises(
        DataError, match=r"text-0.47 is variant code, size_b 2.8.* in another run variant text, size_b 0.47"
    ):
        compare_variants(["small", "changed"], root, "text")
    for words, message in (
        (("--x", "step"), "--x step: only with --base"), (("--format", "md"), "--format md: only with --base"),
        (("--base", "text", "--by", "language"), "--by: not with --base"),
        (("--base", "text", "--json", "--format", "csv"), "--json prints one document"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(["compare", "small", "--results", str(root), *words])
        assert ended.value.code == 2 and message in capsys.readouterr().err


def test_two_runs_of_one_model_are_put_together_and_what_is_there_twice_is_said(tmp_path: Path) -> None:
    models = [model("text", 1.0), model("code", 1.0)]
    write_run(tmp_path / "one", models, {"text-1.0": {"logic": 5}, "code-1.0": {"logic": 6}})
    write_run(tmp_path / "two", models, {"text-1.0": {"logic": 9, "facts": 4}, "code-1.0": {"facts": 6}})
    found = compare_variants(["one", "two"], tmp_path, "text", how=HOW)
    values = {(row.variant, row.category): row.value for row in found.rows}
    assert values == {("text", "reasoning"): 0.5, ("code", "reasoning"): 0.6, ("text", "knowledge"): 0.5,
                      ("code", "knowledge"): 0.75}  # fmt: skip
    assert found.notes == ("logic acc/likelihood of text-1.0 is in several runs; the scores of two are left out",)


TASK = """
task: sums
version: "1"
description: sums
output: text
prompts: {origin: native}
dataset: {path: json, data_files: sums.jsonl, split: train}
languages: [en]
sample: {id: "{{ row.id }}", prompt: "{{ row.q }}", target: "{{ row.a }}"}
metrics: [{name: number, chance: 0.0}]
"""


SUITE = """
suite: mine
version: "1"
description: sums
categories:
  maths: {label: Maths, tasks: [sums]}
"""


def test_the_variants_of_a_run_from_its_words_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks").mkdir()
    Path("tasks/sums.yaml").write_text(TASK, encoding="utf-8")
    rows = [{"id": str(n), "q": f"{n} + {n}?", "a": str(2 * n)} for n in range(8)]
    Path("tasks/sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    answers = [
        {"model": name, "language": "en", "prompt_id": str(n), "text": str(2 * n if n < right else 99)}
        for name, right in (("a", 4), ("b", 6)) for n in range(8)
    ]  # fmt: skip
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers), encoding="utf-8")
    entries = {
        name: {"backend": "replay", "path": f"answers.jsonl#{name}", "variant": variant, "size_b": 0.5}
        for name, variant in (("a", "text"), ("b", "code"))
    }
    Path("evalharness.yaml").write_text(json.dumps({"models": entries}), encoding="utf-8")
    outcome = run(Ask(("a", "b"), ("sums",)), Path("results"))
    found = rows_of(Path("results"), outcome.name)
    assert found[0.5, "code", "sums"].relative == pytest.approx(0.5)
    assert found[0.5, "code", "sums"].value == 0.75
    assert outcome.summary is not None and outcome.summary["suites"] == []
    Path("tasks/suites").mkdir()
    Path("tasks/suites/mine.yaml").write_text(SUITE, encoding="utf-8")
    asked = run(Ask(("a", "b"), ("mine",)), Path("results"))
    assert asked.summary is not None
    assert [(r["category"], r["label"], r["model"], r["value"], r["chance"]) for r in asked.summary["suites"]] == [
        ("maths", "Maths", "a", 0.5, 0.0), ("maths", "Maths", "b", 0.75, 0.0),
    ]  # fmt: skip
    assert rows_of(Path("results"), asked.name)[0.5, "code", "Maths"].relative == pytest.approx(0.5)
