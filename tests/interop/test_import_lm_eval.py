"""``evalharness import lm-eval``: the requests of the imported tasks are those that lm-evaluation-harness makes of its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import Catalog
from evalharness.cli.main import main
from evalharness.data import load
from evalharness.interop.yamltext import written
from evalharness.prompts import matching, samples, scored, shown
from evalharness.specs.reader import read
from evalharness.specs.task import TaskSpec
from evalharness.stages.load import shots_source, source

BASE = """
dataset_path: own/quiz
dataset_name: main
test_split: test
fewshot_split: dev
fewshot_config: {sampler: first_n}
metadata: {version: 1.0}
"""
FILTERS = '''
from functools import partial
import never_there
SUBJECTS = ["sums", "board games"]
def process_docs(dataset, subject):
    """Keep one subject."""
    return dataset.filter(lambda x: x["subject"] == subject)
functions = {f"only_{s.replace(' ', '_')}": partial(process_docs, subject=s) for s in SUBJECTS}
globals().update(functions)
for s in SUBJECTS:
    globals()[f"loop_{s}"] = partial(process_docs, subject=s)
def several(dataset):
    return dataset.filter(lambda x: x["subject"] in ["sums", "chess"] and x["k"] == 2)
def named(dataset):
    def test(row, wanted="sums"):
        return wanted == row["subject"]
    return dataset.filter(test)
def mapped(dataset):
    return dataset.filter(lambda x: x["k"] == 1).map(lambda x: x)
def longer(dataset):
    return dataset.filter(lambda x: len(x["q"]) > 3)
open("was run", "w").close()
'''


def row(n: int, before: str = "") -> dict[str, Any]:
    return {
        "q": f"{before} What is {n} plus one? ", "a": "one", "b": "two", "c": "three", "k": n % 3, "letter": "ABC"[n % 3],
        "subject": ["sums", "board games"][n % 2], "golds": [str(n + 1), f"n{n + 1}"], "ans": str(n + 1), "hint": f"Hint {n}.",
        "options": [f"x{n}", "y", "zwölf"],
    }  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the rows of a data set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_DATA", "rows")
    for split, before in (("test", ""), ("dev", "Shot:")):
        file = Path("rows/own/quiz/main", f"{split}.jsonl")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row(n, before)) + "\n" for n in range(4)), encoding="utf-8")
    return tmp_path


def put(**files: str) -> None:
    """Write files of theirs; ``a__py`` is ``a.py``, a name without an ending is a YAML."""
    for name, text in files.items():
        path = Path("theirs", name.replace("__", ".") if "__" in name else f"{name}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def ran(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["import", *words])
    out, err = capsys.readouterr()
    assert ended.value.code == code, (out, err)
    return out, err


def taken(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        ran(capsys, "lm-eval", "theirs", "--out", "ours", "--json", *words, code=code)[0]
    )
    return found


def task(name: str) -> TaskSpec:
    return Catalog(specs=["ours"]).task(name)


def requests(name: str, at: int = 0) -> list[tuple[Any, ...]]:
    """Return (context, continuation) of every request of one row; of a task that writes, the context alone."""
    spec = task(name)
    language, lock = spec.languages[0], Path("no.lock.json")
    rows = load(source(spec, language), lock, extend=False)[0]
    examples = load(shots_source(spec, language), lock, extend=False)[0] if spec.shots else None
    sample = list(samples(spec, language, matching(spec, language, rows), examples))[at]
    if sample.continuations:
        return [(one.prompt, text) for one in scored(sample, "raw") for text in one.continuations]
    return [(shown(sample, "raw"),)]


QUESTION = "What is 0 plus one?\nA. one\nB. two\nAnswer:"
SHOT = "Shot: What is 0 plus one? "
CHOICE = "output_type: multiple_choice\n"
CASES: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "letters": (
        CHOICE + 'num_fewshot: 1\ndescription: "About {{subject}}.\\n\\n"\ndoc_to_choice: [A, B]\ndoc_to_target: A\n'
        'doc_to_text: "{{q.strip()}}\\nA. {{a}}\\nB. {{b}}\\nAnswer:"\n',
        [(f"About sums.\n\nShot: {QUESTION} A\n\n{QUESTION}", f" {letter}") for letter in "AB"],
    ),
    "columns": (
        CHOICE + 'num_fewshot: 1\nfewshot_delimiter: "\\n--\\n"\ntarget_delimiter: "\\n"\ndoc_to_text: q\n'
        "doc_to_choice: options\ndoc_to_target: k\n",
        [(f"{SHOT}\nx0\n--\n What is 0 plus one? ", f"\n{choice}") for choice in ("x0", "y", "zwölf")],
    ),
    "templates": (
        CHOICE + 'doc_to_text: "Q: {{q|trim}}{% if k < 1 %} (easy){% endif %}\\n"\ndoc_to_choice: "{{[a, b, c]}}"\n'
        "doc_to_target: \"{{ ['A','B','C'].index(letter) }}\"\nmetric_list: [{metric: acc}, {metric: acc_mutual_info}]\n",
        [(asked, f" {choice}") for asked in ("Q: What is 0 plus one? (easy)\n", "") for choice in ("one", "two", "three")],
    ),
    "dictionary": (
        CHOICE + 'doc_to_text: "{{hint}}"\ndoc_to_choice: {u: "one {{x}}", v: two, w: drei}\ndoc_to_target: "{{k}}"\n',
        [("Hint 0.", " one {{x}}"), ("Hint 0.", " two"), ("Hint 0.", " drei")],
    ),
    "contexts": (
        CHOICE + 'num_fewshot: 1\ndoc_to_text: "{{k|int}}"\n'
        'doc_to_choice: "{{[a ~ q, b ~ q, c ~ q]}}"\ndoc_to_target: "{{hint}}"\n',
        [(f"one{SHOT} Hint 0.\n\n{word} What is 0 plus one? ", " Hint 0.") for word in ("one", "two", "three")],
    ),
    "written": (
        "num_fewshot: 2\ndoc_to_text: \"{{q.strip() | regex_replace('plus', '+')}}\"\ndoc_to_target: \"{{ans}}\"\n",
        [("Shot: What is 0 + one? 1\n\nShot: What is 1 + one? 2\n\nWhat is 0 + one?",)],
    ),
    "several-targets": (
        "num_fewshot: 1\ndoc_to_text: hint\ndoc_to_target: golds\n", [("Hint 0. 1\n\nHint 0.",)],
    ),
    "index-of-a-choice": (
        "num_fewshot: 1\ndoc_to_text: hint\ndoc_to_choice: [zero, one, two]\ndoc_to_target: k\n",
        [("Hint 0. zero\n\nHint 0.",)],
    ),
    "begun": ("doc_to_text: hint\ndoc_to_target: ans\ngen_prefix: So it is\n", [("Hint 0. So it is",)]),
    "begun-examples": (
        "num_fewshot: 1\ndoc_to_text: hint\ndoc_to_target: golds\ngen_prefix: So it is\n",
        [("Hint 0. So it is 1\n\nHint 0. So it is",)],
    ),
    "begun-choices": (
        CHOICE + 'num_fewshot: 1\ndoc_to_text: hint\ndoc_to_choice: [u, v, w]\ndoc_to_target: k\ngen_prefix: "So:"\n',
        [("Hint 0. So: u\n\nHint 0. So:", f" {choice}") for choice in "uvw"],
    ),
    "likelihood": (
        'output_type: loglikelihood\ndoc_to_text: "{{hint}}"\ndoc_to_target: " {{ans}}"\n', [("Hint 0.", " 1")],
    ),
    "rolling": ('output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: hint\n', [("", "Hint 0.")]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_requests_are_those_of_their_harness(desk: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    yaml, expected = CASES[name]
    put(**{name: f"task: {name}\n{BASE}{yaml}"})
    document = taken(capsys)
    assert (document["level_0"], document["refused"]) == (1, [])
    assert requests(name) == expected


def test_examples_in_the_file_itself_become_a_file_of_rows(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inline = BASE.replace("fewshot_split: dev\nfewshot_config: {sampler: first_n}", (
        "fewshot_config: {sampler: first_n, samples: [{hint: h1, ans: r1}, {hint: h2, ans: r2}]}"))  # fmt: skip
    put(inline=f"task: inline\n{inline}num_fewshot: 2\ndoc_to_text: hint\ndoc_to_target: ans\n")
    taken(capsys)
    assert requests("inline") == [("h1 r1\n\nh2 r2\n\nHint 0.",)]


def test_a_row_is_never_its_own_example(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = BASE.replace("fewshot_split: dev", "fewshot_split: test")
    put(same=f"task: same\n{same}num_fewshot: 1\ndoc_to_text: hint\ndoc_to_target: ans\n")
    taken(capsys)
    assert [requests("same", at) for at in (0, 1)] == [[("Hint 1. 2\n\nHint 0.",)], [("Hint 0. 1\n\nHint 1.",)]]


def test_filters_of_rows_are_read_and_never_run(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = f"{BASE}num_fewshot: 1\ndoc_to_text: hint\ndoc_to_target: ans\n"
    kept = {
        "only_board_games": {"subject": "board games"}, "loop_sums": {"subject": "sums"}, "named": {"subject": "sums"},
        "several": {"subject": ["sums", "chess"], "k": "2"},
    }  # fmt: skip
    files = {
        f"x_{name}": f"task: x_{name}\n{asked}process_docs: !function u.{name}\n"
        for name in [*kept, "mapped", "longer"]
    }
    put(u__py=FILTERS, **files)
    document = taken(capsys, code=3)
    assert not Path("was run").exists()
    assert document["level_1"] == 4
    found = {name: read(Path("ours", f"x_{name}.yaml").read_text("utf-8")).data["where"] for name in kept}
    assert found == kept
    assert requests("x_only_board_games") == [("Hint 1. 2\n\nHint 1.",)]  # the examples are filtered too
    assert requests("x_several") == [("Hint 2. 3\n\nHint 2.",)]
    refused = {entry["task"]: entry["detail"] for entry in document["refused"]}
    assert refused["x_mapped"] == "u.mapped: theirs/u.py:19: does more than filter rows: .map()"
    assert refused["x_longer"] == "u.longer: theirs/u.py:21: is no comparison of a column with a value"


def test_includes_merge_the_later_over_the_earlier_and_the_file_over_all(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(x=f"task: x\n{BASE}", last="include: [_one, _two]\ntask: last\ndoc_to_text: hint\n")
    Path("theirs/_one").write_text(f"{BASE}doc_to_text: a\ndoc_to_target: b\ndescription: One.\n", encoding="utf-8")
    Path("theirs/_two").write_text("description: Two.\n", encoding="utf-8")
    put(round="include: round.yaml\ntask: round\n")
    document = taken(capsys, code=3)
    assert requests("last") == [("Two.Hint 0.",)]
    refused = {entry["task"]: (entry["key"], entry["place"]) for entry in document["refused"]}
    assert refused == {"round.yaml": ("include", "theirs/round.yaml"), "x": ("doc_to_target", "theirs/x.yaml")}


GENERATE = f"{BASE}doc_to_text: hint\ndoc_to_target: ans\n"


@pytest.mark.parametrize(("said", "expected"), [
    ("", {"temperature": 0.0, "max_tokens": 256, "stop": ("\n\n",)}),
    ("generation_kwargs: {until: ['\\n', END], do_sample: false, temperature: 0.7, max_gen_toks: 9}",
     {"temperature": 0.0, "max_tokens": 9, "stop": ("\\n", "END")}),
    ('generation_kwargs: {until: "\\n", do_sample: true, temperature: 0.7, top_p: 0.9}',
     {"temperature": 0.7, "top_p": 0.9, "max_tokens": 256, "stop": ("\n",)}),
    ('fewshot_delimiter: "~"\ngeneration_kwargs: {max_new_tokens: 5}', {"temperature": 0.0, "max_tokens": 5, "stop": ("~",)}),
])  # fmt: skip
def test_generation_settings(
    desk: Path, capsys: pytest.CaptureFixture[str], said: str, expected: dict[str, Any]
) -> None:
    put(g=f"task: g\n{GENERATE}{said}\n")
    taken(capsys)
    generate = task("g").generate
    assert {key: getattr(generate, key) for key in expected} == expected


def test_metrics_and_filters(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(
        m=f"""task: m
{GENERATE}repeats: 3
metric_list: [{{metric: exact_match, ignore_case: true, ignore_punctuation: true, regexes_to_ignore: [","]}}, {{metric: ter}}]
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "is {{{{(.*)}}}}", group_select: -1}}, {{function: majority_vote}},
             {{function: take_first}}]
"""
    )
    document = taken(capsys)
    (metric,), (reading,) = task("m").metrics, task("m").filters
    options = {"strip": False, "ignore_case": True, "ignore_punctuation": "ascii", "regexes_to_ignore": [","]}
    assert (metric.name, metric.options, task("m").n) == ("exact_match", options, 3)
    regex, vote = reading.steps
    assert vote == "majority"
    assert (regex.take, regex.regex.text) == (-1, '{{ "is {{(.*)}}" }}')  # type: ignore[union-attr]
    assert document["differences"]["metric ter is not measured here"] == 1


@pytest.mark.parametrize(("said", "reason"), [
    ("process_results: !function u.p", "process_results: scores made by Python"),
    ("metric_list: [{metric: !function u.m}]", "metric_list: a metric that needs Python"),
    ("metric_list: [{metric: rouge}]", "metric_list: no metric that is offered here"),
    ("filter_list: [{name: a, filter: [{function: custom, filter_fn: !function u.f}]}]",
     "filter_list: a filter that is not offered here"),
    ("doc_to_text: !function u.t", "doc_to_text: needs Python (!function)"),
    ("class: !function u.T", "class: a task written in Python"),
    ("colour: blue", "colour: a key that is not known here"),
    ("generation_kwargs: {num_beams: 4}", "generation_kwargs: a setting that is not offered here"),
    ('doc_to_text: "{{hint.zfill(3)}}"', "a template method that is not offered here"),
    ('doc_to_text: "{{hint | pprint}}"', "a template filter that is not offered here"),
    ('doc_to_text: "{{hint.__class__}}"', "a template that reaches into Python"),
    ("doc_to_text: \"{{hint | regex_replace('(x)', '\\\\\\\\1')}}\"", "regex_replace with groups in the replacement"),
    ("dataset_kwargs: {data_dir: x}", "dataset_kwargs: a setting that is not offered here"),
    ("dataset_path: /some/folder", "dataset_path: is neither a hub id nor json, csv or parquet"),
    ("process_docs: !function other.p", "process_docs: needs Python (!function) that is not beside it"),
])  # fmt: skip
def test_what_needs_python_or_has_no_equal_is_refused_with_the_reason(
    desk: Path, capsys: pytest.CaptureFixture[str], said: str, reason: str
) -> None:
    put(r=f"task: r\n{GENERATE}{said}\n", u__py="raise SystemExit(1)\n")
    document = taken(capsys, code=3)
    assert document["reasons"] == {reason: 1}
    assert document["tasks"] == []
    assert document["refused"][0]["place"].startswith("theirs/r.yaml")
    assert not Path("ours").exists()


def test_groups_and_tags_become_suites(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def one(name: str, more: str = "") -> str:
        return f"task: {name}\ntag: small\n{BASE}{CHOICE}doc_to_text: hint\ndoc_to_choice: [u, v]\ndoc_to_target: 0\n{more}"

    put(a=one("a"), b=one("b"), c=one("c", "process_results: !function u.p\n"), g="""
group: all
task:
  - a
  - {task: b, num_fewshot: 1}
  - c
  - {group: inner, task: [b]}
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
metadata: {version: 2}
""")  # fmt: skip
    document = taken(capsys, code=3)
    assert document["suites"] == ["all", "small"]
    suite = Catalog(specs=["ours"]).suite("all")
    assert {name: (part.tasks, part.metric) for name, part in suite.categories.items()} == {
        "all": (("a", "all-b"), "acc"), "inner": (("b",), "acc"),
    }  # fmt: skip
    assert (suite.version, task("all-b").shots is not None, task("b").shots) == ("2", True, None)
    text = Path("ours/suites/all.yaml").read_text("utf-8")
    assert "1 of its tasks could not be taken over" in text
    assert "weights tasks by their rows" in text


@pytest.mark.parametrize(("name", "config", "code"), [
    ("xcopa_id", "x", "id"), ("t", "arb_Arab", "ar"), ("t", "Albanian", "sq"), ("t", "PT_BR", "pt-BR"), ("t", "AR_XY", "ar"),
    ("t_zho_Hant", "x", "zh-Hant"), ("anatomy", "boolq", "und"), ("mi", "x", "und"),
])  # fmt: skip
def test_the_language_is_read_off_the_names(
    desk: Path, capsys: pytest.CaptureFixture[str], name: str, config: str, code: str
) -> None:
    put(t=f"task: {name}\n{GENERATE}".replace("dataset_name: main", f"dataset_name: {config}"))
    taken(capsys)
    assert task(name).codes == (code,)


def test_a_report_counts_and_writes_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(a=f"task: a\n{GENERATE}", b=f"task: b\n{GENERATE}colour: blue\n", c=f"task: c\n{GENERATE}colour: red\n")
    out, _ = ran(capsys, "lm-eval", "theirs", "--report")
    assert "theirs: 3 files, 1 tasks by level 0, 0 by level 1, 2 refused" in out
    assert "2 × colour: a key that is not known here" in out
    assert not Path("tasks").exists()


def test_nothing_is_overwritten(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(a=f"task: a\n{GENERATE}", b=f"task: b\n{GENERATE}")
    taken(capsys)
    Path("ours/a.yaml").unlink()
    _, err = ran(capsys, "lm-eval", "theirs", "--out", "ours", code=2)
    assert "ours/b.yaml: is there already" in err
    assert not Path("ours/a.yaml").exists()


def test_the_number_of_examples_can_be_given(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(a=f"task: a\n{GENERATE}")
    taken(capsys, "--shots", "1")
    assert requests("a") == [("Hint 0. 1\n\nHint 0.",)]


@pytest.mark.parametrize(
    "text", ["", "no", "on", "1e3", "0o17", "~", " x", "a: b", "#", "\n\n", "\x85\u2028\x7f", "𝄞 ق", '"', "null"]
)
def test_written_yaml_is_read_back_as_it_was(text: str) -> None:
    document = {"a": text, "b": [text, 1, None, True], "c": {"k": text, "l": {"m": text * 40}}}
    assert read(written(document, ["a comment\nof two lines"])).data == document
