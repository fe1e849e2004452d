"""What a user gets wrong: each mistake ends with its exit code and one line that names file, line and key, and the mend."""

# ruff: noqa: E501  (a table: one mistake a line)

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.store import Journal

TASK = """\
task: mine
version: "1"
description: one of my own
dataset: {path: json, data_files: mine.jsonl, split: train}
languages: [de]
sample:
  id: "{{ row.id }}"
  prompt: "{{ row.prompt }}"
prompts: {origin: native}
"""
JUDGE = """\
judge: strict
version: "1"
description: one of my own
prompts:
  default: "{{ question }} {{ answer_a }} {{ answer_b }}"
verdict:
  kind: label
  pattern: '(A|B)'
  labels:
    A: {score: 1}
    B: {score: 0}
"""
ROWS = '{"id": "1", "prompt": "Hallo?"}\n{"id": "2", "prompt": "Wie?"}\n'
ANSWERS = "".join(
    json.dumps({"prompt_id": i, "language": "de", "model": model, "text": f"{model} {i}"}) + "\n"
    for i in ("1", "2")
    for model in ("tortoise", "hare")
)
BATTLE = '{"prompt_id": "1", "language": "de", "model_a": "tortoise", "model_b": "hare", "score": 1, "judge": "j"}\n'
SUITE = """\
suite: all
version: "1"
description: all of my own
categories:
  first: {tasks: [mine]}
"""
BASE = {
    "tasks/mine.yaml": TASK,
    "tasks/mine.jsonl": ROWS,
    "judges/strict.yaml": JUDGE,
    "tasks/suites/all.yaml": SUITE,
    "answers.jsonl": ANSWERS,
}

RUN = (
    "run",
    "-m",
    "replay:answers.jsonl",
    "-t",
    "mine",
    "--judge",
    "strict",
    "--judge-model",
    "replay:answers.jsonl#hare",
)
GENERATE = ("generate", "-m", "replay:answers.jsonl#hare", "-t", "mine")
SHOW = ("show", "mine")
JUDGED = ("show", "strict")
RANK = ("rank", "battles.jsonl")
CONFIG = ("ls", "models")


@dataclass(frozen=True)
class Mistake:
    """What is typed, the files that differ from BASE (``None``: gone), and what the line must say."""

    arguments: tuple[str, ...]
    says: tuple[str, ...]
    files: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    code: int = 2


def task(old: str, new: str) -> dict[str, str | None]:
    """Return the task with ``old`` written as ``new``."""
    assert old in TASK
    return {"tasks/mine.yaml": TASK.replace(old, new)}


def judge(old: str, new: str) -> dict[str, str | None]:
    """Return the judge with ``old`` written as ``new``."""
    assert old in JUDGE
    return {"judges/strict.yaml": JUDGE.replace(old, new)}


def suite(old: str, new: str) -> dict[str, str | None]:
    """Return the suite with ``old`` written as ``new``."""
    assert old in SUITE
    return {"tasks/suites/all.yaml": SUITE.replace(old, new)}


def config(text: str) -> dict[str, str | None]:
    """Return an evalharness.yaml."""
    return {"evalharness.yaml": text}


def swap(arguments: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    """Return ``arguments`` with the word ``old`` as ``new``."""
    assert old in arguments
    return tuple(new if word == old else word for word in arguments)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)

MISTAKES: dict[str, Mistake] = {
    # where engines run
    "executor": Mistake((*RUN, "--executor", "rya"), ("'rya' is not one of 'local', 'ray'",)),
    "ray, which is not installed": Mistake((*RUN, "--executor", "ray"), ("--executor ray: ray is not installed; pip install 'evalharness[vllm,ray]'",)),
    "address": Mistake((*RUN, "--executor", "ray", "--ray-address", "ray://head:10001"), ("--ray-address ray://head:10001: write auto (the cluster that this machine belongs to) or HOST:PORT of its head", "type the command on a node")),
    "address without ray": Mistake((*RUN, "--ray-address", "auto"), ("--ray-address auto: is for --executor ray; add it",)),
    # names on the command line
    "command": Mistake(("rnu",), ("no command 'rnu'; did you mean 'run'?",)),
    "flag": Mistake((*RUN, "--limt", "3"), ("No such option: --limt; did you mean '--limit'?", "evalharness run --help")),
    "kind": Mistake(("ls", "task"), ("no kind named 'task'; did you mean 'tasks'?",)),
    "task": Mistake(swap(RUN, "mine", "mien"), ("no task named 'mien'; did you mean 'mine'?",)),
    "language": Mistake(swap(RUN, "mine", "mine[dee]"), ("task mine: no language named 'dee'; did you mean 'de'?",)),
    "language flag": Mistake((*RUN, "--languages", "xx"), ("no language named 'xx'; there is: de",)),
    "selector": Mistake(swap(RUN, "mine", "mine[de"), ("write it as name, name[de,fr] or name[*]",)),
    "model": Mistake(swap(RUN, "replay:answers.jsonl", "gemma-3-270"), ("no model named 'gemma-3-270'; did you mean 'gemma-3-270m'?",)),
    "model twice": Mistake(swap(RUN, "replay:answers.jsonl", "gemma-3-270m,gemma-3-270m"), ("'gemma-3-270m' is given twice",)),
    "backend": Mistake(swap(RUN, "replay:answers.jsonl", "hff:x"), ("no backend named 'hff'; did you mean 'hf'?",)),
    "model path": Mistake(swap(RUN, "replay:answers.jsonl", "hf:./nowhere,hf:./no"), ("./nowhere", "no such folder", "check the path")),
    "judge": Mistake(swap(RUN, "strict", "strct"), ("no judge named 'strct'; did you mean 'strict'?",)),
    "no judge": Mistake(RUN[:5], ("task mine names no judge; choose one with --judge",)),
    "one model": Mistake(swap(RUN, "replay:answers.jsonl", "replay:answers.jsonl#hare"), ("needs two models",)),
    "many judge models": Mistake(swap(RUN, "replay:answers.jsonl#hare", "replay:answers.jsonl"), ("judge model replay:answers.jsonl is 2 models; name one",)),
    "baseline": Mistake((*RUN, "--baseline", "turtle"), ("no model named 'turtle'",)),
    "no baseline": Mistake((*RUN, "--baseline", "task"), ("mine name no one baseline; name a model",)),
    "no models": Mistake(("run", "-t", "mine"), ("Missing option '--models'",)),
    "no task": Mistake(("run", "-m", "a"), ("Missing option '--task'",)),
    "show": Mistake(("show", "strct"), ("did you mean 'strict'?",)),
    "show language": Mistake(("show", "mine", "--language", "sw"), ("task mine: no language named 'sw'; there is: de",)),
    "shell": Mistake(("completion", "fsh"), ("no shell named 'fsh'; did you mean 'fish'?",)),
    "schema": Mistake(("schema", "tsak"), ("no schema named 'tsak'; did you mean 'task'?",)),
    # values on the command line
    "gen key": Mistake((*RUN, "--gen", "temprature=1"), ("--gen temprature: unknown key; did you mean 'temperature'?",)),
    "gen value": Mistake((*RUN, "--gen", "temperature=warm"), ("--gen temperature=warm: must be a number",)),
    "gen form": Mistake((*RUN, "--gen", "temperature"), ("--gen temperature: write it as key=value",)),
    "gen range": Mistake((*RUN, "--gen", "top_p=1.5"), ("--gen top_p=1.5: must be above 0 and at most 1",)),
    "limit": Mistake((*RUN, "--limit", "0"), ("--limit", "0 is not in the range")),
    "limit text": Mistake((*RUN, "--limit", "ten"), ("--limit", "'ten' is not a valid integer")),
    "level": Mistake((*RUN, "--level", "95"), ("--level", "95.0 is not in the range")),
    "choice": Mistake((*RUN, "--average", "makro"), ("--average", "'makro' is not one of", "macro")),
    "seed": Mistake((*RUN, "--seed", "-1"), ("--seed", "-1 is not in the range")),
    "specs": Mistake((*RUN, "--specs", "nowhere"), ("--specs nowhere: no such folder",)),
    "results is a file": Mistake((*RUN, "--results", "answers.jsonl"), ("--results", "answers.jsonl", "is a file")),
    "results cannot be": Mistake((*RUN, "--results", "/proc/nowhere"), ("/proc/nowhere: cannot be written", "--results")),
    "results of another program": Mistake(("ls", "runs"), ("results/evalharness.db", "not a database"), {"results/evalharness.db": "x" * 9000}, code=1),
    "no runs": Mistake(("resume", "nope"), ("no runs in results; start one with `evalharness run`",)),
    "run": Mistake(("resume", "nope", "--results", "kept"), ("kept: no run named 'nope'; there is none",)),
    # environment and configuration
    "variable": Mistake(RUN, ("EVALHARNESS_LIMIT", "0 is not in the range"), environment={"EVALHARNESS_LIMIT": "0"}),
    "name in a variable": Mistake(RUN[:3], ("EVALHARNESS_TASK: no task named 'mien'; did you mean 'mine'?",), environment={"EVALHARNESS_TASK": "mien"}),
    "config section": Mistake(CONFIG, ("evalharness.yaml:1: modles: unknown key; did you mean 'models'?",), config("modles: {}\n")),
    "config key": Mistake(RUN, ("evalharness.yaml:2: run.limt: unknown key; did you mean 'limit'?",), config("run:\n  limt: 3\n")),
    "config type": Mistake(RUN, ("evalharness.yaml:2: run.limit: must be a whole number, not 'many'",), config("run:\n  limit: many\n")),
    "config range": Mistake(RUN, ("evalharness.yaml:2: run.level: 95 must lie in 0.5..0.999",), config("run:\n  level: 95\n")),
    "config sampling": Mistake(RUN, ("evalharness.yaml:2: run.gen.temprature: unknown key; did you mean 'temperature'?",), config("run:\n  gen: {temprature: 1}\n")),
    "config name": Mistake(("run", "-t", "mine"), ("evalharness.yaml:2: run.models: no model named 'gemma'; did you mean 'gemma-3-270m'?",), config("run:\n  models: [gemma]\n")),
    "model speed": Mistake(CONFIG, ("evalharness.yaml:2: models.m.tokens_per_second: must be above 0: tokens that the engine writes a second",), config("models:\n  m: {backend: hf, path: x, tokens_per_second: 0}\n")),
    "model key": Mistake(CONFIG, ("evalharness.yaml:2: models.m.pth: unknown key; did you mean 'path'?",), config("models:\n  m: {backend: hf, pth: x}\n")),
    "model addresses": Mistake(("run", "--models", "m,m2", "-t", "mine", "--judge", "arena-hard", "--judge-model", "m"), ("model 'm': base_url names http://a/v1 twice; name each address once",), config("models:\n  m: {backend: openai, path: m, base_url: [http://a/v1, http://a/v1/]}\n  m2: {backend: openai, path: m2, base_url: http://b}\n")),
    "model without a path": Mistake(CONFIG, ("evalharness.yaml:2: models.m.path: missing; add it",), config("models:\n  m: {backend: hf}\n")),
    "model size": Mistake(CONFIG, ("evalharness.yaml:2: models.m.size_b: must be a number, not '7B'",), config("models:\n  m: {backend: hf, path: x, size_b: 7B}\n")),
    "model sampling": Mistake(CONFIG, ("evalharness.yaml:2: models.m.generate.temperature: -1 must be 0 (greedy) or above",), config("models:\n  m: {backend: hf, path: x, generate: {temperature: -1}}\n")),
    "a key in the file": Mistake(CONFIG, ("evalharness.yaml:2: models.m.api_key_env: is not the name of an environment variable",), config("models:\n  m: {backend: hf, path: x, api_key_env: sk-proj-abc123}\n")),
    "engine setting": Mistake(swap(GENERATE, "replay:answers.jsonl#hare", "m"), ("model 'm'", "unknown setting 'dtyp'; did you mean 'dtype'?"), config("models:\n  m: {backend: hf, path: x, engine: {dtyp: float32}}\n")),
    "entry backend": Mistake(swap(GENERATE, "replay:answers.jsonl#hare", "m"), ("model 'm': no backend named 'hff'; did you mean 'hf'?",), config("models:\n  m: {backend: hff, path: x}\n")),
    # YAML
    "tab": Mistake(SHOW, ("tasks/mine.yaml:7: is not YAML", "tabs cannot indent YAML, use spaces"), task("  id:", "\tid:")),
    "unclosed": Mistake(SHOW, ("tasks/mine.yaml:6: is not YAML",), task("[de]", "[de")),
    "twice": Mistake(SHOW, ("tasks/mine.yaml:3: version: is written twice (first on line 2); keep one",), task('version: "1"\n', 'version: "1"\nversion: "2"\n')),
    "not a mapping": Mistake(SHOW, ("tasks/mine.yaml:1: must hold keys and values",), {"tasks/mine.yaml": "- a\n- b\n"}),
    "empty": Mistake(SHOW, ("tasks/mine.yaml:1: must hold keys and values",), {"tasks/mine.yaml": ""}),
    "huge": Mistake(SHOW, ("tasks/mine.yaml: 100,000,000 bytes is more than a spec may have",), {"tasks/mine.yaml": "#" * 100_000_000}),
    "deep": Mistake(SHOW, ("tasks/mine.yaml:1: is nested deeper than 40 levels",), {"tasks/mine.yaml": "task: " + "[" * 200 + "]" * 200}),
    "bomb": Mistake(SHOW, ("tasks/mine.yaml:6: holds more than 200,000 values",), {"tasks/mine.yaml": BOMB}),
    "tag": Mistake(SHOW, ("tasks/mine.yaml:1: has the tag", "specs are data only"), task("task: mine", "task: !!python/name:os.system mine")),
    "key": Mistake(SHOW, ("tasks/mine.yaml:4: dataset.splt: unknown key; did you mean 'split'?",), task("split:", "splt:")),
    "type": Mistake(SHOW, ("tasks/mine.yaml:2: version: must be text, not 1", "put it in quotes"), task('"1"', "1")),
    "missing": Mistake(SHOW, ("tasks/mine.yaml:1: description: missing; add it",), task("description: one of my own\n", "")),
    "value": Mistake(SHOW, ("tasks/mine.yaml:9: prompts.origin: 'nativ' is not one of", "did you mean 'native'?"), task("native", "nativ")),
    "file name": Mistake(SHOW, ("tasks/mine.yaml:1: task: 'yours' is not the file's name; call it 'mine' or rename the file",), task("task: mine", "task: yours")),
    "languages empty": Mistake(SHOW, ("tasks/mine.yaml:5: languages: is empty; name at least one language",), task("[de]", "[]")),
    "language twice": Mistake(SHOW, ("tasks/mine.yaml:5: languages: de is listed twice",), task("[de]", "[de, de]")),
    "language code": Mistake(SHOW, ("tasks/mine.yaml:5: languages[0]: 'German!' is not a BCP 47 language tag",), task("[de]", "['German!']")),
    "language as text": Mistake(SHOW, ("tasks/mine.yaml:5: languages: must be a list, not 'de'", 'write ["de"]'), task("[de]", "de")),
    "prompt and messages": Mistake(SHOW, ("tasks/mine.yaml:6: sample: needs exactly one of prompt, messages and turns",), task('prompt: "{{ row.prompt }}"', 'category: "x"')),
    "temperature": Mistake(SHOW, ("tasks/mine.yaml:10: generate.temperature: -1 must be 0 (greedy) or above",), {"tasks/mine.yaml": f"{TASK}generate: {{temperature: -1}}\n"}),
    "circle": Mistake(("show", "other"), ("tasks/third.yaml:1: extends: goes in a circle: other.yaml -> third.yaml -> other.yaml",), {"tasks/other.yaml": "extends: third\n", "tasks/third.yaml": "extends: other\n"}),
    "extends": Mistake(("show", "mine.sw"), ("tasks/mine.sw.yaml:1: extends: no task named 'mien'; did you mean 'mine'?",), {"tasks/mine.sw.yaml": "extends: mien\nlanguage: sw\n"}),
    "language of the file": Mistake(("show", "mine.sw"), ("tasks/mine.sw.yaml:2: language: must be 'sw', as in the file's name",), {"tasks/mine.sw.yaml": "extends: mine\nlanguage: fr\n"}),
    # suites
    "suite": Mistake(swap(RUN, "mine", "alll"), ("no task named 'alll'; did you mean 'all'?",)),
    "suite in brackets": Mistake(swap(RUN, "mine", "all[de]"), ("suite all: takes no languages in brackets", "--languages")),
    "language of a suite": Mistake((*swap(RUN, "mine", "all"), "--languages", "dee"), ("suite all: no language named 'dee'; did you mean 'de'?",)),
    "task of a suite": Mistake(swap(RUN, "mine", "all"), ("tasks/suites/all.yaml:5: categories.first.tasks[0]: no task named 'mien'; did you mean 'mine'?",), suite("[mine]", "[mien]")),
    "empty category": Mistake(("show", "all"), ("tasks/suites/all.yaml:5: categories.first.tasks: is empty; name at least one task",), suite("[mine]", "[]")),
    "weight in a suite": Mistake(("validate", "tasks/suites"), ("all.yaml:5: categories.first.weights.mien: is no task of this category; did you mean 'mine'?",), suite("[mine]", "[mine], weights: {mien: 2}")),
    "suite key": Mistake(("ls", "suites"), ("tasks/suites/all.yaml:4: categores: unknown key; did you mean 'categories'?",), suite("categories", "categores")),
    # judges
    "pattern": Mistake(JUDGED, ("judges/strict.yaml:8: verdict.pattern: is not a regular expression",), judge("(A|B)", "(A|B")),
    "groups": Mistake(JUDGED, ("judges/strict.yaml:8: verdict.pattern: has 0 groups; put exactly one (…) around the label",), judge("(A|B)", "A|B")),
    "label score": Mistake(JUDGED, ("judges/strict.yaml:10: verdict.labels.A.score: 2 is outside 0..1",), judge("score: 1", "score: 2")),
    "one label": Mistake(JUDGED, ("judges/strict.yaml:9: verdict.labels: needs at least two labels",), judge("    B: {score: 0}\n", "")),
    "no default": Mistake(JUDGED, ("judges/strict.yaml:4: prompts: needs a `default` prompt",), judge("default:", "de:")),
    "verdict kind": Mistake(JUDGED, ("judges/strict.yaml:7: verdict.kind: 'lable' is not one of", "did you mean 'label'?"), judge("kind: label", "kind: lable")),
    # templates
    "template": Mistake(GENERATE, ("tasks/mine.yaml:8: sample.prompt: is not a template: unexpected '}'",), task("{{ row.prompt }}", "{{ row.prompt }")),
    "variable of a template": Mistake(GENERATE, ("tasks/mine.yaml:8: sample.prompt:", "'rwo' is undefined", "{{ rwo.prompt }}"), task("row.prompt", "rwo.prompt")),
    "column": Mistake(GENERATE, ("tasks/mine.yaml:8: sample.prompt: row '1' (number 1) of mine[de]", "there is no 'promt'; did you mean 'prompt'?"), task("row.prompt", "row.promt")),
    "judge template": Mistake(("validate", "judges"), ("judges/strict.yaml:5: prompts.default:", "{{ answer_c }} is not known here; did you mean 'answer_b'?"), judge("{{ answer_b }}", "{{ answer_c }}")),
    # data
    "data file": Mistake(GENERATE, ("tasks/mine.yaml: dataset.data_files: no data file 'mine.jsonl' in", "relative to the task's YAML"), {"tasks/mine.jsonl": None}),
    "data outside": Mistake(GENERATE, ("tasks/mine.yaml: dataset.data_files: '../answers.jsonl' lies outside the task's folder", "put the file inside it"), task("mine.jsonl", "../answers.jsonl")),
    "not JSON lines": Mistake(GENERATE, ("tasks/mine.jsonl:1: is not JSON: Expecting value at column 1",), {"tasks/mine.jsonl": "id,prompt\n1,Hallo\n"}),
    "no rows": Mistake(GENERATE, ("mine[de]: data set", "mine.jsonl", "has no rows"), {"tasks/mine.jsonl": ""}),
    "ids": Mistake(GENERATE, ("mine[de]: rows 1 and 2 have the same id '1'; ids must differ within a language",), {"tasks/mine.jsonl": ROWS.replace('"2"', '"1"')}),
    "empty id": Mistake(GENERATE, ("mine[de]: row 1 has an empty id; give sample.id a column that is filled",), {"tasks/mine.jsonl": ROWS.replace('"1"', '""')}),
    "data set": Mistake(GENERATE, ("tasks/mine.yaml: dataset.path: 'js onl' is neither csv, json, parquet nor a hub id such as org/name",), task("path: json,", "path: js onl,")),
    # replayed answers
    "replay file": Mistake(swap(GENERATE, "replay:answers.jsonl#hare", "replay:nothing-*.jsonl"), ("nothing-*.jsonl",)),
    "replay model": Mistake(swap(GENERATE, "replay:answers.jsonl#hare", "replay:answers.jsonl#hair"), ("no model named 'hair'; did you mean 'hare'?",)),
    "replay line": Mistake(GENERATE, ("answers.jsonl:5: not JSON",), {"answers.jsonl": ANSWERS + '{"prompt_id": "3",\n'}),
    "replay field": Mistake(GENERATE, ("answers.jsonl:5:", "language"), {"answers.jsonl": ANSWERS + '{"prompt_id": "3", "model": "hare", "text": "x"}\n'}),
    # battles
    "battle file": Mistake(RANK, ("battles.jsonl",), {"battles.jsonl": None}),
    "base of a battle file": Mistake(("compare", "battles.jsonl", "--base", "text"), ("battles.jsonl", "--base needs runs", "battle file")),
    "base of no run": Mistake(("compare", "nothing", "--base", "text"), ("no run named 'nothing'",)),
    "steps without a base": Mistake(("compare", "battles.jsonl", "--x", "step"), ("--x step", "only with --base")),
    "form without a base": Mistake(("compare", "battles.jsonl", "--format", "latex"), ("--format latex", "only with --base")),
    "battle folder": Mistake(("rank", "tasks"), ("tasks",)),
    "battle column": Mistake(RANK, ("battles.jsonl", "model_b"), {"battles.jsonl": BATTLE.replace("model_b", "modelb")}),
    "battle score": Mistake(RANK, ("battles.jsonl", "score", "0..1"), {"battles.jsonl": BATTLE.replace('"score": 1', '"score": 2')}),
    "battle baseline": Mistake((*RANK, "--baseline", "har"), ("no model named 'har'; did you mean 'hare'?",)),
    "axis": Mistake((*RANK, "--by", "languge"), ("--by languge: no such choice; did you mean 'language'?",)),
    # validate
    "validate path": Mistake(("validate", "tasks/mien.yaml"), ("tasks/mien.yaml: no such file or folder; did you mean 'mine.yaml'?",)),
    "validate offline": Mistake(("validate", "tasks", "--online"), ("--online asks the HF hub, and HF_HUB_OFFLINE is set",), environment={"HF_HUB_OFFLINE": "1"}),
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a task, a judge, answers, battles, and an empty journal in `kept`."""
    for name, text in {**BASE, "battles.jsonl": BATTLE}.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text, encoding="utf-8")
    with Journal.writing(tmp_path / "kept"):
        pass
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def said(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_one_helpful_line(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = MISTAKES[name]
    for file, text in mistake.files.items():
        (desk / file).unlink(missing_ok=True)
        if text is not None:
            (desk / file).parent.mkdir(exist_ok=True)
            (desk / file).write_text(text, encoding="utf-8")
    for variable, value in mistake.environment.items():
        monkeypatch.setenv(variable, value)
    code, out, err = said(mistake.arguments, capsys)
    lines = err.splitlines()
    if mistake.arguments[0] == "validate" and len(lines) == 2:  # its last line counts the problems
        assert lines.pop().endswith("1 problem")
    assert code == mistake.code, err
    assert len(lines) == 1 and out == "", err
    for part in mistake.says:
        assert part in lines[0]


def test_the_code_of_norwegian_stays_what_it_is(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "tasks/mine.yaml").write_text(TASK.replace("[de]", "[no, de]"), encoding="utf-8")
    code, out, _ = said(("show", "mine", "--json"), capsys)
    assert code == 0 and json.loads(out)["languages"] == ["no", "de"]
