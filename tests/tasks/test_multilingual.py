"""The multilingual tasks: what models are shown of our rows is what the golden files say, in every language of each benchmark."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from evalharness.catalog import Catalog
from evalharness.data import load
from evalharness.errors import DataError, SpecError
from evalharness.languages import name, script
from evalharness.prompts import samples
from evalharness.scoring import METRICS
from evalharness.scoring.kind import LikelihoodItem, TextItem
from evalharness.specs.sample import ShotsSpec
from evalharness.specs.task import load_task
from evalharness.stages.load import shots_source, source
from tests.tasks.golden import NO_LOCK, expected, languages_with_rows, made, own_rows, render

REASONING = ("belebele", "xcopa", "xcopa-script-aware", "xstorycloze", "xwinograd")
MMLU = (
    "global-mmlu",
    "global-mmlu-ca",
    "global-mmlu-cs",
    "global-mmlu-lite",
    "global-mmlu-native-cue",
    "m-mmlu",
    "mmmlu",
)
CHOICE = (*REASONING, *MMLU, "include")
SIZES = {
    "belebele": 120, "xcopa": 11, "xcopa-script-aware": 11, "xstorycloze": 11, "xwinograd": 6, "global-mmlu": 42,
    "global-mmlu-ca": 42, "global-mmlu-cs": 42, "global-mmlu-lite": 15, "global-mmlu-native-cue": 42, "m-mmlu": 34, "mmmlu": 14,
    "include": 44, "flores-bpb": 23,
}  # fmt: skip
ENGLISH = "Answer with the letter of the right choice and nothing else."


@pytest.mark.parametrize("task_name", SIZES)
def test_a_task_shows_and_expects_what_its_golden_file_says(task_name: str) -> None:
    codes = languages_with_rows(task_name)
    assert len(codes) >= 4
    for code in codes:
        assert render(task_name, code) == expected(task_name, code)


@pytest.mark.parametrize("task_name", SIZES)
def test_a_task_renders_in_the_wording_of_every_language(task_name: str) -> None:
    task = Catalog().task(task_name)
    assert len(task.languages) == SIZES[task_name]
    assert len({language.config for language in task.languages}) == SIZES[task_name]
    with own_rows():
        other = task.languages[task.codes.index("zh")]
        rows, _ = load(source(task, other), NO_LOCK, extend=False)
        shots = None if task.shots is None else load(shots_source(task, other), NO_LOCK, extend=False)[0]
    for language in task.languages:
        letter = dict(language.words).get("letter", "")
        for sample in samples(task, language, rows, shots):
            assert (sample.generative or "").endswith(letter)
            assert "{{" not in str(sample) and "None" not in str(sample.messages)


def test_a_language_is_told_to_answer_by_letter_in_the_same_words_in_all_tasks() -> None:
    told: dict[str, set[str]] = {}
    for task_name in CHOICE:
        for language in Catalog().task(task_name).languages:
            told.setdefault(language.code, set()).add(dict(language.words)["letter"])
    assert [code for code, words in told.items() if len(words) > 1] == []
    assert [code for code in Catalog().task("flores-bpb").codes if code in told and told[code] == {ENGLISH}] == ["en"]


def test_a_translated_prompt_has_one_id_in_all_languages_and_prompts_that_share_nothing_have_none_in_common() -> None:
    for task_name in SIZES:
        ids = [{sample.prompt_id for sample in made(task_name, code)} for code in languages_with_rows(task_name)]
        if Catalog().task(task_name).prompts.parallel:
            assert all(each == ids[0] for each in ids), task_name
        else:
            assert len(set.union(*ids)) == sum(map(len, ids)), task_name


def test_codes_of_flores_are_written_in_the_script_of_their_language() -> None:
    for task_name in ("belebele", "flores-bpb"):
        for language in Catalog().task(task_name).languages:
            code, written = language.config.split("_")
            same = {"Jpan": "Jpan", "Hang": "Kore", "Hans": "Hans", "Hant": "Hant"}.get(written, written)
            assert script(language.code) == same, language.code
            assert len(code) == 3


def test_the_configurations_of_include_are_the_english_names_of_its_languages() -> None:
    otherwise = {"bn": "Bengali", "mk": "North Macedonian", "fil": "Tagalog"}
    for language in Catalog().task("include").languages:
        assert language.config == otherwise.get(language.code, name(language.code))


@pytest.mark.parametrize(
    ("code", "row", "right", "wrong"),
    [
        ("id", 0, "Jalan itu basah karena hujan turun semalam.", "Jalan itu basah karena lampu jalan menyala."),
        ("th", 0, "ถนนเปียกเพราะเมื่อคืนฝนตก", "ถนนเปียกเพราะไฟถนนเปิดอยู่"),
        ("zh", 2, "猫闻到了鱼味所以它跑进了厨房。", "猫闻到了鱼味所以它睡着了。"),
        (
            "tr",
            1,
            "Son otobüs kalktı bu yüzden ırmak eve yürüdü.",
            "Son otobüs kalktı bu yüzden irem öğle uykusuna yattı.",
        ),
        ("tr", 2, "Kedi balık kokusu aldı bu yüzden mutfağa koştu.", "Kedi balık kokusu aldı bu yüzden uyuyakaldı."),
    ],
)
def test_a_choice_of_xcopa_can_be_read_as_one_sentence_of_its_script(
    code: str, row: int, right: str, wrong: str
) -> None:
    sample = made("xcopa-script-aware", code)[row]
    assert sample.target is not None
    (at,) = sample.target.right
    (asked,) = render("xcopa-script-aware", code)[row]["raw"]
    assert [asked["prompt"] + asked["continuations"][i] for i in (at, 1 - at)] == [right, wrong]


def test_plain_xcopa_drops_the_last_character_and_writes_spaces_in_every_script() -> None:
    thai, chinese = (render("xcopa", code)[0]["raw"][0] for code in ("th", "zh"))
    assert thai == {"prompt": "ถนนเปีย เพราะ", "continuations": [" เมื่อคืนฝนตก", " ไฟถนนเปิดอยู่"]}
    assert chinese == {"prompt": "路面湿了 因为", "continuations": [" 昨晚下了雨。", " 路灯亮着。"]}


@pytest.mark.parametrize("task_name", [each for each in MMLU if each.startswith("global-")])
def test_the_examples_of_a_question_are_five_of_its_own_subject(task_name: str) -> None:
    for sample in made(task_name, "en"):
        about = "capital" if sample.prompt_id.startswith("high_school_geography") else "+"
        assert len(sample.shots) == 5
        assert all(about in shot.prompt for shot in sample.shots)


def test_a_subject_with_too_few_examples_is_an_error_that_names_it(tmp_path: Path) -> None:
    rows = [("1 + 1", "2", "sums"), ("2 + 2", "4", "sums"), ("sky", "blue", "colours")]
    lines = [json.dumps({"q": question, "a": answer, "s": subject}) for question, answer, subject in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    file = tmp_path / "quiz.yaml"
    written = """
        task: quiz
        version: "1"
        description: Three questions
        prompts: {origin: native}
        dataset: {path: json, data_files: rows.jsonl}
        language: en
        sample: {id: "{{ row.q }}", prompt: "{{ row.q }} =", target: "{{ row.a }}"}
        shots: {n: 1, same: "{{ row.s }}"}
        metrics: [exact_match]
    """
    file.write_text(written, encoding="utf-8")
    task = load_task(file, lambda _: file)
    assert task.shots == ShotsSpec(1, same=task.shots.same if task.shots else None)
    read, _ = load(source(task, task.languages[0]), NO_LOCK, extend=False)
    first, second = samples(task, task.languages[0], read[:2], read)
    assert (first.shots[0].prompt, second.shots[0].prompt) == ("2 + 2 =", "1 + 1 =")
    with pytest.raises(DataError, match=r"shots\.n is 1, and its split has 0 rows with 'colours' by shots\.same"):
        list(samples(task, task.languages[0], read, read))
    file.write_text(written.replace("n: 1", 'ids: ["sky"]'), encoding="utf-8")
    with pytest.raises(SpecError, match=r"shots\.same.*ids, which name the rows"):
        load_task(file, lambda _: file)


def test_the_letter_follows_the_cue_word_of_a_language_as_it_is_written_there() -> None:
    for code, after in {"de": "Antwort: B", "ar": "الإجابة: B", "hi": "उत्तर: B", "zh": "答案：B"}.items():
        (asked,) = render("global-mmlu-native-cue", code)[1]["raw"]
        assert (asked["prompt"] + asked["continuations"][1]).endswith(f"\n{after}")
        assert asked["prompt"].count(after.removesuffix("B").strip()) == 6
    assert all(dict(language.words)["answer"][-1] in ":：" for language in Catalog().task("global-mmlu").languages)


@pytest.mark.parametrize(
    ("task_name", "code", "row", "answer", "score"),
    [
        ("global-mmlu", "ar", 0, "الإجابة: C", 1.0),
        ("global-mmlu", "zh", 0, "答案是 B。", 0.0),
        ("belebele", "hi", 1, "(D)", 1.0),
        ("include", "de", 1, "Die Antwort lautet C.", 1.0),
        ("xcopa", "zh", 0, "昨晚下了雨。", 1.0),
        ("xstorycloze", "en", 1, "Omar threw his watch into the sea.", 0.0),
        ("xwinograd", "ja", 1, "答えは B です。", 1.0),
    ],
)
def test_an_answer_in_words_is_read_as_the_letter_it_declares(
    task_name: str, code: str, row: int, answer: str, score: float
) -> None:
    target = made(task_name, code)[row].target
    assert target is not None
    right = tuple(target.letters[at] for at in target.right)
    item = TextItem(code, (answer,), right, target.choices, target.letters)
    assert METRICS["letter"].measure(item).value == score


def test_a_sentence_of_flores_is_scored_alone_and_in_bits_of_its_bytes() -> None:
    for code, size in {"de": 40, "zh": 36, "hi": 84}.items():
        target = made("flores-bpb", code)[0].target
        assert target is not None and target.text is not None
        assert len(target.text.encode("utf-8")) == size
        item = LikelihoodItem(code, target.text, -math.log(2) * size * 1.5)
        assert METRICS["bits_per_byte"].measure(item).value == pytest.approx(1.5)
        (asked,) = render("flores-bpb", code)[0]["raw"]
        assert asked == {"prompt": "", "continuations": [target.text]}
