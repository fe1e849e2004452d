"""Whole runs of the English tasks on our rows: who knows the answers scores 1 in every task, who does not scores 0."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import Catalog
from evalharness.cli.main import main
from evalharness.sandbox import available
from evalharness.specs.task import TaskSpec
from evalharness.types import Sample
from tests.conftest import skip_or_fail
from tests.tasks.golden import ROWS, made


def solutions() -> dict[str, str]:
    """Return the code that solves our problems, by their ids."""
    files = ("openai/openai_humaneval/test.jsonl", "google-research-datasets/mbpp/full/test.jsonl")
    rows = [json.loads(line) for file in files for line in (ROWS / file).read_text(encoding="utf-8").splitlines()]
    return {str(row["task_id"]): row.get("canonical_solution") or row["code"] for row in rows}


def right(task: TaskSpec, sample: Sample, solved: dict[str, str]) -> str:
    """Return an answer that is right."""
    target = sample.target
    if target is None:
        return "It depends."
    if task.output == "code":
        return solved[sample.prompt_id]
    return f"({target.letters[target.right[0]]})" if target.choices else f"{target.texts[-1].upper()}."


def wrong(task: TaskSpec, sample: Sample) -> str:
    """Return an answer that is wrong."""
    target = sample.target
    if target is None or not target.choices:
        return "    return None" if task.output == "code" else "I do not know."
    return next(letter for at, letter in enumerate(target.letters) if at not in target.right)


def answers(names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the answers of both models to all our rows."""
    solved = solutions()
    for name in names:
        task = Catalog().task(name)
        for sample in made(name, "en"):
            about = {"task": name, "prompt_id": sample.prompt_id, "language": "en"}
            yield {**about, "model": "owl", "text": right(task, sample, solved)}
            yield {**about, "model": "ass", "text": wrong(task, sample)}


def scores(folder: Path, selector: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run ``selector`` with one model after the other; return the plan's name and the headline of each (task, model)."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EVALHARNESS_DATA", str(ROWS))
    lines = "".join(json.dumps(answer) + "\n" for answer in answers(names))
    (folder / "answers.jsonl").write_text(lines, encoding="utf-8")
    found: dict[str, Any] = {}
    for model in ("owl", "ass"):
        arguments = ("run", "-m", f"replay:answers.jsonl#{model}", "-t", selector, "--languages", "en", "--name", model)
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--allow-code-execution"])
        assert ended.value.code == 0
        summary = json.loads((folder / "results" / model / "summary.json").read_text(encoding="utf-8"))
        rows = [row for row in summary["results"] if row["by"] == "all" and row["headline"]]
        found |= {(row["task"], row["model"]): row["value"] for row in rows}
    return found


NAMES = ["arc-challenge", "arc-easy", "boolq", "cb", "copa", "hellaswag", "nq-open", "openbookqa", "piqa", "rte", "sciq",
         "social-iqa", "story-cloze-2016", "triviaqa", "winogrande"]  # fmt: skip


def test_who_knows_the_answers_scores_1_and_who_does_not_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scores(tmp_path, ",".join(NAMES), NAMES, monkeypatch)
    assert found == {(name, model): worth for name in NAMES for model, worth in (("owl", 1.0), ("ass", 0.0))}


def test_a_suite_runs_whole_its_programs_in_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("model output runs on Linux alone")
    if (why := available()) is not None:
        skip_or_fail(why)
    names = [part.task for part in Catalog().expand(["to-code"]).tasks]
    found = scores(tmp_path, "to-code", names, monkeypatch)
    scored = [name for name in names if name != "dolly-200"]
    assert found == {(name, model): worth for name in scored for model, worth in (("owl", 1.0), ("ass", 0.0))}
