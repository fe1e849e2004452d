"""A hub data set's ``eval.yaml`` for inspect-ai in, tasks of ours as YAML data out; what has no equal is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from evalharness.errors import SpecError
from evalharness.interop.lmeval.files import Config, read
from evalharness.interop.lmeval.refusal import Refusal, Refused
from evalharness.interop.lmeval.taking import Taken, checked
from evalharness.interop.lmeval.tasks import Converted, our_name
from evalharness.interop.lmeval.templates import column, literal
from evalharness.interop.lmeval.tongue import guessed
from evalharness.specs.reader import display

Yaml = dict[str, Any]
_FRAMEWORK = "inspect-ai"
_TASK = frozenset(
    {"id", "config", "split", "field_spec", "shuffle_choices", "epochs", "epoch_reducer", "solvers", "scorers"}
)
_FIELDS = frozenset({"input", "target", "choices", "id", "metadata", "description"})
_LITERAL = "literal:"
_LISTED = (
    "{% for choice in choices %}{{ letters[loop.index0] }}) {{ choice }}{{ '' if loop.last else '\\n' }}{% endfor %}"
)
_ASK = "Answer with the letter of the right choice and nothing else."


def take(path: Path, dataset: str, language: str) -> Taken:
    """Return the tasks of the file at ``path``, which belongs to the hub's data set ``dataset``."""
    taken = Taken()
    folder = display(path.parent)
    taken.files[folder] = 1
    try:
        config = read(path)
    except SpecError as error:
        taken.refused.append(Refusal(path.name, folder, error.key, error.message, "", display(path)))
        return taken
    listed = config.data.get("tasks")
    entries = listed if isinstance(listed, list) else []
    if not entries:
        taken.refused.append(Refusal(path.name, folder, "tasks", "is no list of tasks", "", config.place("tasks")))
    for entry in entries:
        said = entry if isinstance(entry, dict) else {}
        name = our_name(
            dataset.rpartition("/")[2] if len(entries) == 1 else f"{dataset.rpartition('/')[2]}-{said.get('id')}"
        )
        try:
            made = _task(config, said, name, dataset, language)
            checked(made)
            taken.tasks.append(made)
        except Refused as refused:
            place = refused.place or config.place("tasks")
            taken.refused.append(Refusal(name, folder, refused.key, refused.reason, refused.detail, place))
    return taken


def _task(config: Config, said: Mapping[str, Any], name: str, dataset: str, language: str) -> Converted:
    framework = config.data.get("evaluation_framework", _FRAMEWORK)
    if framework != _FRAMEWORK:
        raise Refused("evaluation_framework", "a framework that is not read", str(framework))
    if unknown := sorted(set(map(str, said)) - _TASK):
        raise Refused("tasks", "a key that is not known here", ", ".join(unknown))
    if said.get("shuffle_choices"):
        raise Refused("shuffle_choices", "choices in a random order")
    if said.get("epoch_reducer") not in (None, "mean"):
        raise Refused("epoch_reducer", "several answers made one by other than their mean", str(said["epoch_reducer"]))
    fields = said.get("field_spec")
    if (
        not isinstance(fields, dict)
        or not isinstance(fields.get("input"), str)
        or not isinstance(fields.get("target"), str)
    ):
        raise Refused("field_spec", "names no input and target")
    if unknown := sorted(set(map(str, fields)) - _FIELDS):
        raise Refused("field_spec", "a field that is not offered here", ", ".join(unknown))
    notes: list[str] = []
    code = guessed(name, said.get("config"))
    asked = _asked(said.get("solvers"), fields, notes)
    rows = {"path": dataset, **({"name": literal(str(said["config"]))} if said.get("config") else {})}
    document: Yaml = {
        "task": name, "version": "0", "description": f"{config.data.get('name') or dataset}, from its eval.yaml",
        "output": "text", "verified": False, "prompts": {"origin": "unknown", "parallel": False},
        "dataset": {**rows, "split": str(said.get("split", "test"))}, "languages": [code or language], **asked["head"],
        "sample": {
            "id": f"{{{{ {column(fields['id'])} }}}}" if isinstance(fields.get("id"), str) else "{{ position }}",
            "prompt": asked["prompt"], "target": _target(fields),
        },
    }  # fmt: skip
    document |= {"generate": asked["generate"]} if asked["generate"] else {}
    if (epochs := said.get("epochs", 1)) != 1:
        document["n"] = int(epochs)
    document |= _scored(said.get("scorers"))
    if code is None:
        notes.append(f"no name says the language: it is {language}")
    return Converted(name, str(said.get("id") or name), document, tuple(notes), 0, file=display(config.file))


def _target(fields: Mapping[str, Any]) -> Any:
    """Return what is right: a literal, a column's value, or the letter of a choice whose index it is."""
    target = fields["target"]
    if target.startswith(_LITERAL):
        return literal(target.removeprefix(_LITERAL))
    value = column(target)
    return {"expr": f"letters[{value}] if {value} is integer else {value}" if fields.get("choices") else value}


def _asked(solvers: Any, fields: Mapping[str, Any], notes: list[str]) -> Yaml:
    """Return the prompt that the chain of solvers makes, the keys before it, and how the answer is sampled."""
    prompt, head, generate = f"{{{{ {column(fields['input'])} }}}}", {}, {}
    if not isinstance(solvers, list) or not solvers:
        raise Refused("solvers", "missing")
    for solver in solvers:
        name, given = str(solver.get("name")), dict(solver.get("args") or {})
        if name == "generate":
            generate = _sampling(given)
        elif name == "system_message" and set(given) == {"template"}:
            head["system"] = _filled(str(given["template"]), {}, fields, name)
        elif name == "prompt_template" and set(given) == {"template"}:
            prompt = _filled(str(given["template"]), {"prompt": prompt}, fields, name)
        elif name == "multiple_choice" and set(given) <= {"template"} and fields.get("choices"):
            parts = {"question": prompt, "choices": _LISTED, "letters": "{{ letters[:choices | length] | join(',') }}"}
            own = f"{{question}}\n\n{{choices}}\n\n{_ASK}"
            if "template" not in given:
                notes.append("choices are listed in words of ours, not in inspect-ai's")
            prompt = _set_choices(fields) + _filled(str(given.get("template", own)), parts, fields, name)
        else:
            detail = f"{name}: {', '.join(map(str, given))}" if given else name
            raise Refused("solvers", "a solver that is not offered here", detail)
    return {"prompt": prompt, "head": head, "generate": generate}


def _set_choices(fields: Mapping[str, Any]) -> str:
    said = fields["choices"]
    value = column(said) if isinstance(said, str) else f"[{', '.join(column(str(name)) for name in said)}]"
    return f"{{% set choices = {value} %}}"


def _filled(template: str, parts: Mapping[str, str], fields: Mapping[str, Any], solver: str) -> str:
    """Return a template with ``{name}`` in it as one of ours; ``parts`` and the columns of ``metadata`` fill it."""
    out = ""
    known = fields.get("metadata") or []
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise Refused("solvers", "a template that does not parse", f"{solver}: {error}") from None
    for text, name, form, conversion in pieces:
        out += literal(text)
        if name is None:
            continue
        if form or conversion or (name not in parts and name not in known):
            raise Refused("solvers", "a template that wants what rows do not have", f"{solver}: {{{name}}}")
        out += parts.get(name) or f"{{{{ {column(name)} }}}}"
    return out


def _sampling(given: Mapping[str, Any]) -> Yaml:
    known = {
        "max_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "top_p",
        "top_k": "top_k",
        "stop_seqs": "stop",
    }
    if unknown := sorted(set(map(str, given)) - set(known)):
        raise Refused("solvers", "a setting of generate that is not offered here", ", ".join(unknown))
    return {known[key]: value for key, value in given.items()}


def _scored(scorers: Any) -> Yaml:
    """Return the metrics and filters that do what ``scorers`` do."""
    if not isinstance(scorers, list) or not scorers:
        raise Refused("scorers", "missing")
    metrics: list[Yaml] = []
    filters: list[Yaml] = []
    for scorer in scorers:
        name, given = str(scorer.get("name")), dict(scorer.get("args") or {})
        if name == "choice" and not given:
            metrics.append({"name": "letter"})
        elif name == "f1" and not given:
            metrics.append({"name": "f1", "options": {"normalise": "squad"}})
        elif name == "exact" and not given:
            metrics.append({"name": "exact_match", "options": {"normalise": "squad"}})
        elif name == "match" and given.get("numeric") is True and set(given) <= {"numeric", "location"}:
            metrics.append({"name": "number"})
        elif (
            name == "pattern" and set(given) <= {"pattern", "ignore_case"} and "pattern" in given and len(scorers) == 1
        ):
            fold = bool(given.get("ignore_case", True))
            step = {"regex": literal(str(given["pattern"])), "take": "first", "ignore_case": fold}
            filters.append({"name": "pattern", "steps": [step]})
            metrics.append({"name": "exact_match", "options": {"ignore_case": fold}})
        else:
            detail = f"{name}: {', '.join(map(str, given))}" if given else name
            raise Refused("scorers", "a scorer that is not offered here", detail)
    metrics[0]["headline"] = True
    return {**({"filters": filters} if filters else {}), "metrics": metrics}
