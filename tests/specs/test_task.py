"""A task's YAML becomes a TaskSpec; a language of it is one small file; every mistake names file, line, key and the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.errors import NotInCatalog, SpecError
from evalharness.specs.task import LanguageSpec, TaskSpec, load_task, split_name

TASK = """\
task: t
version: "1"
description: A task
prompts: {origin: native}
dataset: {path: json, data_files: "t/{{ language }}.jsonl"}
languages: [de, fr]
words: {yes: ja}
sample:
  id: "{{ row.id }}"
  prompt: "{{ row.text }}"
generate: {temperature: 0, max_tokens: 64}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of our own, so that messages name files as a user would."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(name: str) -> Path:
    path = Path(f"{name}.yaml")
    if not path.is_file():
        raise NotInCatalog("task", name, [file.stem for file in Path().glob("*.yaml")])
    return path


def load(stem: str, text: str | None = None, finder: Callable[[str], Path] = find) -> TaskSpec:
    path = Path(f"{stem}.yaml")
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return load_task(path, finder)


def test_a_task_is_what_its_file_says(here: Path) -> None:
    task = load("t", TASK)
    assert (task.task, task.version, task.codes, task.format, task.output, task.judge) == (
        "t",
        "1",
        ("de", "fr"),
        "auto",
        "text",
        None,
    )
    assert task.languages[0] == LanguageSpec("de", "de", (("yes", "ja"),))
    assert (task.generate.temperature, task.generate.max_tokens, task.generate.top_p) == (0.0, 64, None)
    assert task.sample.prompt is not None
    assert (task.sample.prompt.where.file, task.sample.prompt.where.line, task.sample.prompt.where.key) == (
        "t.yaml",
        10,
        "sample.prompt",
    )
    assert (task.folder, task.file) == (here, "t.yaml")


def test_languages_may_carry_configuration_and_words() -> None:
    mapping = "languages: {ja: {config: jp, question: 問題}, no: {yes: nei}}"
    task = load("t", TASK.replace("languages: [de, fr]", mapping))
    assert task.languages == (
        LanguageSpec("ja", "jp", (("question", "問題"), ("yes", "ja"))),
        LanguageSpec("no", "no", (("yes", "nei"),)),
    )


def test_a_part_of_a_task_has_the_languages_asked_for_in_that_order() -> None:
    task = load("t", TASK)
    assert task.only(("fr", "de")).codes == ("fr", "de")
    assert task.only(("fr",)).hash == task.hash, "numbers of one language compare over any choice of languages"


@pytest.mark.parametrize(
    "turns", ["- {role: user, content: hi}", "- {role: system, content: s}\n  - {role: user, content: '{{ row.q }}'}"]
)
def test_a_sample_may_be_a_conversation(turns: str) -> None:
    task = load("t", TASK.replace('  prompt: "{{ row.text }}"', f"  messages:\n  {turns}"))
    assert task.sample.prompt is None
    assert task.sample.messages is not None
    assert task.sample.messages[-1].role == "user"


CHANGES = [
    ('version: "1"', 'version: "2"'), ("{{ row.text }}", "{{ row.text }}?"), ("{{ row.id }}", "{{ row.id }}x"),
    ("path: json", "path: csv"),
    ("description: A task", "system: s\ndescription: A task"), ("description: A task", "format: raw\ndescription: A task"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_shapes_a_prompt_changes_the_hash(old: str, new: str) -> None:
    assert load("t", TASK.replace(old, new)).hash != load("t", TASK).hash


@pytest.mark.parametrize(
    ("old", "new"), [("A task", "Another text"), ("\nwords", "\n# moved\n\nwords"), ("max_tokens: 64", "max_tokens: 9")]
)
def test_what_shapes_no_prompt_does_not(old: str, new: str) -> None:
    assert load("t", TASK.replace(old, new)).hash == load("t", TASK).hash


# what is replaced in TASK, by what, and the message after "t.yaml:"
MISTAKES = [
    ("task: t", "task: u", "1: task: 'u' is not the file's name; call it 't' or rename the file"),
    ("task: t", "task: no", "1: task: 'no' is not the file's name"),
    ('version: "1"', "version: 0.1", "2: version: must be text, not 0.1; put it in quotes"),
    ('version: "1"\n', "", "1: version: missing; add it"),
    ("origin: native", "origin: translated", "4: prompts.origin: 'translated' is not one of native, machine-translated"),
    ("prompts: {origin: native}", "prompts: {}", "4: prompts.origin: missing; add it"),
    ("dataset: {path: json", "dataset: {revison: abc, path: json", "5: dataset.revison: unknown key; did you mean 'revision'?"),
    ("[de, fr]", "[de, fr, de]", "6: languages: de is listed twice"),
    ("[de, fr]", "[de, deutsch]", "6: languages[1]: 'deutsch' is not a BCP 47 language tag such as de or pt-BR"),
    ("[de, fr]", "[]", "6: languages: is empty; name at least one language"),
    ("[de, fr]", "{}", "6: languages: is empty; name at least one language"),
    ("[de, fr]", "de", "6: languages: must be a list, not 'de'; write [\"de\"]"),
    ("[de, fr]", "{de: {}, fr: }", "6: languages.fr: must hold keys and values, not nothing"),
    ("[de, fr]", "{de_AT: {}}", "6: languages.de_AT: 'de_AT' is not a BCP 47 language tag"),
    ("languages: [de, fr]\n", "", "1: languages: give either languages (a list or mapping) or language (one code)"),
    ("[de, fr]", "[de]\nlanguage: fr", "6: languages: give either languages"),
    ('  prompt: "{{ row.text }}"\n', "", "8: sample: needs exactly one of prompt, messages and turns"),
    ("sample:\n", "sample:\n  messages: [{role: user, content: x}]\n", "8: sample: needs exactly one of prompt, messages"),
    ('  id: "{{ row.id }}"\n', "", "8: sample.id: missing; add it"),
    ("  prompt:", "  promt:", "10: sample.promt: unknown key; did you mean 'prompt'?"),
    ('  prompt: "{{ row.text }}"', "  messages: [{role: bot, content: x}]", "10: sample.messages[0].role: 'bot' is not one of"),
    ("temperature: 0", "temperature: -1", "11: generate.temperature: -1 must be 0 (greedy) or above"),
    ("temperature: 0", "temperature: hot", "11: generate.temperature: must be a number, not 'hot'"),
    ("temperature: 0", "top_p: 1.5", "11: generate.top_p: 1.5 must be above 0 and at most 1"),
    ("temperature: 0", "top_p: 0", "11: generate.top_p: 0 must be above 0 and at most 1"),
    ("temperature: 0", "top_k: -1", "11: generate.top_k: -1 must be 0 (no limit) or above"),
    ("max_tokens: 64", "max_tokens: 0", "11: generate.max_tokens: 0 must be 1 or above"),
    ("max_tokens: 64", 'stop: ["a", ""]', "11: generate.stop: holds an empty text, which would stop every answer"),
    ("max_tokens: 64", 'stop: "a"', '11: generate.stop: must be a list, not \'a\'; write ["a"]'),
    ("words: {yes: ja}", "format: json", "7: format: 'json' is not one of auto, chat, raw"),
    ("words: {yes: ja}", "output: txt", "7: output: 'txt' is not one of text, choice, loglikelihood, code; did you mean 'text'?"),
    ("words: {yes: ja}", "extends: u", "7: extends: no task named 'u'; did you mean"),
    ("words: {yes: ja}", "extends: [t]", "7: extends: must be the name of a task"),
    ("words: {yes: ja}", "extends: t", "7: extends: goes in a circle: t.yaml -> t.yaml"),
    ("words: {yes: ja}", "sampel: {}", "7: sampel: unknown key; did you mean 'sample'?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_a_mistake_names_file_line_key_and_the_mend(old: str, new: str, message: str) -> None:
    assert old in TASK
    Path("uu.yaml").write_text(TASK.replace("task: t", "task: uu"), encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        load("t", TASK.replace(old, new))
    assert str(refused.value).startswith(f"t.yaml:{message}")


# --- a language is one file ---

SWAHILI = """\
extends: t
language: sw
words: {yes: ndiyo, no: hapana}
dataset: {path: json, data_files: t.sw.jsonl, split: train}
"""


def test_a_new_language_is_one_small_file() -> None:
    base = load("t", TASK)
    swahili = load("t.sw", SWAHILI)
    assert (swahili.task, swahili.codes, swahili.version) == ("t", ("sw",), "1")
    assert swahili.languages[0].words == (("no", "hapana"), ("yes", "ndiyo"))
    assert (swahili.dataset.path, swahili.dataset.split) == ("json", "train")
    assert (swahili.sample, swahili.generate) == (base.sample, base.generate)
    assert swahili.file == "t.sw.yaml"
    assert load("t").codes == ("de", "fr"), "the bare name keeps the task's own languages"


def test_the_data_files_of_a_language_lie_beside_the_file_that_names_them(here: Path) -> None:
    (here / "own").mkdir()
    load("t", TASK)
    (here / "own" / "t.sw.yaml").write_text(SWAHILI, encoding="utf-8")
    (here / "own" / "t.xh.yaml").write_text("extends: t\nlanguage: xh\n", encoding="utf-8")
    assert load("own/t.sw").folder == here / "own"
    assert load("own/t.xh").folder == here, "the data set is that of the base, and so is its folder"


def test_extending_merges_sample_generate_and_words_and_replaces_the_rest() -> None:
    load("t", TASK.replace("data_files:", 'revision: "1", data_files:'))
    task = load("t.sw", SWAHILI + "sample: {category: c}\ngenerate: {top_p: 0.5}\nprompts: {origin: mixed}\n")
    assert (task.generate.temperature, task.generate.max_tokens, task.generate.top_p) == (0.0, 64, 0.5)
    assert task.sample.category is not None
    assert task.sample.id.text == "{{ row.id }}"
    assert task.dataset.revision is None, "a data set is replaced whole: a revision of another one would be a lie"
    assert task.prompts.origin == "mixed"


def test_a_chain_of_files_is_followed() -> None:
    load("t", TASK)
    load("t.sw", SWAHILI)
    task = load("t.sw-CD", "extends: t.sw\nlanguage: sw-CD\nwords: {yes: ndio}\n")
    assert (task.codes, dict(task.languages[0].words)) == (("sw-CD",), {"yes": "ndio", "no": "hapana"})


def test_a_task_may_extend_another_with_other_languages() -> None:
    load("t", TASK)
    task = load("u", "extends: t\ntask: u\nlanguages: [it]\n")
    assert (task.task, task.codes) == ("u", ("it",))


BROKEN_LANGUAGES = [
    (SWAHILI.replace("language: sw", "language: so"), "t.sw.yaml:2: language: must be 'sw', as in the file's name"),
    (SWAHILI.replace("language: sw\n", ""), "t.sw.yaml:1: language: must be 'sw', as in the file's name"),
    (
        SWAHILI.replace("language: sw", "language: swahili"),
        "t.sw.yaml:2: language: must be 'sw', as in the file's name",
    ),
    (SWAHILI.replace("extends: t", "extends: tt"), "t.sw.yaml:1: extends: no task named 'tt'; did you mean 't'?"),
    (SWAHILI.replace("yes: ndiyo", "yes: 1"), "t.sw.yaml:3: words.yes: must be text, not 1"),
    (SWAHILI + "sample: {promt: x}", "t.sw.yaml:5: sample.promt: unknown key; did you mean 'prompt'?"),
    (SWAHILI + "task: u", "t.sw.yaml:5: task: 'u' is not the file's name; call it 't'"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN_LANGUAGES, ids=[message for _, message in BROKEN_LANGUAGES])
def test_a_mistake_in_a_languages_file_is_found_there(text: str, message: str) -> None:
    load("t", TASK)
    with pytest.raises(SpecError) as refused:
        load("t.sw", text)
    assert str(refused.value).startswith(message)


def test_a_mistake_in_the_base_is_found_in_the_base() -> None:
    Path("t.yaml").write_text(TASK.replace("  prompt:", "  promt:"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"^t.yaml:10: sample.promt: unknown key"):
        load("t.sw", SWAHILI)


def test_files_that_extend_each_other_are_found_out() -> None:
    Path("t.yaml").write_text("extends: u\n" + TASK, encoding="utf-8")
    Path("u.yaml").write_text("extends: v\n", encoding="utf-8")
    Path("v.yaml").write_text("# third\nextends: t\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"^v.yaml:2: extends: goes in a circle: t.yaml -> u.yaml -> v.yaml -> t.yaml"):
        load("t")


@pytest.mark.parametrize(
    ("stem", "parts"),
    [
        ("mgsm", ("mgsm", None)), ("mgsm.sw", ("mgsm", "sw")), ("m.zh-Hant", ("m", "zh-Hant")), ("a.xx", ("a.xx", None)),
        ("m-arenahard-v2.0", ("m-arenahard-v2.0", None)), ("m-arenahard-v2.0.sw", ("m-arenahard-v2.0", "sw")),
        ("a.b.no", ("a.b", "no")), ("sw", ("sw", None)),
    ],
)  # fmt: skip
def test_the_last_part_of_a_name_is_a_language_only_if_it_is_one(stem: str, parts: tuple[str, str | None]) -> None:
    assert split_name(stem) == parts
