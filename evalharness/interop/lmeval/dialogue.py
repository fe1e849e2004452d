"""``doc_to_text``, ``doc_to_target`` and ``doc_to_choice`` in, the templates of a sample and of its worked examples out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.interop.lmeval.files import Config, Function
from evalharness.interop.lmeval.refusal import Refused
from evalharness.interop.lmeval.rowfilter import row_filter
from evalharness.interop.lmeval.templates import (
    column,
    expression,
    has_markup,
    is_column,
    is_whole_number,
    literal,
    ported,
    quoted,
)  # fmt: skip

Yaml = dict[str, Any]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LONGEST_NAME = 60
_SHOT_KEYS = frozenset({"sampler", "split", "samples", "process_docs", "doc_to_text", "doc_to_target", "doc_to_choice",
                        "gen_prefix", "fewshot_delimiter", "target_delimiter"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """The templates of a sample; ``n_choices`` where every row has as many, ``lettered`` where they are A, B, C, …

    ``prefix`` begins every answer; ``answer`` is the template of a shot's answer where it is not the sample's own.
    """

    sample: Yaml
    n_choices: int | None = None
    lettered: bool = False
    prefix: str | None = None
    answer: str | None = None


def parts(config: Config, output: str) -> Parts:
    """Return the sample of a task with this ``output_type``."""
    data = config.data
    text, target = data.get("doc_to_text"), data.get("doc_to_target")
    if target is None:
        raise Refused("doc_to_target", "missing", place=config.place())
    if output.startswith("loglikelihood"):
        asked = {} if output.endswith("rolling") or text in (None, "") else {"prompt": printed(text)}
        return Parts({**asked, "text": printed(target)})
    if text is None:
        raise Refused("doc_to_text", "missing", place=config.place())
    if output == "multiple_choice":
        return _choice(config, text, target)
    found = _accepted(target) if data.get("doc_to_choice") is None else {"expr": _chosen(config, target)}
    return _begun(config, Parts({"prompt": printed(text), "target": found}))


def printed(said: Any) -> str:
    """Return the template that prints a column, a template, or a literal text or number."""
    if not isinstance(said, str):
        return str(said)
    if has_markup(said):
        return ported(said)
    if is_column(said):
        return f"{{{{ {column(said)} }}}}"
    return f"{{{{ {_either(said)} }}}}" if _could_be_column(said) else said


def valued(said: Any) -> str | None:
    """Return the expression of a column's, a template's or a literal's value; ``None`` where it is no single expression."""
    if not isinstance(said, str):
        return quoted_value(said)
    if has_markup(said):
        return expression(said)
    if is_column(said):
        return column(said)
    return _either(said) if _could_be_column(said) else quoted(said)


def _could_be_column(said: str) -> bool:
    return 0 < len(said) <= _LONGEST_NAME and "\n" not in said and not said.isdigit()


def _either(said: str) -> str:
    """Return the expression of a column, or of the text itself where there is no such column."""
    return f"{column(said)} if {quoted(said)} in row else {quoted(said)}"


def quoted_value(said: Any) -> str:
    """Return a literal number, text or list as an expression."""
    if isinstance(said, list):
        return f"[{', '.join(quoted_value(item) for item in said)}]"
    return quoted(said) if isinstance(said, str) else str(said).lower() if isinstance(said, bool) else str(said)


def _choice(config: Config, text: Any, target: Any) -> Parts:
    choices = config.data.get("doc_to_choice")
    if choices is None:
        raise Refused("doc_to_choice", "missing", place=config.place())
    listed = _listed(choices)
    offered: Any = [literal(choice) for choice in listed] if listed else {"expr": _choices(config, choices)}
    count = len(listed) if listed else None
    if _is_index(text):
        right = {"expr": _index(text)}
        return Parts({"contexts": offered, "continuation": printed(target), "target": right}, count)
    lettered = bool(listed) and listed == list(_LETTERS[: len(listed)])
    sample = {"prompt": printed(text), "choices": offered, "target": _right(target, listed)}
    return _begun(config, Parts(sample, count, lettered))


def _listed(choices: Any) -> list[str]:
    """Return the choices that are the same for every row; none where rows have their own."""
    found = list(choices.values()) if isinstance(choices, dict) else choices
    return [str(choice) for choice in found] if isinstance(found, list) else []


def _choices(config: Config, choices: Any) -> str:
    found = valued(choices) if isinstance(choices, str) else None
    if found is None:
        raise Refused("doc_to_choice", "a template that is not one list", place=config.place("doc_to_choice"))
    return found


def _is_index(said: Any) -> bool:
    """Say whether ``said`` can only be a whole number."""
    if isinstance(said, str):
        return said.isdigit() or (has_markup(said) and is_whole_number(said))
    return isinstance(said, int) and not isinstance(said, bool)


def _index(said: Any) -> str:
    return str(int(said)) if not isinstance(said, str) or said.isdigit() else expression(said) or "0"


def _right(target: Any, listed: list[str]) -> Any:
    """Return which choice is right: its index, its text, or a list of either."""
    if _is_index(target):
        return {"expr": _index(target)}
    if not isinstance(target, str):
        return {"expr": quoted_value(target)}
    if target in listed:
        return literal(target)
    if not has_markup(target):
        return {"expr": valued(target)}
    found = expression(target)
    if found is None:
        return ported(target)
    if listed and not any(choice.isdigit() for choice in listed):
        return f"{{{{ {found} }}}}"
    text = f"(({found}) | string)"  # digits are an index, whatever the choices are
    return {"expr": f"({text} | int) if {text}.isdigit() else ({found})"}


def _chosen(config: Config, target: Any) -> str:
    """Return the expression of the choice that a generated answer is compared with: the target is its index."""
    choices = config.data["doc_to_choice"]
    listed = _listed(choices)
    held = quoted_value(listed) if listed else f"({_choices(config, choices)})"
    at = _index(target) if _is_index(target) else valued(target)
    if at is None:
        raise Refused("doc_to_target", "a template that is no index", place=config.place("doc_to_target"))
    return f"{held}[({at}) | int]"


def _accepted(target: Any) -> Any:
    """Return the texts that are accepted: a column or an expression may hold a list of them."""
    if isinstance(target, str) and not has_markup(target) and not (is_column(target) or _could_be_column(target)):
        return literal(target)
    found = valued(target)
    return ported(target) if found is None else {"expr": found}


def _begun(config: Config, made: Parts) -> Parts:
    """Return ``made`` with the beginning of every answer, which stands in worked examples too."""
    prefix = config.data.get("gen_prefix")
    if not prefix:
        return made
    said = printed(prefix)
    if config.data.get("target_delimiter", " ") != " ":
        raise Refused("gen_prefix", "beside a target_delimiter of its own", place=config.place("gen_prefix"))
    return Parts(
        made.sample, made.n_choices, made.lettered, said, f"{said}{'' if said[-1].isspace() else ' '}{_answer(config)}"
    )


def _answer(config: Config) -> str:
    """Return the template of what is right, in words."""
    target, choices = config.data.get("doc_to_target"), config.data.get("doc_to_choice")
    found = valued(target)
    if choices is None or found is None:
        first = f"{{% set right = {found} %}}{{{{ right if right is string or right is number else right[0] }}}}"
        return printed(target) if found is None else first
    listed = _listed(choices)
    held = quoted_value(listed) if listed else f"({_choices(config, choices)})"
    if (
        isinstance(target, str) and has_markup(target) and not is_whole_number(target)
    ):  # digits that are printed are an index
        return f"{{% set right = ({found}) | string %}}{{{{ {held}[right | int] if right.isdigit() else right }}}}"
    return f"{{% set right = {found} %}}{{{{ {held}[right] if right is integer else right }}}}"


def shots(
    config: Config, wanted: int | None, name: str, where: Mapping[str, list[str]], made: Parts, notes: list[str]
) -> tuple[Yaml, tuple[Mapping[str, Any], ...]]:
    """Return the ``shots`` of a task and the rows that stand in the YAML itself; none where no example is asked for."""
    n = wanted if wanted is not None else int(config.data.get("num_fewshot") or 0)
    said = config.data.get("fewshot_config") or {}
    place = config.place("fewshot_config")
    if unknown := sorted(set(said) - _SHOT_KEYS):
        raise Refused("fewshot_config", "a setting that is not offered here", ", ".join(unknown), place)
    if n == 0:
        return {}, ()
    if (glue := said.get("target_delimiter")) not in (None, config.data.get("target_delimiter", " ")):
        raise Refused("fewshot_config", "a target_delimiter of the examples alone", repr(glue), place)
    out: Yaml = {"n": n, **_sampler(said, place, notes)}
    split, rows = _source(config, said, place)
    out |= {"data_files": f"{name}.shots.jsonl"} if rows else {"split": split}
    if not rows and (kept := _kept(said, where)):
        out["where"] = {column_: values[0] if len(values) == 1 else values for column_, values in kept.items()}
    out |= {"answer": made.answer} if made.answer else {}
    out |= _own_templates(config, said, place)
    between = said.get("fewshot_delimiter", config.data.get("fewshot_delimiter", "\n\n"))
    return out | ({"delimiter": between} if between != "\n\n" else {}), rows


def _sampler(said: Mapping[str, Any], place: str, notes: list[str]) -> Yaml:
    sampler = said.get("sampler", "default")
    if sampler == "first_n":
        return {"sampler": "first"}
    if sampler != "default":
        raise Refused("fewshot_config", "a sampler that is not offered here", str(sampler), place)
    notes.append("examples are drawn at random, other ones than lm-evaluation-harness draws")
    return {"sampler": "random"}


def _source(config: Config, said: Mapping[str, Any], place: str) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """Return the split of the examples and their rows, where the YAML itself holds them."""
    data = config.data
    split, rows = said.get("split") or data.get("fewshot_split"), said.get("samples")
    if split is None and rows is not None:
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise Refused("fewshot_config", "samples that are no list of rows", place=place)
        return "", tuple(rows)
    found = split or data.get("training_split") or data.get("validation_split") or data.get("test_split")
    if data.get("dataset_kwargs", {}).get("data_files") and found != (
        data.get("test_split") or data.get("validation_split")
    ):
        raise Refused("fewshot_split", "examples in a data file of their own", place=config.place("dataset_kwargs"))
    return str(found), ()


def _kept(said: Mapping[str, Any], where: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    """Return which rows can be examples: those of the task, unless the examples have a filter of their own."""
    if "process_docs" not in said:
        return {column_: [literal(value) for value in values] for column_, values in where.items()}
    function = said["process_docs"]
    return row_filter(function, "fewshot_config.process_docs") if isinstance(function, Function) else {}


def _own_templates(config: Config, said: Mapping[str, Any], place: str) -> Yaml:
    """Return the templates of examples whose rows differ from those asked."""
    out: Yaml = {}
    same = config.data
    if "doc_to_text" in said and said["doc_to_text"] != same.get("doc_to_text"):
        out["prompt"] = printed(said["doc_to_text"])
    if said.get("doc_to_choice", same.get("doc_to_choice")) != same.get("doc_to_choice") or said.get(
        "gen_prefix", same.get("gen_prefix")
    ) != same.get("gen_prefix"):
        raise Refused("fewshot_config", "choices or a beginning of the examples alone", place=place)
    if config.data.get("gen_prefix") and {"doc_to_text", "doc_to_target"} & set(said):
        raise Refused("fewshot_config", "templates of the examples alone, beside gen_prefix", place=place)
    if "doc_to_target" in said and said["doc_to_target"] != same.get("doc_to_target"):
        if same.get("doc_to_choice") is not None:
            raise Refused("fewshot_config", "a target of the examples alone, beside choices", place=place)
        out["answer"] = printed(said["doc_to_target"])
    return out
