"""A shipped task and a language in, all that a model is shown and what is right out, from the hand-written rows of tests/rows.

``python -m tests.tasks.golden TASK…`` writes the golden files anew; read them before you commit them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalharness.catalog import Catalog
from evalharness.data import load, local_rows
from evalharness.prompts import Prompt, listed, matching, samples, scored, shown
from evalharness.specs.task import LanguageSpec, TaskSpec
from evalharness.stages.load import shots_source, source
from evalharness.types import Sample

HERE = Path(__file__).resolve().parent
ROWS = HERE.parent / "rows"
GOLDEN = HERE / "golden"
NO_LOCK = Path(os.devnull, "no.lock.json")  # nothing can lie there

Json = dict[str, Any]


@contextmanager
def own_rows() -> Iterator[None]:
    """Let the hub's data sets be the rows of tests/rows."""
    before = os.environ.get("EVALHARNESS_DATA")
    os.environ["EVALHARNESS_DATA"] = str(ROWS)
    try:
        yield
    finally:
        os.environ.pop("EVALHARNESS_DATA")
        if before is not None:
            os.environ["EVALHARNESS_DATA"] = before


def parts(task_name: str, language: str) -> tuple[TaskSpec, LanguageSpec]:
    """Return the task and the language of a selector."""
    (task,) = Catalog().select(f"{task_name}[{language}]")
    return task, task.languages[0]


def languages_with_rows(task_name: str) -> list[str]:
    """Return the languages of a task that have rows of ours."""
    task = Catalog().task(task_name)
    with own_rows():
        return [each.code for each in task.languages if local_rows(source(task, each)) is not None]


def made(task_name: str, language: str) -> list[Sample]:
    """Return the samples of our rows, in the rows' order, with their shots."""
    task, spec = parts(task_name, language)
    with own_rows():
        rows, _ = load(source(task, spec), NO_LOCK, extend=False)
        shots = None if task.shots is None else load(shots_source(task, spec), NO_LOCK, extend=False)[0]
    return list(samples(task, spec, matching(task, spec, rows), shots))


def render(task_name: str, language: str) -> list[Json]:
    """Return what each of our rows becomes: id, the raw and the chat form, the listed form of a choice task, what is right."""
    return [_rendered(sample) for sample in made(task_name, language)]


def _rendered(sample: Sample) -> Json:
    out: Json = {"id": sample.prompt_id}
    if sample.category is not None:
        out["category"] = sample.category
    if sample.reference is not None:
        out["reference"] = sample.reference
    if sample.continuations:
        for form in ("raw", "chat"):
            asked = scored(sample, form)  # type: ignore[arg-type]
            out[form] = [{"prompt": _plain(one.prompt), "continuations": list(one.continuations)} for one in asked]
    else:
        out |= {"raw": _plain(shown(sample, "raw")), "chat": _plain(shown(sample, "chat"))}
    if sample.turns:
        out["turns"] = list(sample.turns)
    if sample.generative is not None:
        out["listed"] = _plain(shown(listed(sample), "chat"))
    return out | _right(sample)


def _right(sample: Sample) -> Json:
    target = sample.target
    if target is None:
        return {}
    if target.choices:
        return {"right": [f"{target.letters[at]}. {target.choices[at]}" for at in target.right]}
    if target.program:
        return {"program": list(target.program)}
    return {"right": list(target.texts)} if target.texts else {}


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [f"{message.role}: {message.content}" for message in prompt]


def file(task_name: str) -> Path:
    """Return the golden file of a task."""
    return GOLDEN / f"{task_name}.json"


def expected(task_name: str, language: str) -> list[Json]:
    """Return what the golden file of a task holds for a language."""
    found: list[Json] = json.loads(file(task_name).read_text(encoding="utf-8"))[language]
    return found


def write(names: Sequence[str]) -> None:
    """Write the golden files of the tasks ``names`` anew."""
    for name in names:
        document = {code: render(name, code) for code in languages_with_rows(name)}
        file(name).parent.mkdir(exist_ok=True)
        file(name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:])
