"""Maths, translation and judged tasks: what models are shown of our rows is what the golden files say; numbers are numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import Catalog
from evalharness.plan import Ask
from evalharness.prompts import render as rendered
from evalharness.prompts import values_of
from evalharness.run import run
from evalharness.scoring import METRICS
from evalharness.scoring.filters import reader
from evalharness.scoring.kind import Measure, TextItem
from evalharness.stages.load import source
from evalharness.types import Sampling
from tests.tasks.golden import expected, languages_with_rows, made, own_rows, parts, render

MGSM = ("mgsm-direct", "mgsm-en-cot", "mgsm-native-cot")
FLORES = ("flores-from-english", "flores-to-english")
JUDGED = (
    "alpaca-eval", "arena-hard-v0.1", "arena-hard-v2.0", "arena-hard-v2.0-creative", "arena-hard-v2.0-hard", "mt-bench",
    "wild-bench",
)  # fmt: skip
WRITTEN = {
    "mgsm": ["bn", "de", "en", "te", "th", "zh"], "flores": ["ar", "de", "hi", "zh"], "arena-hard-v2.0": ["mul"],
}  # fmt: skip


@pytest.mark.parametrize("name", [*MGSM, *FLORES, *JUDGED])
def test_a_task_shows_and_expects_what_its_golden_file_says(name: str) -> None:
    languages = next((codes for start, codes in WRITTEN.items() if name.startswith(start)), ["en"])
    assert languages_with_rows(name) == languages
    for code in languages:
        assert render(name, code) == expected(name, code)


def measured(name: str, code: str, answer: str, right: str) -> dict[str, Measure]:
    """Return what ``answer`` scores under each filter of a task."""
    task, language = parts(name, code)
    (metric,) = task.metrics
    item = TextItem(code, (answer,), (right,))
    values = values_of(language)
    read = {spec.name: reader(spec, lambda template: rendered(template, values)) for spec in task.filters}
    return {name: METRICS[metric.name].measure(each(item), metric.options) for name, each in read.items()}


def scores(name: str, code: str, answer: str, right: str) -> tuple[float | None, float | None]:
    """Return (flexible, strict)."""
    found = measured(name, code, answer, right)
    return found["flexible"].value, found["strict"].value


RESULTS = {
    "bn": "৪০ - ১৫ = ২৫। উত্তর হল ২৫।", "de": "Es sind 40 - 15. Die Antwort lautet 25.", "en": "The answer is 25.",
    "es": "La respuesta es 25.", "fr": "La réponse est 25.", "ja": "40 - 15 = 25。答えは25です。", "ru": "Ответ — 25.",
    "sw": "Jibu ni 25.", "te": "౪౦ - ౧౫. సమాధానం ౨౫.", "th": "40 - 15 = 25 คำตอบคือ 25", "zh": "还剩25个。答案是 25。",
}  # fmt: skip


@pytest.mark.parametrize("code", RESULTS)
def test_the_last_sentence_of_each_language_gives_its_number(code: str) -> None:
    assert Catalog().task("mgsm-native-cot").codes == tuple(RESULTS)
    for name in ("mgsm-native-cot", "mgsm-en-cot"):
        assert scores(name, code, RESULTS[code], "25") == (1, 1)
        assert scores(name, code, RESULTS[code], "26") == (0, 0)
    if code != "ja":  # a hyphen right after a letter is no sign
        number = "২৫" if code == "bn" else "౨౫" if code == "te" else "25"
        before, _, after = RESULTS[code].rpartition(number)
        assert scores("mgsm-native-cot", code, f"{before}-{number}{after}", "25") == (0, 0), "minus is not nothing"


@pytest.mark.parametrize(
    ("name", "code", "answer", "right", "flexible", "strict"),
    [
        ("mgsm-native-cot", "de", "Die Antwort lautet 1.250.", "1250", 1, 1),
        ("mgsm-native-cot", "en", "The answer is $1,250.00.", "1250", 1, 1),
        ("mgsm-native-cot", "bn", "উত্তর হল ১,২৫০।", "1250", 1, 1),
        ("mgsm-native-cot", "de", "Die Antwort lautet 1,5.", "15", 0, 0),
        ("mgsm-native-cot", "de", "Es bleiben 25.", "25", 1, 0),
        ("mgsm-native-cot", "de", "Die Antwort lautet 25, von anfangs 40.", "25", 0, 1),
        ("mgsm-native-cot", "de", "Die Antwort lautet 7. Nein: die Antwort lautet 25.", "25", 1, 1),
        ("mgsm-native-cot", "bn", "The answer is 25.", "25", 1, 0),
        ("mgsm-en-cot", "bn", "The answer is 25.", "25", 1, 1),
        ("mgsm-native-cot", "ru", "Ответ: 25", "25", 1, 1),
        ("mgsm-native-cot", "zh", "我不知道。", "25", 0, 0),
        ("mgsm-direct", "de", " 25", "25", 1, 1),
        ("mgsm-direct", "bn", "২৫।", "25", 1, 1),
        ("mgsm-direct", "de", "1.250", "1250", 1, 1),
        ("mgsm-direct", "de", "25 Äpfel", "25", 1, 0),
        ("mgsm-direct", "de", "40 - 15 = 25", "25", 1, 0),
    ],
)
def test_answers_in_numbers_are_read_as_numbers(
    name: str, code: str, answer: str, right: str, flexible: float, strict: float
) -> None:
    assert scores(name, code, answer, right) == (flexible, strict)


@pytest.mark.parametrize("name", MGSM)
def test_prefixes_stand_once_whether_the_rows_have_them_or_not(name: str) -> None:
    for code in languages_with_rows(name):
        words = dict(parts(name, code)[1].words)
        for sample in render(name, code):
            assert sample["raw"].count(words["question"]) == 9, "eight examples and the question"
            cue = {"mgsm-direct": "answer", "mgsm-en-cot": "cue", "mgsm-native-cot": "steps"}[name]
            assert sample["raw"].count(words[cue]) == 9
            assert sample["raw"].endswith(f"\n{words[cue]}")
            if name == "mgsm-en-cot" and code != "en":
                assert words["steps"] not in sample["raw"]


def test_problems_of_equal_place_are_translations_of_one() -> None:
    texts = {code: [sample.prompt_id for sample in made("mgsm-direct", code)] for code in ("bn", "en", "zh")}
    assert set(map(tuple, texts.values())) == {("0", "1")}


def test_the_forms_of_mgsm_are_never_under_one_heading() -> None:
    assert len({Catalog().task(name).suite_category for name in MGSM}) == 3


def test_a_translation_goes_with_its_source_whatever_the_order_of_the_rows() -> None:
    for name in FLORES:
        for code in WRITTEN["flores"]:
            (task, language), samples = parts(name, code), made(name, code)
            assert [sample.prompt_id for sample in samples] == ["1", "2"]
            wanted = {sample.target.language for sample in samples if sample.target}
            assert wanted == {code if name == "flores-from-english" else "en"}
            assert language.config in source(task, language).shown
    english, german = made("flores-to-english", "de"), made("flores-from-english", "de")
    assert [s.target and s.target.texts for s in english] == [
        ("The market is closed on Sundays.",), ("Children learn to swim in the lake.",)
    ]  # fmt: skip
    assert [s.target and s.target.texts for s in german] == [
        ("Der Markt ist sonntags geschlossen.",), ("Kinder lernen im See schwimmen.",)
    ]  # fmt: skip


def test_a_perfect_translation_has_the_highest_score_and_a_second_line_does_not_count() -> None:
    task, _ = parts("flores-from-english", "de")
    read = reader(task.filters[0], lambda template: template.text)
    right = "Der Markt ist sonntags geschlossen."
    (metric,) = task.metrics
    for answer, value in ((f" {right}\nFrench sentence: x", 100.0), ("Markt", None)):
        found = METRICS[metric.name].measure(read(TextItem("de", (answer,), (right,))), metric.options).value
        assert found is not None and (found == pytest.approx(value) if value else found < 50)


def test_the_temperatures_of_mt_bench_are_those_of_its_categories() -> None:
    task = Catalog().task("mt-bench")
    hot = {category: own.temperature for category, own in task.generate_by.items()}
    assert hot == {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}
    assert task.generate == Sampling(temperature=0, max_tokens=1024)
    assert {own.max_tokens for own in task.generate_by.values()} == {1024}


def test_hard_and_creative_prompts_are_parts_of_one_benchmark() -> None:
    whole, hard, creative = (
        {sample.prompt_id for sample in made(name, "mul")}
        for name in ("arena-hard-v2.0", "arena-hard-v2.0-hard", "arena-hard-v2.0-creative")
    )
    assert hard | creative == whole and not hard & creative


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api_server: Any) -> Path:
    """A working folder with models behind a server."""
    monkeypatch.chdir(tmp_path)
    entry = {"backend": "openai", "base_url": api_server.url, "engine": {"max_retries": 1}}
    models = {
        "api": {**entry, "path": "good"}, "own": {**entry, "path": "other", "generate": {"stop": ["END"]}},
        "judge": {**entry, "path": "judge"},
    }  # fmt: skip
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    return tmp_path


def test_an_answer_stops_where_the_next_question_would_begin_in_its_language(home: Path, api_server: Any) -> None:
    with own_rows():
        outcome = run(Ask(models=("api", "own"), tasks=("mgsm-native-cot[de,bn]",), limit=1), Path("results"))
    stops = {
        (entry["body"]["model"], entry["body"]["messages"][0]["content"][:5]): entry["body"]["stop"]
        for entry in api_server.log()
    }
    assert stops == {
        ("good", "Frage"): ["</s>", "<|im_end|>", "Frage:"], ("good", "প্রশ্"): ["</s>", "<|im_end|>", "প্রশ্ন:"],
        ("other", "Frage"): ["END"], ("other", "প্রশ্"): ["END"],
    }  # fmt: skip
    assert outcome.summary is not None
    (task,) = outcome.summary["tasks"]
    assert task["stop"] == {"de": ["Frage:"], "bn": ["প্রশ্ন:"]}


def test_a_conversation_of_mt_bench_is_played_and_scored(home: Path, api_server: Any) -> None:
    with own_rows():
        outcome = run(Ask(models=("api",), tasks=("mt-bench",), judge_model="judge"), Path("results"))
    asked = [entry["body"] for entry in api_server.log("good")]
    assert len(asked) == 6 and sum(len(body["messages"]) == 3 for body in asked) == 3
    assert {body["temperature"] for body in asked} == {0, 0.1, 0.7}
    judged = [entry["body"]["messages"][-1]["content"] for entry in api_server.log("judge")]
    assert any("[turn 2]\n1 m" in text and "[turn 2]\ngood says" in text for text in judged), "the reference is shown"
    assert outcome.summary is not None
