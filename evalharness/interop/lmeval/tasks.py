"""A task's keys in lm-evaluation-harness in, a task of ours as YAML data out, or why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.interop.lmeval import measuring
from evalharness.interop.lmeval.dialogue import parts, printed, shots
from evalharness.interop.lmeval.files import Config, Function
from evalharness.interop.lmeval.refusal import Refused
from evalharness.interop.lmeval.rowfilter import row_filter
from evalharness.interop.lmeval.templates import UnportableError, is_column, literal, ported
from evalharness.interop.lmeval.tongue import guessed

Yaml = dict[str, Any]
OUTPUTS = {
    "multiple_choice": "choice", "generate_until": "text", "loglikelihood": "loglikelihood",
    "loglikelihood_rolling": "loglikelihood",
}  # fmt: skip
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_LOCAL = frozenset({"json", "csv", "parquet"})
_SILENT = frozenset({  # keys that change no request and no score
    "task", "task_alias", "tag", "group", "group_alias", "metadata", "should_decontaminate", "doc_to_decontamination_query",
    "task_list", "unsafe_code", "aggregate_metric_list",
})  # fmt: skip
_READ = frozenset({
    "dataset_path", "dataset_name", "dataset_kwargs", "training_split", "validation_split", "test_split", "fewshot_split",
    "process_docs", "doc_to_text", "doc_to_target", "doc_to_choice", "description", "target_delimiter", "fewshot_delimiter",
    "fewshot_config", "num_fewshot", "metric_list", "output_type", "generation_kwargs", "repeats", "filter_list", "gen_prefix",
})  # fmt: skip
_PYTHON = {
    "class": "a task written in Python", "custom_dataset": "a data set made by Python", "doc_to_image": "images",
    "doc_to_audio": "audio", "use_prompt": "prompts of promptsource", "process_results": "scores made by Python",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What the files do not say: the language where no name tells it, and how many worked examples."""

    language: str = "und"
    shots: int | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """A task of ours: its YAML as data, what is different (``notes``), its ``level`` (1: a Python filter of rows was read),
    and the rows of worked examples that stand in the YAML itself."""

    name: str
    theirs: str
    document: Yaml
    notes: tuple[str, ...]
    level: int
    shot_rows: tuple[Mapping[str, Any], ...] = ()
    file: str = ""


def our_name(theirs: str) -> str:
    """Return a task's name as a file's: what is neither letter, digit, ``_`` nor ``-`` is ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", theirs).strip("-") or "task"


def converted(config: Config, told: Told, name: str | None = None) -> Converted:
    """Return the task of ``config``, called ``name``; raises Refused with the key that keeps it out."""
    theirs = str(config.data.get("task"))
    try:
        return _converted(config, told, theirs, name or our_name(theirs))
    except UnportableError as error:
        raise Refused("", error.reason, error.detail, config.place()) from None


def _converted(config: Config, told: Told, theirs: str, name: str) -> Converted:
    data, notes = config.data, list[str]()
    _check_keys(config)
    output = str(data.get("output_type", "generate_until"))
    if output not in OUTPUTS:
        raise Refused("output_type", "an output that is not offered here", output, config.place("output_type"))
    where = _where(config)
    delimiter, between = _text(config, "target_delimiter", " "), _text(config, "fewshot_delimiter", "\n\n")
    made = parts(config, output)
    examples, shot_rows = shots(config, told.shots, name, where, made, notes)
    dataset = _dataset(config, notes)
    language = guessed(theirs, dataset.get("name"))
    if language is None:
        notes.append(f"no name says the language: it is {told.language}")
    document: Yaml = {
        "task": name, "version": _version(config), "description": f"{theirs}, from lm-evaluation-harness",
        "output": OUTPUTS[output], "verified": False, "prompts": {"origin": "unknown", "parallel": False},
        "dataset": dataset, "languages": [language or told.language],
    }  # fmt: skip
    document |= {"where": _where_yaml(where)} if where else {}
    document |= {"format": "raw"} if OUTPUTS[output] == "text" else {}
    document["sample"] = {"id": "{{ position }}", **made.sample}
    document |= {"delimiter": delimiter} if delimiter != " " else {}
    if data.get("description"):
        document["intro"] = _described(str(data["description"]))
        notes.append("in chat the description stands before the first question, not in a system message")
    document |= {"answer_prefix": made.prefix} if made.prefix else {}
    document |= {"shots": examples} if examples else {}
    if made.lettered:
        document["generative"] = {"prompt": "{{ prompt }}", "generate": {"temperature": 0.0, "max_tokens": 16}}
    if output == "generate_until":
        document["generate"] = measuring.sampling(config, between, notes)
        if (repeats := int(data.get("repeats") or 1)) > 1:
            document["n"] = repeats
    metrics = measuring.metrics(config, output, made.n_choices, notes)
    _unconditional(document["sample"], metrics)
    if read := measuring.filters(config, output):
        document["filters"] = read
    elif document.get("n"):
        document["filters"] = [{"name": "first", "steps": ["first"]}]
    document["metrics"] = metrics
    level = 1 if where else 0
    return Converted(name, theirs, document, tuple(notes), level, shot_rows, config.place().partition(":")[0])


def _check_keys(config: Config) -> None:
    """Refuse keys that need Python, and those that are not known."""
    for key, why in _PYTHON.items():
        if config.data.get(key) is not None:
            value = config.data[key]
            detail = value.name if isinstance(value, Function) else ""
            raise Refused(key, why, detail, config.place(key))
    for key, value in config.data.items():
        if key in _SILENT or key in ("process_docs", "metric_list", "filter_list"):
            continue
        if key not in _READ:
            raise Refused(key, "a key that is not known here", place=config.place(key))
        inner = value.values() if isinstance(value, dict) else [value]
        function = next((each for each in inner if isinstance(each, Function)), None)
        if function is not None and not (key == "fewshot_config" and function is value.get("process_docs")):
            raise Refused(key, "needs Python (!function)", function.name, function.place)


def _where(config: Config) -> Mapping[str, list[str]]:
    found = config.data.get("process_docs")
    if found is None:
        return {}
    if not isinstance(found, Function):
        raise Refused("process_docs", "is no function", str(found), config.place("process_docs"))
    return row_filter(found, "process_docs")


def _where_yaml(where: Mapping[str, list[str]]) -> Yaml:
    plain = {column: [literal(value) for value in values] for column, values in where.items()}
    return {column: values[0] if len(values) == 1 else values for column, values in plain.items()}


def _text(config: Config, key: str, default: str) -> str:
    value = config.data.get(key, default)
    if not isinstance(value, str):
        raise Refused(key, "is no text", place=config.place(key))
    return value


def _described(text: str) -> str:
    """Return the template of a description, which may be a column."""
    return printed(text) if is_column(text) else ported(text)


def _version(config: Config) -> str:
    metadata = config.data.get("metadata")
    return str(metadata.get("version", "0")) if isinstance(metadata, dict) else "0"


def _dataset(config: Config, notes: list[str]) -> Yaml:
    """Return where the rows are: those of the test split, else of the validation split."""
    data = config.data
    path, split = data.get("dataset_path"), data.get("test_split") or data.get("validation_split")
    if not isinstance(path, str) or not _HUB_ID.fullmatch(path):
        raise Refused(
            "dataset_path", "is neither a hub id nor json, csv or parquet", str(path), config.place("dataset_path")
        )
    if not isinstance(split, str):
        raise Refused("test_split", "no split is named to be scored", place=config.place())
    dataset: Yaml = {"path": path}
    if isinstance(name := data.get("dataset_name"), str):
        dataset["name"] = literal(name)
    elif name is not None:
        raise Refused("dataset_name", "is no text", str(name), config.place("dataset_name"))
    dataset["split"] = split
    given = dict(data.get("dataset_kwargs") or {})
    given.pop("trust_remote_code", None)  # no code of a data set is run here
    if revision := given.pop("revision", None):
        dataset["revision"] = str(revision)
    files = given.pop("data_files", None)
    if given or (files is not None) != (path in _LOCAL):
        raise Refused("dataset_kwargs", "a setting that is not offered here", ", ".join(given) or "data_files",
                      config.place("dataset_kwargs"))  # fmt: skip
    if files is not None:
        dataset["data_files"] = _data_file(files, split, config)
        notes.append(f"the rows are read from {dataset['data_files']} beside this file; put it there")
    return dataset


def _data_file(files: Any, split: str, config: Config) -> str:
    file = files.get(split) if isinstance(files, dict) else files
    file = file[0] if isinstance(file, list) and len(file) == 1 else file
    if not isinstance(file, str) or "://" in file or file.startswith("/") or ".." in file or "*" in file:
        raise Refused("dataset_kwargs", "data_files that are not one file below the task's folder", str(file),
                      config.place("dataset_kwargs"))  # fmt: skip
    return literal(file)


def _unconditional(sample: Yaml, metrics: list[Yaml]) -> None:
    """Ask for the likelihoods without a prompt where a metric compares with them."""
    if any(metric["name"] == "acc_pmi" for metric in metrics) and "contexts" not in sample:
        sample["unconditional"] = ""
