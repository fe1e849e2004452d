"""The real small model on one task of every output and category, in Arabic, Chinese, Hindi, German and English; slow."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import Catalog
from evalharness.plan import Ask
from evalharness.run import Outcome, run
from tests.conftest import skip_or_fail

pytestmark = [pytest.mark.engines, pytest.mark.model]

LANGUAGES = "[ar,de,en,hi,zh]"
CHOICES = (f"global-mmlu{LANGUAGES}", "xstorycloze[ar,en,hi,zh]", "xwinograd[en,zh]")
TASKS = (
    *CHOICES, f"flores-bpb{LANGUAGES}", "mgsm-direct[de,zh,bn]", "flores-from-english[ar,de,hi,zh]", "humaneval",
    f"m-arenahard-mini{LANGUAGES}",
)  # fmt: skip
CATEGORIES = {
    "knowledge",
    "reasoning",
    "maths, direct answers",
    "translation",
    "code",
    "open-ended",
    "language modelling",
}
MODEL = "gemma-3-270m"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_DATA", str(Path(__file__).resolve().parent / "rows"))
    return tmp_path


def samples(outcome: Outcome) -> list[dict[str, Any]]:
    with gzip.open(Path("results") / outcome.name / "samples.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_a_run_over_a_task_of_every_output_and_category_finishes(home: Path, demo_weights: None) -> None:
    if shutil.which("bwrap") is None:
        skip_or_fail("bubblewrap is missing: apt-get install bubblewrap")
    catalog = Catalog()
    tasks = [catalog.task(selector.partition("[")[0]) for selector in TASKS]
    assert {task.output for task in tasks} == {"choice", "loglikelihood", "text", "code"}
    assert {task.suite_category for task in tasks} == CATEGORIES
    ask = Ask(
        (MODEL, f"{MODEL}-sampled"), TASKS, judges=("pairwise-logprob",), judge_model=MODEL, limit=2,
        gen={"max_tokens": 24}, allow_code_execution=True,
    )  # fmt: skip
    outcome = run(ask, Path("results"))
    assert outcome.exit_code == 0 and outcome.summary is not None and outcome.summary["status"] == "complete"
    valued = {(row["task"], row["group"]) for row in outcome.summary["results"]
              if row["by"] == "language" and row["value"] is not None}  # fmt: skip
    for task in tasks:
        codes = {sample["language"] for sample in samples(outcome) if sample["task"] == task.task}
        assert codes, task.task
        assert task.judge or {(task.task, code) for code in codes} <= valued, task.task
    assert {row["group"] for row in outcome.ratings.to_dict("records") if row["by"] == "language"} == {
        "ar", "de", "en", "hi", "zh"
    }  # fmt: skip


def test_twenty_likelihoods_equal_an_independent_computation_in_float32(home: Path, demo_weights: None) -> None:
    from evalharness.backends.models import cache_folder

    outcome = run(Ask((MODEL,), CHOICES), Path("results"))
    assert outcome.exit_code == 0
    (folder,) = [path for path in (cache_folder() / "models").glob("gemma3*") if (path / "config.json").exists()]
    reference = Reference(folder)
    compared = 0
    for sample in samples(outcome):
        (answer,) = sample["answers"].values()
        for prompt, continuation, found in zip(*asked(sample), answer["logprobs"], strict=True):
            value, tokens = reference.logprob(prompt, continuation)
            assert abs(found - value) <= 1e-3 * tokens, (sample["task"], sample["language"], sample["prompt_id"])
            compared += 1
    assert compared >= 20


def asked(sample: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the prompts and continuations of a sample, rendered anew from its task's file."""
    from evalharness import prompts
    from evalharness.data import local_rows
    from evalharness.stages.load import shots_source, source

    (task,) = Catalog().select(f"{sample['task']}[{sample['language']}]")
    (language,) = task.languages
    rows, shots = local_rows(source(task, language)), None
    if task.shots is not None:
        shots = list(local_rows(shots_source(task, language)) or ())
    made = prompts.samples(task, language, prompts.matching(task, language, list(rows or ())), shots)
    (own,) = [each for each in made if each.prompt_id == sample["prompt_id"]]
    pairs = [(one.prompt, text) for one in prompts.scored(own, "raw") for text in one.continuations]
    return [str(prompt) for prompt, _ in pairs], [text for _, text in pairs]


class Reference:
    """The model in plain transformers, in float32."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def logprob(self, prompt: str, continuation: str) -> tuple[float, int]:
        """Return the log-probability of ``continuation`` after BOS and ``prompt``, and its number of tokens."""
        before = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        whole = self._tokenizer(prompt + continuation, add_special_tokens=False)["input_ids"]
        alone = self._tokenizer(continuation, add_special_tokens=False)["input_ids"]
        after = whole[len(before) :] if whole[: len(before)] == before else alone
        ids = [self._tokenizer.bos_token_id, *before, *after]
        with self._torch.no_grad():
            found = self._model(self._torch.tensor([ids])).logits[0].log_softmax(-1)
        places = range(len(ids) - len(after) - 1, len(ids) - 1)
        return float(sum(found[place, token] for place, token in zip(places, after, strict=True))), len(after)
