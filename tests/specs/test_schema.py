"""The JSON Schemas for editors: fresh, true of every YAML that is shipped, and false of broken ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evalharness.specs.reader import read, read_file
from evalharness.specs.schema import SHAPES, Kind, schema

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED: list[tuple[Kind, Path]] = [
    *(("task", path) for path in sorted((REPOSITORY / "tasks").rglob("*.yaml")) if path.parent.name != "suites"),
    *(("suite", path) for path in sorted((REPOSITORY / "tasks/suites").glob("*.yaml"))),
    *(("judge", path) for path in sorted((REPOSITORY / "judges").glob("*.yaml"))),
    ("config", REPOSITORY / "evalharness" / "evalharness.yaml"),
]


def faults(kind: Kind, data: Any) -> list[str]:
    """Return what the schema finds wrong with `data`."""
    found = schema(kind)
    jsonschema.Draft7Validator.check_schema(found)
    return [error.message for error in jsonschema.Draft7Validator(found).iter_errors(data)]


@pytest.mark.parametrize("kind", SHAPES)
def test_the_schemas_in_docs_are_fresh(kind: Kind) -> None:
    file = REPOSITORY / "docs" / "schemas" / f"{kind}.json"
    stale = "write them anew: evalharness schema --out docs/schemas"
    assert json.loads(file.read_text(encoding="utf-8")) == schema(kind), stale


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda value: getattr(value, "name", value))
def test_every_shipped_yaml_is_valid(kind: Kind, path: Path) -> None:
    assert faults(kind, read_file(path).data) == []


LANGUAGE = "extends: m-arenahard\nlanguage: sw\nwords: {question: Swali}\nsample: {prompt: x}\n"
CONFIG = "models: {m: {backend: hf, path: x}}\nrun: {limit: 3, models: [a], task: t, gen: {temperature: 0.5}}\n"


def test_a_language_file_says_only_what_differs() -> None:
    assert faults("task", read(LANGUAGE).data) == []
    assert faults("config", read(CONFIG).data) == []


TASK = read_file(REPOSITORY / "tasks" / "m-arenahard-mini.yaml").data
JUDGE = read_file(REPOSITORY / "judges" / "arena-hard.yaml").data
SUITE = read_file(REPOSITORY / "tasks" / "suites" / "to-code.yaml").data
BROKEN: dict[str, tuple[Kind, dict[str, Any], tuple[str, ...], Any]] = {
    "unknown key": ("task", TASK, ("juge",), "arena-hard"),
    "unknown key inside": ("task", TASK, ("dataset", "splt"), "test"),
    "not of the list": ("task", TASK, ("prompts", "origin"), "nativ"),
    "an unknown key of a category": ("suite", SUITE, ("categories", "code", "taks"), ["mbpp"]),
    "a text for the tasks of a category": ("suite", SUITE, ("categories", "code", "tasks"), "mbpp"),
    "a number for text": ("task", TASK, ("version",), 1.0),
    "text for a list": ("task", TASK, ("languages",), "de"),
    "both languages and language": ("task", TASK, ("language",), "de"),
    "a label without a score": ("judge", JUDGE, ("verdict", "labels", "A>B"), {"weight": 2}),
    "an order that is none": ("judge", JUDGE, ("orders",), "twice"),
    "a model without a backend": ("config", read(CONFIG).data, ("models", "m"), {"path": "x"}),
    "an option that is none": ("config", read(CONFIG).data, ("run", "limt"), 3),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_not_valid(case: str) -> None:
    kind, whole, path, value = BROKEN[case]
    data = copy.deepcopy(whole)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert faults(kind, whole) == []
    assert len(faults(kind, data)) >= 1


@pytest.mark.parametrize("kind", SHAPES)
def test_a_missing_key_is_found_and_every_key_at_the_top_is_explained(kind: Kind) -> None:
    found = schema(kind)
    for key in found.get("required", found.get("else", {}).get("required", ())):
        assert faults(kind, {k: v for k, v in {"task": TASK, "judge": JUDGE, "suite": SUITE}[kind].items() if k != key})
    unexplained = [
        name for name, about in found["properties"].items()
        if "description" not in about and "$ref" not in about
    ]  # fmt: skip
    assert unexplained == []
