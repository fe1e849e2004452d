"""Rows become samples, samples what a model is shown, duels what a judge is shown; templates can do nothing but that."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import DataError, SpecError
from evalharness.prompts import (
    Duel,
    Single,
    after,
    check,
    chosen,
    dataset_name,
    format_for,
    judge_shown,
    question,
    render,
    samples,
    shown,
)
from evalharness.specs.fields import Expr, Template
from evalharness.specs.judge import JudgeSpec, LabelSpec, VerdictSpec
from evalharness.specs.sample import SampleSpec, Turn
from evalharness.specs.task import DatasetSpec, LanguageSpec, Provenance, TaskSpec
from evalharness.types import Message, Sample, Where

WHERE = Where("tasks/t.yaml", 7, "sample.prompt")


def template(text: str) -> Template:
    return Template(text, WHERE)


def rendered(text: str, **values: Any) -> str:
    return render(template(text), values)


def task(parallel: bool = True, system: str | None = None, **sample: Any) -> TaskSpec:
    parts = {"id": template("{{ row.id }}"), "prompt": template("{{ row.text }}"), **sample}
    return TaskSpec(
        "t", "1", "a task", DatasetSpec("json"), SampleSpec(**parts), Provenance("native", parallel=parallel),
        (LanguageSpec("de", "de"),), system=None if system is None else template(system),
    )  # fmt: skip


def made(
    rows: Iterable[Mapping[str, Any]], of: TaskSpec | None = None, language: LanguageSpec | None = None
) -> list[Sample]:
    return list(samples(of or task(), language or LanguageSpec("de", "de"), rows))


# --- rows to samples ---


def test_a_row_becomes_a_sample_with_all_that_its_templates_say() -> None:
    of = task(
        system="In {{ words.language }} bitte.", raw_prompt=template("F: {{ row.text }}\nA:"),
        category=template("{{ row.kind }}"), reference=template("{{ row.answer }}"),
    )  # fmt: skip
    words = LanguageSpec("de", "german", (("language", "Deutsch"),))
    (sample,) = made([{"id": 7, "text": "Was?", "kind": "why", "answer": "darum"}], of, words)
    assert sample == Sample(
        "t", "1", "7", "de", (Message("system", "In Deutsch bitte."), Message("user", "Was?")), "F: Was?\nA:", "why", "darum"
    )  # fmt: skip


def test_turns_of_a_conversation_keep_their_roles_and_order() -> None:
    turns = (
        Turn("user", template("{{ row.a }}")),
        Turn("assistant", template("Ja.")),
        Turn("user", template("{{ row.b }}")),
    )
    (sample,) = made([{"id": 1, "a": "Kalt?", "b": "Und jetzt?"}], task(prompt=None, messages=turns))
    assert [(m.role, m.content) for m in sample.messages] == [
        ("user", "Kalt?"),
        ("assistant", "Ja."),
        ("user", "Und jetzt?"),
    ]
    assert question(sample) == "[user]\nKalt?\n\n[assistant]\nJa.\n\n[user]\nUnd jetzt?"


def test_a_row_may_hold_the_whole_conversation() -> None:
    talk = [{"role": "user", "content": "Kalt?", "toxic": False}, {"role": "assistant", "content": "Ja."},
            {"role": "user", "content": "Und jetzt?"}]  # fmt: skip
    spec = task(prompt=None, messages=Expr(template("row.talk")))
    (sample,) = made([{"id": 1, "talk": talk}], spec)
    assert sample.messages == tuple(Message(turn["role"], turn["content"]) for turn in talk)  # type: ignore[arg-type]
    for wrong in (talk[:2], [], "Kalt?", [{"role": "robot", "content": "x"}], [{"role": "user"}]):
        with pytest.raises(DataError, match=r"must give a list of \{role, content\}"):
            made([{"id": 1, "talk": wrong}], spec)


def test_the_turns_of_a_conversation_are_named_for_people() -> None:
    (sample,) = made([{"id": 1, "talk": ["Kalt?", "Und jetzt?"]}], task(prompt=None, turns=Expr(template("row.talk"))))
    assert question(sample) == "[turn 1]\nKalt?\n\n[turn 2]\nUnd jetzt?"
    later = after(sample, ["Ja."])
    assert shown(later, "raw") == "Kalt?\n\nJa.\n\nUnd jetzt?"


def test_the_text_of_a_row_reaches_the_prompt_unchanged() -> None:
    text = "  <b>&amp; {{ not.a.template }} {% raw %} \u202eabc\u2069 Vie\u0323\u0302t\u2028\n\n"
    assert made([{"id": 1, "text": text}])[0].messages[0].content == text


def test_what_cannot_be_stored_is_cleaned_away_in_ids_and_texts() -> None:
    (sample,) = made([{"id": "a\x00\ud800", "text": "b\x00\udfff"}])
    assert (sample.prompt_id, sample.messages[0].content) == ("a\ufffd", "b\ufffd")


TWINS = [("1", 1), ("x", "x "), ("\u00e9", "e\u0301"), ("a\x00", "a"), (" a", "a")]


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(("one", "other"), TWINS)
def test_two_rows_with_one_id_are_refused_and_both_are_named(one: Any, other: Any, parallel: bool) -> None:
    rows = [{"id": one, "text": "x"}, {"id": "between", "text": "x"}, {"id": other, "text": "x"}]
    with pytest.raises(DataError, match=r"t\[de\]: rows 1 and 3 have the same id .* must differ"):
        made(rows, task(parallel))


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("empty", ["", "  ", "\x00"])
def test_an_empty_id_is_refused_and_its_row_is_named(empty: str, parallel: bool) -> None:
    with pytest.raises(DataError, match=r"t\[de\]: row 2 has an empty id"):
        made([{"id": "a", "text": "x"}, {"id": empty, "text": "x"}], task(parallel))


def test_ids_that_only_look_dangerous_are_kept_apart() -> None:
    ids = ["a", "A", "a/b", "../x", "CON", "x" * 300]
    assert [s.prompt_id for s in made([{"id": i, "text": "x"} for i in ids])] == ids


def test_prompts_that_are_not_parallel_are_never_of_one_cluster() -> None:
    own = task(parallel=False)
    german = made([{"id": 1, "text": "x"}], own, LanguageSpec("de", "de"))
    french = made([{"id": 1, "text": "x"}], own, LanguageSpec("fr", "fr"))
    assert (german[0].prompt_id, french[0].prompt_id) == ("de/1", "fr/1")


def test_a_column_that_is_missing_or_null_is_an_error_and_never_the_word_none() -> None:
    with pytest.raises(
        DataError,
        match=r"tasks/t.yaml:7: sample.prompt: row 'a' \(number 1\) of t\[de\]: there is no 'text'; there is: id",
    ):
        made([{"id": "a"}])
    with pytest.raises(DataError, match=r"row 'a' \(number 1\) of t\[de\]: prints a value that is null"):
        made([{"id": "a", "text": None}])
    with pytest.raises(DataError, match=r"row 1 of t.*null"):
        made([{"id": None, "text": "x"}])


def test_a_category_or_reference_that_is_null_is_unknown() -> None:
    of = task(category=template("{{ row.kind }}"), reference=template("{{ row.answer }}"))
    (sample,) = made([{"id": 1, "text": "x", "kind": None, "answer": None}], of)
    assert (sample.category, sample.reference) == (None, None)


# --- the choice of a limit ---

IDS = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=20)


def of_ids(ids: Iterable[str], language: str = "de") -> list[Sample]:
    return [Sample("t", "1", i, language, (Message("user", "x"),)) for i in ids]


@given(IDS, st.integers(0, 25), st.randoms(use_true_random=False))
def test_a_limit_takes_the_same_ids_whatever_the_order_of_the_rows(
    ids: list[str], limit: int, chance: random.Random
) -> None:
    shuffled = list(ids)
    chance.shuffle(shuffled)
    one, other = chosen(of_ids(ids), limit), chosen(of_ids(shuffled, "fr"), limit)
    assert [s.prompt_id for s in one] == [s.prompt_id for s in other]
    assert len(one) == min(limit, len(ids))


@given(IDS, st.integers(0, 25))
def test_a_greater_limit_holds_the_smaller_one(ids: list[str], limit: int) -> None:
    everything = chosen(of_ids(ids), None)
    assert chosen(of_ids(ids), limit) == everything[:limit]
    assert {s.prompt_id for s in everything} == set(ids)


def test_a_limit_is_no_prefix_of_the_file() -> None:
    ids = [f"{i:03}" for i in range(200)]
    assert [s.prompt_id for s in chosen(of_ids(ids), 20)] != ids[:20]


# --- what models are shown ---

SAMPLE = Sample("t", "1", "1", "de", (Message("system", "task"), Message("user", "Was?")))


@pytest.mark.parametrize(
    ("wanted", "has_template", "form"),
    [
        ("auto", True, "chat"),
        ("auto", False, "raw"),
        ("chat", False, "chat"),
        ("chat", True, "chat"),
        ("raw", True, "raw"),
    ],
)
def test_auto_is_chat_for_a_model_with_a_template(wanted: Any, has_template: bool, form: str) -> None:
    assert format_for(wanted, has_template) == form


def test_the_models_own_system_text_comes_before_the_tasks() -> None:
    assert shown(SAMPLE, "chat") == SAMPLE.messages
    system, *rest = SAMPLE.messages  # in one message: many templates refuse a second one
    assert shown(SAMPLE, "chat", "own") == (Message("system", f"own\n\n{system.content}"), *rest)
    assert shown(replace(SAMPLE, messages=tuple(rest)), "chat", "own") == (Message("system", "own"), *rest)
    assert shown(SAMPLE, "raw") == "task\n\nWas?"
    assert shown(SAMPLE, "raw", "own") == "own\n\ntask\n\nWas?"


def test_the_raw_prompt_is_shown_as_it_is() -> None:
    sample = Sample("t", "1", "1", "de", SAMPLE.messages, raw_prompt="F: Was?\nA:")
    assert shown(sample, "raw") == "F: Was?\nA:"
    assert shown(sample, "raw", "own") == "own\n\nF: Was?\nA:"
    assert shown(sample, "chat") == SAMPLE.messages


def test_an_answer_prefix_begins_the_answer() -> None:
    sample = replace(SAMPLE, answer_prefix="Antwort:")
    assert shown(sample, "chat") == (*SAMPLE.messages, Message("assistant", "Antwort:"))
    assert shown(sample, "raw") == "task\n\nWas? Antwort:"
    assert shown(replace(sample, raw_prompt="F: Was?\n"), "raw") == "F: Was?\nAntwort:"
    assert question(sample) == "Was?"


def test_people_read_the_users_words_alone() -> None:
    assert question(SAMPLE) == "Was?"


# --- what judges are shown ---


def judge(
    default: str, repair: str | dict[str, str] | None = None, system: str | None = None, **prompts: str
) -> JudgeSpec:
    verdict = VerdictSpec("label", {"A": LabelSpec(1), "B": LabelSpec(0)}, r"\[\[(.)\]\]")
    texts = {"default": default, **prompts}
    return JudgeSpec(
        "j",
        "1",
        "",
        {c: template(t) for c, t in texts.items()},
        verdict,
        repair=repair,
        system=(system and template(system)) or None,
    )


DUEL = Duel("Was?", "erste", "zweite", "de")


def test_a_judge_reads_the_question_and_the_answers_in_the_order_shown() -> None:
    text = "{{ language_name }}|{{ language }}|{{ question }}|{{ answer_a }}|{{ answer_b }}|{{ nonce }}"
    assert judge_shown(judge(text), DUEL, "n0", "raw") == "German|de|Was?|erste|zweite|n0"
    swapped = Duel("Was?", "zweite", "erste", "de")
    assert judge_shown(judge(text), swapped, "n0", "raw") == "German|de|Was?|zweite|erste|n0"


def test_untrusted_text_is_never_read_as_a_template() -> None:
    hostile = Duel("{{ nonce }}", "{% if true %}", "{{ answer_a.__class__ }}", "de")
    assert (
        judge_shown(judge("{{ question }}{{ answer_a }}{{ answer_b }}"), hostile, "n", "raw")
        == "{{ nonce }}{% if true %}{{ answer_a.__class__ }}"
    )


def test_a_judge_has_a_prompt_of_the_language_of_its_base_or_the_default() -> None:
    own = judge("other", de="deutsch", **{"pt-BR": "brasileiro"})
    for language, text in {
        "de": "deutsch",
        "de-AT": "deutsch",
        "pt-BR": "brasileiro",
        "pt": "other",
        "ja": "other",
    }.items():
        assert judge_shown(own, Duel("q", "a", "b", language), "n", "raw") == text


def test_the_system_text_is_a_message_or_stands_above() -> None:
    both = judge("u", system="s {{ nonce }}")
    assert judge_shown(both, DUEL, "n", "chat") == (Message("system", "s n"), Message("user", "u"))
    assert judge_shown(both, DUEL, "n", "raw") == "s n\n\nu"
    assert judge_shown(judge("u"), DUEL, "n", "chat") == (Message("user", "u"),)


def test_the_repair_text_is_added_only_when_asked_for() -> None:
    mending = judge("u", repair="again")
    assert judge_shown(mending, DUEL, "n", "raw") == "u"
    assert judge_shown(mending, DUEL, "n", "raw", repair=True) == "u\n\nagain"
    assert judge_shown(judge("u"), DUEL, "n", "raw", repair=True) == "u"
    own = judge("u", repair={"default": "again", "de": "nochmal"})
    assert judge_shown(own, DUEL, "n", "raw", repair=True) == "u\n\nnochmal"
    assert judge_shown(own, Duel("q", "a", "b", "fr"), "n", "raw", repair=True) == "u\n\nagain"


def test_a_judge_of_single_answers_is_shown_one() -> None:
    own = judge(
        "{{ language_name }}|{{ question }}|{{ answer }}|{{ nonce }}{% if reference is not none %}|{{ reference }}{% endif %}"
    )
    assert judge_shown(own, Single("Was?", "Das.", "de"), "n0", "raw") == "German|Was?|Das.|n0"
    assert judge_shown(own, Single("Was?", "Das.", "de", "Dies."), "n0", "raw") == "German|Was?|Das.|n0|Dies."
    assert Single("q", "a", "de").texts != Single("q", "a", "de", "r").texts


def test_a_reference_that_is_missing_is_never_shown_as_a_word() -> None:
    guarded = judge("{% if reference %}{{ reference }}{% endif %}.")
    assert judge_shown(guarded, DUEL, "n", "raw") == "."
    with pytest.raises(DataError, match="judge j, language de: prints a value that is null"):
        judge_shown(judge("{{ reference }}"), DUEL, "n", "raw")


def test_all_that_fills_a_judges_template_is_in_its_identity() -> None:
    assert Duel("q", "a", "b", "de").texts == ("q", "a", "b", "de", "")
    assert Duel("q", "a", "b", "de", "r").texts == ("q", "a", "b", "de", "r")


def test_the_data_set_of_a_language_is_named_by_its_configuration() -> None:
    japanese = LanguageSpec("ja", "jp", (("word", "w"),))
    assert dataset_name(japanese, template("{{ language }}-{{ code }}-{{ words.word }}")) == "jp-ja-w"
    assert dataset_name(japanese, None) is None


# --- what templates can do ---


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("{{ row.choices | join(', ') }}", "x, y"),
        ("{{ row.choices | map('upper') | join }}", "XY"),
        ("{% for c in row.choices %}{{ loop.index }}{{ c }}{% if not loop.last %}|{% endif %}{% endfor %}", "1x|2y"),
        ("{{ row.text.strip().split(' ')[0] | upper }}", "ONE"),
        ("{{ row.text | replace('o', '0') | trim }}", "0ne tw0"),
        ("{{ ', '.join(row.choices) ~ '!' }}", "x, y!"),
        ("{{ row.text.replace('one', '1') }}", " 1 two "),
        (
            "{% set n = namespace(i=0) %}{% for c in row.choices %}{% set n.i = n.i + 2 %}{% endfor %}{{ n.i * 3 }}",
            "12",
        ),
        ("{{ row.nothing or 'none given' }}", "none given"),
        ("{{ row.unknown | default('none given') }}", "none given"),
        ("{{ 'ABC'[row.target] }}", "B"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m('é') }}", "<1><é>"),
        ("{{ row.items }}/{{ row.copy }}", "column/too"),
        ("{{ row.inner.items() | map('first') | join }}", "k"),
        ("{{ row.inner | tojson }}", '{"k": 1}'),
        ("{{ 0 }} {{ '' }}{{ false }}", "0 False"),
        ("a\n", "a\n"),
    ],
)
def test_templates_do_what_tasks_need(text: str, out: str) -> None:
    row = {
        "choices": ["x", "y"],
        "text": " one two ",
        "nothing": None,
        "target": 1,
        "items": "column",
        "copy": "too",
        "inner": {"k": 1},
    }
    assert rendered(text, row=row) == out


ESCAPES = [
    "{{ ''.__class__.__mro__ }}", "{{ ''['__class__'] }}", "{{ row.__init__.__globals__ }}", "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format(1) }}", "{{ (''.format_map)({}) }}", "{{ '%s' % 1 }}",
    "{{ self.__init__ }}", "{{ cycler.__init__ }}", "{{ row.update({'a': 1}) }}",
    "{{ [].append(1) }}", "{{ (1).to_bytes(9, 'big') }}", "{{ 'x'.encode() }}", "{{ range.__doc__ }}",
    "{{ namespace.__class__ }}",
]  # fmt: skip


@pytest.mark.parametrize("text", ESCAPES)
def test_no_template_reaches_python(text: str) -> None:
    with pytest.raises((DataError, SpecError), match=r"^tasks/t.yaml:7: sample.prompt: "):
        rendered(text, row={"a": "x"})


BOMBS = [
    "{% for i in range(10 ** 9) %}x{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in row.text %}{% for b in row.text %}{% for c in row.text %}{% endfor %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 'a' * 10 ** 12 }}",
    "{{ 10 ** 12 * 'a' }}",
    "{{ [row.text] * 10 ** 9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x.replace('a', 'aaaaaaaaaaaaaa') %}{% endfor %}",
    "{{ (row.text * 999) | replace('x', row.text * 999) }}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x | replace('a', 'aaaaaaaaaaaaa') %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x.join(row.text) %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
    "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "{% set x %}{% for i in range(99999) %}" + "text " * 1000 + "{% endfor %}{% endset %}",
    "{{ range(99999) | map('string') | join(row.text * 9999) }}",
    "{{ 'x' | center(10 ** 12) }}",
    "{{ 'x'.ljust(10 ** 12) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "not " * 20000 + "1 }}",
    "{% if 1 %}" * 300 + "{% endif %}" * 300,
    "{% for x in [1] recursive %}{% if loop.depth < 3 %}{{ loop(range(99999)) }}{% endif %}{% endfor %}",
    "{{ row.text | regex_replace('(x+x+)+y') }}",
    "{{ row.text | regex_replace('(x{900}){900}') }}",
    "{{ row.text | regex_replace('x', 'y' * 99999) }}",
    "{{ row.text | regex_replace('(x') }}",
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:50])
def test_no_template_works_or_grows_without_end(text: str) -> None:
    begun = time.process_time()
    with pytest.raises((DataError, SpecError), match=r"^tasks/t.yaml:7: sample.prompt: ") as refused:
        rendered(text, row={"text": "x" * 1000})
    assert time.process_time() - begun < 5
    assert len(str(refused.value)) < 500


def test_a_pattern_is_replaced_by_a_text_as_it_stands() -> None:
    text = "{{ row.text | regex_replace('[0-9]+', '\\\\1') }} {{ row.text | regex_replace('é', count=1) }}"
    assert rendered(text, row={"text": "é1é23"}) == "é\\1é\\1 1é23"


def test_a_row_without_an_id_is_told_apart_by_its_place() -> None:
    of = task(id=template("{{ position }}"))
    assert [sample.prompt_id for sample in made([{"text": "a"}, {"text": "a"}], of)] == ["0", "1"]


def test_an_honest_long_prompt_is_no_bomb() -> None:
    passage = "wort " * 100_000
    assert (
        len(rendered("{% for p in row.passages %}{{ p | trim }}\n\n{% endfor %}", row={"passages": [passage] * 4}))
        > 1_900_000
    )
    with pytest.raises(DataError, match="renders more than 4,000,000 characters"):
        rendered("{{ row.text }}{{ row.text }}", row={"text": "x" * 2_500_000})


@pytest.mark.parametrize(
    "text",
    ["{{ lipsum() }}", "{{ [1, 2] | random }}", "{{ [1] | map('string') }}", "{{ row.text.strip }}", "{{ self }}"],
)
def test_no_prompt_depends_on_chance_or_on_an_address(text: str) -> None:
    with pytest.raises((DataError, SpecError)):
        rendered(text, row={"text": "x"})


@pytest.mark.parametrize(
    "text", ["{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}"]
)
def test_a_template_reads_no_other_file(text: str) -> None:
    with pytest.raises(SpecError, match="a template stands alone"):
        check(template(text))


def test_a_template_that_does_not_parse_names_its_own_line() -> None:
    with pytest.raises(SpecError, match=r"^tasks/t.yaml:9: sample.prompt: is not a template: .*end of print statement"):
        check(template("one\ntwo\n{{ three"))
    with pytest.raises(SpecError, match=r"No filter named 'uper'"):
        check(template("{{ x | uper }}"))


def test_one_rendering_does_not_spend_the_budget_of_the_next() -> None:
    for _ in range(3):
        rendered("{% for i in range(60000) %}{% endfor %}")
