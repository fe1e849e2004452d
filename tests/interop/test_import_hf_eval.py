"""``evalharness import hf-eval-yaml``: what maps is written, what does not is refused with its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalharness.catalog import Catalog
from evalharness.cli.main import main
from evalharness.data import load
from evalharness.prompts import samples, shown
from evalharness.stages.load import source

HEAD = "name: Quiz\nevaluation_framework: inspect-ai\ntasks:\n"
CHOICE = """\
  - id: easy
    config: main
    split: test
    field_spec: {input: q, target: right, choices: options, metadata: [topic]}
    solvers:
      - {name: system_message, args: {template: "Be {{short}}."}}
      - {name: prompt_template, args: {template: "On {topic}: {prompt}"}}
      - name: multiple_choice
      - {name: generate, args: {max_tokens: 9}}
    scorers: [{name: choice}]
"""
OPEN = """\
  - id: open
    field_spec: {input: q, target: "literal:yes"}
    epochs: 2
    solvers: [{name: generate}]
    scorers: [{name: exact}]
"""


def taken(capsys: pytest.CaptureFixture[str], text: str, code: int = 0) -> dict[str, object]:
    Path("eval.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["import", "hf-eval-yaml", "eval.yaml", "--dataset", "own/quiz", "--out", "ours", "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == code, (out, err)
    found: dict[str, object] = json.loads(out)
    return found


def test_tasks_ask_and_score_as_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_DATA", "rows")
    row = {"q": "How many?", "right": 1, "options": ["one", "two"], "topic": "sums"}
    Path("rows/own/quiz/main").mkdir(parents=True)
    Path("rows/own/quiz/main/test.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    document = taken(capsys, HEAD + CHOICE + OPEN)
    assert document["tasks"] == ["quiz-easy", "quiz-open"]
    task = Catalog(specs=["ours"]).task("quiz-easy")
    rows, _ = load(source(task, task.languages[0]), Path("no.lock.json"), extend=False)
    (sample,) = samples(task, task.languages[0], rows)
    system, user = shown(sample, "chat")
    asked = "On sums: How many?\n\nA) one\nB) two\n\nAnswer with the letter of the right choice and nothing else."
    assert (system.content, user.content) == ("Be {short}.", asked)
    assert sample.target is not None
    assert sample.target.texts == ("B",)
    assert (task.metrics[0].name, task.generate.max_tokens) == ("letter", 9)
    other = Catalog(specs=["ours"]).task("quiz-open")
    assert (other.n, other.metrics[0].options, other.dataset.name) == (2, {"normalise": "squad"}, None)


@pytest.mark.parametrize(("old", "new", "reason"), [
    ("inspect-ai", "other", "evaluation_framework: a framework that is not read"),
    ("epochs: 2", "shuffle_choices: true", "shuffle_choices: choices in a random order"),
    ("epochs: 2", "epochs: 2\n    epoch_reducer: max", "epoch_reducer: several answers made one by other than their mean"),
    ("name: exact", "name: model_graded_qa", "scorers: a scorer that is not offered here"),
    ("name: generate", "name: self_critique", "solvers: a solver that is not offered here"),
    ("input: q", "input: q, input_image: i", "field_spec: a field that is not offered here"),
])  # fmt: skip
def test_what_has_no_equal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    document = taken(capsys, (HEAD + OPEN).replace(old, new), code=3)
    assert document["reasons"] == {reason: 1}
