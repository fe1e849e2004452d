"""Suites: categories of tasks from YAML, expanded where a task is asked for, and their mistakes with file, line and key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evalharness.catalog import Catalog
from evalharness.errors import EvalHarnessError, NotInCatalog, UsageError
from evalharness.flows.validate import validate
from evalharness.plan import Ask, command
from evalharness.resolve import resolve
from evalharness.stages.describe import describe
from evalharness.stages.load import load_samples

TASK = """\
task: {name}
version: "1"
description: one of my own
output: choice
dataset: {{path: json, data_files: rows.jsonl, split: train}}
languages: [{languages}]
sample:
  id: "{{{{ row.id }}}}"
  prompt: "{{{{ row.prompt }}}}"
  choices: [ja, nein]
  target: {{expr: "0"}}
prompts: {{origin: native}}
metrics: [{{name: acc, chance: 0.5}}]
"""
SUITE = """\
suite: mine
version: "1"
description: all of my own
categories:
  first:
    label: The first
    tasks: [alpha, "beta[de,sw]"]
    weights: {alpha: 3}
  second:
    tasks: ["beta[de,fr]"]
    metric: acc
"""
LANGUAGES = {"alpha": "de, fr", "beta": "de, fr, sw", "gamma": "fr"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three tasks and a suite of two."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks/suites").mkdir(parents=True)
    for name, languages in LANGUAGES.items():
        text = TASK.format(name=name, languages=languages)
        (tmp_path / f"tasks/{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "tasks/rows.jsonl").write_text('{"id": "1", "prompt": "Hallo?"}\n', encoding="utf-8")
    (tmp_path / "tasks/suites/mine.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path


def chosen(*selectors: str, languages: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tasks that selectors expand to, with their languages."""
    return [(part.task, part.codes) for part in Catalog().expand(selectors, languages).tasks]


@pytest.mark.usefixtures("desk")
def test_a_suite_stands_for_its_tasks_and_no_language_comes_twice() -> None:
    alpha, beta = ("alpha", ("de", "fr")), ("beta", ("de", "sw"))
    assert chosen("mine") == [alpha, beta, ("beta", ("fr",))]
    assert chosen("mine", "gamma", "alpha") == [alpha, beta, ("beta", ("fr",)), ("gamma", ("fr",))]
    assert chosen("alpha[fr]", "mine") == [("alpha", ("fr",)), ("alpha", ("de",)), beta, ("beta", ("fr",))]
    assert [suite.suite for suite in Catalog().expand(["alpha", "mine", "mine"]).suites] == ["mine"]
    assert Catalog().expand(["alpha"]).suites == ()


@pytest.mark.usefixtures("desk")
def test_languages_narrow_a_suite_and_tasks_without_any_are_named() -> None:
    catalog = Catalog()
    assert [(part.task, part.codes) for part in catalog.expand(["mine"], ["sw"]).tasks] == [("beta", ("sw",))]
    assert catalog.notes == [
        "suite mine: alpha has none of the languages asked for; left out",
        "suite mine: beta[de,fr] has none of the languages asked for; left out",
    ]
    assert chosen("mine", languages=("fr", "de")) == [("alpha", ("fr", "de")), ("beta", ("de",)), ("beta", ("fr",))]
    with pytest.raises(NotInCatalog, match=r"^suite mine: no language named 'dee'; did you mean 'de'\?"):
        chosen("mine", languages=("de", "dee"))


def test_an_added_language_belongs_to_a_task_of_a_suite_that_names_no_languages(desk: Path) -> None:
    (desk / "tasks/alpha.id.yaml").write_text(
        "extends: alpha\nlanguage: id\ndataset: {path: json, data_files: rows.jsonl, split: train}\n", encoding="utf-8"
    )
    assert chosen("mine", languages=("id",)) == [("alpha", ("id",))]


@pytest.mark.usefixtures("desk")
def test_a_suite_gives_weights_and_headings() -> None:
    first, second = Catalog().suite("mine").categories.values()
    assert [first.weight(name) for name in first.names] == [3.0, 1.0]
    assert (first.label, second.label, second.metric, second.kind) == ("The first", None, "acc", "score")


def test_a_task_comes_before_a_suite_of_its_name(desk: Path) -> None:
    (desk / "tasks/mine.yaml").write_text(TASK.format(name="mine", languages="de"), encoding="utf-8")
    assert chosen("mine") == [("mine", ("de",))]


MISTAKES = {
    "alpha, ": ("alhpa, ", "tasks/suites/mine.yaml:7: categories.first.tasks[0]: no task named 'alhpa'; did you mean 'alpha'?"),
    "weights: {alpha: 3}": (
        "weights: {alhpa: 3}", "mine.yaml:8: categories.first.weights.alhpa: is no task of this category; did you mean 'alpha'?",
    ),
    "alpha: 3": ("alpha: 0", "mine.yaml:8: categories.first.weights.alpha: 0 must be above 0"),
    'tasks: ["beta[de,fr]"]': ("tasks: []", "mine.yaml:10: categories.second.tasks: is empty; name at least one task"),
    '["beta[de,fr]"]': ("[beta, 'beta[fr]']", "mine.yaml:10: categories.second.tasks[1]: beta is listed twice; name it once"),
    "metric: acc": (
        "kind: win-rate\n    metric: acc", "mine.yaml:12: categories.second.metric: means nothing with kind: win-rate",
    ),
    "suite: mine": ("suite: yours", "mine.yaml:1: suite: 'yours' is not the file's name; call it 'mine' or rename the file"),
    "label: The": ("lable: The", "mine.yaml:6: categories.first.lable: unknown key; did you mean 'label'?"),
}  # fmt: skip


@pytest.mark.parametrize("old", MISTAKES)
def test_a_mistake_in_a_suite_names_its_place_and_the_mend(old: str, desk: Path) -> None:
    new, says = MISTAKES[old]
    (desk / "tasks/suites/mine.yaml").write_text(SUITE.replace(old, new), encoding="utf-8")
    with pytest.raises(EvalHarnessError) as error:
        chosen("mine")
    assert says in str(error.value)
    (problem,) = validate([desk / "tasks"]).problems
    assert says in problem


def test_a_suite_without_categories_is_none(desk: Path) -> None:
    text = "".join(SUITE.partition("categories:")[:2]) + " {}\n"
    (desk / "tasks/suites/mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="categories: is empty; name at least one category"):
        chosen("mine")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "beta[de,fr]",
            "beta[de,frr]",
            "categories.second.tasks[0]: task beta has no language 'frr'; did you mean 'fr'?",
        ),
        ("beta[de,fr]", "beta[de", "categories.second.tasks[0]: 'beta[de': write it as name, name[de,fr] or name[*]"),
        ("metric: acc", "metric: ac", "categories.second.tasks[0]: task beta has no metric 'ac'; did you mean 'acc'?"),
        (
            "metric: acc",
            "kind: win-rate",
            "categories.second.tasks[0]: task beta names no judge, so it has no win rate",
        ),
    ],
)
def test_validate_says_what_does_not_fit_the_tasks_of_a_suite(old: str, new: str, says: str, desk: Path) -> None:
    (desk / "tasks/suites/mine.yaml").write_text(SUITE.replace(old, new), encoding="utf-8")
    (problem,) = validate([desk / "tasks"]).problems
    assert f"tasks/suites/mine.yaml:10: {says}" in problem


def test_a_suite_that_lies_elsewhere_finds_the_tasks_of_its_folder(
    desk: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert validate([desk / "tasks"]).problems == []


@pytest.mark.usefixtures("desk")
def test_a_suite_takes_no_brackets_and_a_name_that_nothing_has_may_be_a_suites() -> None:
    with pytest.raises(
        UsageError, match="suite mine: takes no languages in brackets; narrow its tasks with --languages"
    ):
        chosen("mine[de]")
    with pytest.raises(NotInCatalog, match=r"no task named 'mien'; did you mean 'mine'\?"):
        chosen("mien")


WRITTEN = """\
task: short
version: "1"
description: answered in text
dataset: {path: json, data_files: rows.jsonl, split: train}
languages: [de]
sample: {id: "{{ row.id }}", prompt: "{{ row.prompt }}", target: "{{ row.prompt }}"}
prompts: {origin: native}
metrics: [{name: exact_match, chance: 0}]
"""


def test_a_run_of_a_suite_has_its_name_and_keeps_its_categories(desk: Path) -> None:
    (desk / "tasks/short.yaml").write_text(WRITTEN, encoding="utf-8")
    text = SUITE.partition("  first:")[0] + "  first: {label: The first, tasks: [short], weights: {short: 2}}\n"
    (desk / "tasks/suites/mine.yaml").write_text(text, encoding="utf-8")
    answer = {"prompt_id": "1", "language": "de", "model": "hare", "text": "Hallo?"}
    (desk / "answers.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf-8")
    ask = Ask(("replay:answers.jsonl#hare",), ("mine",))
    plan = resolve(ask)
    alone = resolve(replace(ask, tasks=("short",)))
    assert plan.hash == alone.hash, "what is asked together changes no figure of a task"
    assert (plan.name, alone.name) == (f"mine-{plan.hash[:8]}", f"short-{plan.hash[:8]}")
    assert alone.suites == ()
    stored = describe(plan, load_samples(plan, desk / "results").uses)
    assert stored["suites"] == [{
        "suite": "mine", "version": "1", "description": "all of my own",
        "categories": {
            "first": {"label": "The first", "kind": "score", "metric": None, "tasks": ["short"], "weights": {"short": 2.0}}
        },
    }]  # fmt: skip
    assert command(ask).endswith("--task mine")


@pytest.mark.parametrize("name", Catalog().suite_names())
def test_a_shipped_suite_has_every_language_that_it_names(name: str) -> None:
    selection = Catalog().expand([name])
    suite = Catalog().suite(name)
    assert {part.task for part in selection.tasks} == {task for c in suite.categories.values() for task in c.names}
    assert selection.suites == (suite,)


def test_the_categories_of_to_code_are_those_of_its_paper() -> None:
    suite = Catalog().suite("to-code")
    assert {name: len(category.tasks) for name, category in suite.categories.items()} == {
        "reasoning": 11, "knowledge": 2, "code": 2, "win-rate": 1,
    }  # fmt: skip
    assert {part.codes for part in Catalog().expand(["to-code"]).tasks} == {("en",)}


def test_aya_expanse_asks_each_benchmark_in_those_of_its_23_languages_that_it_has() -> None:
    found = {part.task: len(part.codes) for part in Catalog().expand(["aya-expanse"]).tasks}
    assert found == {
        "m-arenahard": 23, "dolly-200": 23, "xcopa": 5, "xstorycloze": 7, "xwinograd": 6, "global-mmlu": 23, "include": 20,
        "mgsm-native-cot": 7, "flores-from-english": 22, "flores-to-english": 22,
    }  # fmt: skip
