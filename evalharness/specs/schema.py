"""The records that YAML is read into, in; their JSON Schemas (draft 7) out, for editors: ``evalharness schema``."""

from __future__ import annotations

import re
import types as python_types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from evalharness.specs.fields import Template, plain
from evalharness.specs.judge import JudgeSpec
from evalharness.specs.model import ModelSpec
from evalharness.specs.settings import Settings
from evalharness.specs.suite import SuiteSpec
from evalharness.specs.task import _DEEP, _TaskYaml

Json = dict[str, Any]
Kind = Literal["task", "judge", "suite", "config"]


@dataclass(frozen=True, slots=True)
class ConfigYaml:
    """Settings of this folder or this user: ``models`` are entries by name, ``run`` holds defaults of options."""

    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    run: Settings | None = None


SHAPES: dict[Kind, type] = {"task": _TaskYaml, "judge": JudgeSpec, "suite": SuiteSpec, "config": ConfigYaml}
GIVEN: Mapping[Any, frozenset[str]] = {
    ModelSpec: frozenset({"name"}), JudgeSpec: frozenset({"file"}), SuiteSpec: frozenset({"file"}),
}  # fmt: skip

_ABOUT = {  # of the keys at the top that their record's docstring does not explain
    "task": "The task's name; the file is called NAME.yaml, or NAME.LANG.yaml for a language of it.",
    "judge": "For a judge its name, as in NAME.yaml; for a task the judge of its answers, unless --judge names another.",
    "suite": "The suite's name; the file is called NAME.yaml and lies in a folder `suites` of a folder of tasks.",
    "version": "Shown beside every number; raise it when the prompts or their answers would change.",
    "description": "One line for `evalharness ls`.",
    "dataset": "Where the rows come from.",
    "sample": "Templates that turn a row into a prompt; they see `row`, `position`, `language`, `words`, `config` and `letters`.",
    "languages": "A list of BCP 47 codes, a mapping of codes to wording (`config` names the data set's configuration), or "
    "the word configs: all configurations of the data set.",
    "where": "Keeps only the rows whose columns have these values (templates, as in `dataset`; of a list, one).",
    "answer_prefix": "A template of how every answer begins; the model writes on from there.",
    "language": "The one language of a NAME.LANG.yaml.",
    "words": "The language's wording, as `words.KEY` in templates.",
    "output": "What is asked for: text (answered freely), choice (one of those offered), loglikelihood (of a text), code (run).",
    "verified": "false: what the file says of the hub's data set was not checked against the hub; `validate --online` does.",
    "intro": "A template of the text before worked examples and question.",
    "shots": "Worked examples before the question.",
    "delimiter": "What stands between a raw prompt and its answer, in worked examples and before a choice.",
    "generative": "How a choice task is asked of models that only write: with its choices listed, for a letter.",
    "n": "How many answers a prompt gets.",
    "filters": "How answers are read before metrics see them; each filter gives rows of its own.",
    "metrics": "What is measured; a name alone, or a name with its options.",
    "program": "The limits of programs that models write.",
    "target_language": "A template of the language that is answered in, where it is another one than the prompt's.",
    "suite_category": "A heading to group tasks under.",
    "license": "The licence of the data.",
    "system": "A template of the system message.",
    "generate": "How answers are sampled; --gen and a model's own entry win over it. With `by: category`, the keys are "
    "categories (and default).",
    "stop": "Templates of more texts that end an answer, in the language's wording; those of --gen or a model's entry win.",
    "format": "chat, raw, or auto: chat where the model has a chat template.",
    "baseline": "The model of the published protocol, used by `--baseline task`.",
    "compare": "What is judged: pairs of answers.",
    "orders": "The orders a pair is read in: both, first, or random (drawn from the match, so that it never changes).",
    "verdict": "How the judge's reply becomes a verdict.",
    "repair": "A text appended when a reply held no verdict and the judge is asked a second time.",
    "model": "The model that judges, unless --judge-model names another.",
}

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_SENTENCE = re.compile(r"(?<=[.;])\s+")


def schema(kind: Kind) -> Json:
    """Return the JSON Schema of a task, a judge, a suite or an ``evalharness.yaml``."""
    definitions: dict[str, Json] = {}
    top = _record(SHAPES[kind], definitions)
    if kind == "task":
        top = _extending(top, definitions)
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"evalharness {kind}"}
    return {**head, **top, "definitions": dict(sorted(definitions.items()))}


def _extending(top: Json, definitions: dict[str, Json]) -> Json:
    """Let a task ``extends`` another: then it says only what differs, also inside the keys that are merged."""
    what = "The task this file extends; scalars and lists replace its own, sample, generate and words are merged."
    top["properties"] = {"extends": {"type": "string", "description": what}, **top["properties"]}
    merged = {}
    for name in sorted(_DEEP & top["properties"].keys()):
        said = top["properties"][name]
        reference = said.get("allOf", [said])[0].get("$ref", "").rpartition("/")[2]
        if reference and (required := definitions[reference].pop("required", None)):
            merged[name] = {"required": required}
    whole = {
        "required": top.pop("required"), "properties": merged,
        "oneOf": [{"required": ["languages"]}, {"required": ["language"]}],
    }  # fmt: skip
    return {**top, "if": {"required": ["extends"]}, "then": {}, "else": whole}


def _record(cls: Any, definitions: dict[str, Json]) -> Json:
    hints = get_type_hints(cls)
    own = [f for f in fields(cls) if f.name not in GIVEN.get(cls, ())]
    required = [f.name for f in own if f.default is MISSING and f.default_factory is MISSING]
    return {
        "type": "object", "description": " ".join((cls.__doc__ or "").split()),
        "properties": {f.name: _property(cls, f, hints[f.name], definitions) for f in own},
        **({"required": required} if required else {}), "additionalProperties": False,
    }  # fmt: skip


def _property(cls: Any, f: Field[Any], hint: Any, definitions: dict[str, Json]) -> Json:
    found = _type(hint, definitions)
    said: Json = {"description": text} if (text := _about(cls, f.name)) else {}
    if f.default is not MISSING and f.default is not None and not is_dataclass(f.default):
        said["default"] = plain(f.default)
    if "$ref" in found and said:  # draft 7 ignores what stands beside a $ref
        return {"allOf": [found], **said}
    return {**found, **said}


def _about(cls: Any, name: str) -> str:
    """Return the first sentence of the record's docstring that names the field."""
    sentences = _SENTENCE.split(" ".join((cls.__doc__ or "").split()))
    found = (s.replace("``", "`").rstrip(";") for s in sentences if f"``{name}``" in s)
    return next(found, _ABOUT.get(name, "") if cls in SHAPES.values() else "")


def _type(hint: Any, definitions: dict[str, Json]) -> Json:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, python_types.UnionType):
        return _union([a for a in arguments if a is not type(None)], type(None) in arguments, definitions)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _type(arguments[1], definitions)}
    if hint is Template:
        return {"type": "string", "description": "A Jinja template."}
    if is_dataclass(hint):
        name = hint.__name__.removesuffix("Spec") if isinstance(hint, type) else str(hint)
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _record(hint, definitions)
        return {"$ref": f"#/definitions/{name}"}
    return {"type": _PLAIN[hint]} if hint in _PLAIN else {}


def _union(options: list[Any], nullable: bool, definitions: dict[str, Json]) -> Json:
    types = [_type(option, definitions) for option in options]
    return (
        types[0] if len(types) == 1 and not nullable else {"anyOf": [*types, *([{"type": "null"}] if nullable else [])]}
    )
