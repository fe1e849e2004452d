"""Summary and manifest in, what a reader must know about the numbers out: notices, source lines, facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalharness.report import words
from evalharness.report.leaderboard import failure_rule, language
from evalharness.report.marking import count, percent

Json = Mapping[str, Any]

_FIRST = (
    "run", "status", "evalharness", "command", "created", "finished", "platform", "python", "plan_hash",
    "version", "description", "judge", "model", "backend", "path", "revision", "weights", "size_b", "size_class",
    "family", "variant", "format", "template_sha", "sampling", "settings", "n_prompts", "languages", "languages_hash",
    "prompt_hash", "origin", "method", "source_language", "parallel", "license", "pinned", "orders", "deviations",
    "note",
)  # fmt: skip
_SHORT_HASH = 8
_METHODS = {"winrate": "win rate", "bradley-terry": "Bradley–Terry strength"}


@dataclass(frozen=True, slots=True)
class Source:
    """What the numbers of a judge rest on: in a few words, and in full."""

    short: str
    full: str


def notices(summary: Json, manifest: Json) -> list[str]:
    """Return the sentences above all tables: translated prompts, unpinned data, deviations, answers not had."""
    tasks, said = list(summary.get("tasks", ())), list[str]()
    for task in tasks:
        said += _translated(task)
    said += _of_tasks(
        [task["task"] for task in tasks if task.get("verified") is False],
        "The files of {} say of their data sets what was not checked against the hub; `evalharness validate --online` does.",
    )
    said += _of_tasks(
        [task["task"] for task in tasks if task.get("pinned") is False],
        "The data of {} is not pinned to a revision; what was read is told apart only by its hash.",
    )
    for model in summary.get("models", ()):
        said += [f"{model['name']} deviates from the task: {said_}." for said_ in _deviations(model)]
    said += [f"The run deviates from its task: {deviation}." for deviation in manifest.get("deviations") or ()]
    said += [_about_failures(entry, summary) for entry in summary.get("completions", ()) if _failed_overall(entry)]
    errors = sum(entry["errors"] for entry in summary.get("completions", ()) if entry["language"] == "all")
    if errors:
        fate = "What a judge would say of them counts" if summary.get("judges") else "Their scores count"
        said.append(f"Answers that could not be had: {count(errors)}. {fate} as missing.")
    return list(dict.fromkeys(said))


def _failed_overall(entry: Json) -> bool:
    return entry["language"] == "all" and bool(entry.get("failures"))


def _about_failures(entry: Json, summary: Json) -> str:
    kinds = ", ".join(f"{words.failure(kind)}: {count(n)}" for kind, n in entry["failures"].items())
    total = sum(entry["failures"].values())
    said = f"{entry['model']} failed to answer {count(total)} of {count(entry['n'])} prompts ({kinds})"
    if not summary.get("judges"):
        return f"{said}; those answers have the lowest score."
    fate = "left out" if failure_rule(summary) == "drop" else "lost without asking the judge"
    return f"{said}; those games are {fate}."


def _translated(task: Json) -> list[str]:
    if task.get("origin") != "machine-translated":
        return []
    method = f" ({task['method']})" if task.get("method") else ""
    source = f" from {language(task['source_language']).english}" if task.get("source_language") else ""
    said = f"The prompts of {task['task']} are machine-translated{source}{method}; "
    return [said + "a rate in a language also measures how well its translation turned out."]


def _of_tasks(names: list[str], sentence: str) -> list[str]:
    """Return the sentence about the tasks ``names``, none where there are none."""
    return [sentence.format(", ".join(names))] if names else []


def _deviations(model: Json) -> list[str]:
    """Return what ``model`` does not keep of its tasks; of many tasks those that share a deviation are named together."""
    tasks: dict[str, list[str]] = {}
    for deviation in model.get("deviations") or ():
        task, colon, what = deviation.partition(": ")
        tasks.setdefault(what if colon else deviation, []).extend([task] if colon else [])
    return [f"{', '.join(names)}: {what}" if names else what for what, names in tasks.items()]


def sources(summary: Json) -> dict[str, Source]:
    """Return the lines under the tables of each judge: all that a number of them rests on."""
    named = dict.fromkeys([judge["name"] for judge in summary.get("judges", ())]) | dict.fromkeys(
        summary.get("ratings", {})
    )
    about = {judge["name"]: judge for judge in summary.get("judges", ())}
    return {
        name: Source(_short_source(summary, name), " · ".join(_source(summary, name, about.get(name, {}))))
        for name in named
    }


def task_sources(summary: Json) -> dict[str, Source]:
    """Return the lines under the tables of each task that metrics score: all that a number of them rests on."""
    return {task["task"]: _metric_source(summary, task) for task in summary.get("tasks", ()) if task.get("metrics")}


def suite_source(summary: Json) -> Source:
    """Return the line under the table of a suite: its tasks, and how its intervals were made."""
    tasks = ", ".join(f"{task['task']} {task.get('version') or '(no version)'}" for task in summary.get("tasks", ()))
    statistics = {**(summary.get("statistics") or {}), "method": None}
    return Source(tasks, f"{tasks} · {statistics_line(statistics)}")


def _metric_source(summary: Json, task: Json) -> Source:
    statistics = summary.get("statistics") or {}
    level = statistics.get("level")
    changed = [model["name"] for model in summary.get("models", ()) if model.get("deviations")]
    said = [
        _task_source(task),
        f"{task['shots']} worked examples" if task.get("shots") else "no worked examples",
        f"{task['n']} answers a prompt" if task.get("n", 1) > 1 else "",
        "programs run in a sandbox, {seconds:g} s and {memory_mb} MiB each".format(**task["program"])
        if task.get("program")
        else "",
        statistics_line({**statistics, "method": None}),
        "deviations from the task: " + ", ".join(changed) if changed else "",
    ]
    short = f"{task['task']} {task.get('version') or '(no version)'}"
    return Source(
        " · ".join([short, *([f"{percent(level, 0)} intervals"] if level else [])]), " · ".join(filter(None, said))
    )


def _short_source(summary: Json, name: str) -> str:
    tasks = ", ".join(f"{task['task']} {task.get('version') or '(no version)'}" for task in _judged(summary, name))
    level = (summary.get("statistics") or {}).get("level")
    return " · ".join(
        part for part in (tasks, f"judge {name}", f"{percent(level, 0)} intervals" if level else "") if part
    )


def _source(summary: Json, name: str, judge: Json) -> list[str]:
    said = [_task_source(task) for task in _judged(summary, name)]
    prompt = f", prompt {_short(judge['prompt_hash'])}" if judge.get("prompt_hash") else ""
    version = f" {judge['version']}" if judge.get("version") else ""
    said.append(f"judge {name}{version}{prompt}")
    single = judge.get("compare") == "single"
    baseline = summary.get("baseline")
    paired = f"baseline {baseline}" if baseline else "every pair of models"
    said.append("each answer by itself" if single else paired)
    statistics = summary.get("statistics") or {}
    said.append(statistics_line({**statistics, "method": None} if single else statistics))
    if failure_rule(summary) == "drop":
        said.append("without failed answers" if single else "without games of failed answers")
    changed = [model["name"] for model in summary.get("models", ()) if model.get("deviations")]
    if changed:
        said.append("deviations from the task: " + ", ".join(changed))
    return [part for part in said if part]


def _judged(summary: Json, name: str) -> list[Json]:
    """Return the tasks that the judge ``name`` sees: all of them where it does not say."""
    own = next((judge.get("tasks") for judge in summary.get("judges", ()) if judge["name"] == name), None)
    return [task for task in summary.get("tasks", ()) if own is None or task["task"] in own]


def _task_source(task: Json) -> str:
    said = f"{task['task']} {task.get('version') or '(no version)'}"
    if task.get("prompt_hash"):
        said += f", prompts {_short(task['prompt_hash'])}"
    said += f", {len(task['languages'])} language{'s' if len(task['languages']) != 1 else ''}"
    if task.get("languages_hash"):
        said += f" {_short(task['languages_hash'])}"
    return said + (", data not pinned" if task.get("pinned") is False else "")


def statistics_line(chosen: Json) -> str:
    """Return how rates and intervals were computed, as one line."""
    said = []
    if chosen.get("method"):
        said.append(f"ordered by {_METHODS.get(chosen['method'], chosen['method'])}")
    if chosen.get("level") is not None:
        said.append(f"{percent(chosen['level'], 0)} intervals")
    if chosen.get("cluster"):
        cluster = chosen["cluster"]
        said.append("resampled by " + (cluster if isinstance(cluster, str) else ", ".join(cluster)))
    if chosen.get("rounds") is not None:
        said.append(f"{count(chosen['rounds'])} rounds")
    if chosen.get("seed") is not None:
        said.append(f"seed {chosen['seed']}")
    if chosen.get("average"):
        said.append(f"{chosen['average']} mean over languages")
    return ", ".join(said)


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT_HASH]


def fields(entry: Json) -> list[tuple[str, Any]]:
    """Return the fields of a task, model, judge or manifest to show: the best known names first, then the others."""
    order = {key: place for place, key in enumerate(_FIRST)}
    return sorted(entry.items(), key=lambda field: (order.get(field[0], len(order)), field[0]))


def facts(manifest: Json) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Return everything in the manifest: what fits on a line each, and what is nested; the best known names first."""
    shown = fields(manifest)
    plain = [(key, value) for key, value in shown if not isinstance(value, (Mapping, list, tuple))]
    return plain, [(key, value) for key, value in shown if isinstance(value, (Mapping, list, tuple))]
