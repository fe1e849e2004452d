"""Tasks that metrics score, in real runs: choices by likelihood and by letter, numbers, code, texts, and all scored again."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from evalharness.errors import UsageError
from evalharness.flows.items import items
from evalharness.plan import Ask
from evalharness.run import Outcome, resume, run, score_again
from tests.conftest import skip_or_fail

CHOICE = """
task: cause
version: "1"
description: causes and effects
output: choice
prompts: {origin: native}
dataset: {path: json, data_files: "rows/{{ language }}.jsonl", split: train}
languages: {de: {because: weil, so: deshalb}, hi: {because: क्योंकि, so: इसलिए}}
sample:
  id: "{{ row.id }}"
  category: "{{ row.asks }}"
  prompt: "{{ row.premise }} {{ words.because if row.asks == 'cause' else words.so }}"
  choices: ["{{ row.one }}", "{{ row.two }}"]
  target: {expr: row.label}
generative:
  prompt: "{{ prompt }}\\n{% for c in choices %}{{ letters[loop.index0] }}. {{ c }}\\n{% endfor %}"
  generate: {max_tokens: 8}
metrics: [{name: acc, headline: true, chance: 0.5}, acc_norm]
"""
WINOGRAD = """
task: it
version: "1"
description: what it stands for
output: choice
prompts: {origin: native}
dataset: {path: json, data_files: rows/it.jsonl, split: train}
languages: [en]
sample:
  id: "{{ row.id }}"
  contexts: {expr: row.contexts}
  continuation: "{{ row.rest }}"
  target: "{{ row.right }}"
metrics: [acc]
"""
SUMS = """
task: sums
version: "1"
description: sums in native digits
prompts: {origin: native}
dataset: {path: json, data_files: rows/sums.jsonl, split: train}
languages: [bn]
sample: {id: "{{ row.id }}", prompt: "{{ row.q }}", target: "{{ row.a }}"}
filters: [{name: strict, steps: [{regex: 'উত্তর (\\S+)'}]}, {name: flexible, steps: [number]}]
metrics: [number]
"""
CODE = """
task: functions
version: "1"
description: functions to finish
output: code
prompts: {origin: native}
dataset: {path: json, data_files: rows/code.jsonl, split: train}
languages: [en]
sample:
  id: "{{ row.id }}"
  prompt: "{{ row.prompt }}"
  program: "{{ row.prompt }}{{ completion }}\\n{{ row.test }}"
n: 2
generate: {temperature: 0.8, max_tokens: 8}
program: {seconds: 2}
metrics: [{name: pass_at_k, options: {k: [1, 2]}}]
"""
TEXTS = """
task: texts
version: "1"
description: how well a language is modelled
output: loglikelihood
prompts: {origin: native}
dataset: {path: json, data_files: rows/texts.jsonl, split: train}
languages: [ar]
sample: {id: "{{ row.id }}", text: "{{ row.text }}"}
metrics: [bits_per_byte]
"""
ROWS: dict[str, list[dict[str, Any]]] = {
    "de": [
        {"id": 1, "premise": "Der Boden war nass,", "asks": "cause", "one": "es hatte geregnet.", "two": "er sang.", "label": 0},
        {"id": 2, "premise": "Sie war müde,", "asks": "effect", "one": "sie lief.", "two": "sie ging schlafen.", "label": 1},
    ],
    "hi": [
        {"id": 1, "premise": "ज़मीन गीली थी", "asks": "cause", "one": "बारिश हुई थी।", "two": "वह गा रहा था।", "label": 0},
        {"id": 2, "premise": "वह थकी थी", "asks": "effect", "one": "वह दौड़ी।", "two": "वह सो गई।", "label": 1},
    ],
    "it": [{"id": 1, "contexts": ["The cup", "The tree"], "rest": "was full of tea.", "right": "The cup"}],
    "sums": [{"id": "s1", "q": "১ + ১?", "a": "2"}, {"id": "s2", "q": "৫ × ৫?", "a": "25"}],
    "code": [
        {"id": "one", "prompt": "def one():\n    return ", "test": "assert one() == 1"},
        {"id": "two", "prompt": "x = 2  # ", "test": "assert x == 2"},
    ],
    "texts": [{"id": "t", "text": "السلام عليكم"}],
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a task of every output, and its rows."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"cause": CHOICE, "it": WINOGRAD, "sums": SUMS, "functions": CODE, "texts": TEXTS}.items():
        (tmp_path / "tasks").mkdir(exist_ok=True)
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text, encoding="utf-8")
    for name, rows in ROWS.items():
        write_lines(tmp_path / "tasks" / "rows" / f"{name}.jsonl", rows)
    return tmp_path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def results(outcome: Outcome, by: str = "all") -> dict[tuple[str, str, str], float | None]:
    """Return the values of a run by (metric, filter, group)."""
    assert outcome.summary is not None
    found = [row for row in outcome.summary["results"] if row["by"] == by]
    return {(row["metric"], row["filter"], row["group"]): row["value"] for row in found}


def samples(outcome: Outcome) -> list[dict[str, Any]]:
    with gzip.open(Path("results") / outcome.name / "samples.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_choices_are_scored_by_their_likelihood_which_equals_an_independent_computation(
    home: Path, tiny_model: Path
) -> None:
    outcome = run(Ask((f"hf:{tiny_model}",), ("cause", "it", "texts")), Path("results"))
    assert outcome.exit_code == 0 and outcome.summary is not None and outcome.summary["status"] == "complete"
    computed = {}
    for sample in samples(outcome):
        (answer,) = sample["answers"].values()
        target, prompt = sample["target"], sample["prompt"]
        if sample["task"] == "cause":
            pairs = [(prompt, f" {choice}") for choice in target["choices"]]
        elif sample["task"] == "it":
            pairs = [(context, " was full of tea.") for context in target["choices"]]
        else:
            pairs = [("", target["text"])]
        expected = [logprob(tiny_model, *pair) for pair in pairs]
        assert answer["logprobs"] == pytest.approx(expected, abs=1e-3 * max(map(len, sum(pairs, ()))))
        computed[sample["task"], sample["language"], sample["prompt_id"]] = expected
    chosen = [
        max(range(2), key=computed["cause", language, key].__getitem__) == right
        for language in ("de", "hi")
        for key, right in (("1", 0), ("2", 1))
    ]
    assert results(outcome)["acc", "likelihood", "all"] is not None
    by_task = {(r["task"], r["metric"]): r["value"] for r in outcome.summary["results"] if r["by"] == "all"}
    assert by_task["cause", "acc"] == pytest.approx(sum(chosen) / 4)
    own = computed["it", "en", "1"]
    assert by_task["it", "acc"] == float(own[0] >= own[1])
    (text,) = computed["texts", "ar", "t"]
    assert by_task["texts", "bits_per_byte"] == pytest.approx(
        -text / math.log(2) / len("السلام عليكم".encode()), rel=1e-4
    )
    groups = {(r["by"], r["group"]) for r in outcome.summary["results"] if r["task"] == "cause"}
    assert {("language", "de"), ("language", "hi"), ("category", "cause"), ("category", "effect")} <= groups
    frame = pq.read_table(Path("results") / outcome.name / "scores.parquet").to_pylist()
    assert {(r["metric"], r["filter"]) for r in frame} == {
        ("acc", "likelihood"), ("acc_norm", "likelihood"), ("bits_per_byte", "likelihood")
    }  # fmt: skip


def logprob(model: Path, prompt: str, continuation: str) -> float:
    """Return the log-probability of a continuation, computed with transformers alone; an empty prompt is BOS."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    weights = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    whole = tokenizer(prompt + continuation, add_special_tokens=False)["input_ids"]
    if whole[: len(before)] == before:
        after = whole[len(before) :]
    else:
        after = tokenizer(continuation, add_special_tokens=False)["input_ids"]
    before = before or [tokenizer.bos_token_id]
    with torch.no_grad():
        logits = weights(torch.tensor([before + after])).logits[0].log_softmax(-1)
    return float(sum(logits[len(before) - 1 + i, token] for i, token in enumerate(after)))


def test_a_model_that_only_writes_chooses_by_letter_and_never_shares_a_column_with_likelihoods(
    home: Path, tiny_model: Path
) -> None:
    answers = [("de", "1", "Antwort: A"), ("de", "2", "A"), ("hi", "1", "उत्तर: A"), ("hi", "2", "वह सो गई।")]
    write_lines(
        home / "written.jsonl",
        [{"language": code, "prompt_id": key, "model": "writer", "text": text} for code, key, text in answers],
    )
    outcome = run(Ask(("replay:written.jsonl", f"hf:{tiny_model}"), ("cause",)), Path("results"))
    assert outcome.summary is not None
    of = {(r["model"], r["metric"], r["filter"]) for r in outcome.summary["results"]}
    assert of == {
        ("writer", "letter", "generated"),
        (str(tiny_model), "acc", "likelihood"),
        (str(tiny_model), "acc_norm", "likelihood"),
    }
    rows = {
        r["group"]: r for r in outcome.summary["results"] if r["metric"] == "letter" and r["by"] in ("all", "language")
    }
    assert (rows["de"]["value"], rows["hi"]["value"], rows["all"]["value"]) == (0.5, 1.0, 0.75)
    assert rows["all"]["chance"] == 0.5


def test_numbers_are_read_in_native_digits_and_what_no_filter_finds_is_wrong_and_said(home: Path) -> None:
    told = [("s1", "উত্তর ২"), ("s2", "২৪, না: ২৫")]
    write_lines(home / "m.jsonl", [{"language": "bn", "prompt_id": k, "model": "m", "text": t} for k, t in told])
    outcome = run(Ask(("replay:m.jsonl",), ("sums",)), Path("results"))
    assert results(outcome) == {("number", "strict", "all"): 0.5, ("number", "flexible", "all"): 1.0}
    (shown,) = items(outcome.name, "s2", Path("results"))
    assert [(s["filter"], s["value"], s["status"], s["answer"]) for s in shown["scores"]] == [
        ("strict", 0.0, "no_match", None), ("flexible", 1.0, "ok", "25"),
    ]  # fmt: skip
    assert shown["target"]["texts"] == ["25"] and len(shown["prompt_sha256"]) == 64


def test_answers_are_scored_again_by_another_filter_without_the_model(home: Path) -> None:
    told = [("s1", "উত্তর ২"), ("s2", "২৪, না: ২৫")]
    write_lines(home / "m.jsonl", [{"language": "bn", "prompt_id": k, "model": "m", "text": t} for k, t in told])
    outcome = run(Ask(("replay:m.jsonl",), ("sums",)), Path("results"))
    (home / "m.jsonl").unlink()
    task = home / "tasks" / "sums.yaml"
    task.write_text(SUMS.replace("উত্তর", "না:"), encoding="utf-8")
    again = score_again(outcome.name, Path("results"))
    assert results(again)["number", "strict", "all"] == 0.5
    (shown,) = items(outcome.name, "s2", Path("results"))
    assert shown["scores"][0]["value"] == 1.0
    task.write_text(SUMS.replace("{{ row.q }}", "{{ row.q }}!"), encoding="utf-8")
    with pytest.raises(UsageError, match="prompts of task sums were changed"):
        score_again(outcome.name, Path("results"))


def test_programs_run_in_the_sandbox_if_allowed_once_and_never_again(home: Path, tiny_model: Path) -> None:
    if shutil.which("bwrap") is None:
        skip_or_fail("bubblewrap is missing: apt-get install bubblewrap")
    with pytest.raises(UsageError, match="--allow-code-execution"):
        run(Ask((f"hf:{tiny_model}",), ("functions",)), Path("results"))
    seen: list[tuple[str, int, int]] = []
    ask = Ask((f"hf:{tiny_model}",), ("functions",), allow_code_execution=True)
    outcome = run(ask, Path("results"), listen=lambda e: seen.append((e.stage, e.done, e.reused)))
    assert outcome.exit_code == 0 and outcome.summary is not None
    by_item = {s["prompt_id"]: {x["metric"]: x["value"] for x in s["scores"]} for s in samples(outcome)}
    assert by_item["two"] == {"pass@1": 1.0, "pass@2": 1.0}  # the answer is in a comment
    texts = {s["prompt_id"]: s["answers"][str(tiny_model)]["repeats"] for s in samples(outcome)}
    assert len(set(texts["one"])) == 2  # two draws, not one twice
    ran = [event for event in seen if event[0] == "run programs"]
    assert ran[0][1:] == (0, 0) and ran[-1][1:] == (4, 0)
    seen.clear()
    resume(outcome.name, Path("results"), listen=lambda e: seen.append((e.stage, e.done, e.reused)))
    assert [e for e in seen if e[0] == "run programs"] == [("run programs", 4, 4)]
