"""The English tasks: what models are shown of our rows is what the golden files say, and what is right scores as right."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from evalharness.catalog import Catalog
from evalharness.scoring import METRICS
from evalharness.scoring.filters import reader
from evalharness.scoring.kind import TextItem
from evalharness.specs.scoring import headline
from tests.tasks.golden import ROWS, expected, languages_with_rows, made, render

CHOICE = (
    "arc-challenge", "arc-easy", "boolq", "cb", "copa", "hellaswag", "openbookqa", "piqa", "rte", "sciq", "social-iqa",
    "story-cloze-2016", "winogrande",
)  # fmt: skip
TEXT = ("nq-open", "triviaqa")
CODE = ("humaneval", "humaneval-chat", "humaneval-instruct", "humaneval-pass10", "mbpp")


@pytest.mark.parametrize("name", [*CHOICE, *TEXT, *CODE])
def test_a_task_shows_and_expects_what_its_golden_file_says(name: str) -> None:
    assert languages_with_rows(name) == ["en"]
    assert render(name, "en") == expected(name, "en")


@pytest.mark.parametrize("name", CHOICE)
def test_guessing_among_the_choices_scores_the_chance_of_the_task(name: str) -> None:
    acc = next(metric for metric in Catalog().task(name).metrics if metric.name == "acc")
    sizes = [len(sample.target.choices) for sample in made(name, "en") if sample.target]
    usual = 4 if name.startswith("arc-") else sizes[0]  # a few of its rows have three or five
    assert acc.chance == pytest.approx(1 / usual)
    assert usual in sizes


def test_no_letter_is_always_the_right_one() -> None:
    for name in CHOICE:
        assert len({sample.target.right for sample in made(name, "en") if sample.target}) > 1, name


def test_a_question_mark_is_added_only_where_there_is_none() -> None:
    for name in (*TEXT, "boolq"):
        raw = [sample["raw"] if name in TEXT else sample["raw"][0]["prompt"] for sample in render(name, "en")]
        assert all(text.count("?\nA") == 1 and "??" not in text for text in raw)


def test_two_rows_with_the_same_words_are_two_prompts() -> None:
    first, _, third = made("triviaqa", "en")
    assert first.raw_prompt == third.raw_prompt and (first.prompt_id, third.prompt_id) == ("0", "2")


@pytest.mark.parametrize(
    ("name", "row", "answer", "score"),
    [
        ("triviaqa", 0, "St. Louis", 1.0),
        ("triviaqa", 0, " saint louis.\nQuestion: next", 1.0),
        ("triviaqa", 0, "\n\nthe St Louis", 1.0),
        ("triviaqa", 0, "St", 0.0),
        ("triviaqa", 1, "Loire", 1.0),
        ("triviaqa", 1, "Rhône", 0.0),
        ("nq-open", 0, "Four!", 1.0),
        ("nq-open", 1, "The Rudyard Kipling", 1.0),
        ("nq-open", 2, "Parliament of the United Kingdom", 1.0),
        ("nq-open", 2, "the parliament of United Kingdom", 0.0),  # an article inside an answer counts
        ("nq-open", 2, "a Parliament of the United Kingdom.", 1.0),
    ],
)
def test_a_short_answer_is_right_whatever_its_case_punctuation_and_first_article(
    name: str, row: int, answer: str, score: float
) -> None:
    task, target = Catalog().task(name), made(name, "en")[row].target
    spec = headline(task.metrics)
    assert spec is not None and target is not None
    read = reader(task.filters[0], lambda template: template.text)
    item = read(TextItem("en", (answer,), target.texts))
    assert METRICS[spec.name].measure(item, spec.options).value == score


def program(name: str, row: int, answer: str) -> str | None:
    """Return the program of an answer as the task reads it, ``None`` where it reads none."""
    task, target = Catalog().task(name), made(name, "en")[row].target
    assert target is not None
    item = TextItem("en", (answer,), ("",))
    item = reader(task.filters[0], lambda template: template.text)(item) if task.filters else item
    return None if item.failure(0) else str(item.answers[0]).join(target.program)


def passes(source: str) -> bool:
    """Say whether ``source`` ends well."""
    return subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, timeout=60).returncode == 0


def rows(path: str) -> list[dict[str, str]]:
    """Return the rows below tests/rows."""
    return [json.loads(line) for line in (ROWS / path).read_text(encoding="utf-8").splitlines()]


HUMANEVAL = rows("openai/openai_humaneval/test.jsonl")
MBPP = rows("google-research-datasets/mbpp/full/test.jsonl")
FENCED = "Here it is:\n```python\n{}\n```\nIt works because of the loop."


@pytest.mark.parametrize("row", range(3))
def test_the_canonical_solution_of_a_function_passes_in_every_form_and_another_does_not(row: int) -> None:
    body, head = HUMANEVAL[row]["canonical_solution"], HUMANEVAL[row]["prompt"]
    whole = head + body
    right = {
        "humaneval": [body],
        "humaneval-instruct": [body, f"{body}```\nIt works because of the loop.\n```python\nraise SystemExit(3)\n```"],
        "humaneval-chat": [FENCED.format(whole), whole, f"```python\n{whole}"],
    }
    sources = [str(program(name, row, answer)) for name, answers in right.items() for answer in answers]
    assert [passes(source) for source in sources] == [True] * 6
    assert not passes(str(program("humaneval", row, "    return None\n")))
    assert not passes(str(program("humaneval-chat", row, "I cannot do that.")))


@pytest.mark.parametrize("row", range(3))
def test_the_solution_of_a_program_passes_with_and_without_a_fence_and_another_does_not(row: int) -> None:
    code = MBPP[row]["code"]
    answers = [code, f"{code}\n[DONE]\n\nYou are", FENCED.format(code)]
    assert all(passes(str(program("mbpp", row, answer))) for answer in answers)
    assert not passes(str(program("mbpp", row, "def other():\n    return 1")))
    assert program("mbpp", row, "[DONE]") is None, "no code is an answer that was not understood"


def test_the_tests_of_a_problem_are_all_run() -> None:
    for row, problem in enumerate(MBPP):
        pieces = expected("mbpp", "en")[row]["program"]
        assert all(line in pieces[1] for line in problem["test_list"])


def test_draws_for_pass_at_10_are_many_and_differ() -> None:
    task = Catalog().task("humaneval-pass10")
    assert task.n == 20 and task.generate.temperature == 0.8
    assert task.generate.stop == Catalog().task("humaneval").generate.stop
    assert [metric.options for metric in task.metrics] == [{"k": 10}, {"k": 1}]
