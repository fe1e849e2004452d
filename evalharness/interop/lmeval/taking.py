"""Paths of lm-evaluation-harness's task files in; tasks and suites of ours, and what was refused and why, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import SpecError, UsageError
from evalharness.interop.lmeval.files import Config, Function, read, task_files
from evalharness.interop.lmeval.groups import Index, Member, categories
from evalharness.interop.lmeval.refusal import Refusal, Refused
from evalharness.interop.lmeval.tasks import Converted, Told, converted, our_name
from evalharness.interop.yamltext import written
from evalharness.prompts import check
from evalharness.specs.reader import display
from evalharness.specs.reader import read as read_text
from evalharness.specs.sample import templates
from evalharness.specs.task import from_document

Yaml = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of ours: its YAML as data, and what is different from the group it was."""

    name: str
    document: Yaml
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Taken:
    """What the files of one import became. ``files`` counts those read, ``templates`` those that define no task;
    ``folders`` counts tasks by folder."""

    tasks: list[Converted] = field(default_factory=list)
    suites: list[Suite] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    templates: int = 0


def take(paths: Sequence[Path], told: Told) -> Taken:
    """Read the files and folders ``paths``; a task or group that cannot be one of ours is refused with its reason."""
    taken = Taken()
    index = _index(paths, taken)
    names: dict[str, str] = {}
    for name, config in index.tasks.items():
        _take_task(config, Member(name), None, told, names, taken)
    found = {task.theirs: task for task in taken.tasks}
    for name, config in index.groups.items():
        try:
            _take_group(config, index, told, names, found, taken)
        except Refused as refused:
            taken.refused.append(_refusal(refused, name, config))
    held = {suite.name for suite in taken.suites} | set(names)
    for tag, members in index.tags.items():
        ours = [found[member].name for member in members if member in found]
        if len(ours) > 1 and our_name(tag) not in held:
            taken.suites.append(_suite(tag, "0", f"tasks tagged {tag}", {tag: {"tasks": ours}}, []))
    return taken


def _index(paths: Sequence[Path], taken: Taken) -> Index:
    tasks: dict[str, Config] = {}
    groups: dict[str, Config] = {}
    tags: dict[str, list[str]] = {}
    for path in dict.fromkeys(file for named in paths for file in task_files(named)):
        folder = display(path.parent)
        taken.files[folder] = taken.files.get(folder, 0) + 1
        try:
            config = read(path)
        except SpecError as error:
            taken.refused.append(Refusal(path.name, folder, error.key, error.message, "", display(path)))
            continue
        kind = "group" if "group" in config.data and "class" not in config.data else "task"
        name = config.data.get(kind)
        if not isinstance(name, str):
            if "task" in config.data or "class" in config.data:
                taken.refused.append(Refusal(path.name, folder, kind, "is no name", str(name)[:80], config.place(kind)))
            taken.templates += 1
            continue
        known = tasks if kind == "task" else groups
        if name in tasks or name in groups:
            taken.notes.append(f"{config.place(kind)}: '{name}' is defined before; this one is passed over")
            continue
        known[name] = config
        said = config.data.get("tag") if kind == "task" else None
        for tag in said if isinstance(said, list) else [said] if said else []:
            tags.setdefault(str(tag), []).append(name)
    return Index(tasks, groups, tags)


def _take_task(
    config: Config, member: Member, group: str | None, told: Told, names: dict[str, str], taken: Taken
) -> Converted | None:
    """Add a task, or why it is none; ``group`` is the one that changes some of its keys."""
    wanted = member.task if group is None else f"{group}-{member.task}"
    name = our_name(wanted)
    try:
        if names.setdefault(name, wanted) != wanted:
            raise Refused("task", "a name that another task has here", name, config.place("task"))
        made = converted(config, told, name)
        checked(made)
    except Refused as refused:
        taken.refused.append(_refusal(refused, wanted, config))
        return None
    taken.tasks.append(made)
    return made


def checked(made: Converted) -> None:
    """Raise Refused for a task that our own reader would not take."""
    try:
        spec = from_document(read_text(written(made.document), made.name), Path(f"{made.name}.yaml"))
        for template in (*templates(spec.sample), *templates(spec.shots), *([spec.intro] if spec.intro else ())):
            check(template)
    except UsageError as error:
        raise Refused("", "does not make a task here", str(error), made.file) from None


def _refusal(refused: Refused, task: str, config: Config) -> Refusal:
    return Refusal(
        task, display(config.file.parent), refused.key, refused.reason, refused.detail, refused.place or config.place()
    )


def _take_group(
    config: Config, index: Index, told: Told, names: dict[str, str], found: dict[str, Converted], taken: Taken
) -> None:
    group = str(config.data["group"])
    made: dict[str, Yaml] = {}
    left_out = 0
    for category, members in categories(config, index).items():
        ours = [_of_group(group, member, index, told, names, found, taken) for member in members]
        kept = [task for task in ours if task is not None]
        left_out += len(ours) - len(kept)
        if kept:
            made[category] = {"tasks": list(dict.fromkeys(task.name for task in kept)), **_metric(config, kept)}
    if not made:
        raise Refused("task", "a group of which no task could be taken over", place=config.place("task"))
    if our_name(group) in names:
        raise Refused("group", "a name that a task has", group, config.place("group"))
    notes = [f"{left_out} of its tasks could not be taken over and are left out"] if left_out else []
    aggregated = config.data.get("aggregate_metric_list")
    if isinstance(aggregated, list) and any(isinstance(a, dict) and a.get("weight_by_size", True) for a in aggregated):
        notes.append("lm-evaluation-harness weights tasks by their rows here; ours all count the same")
    metadata = config.data.get("metadata")
    version = str(metadata.get("version", "0")) if isinstance(metadata, dict) else "0"
    taken.suites.append(_suite(group, version, f"{group}, from lm-evaluation-harness", made, notes))


def _of_group(
    group: str,
    member: Member,
    index: Index,
    told: Told,
    names: dict[str, str],
    found: dict[str, Converted],
    taken: Taken,
) -> Converted | None:
    """Return the task of a member: the one of its name, or one of its own where the group changes keys of it."""
    if not member.changes:
        return found.get(member.task)
    wanted = f"{group}-{member.task}"
    if wanted not in found:
        config = index.tasks[member.task].over(member.changes, index.groups[group].place("task"))
        made = _take_task(config, member, group, told, names, taken)
        if made is None:
            return None
        found[wanted] = made
    return found[wanted]


def _metric(config: Config, kept: Sequence[Converted]) -> Yaml:
    """Return the metric that a group averages, where all of its tasks have it."""
    listed = config.data.get("aggregate_metric_list")
    listed = [listed] if isinstance(listed, dict) else listed if isinstance(listed, list) else []
    for each in listed:
        name = each.get("metric") if isinstance(each, dict) else None
        if isinstance(name, Function) or isinstance(each.get("aggregation"), Function):
            raise Refused(
                "aggregate_metric_list", "needs Python (!function)", place=config.place("aggregate_metric_list")
            )
        ours = {"acc_mutual_info": "acc_pmi", "chrf++": "chrf"}.get(str(name), str(name))
        if all(any(metric["name"] == ours for metric in task.document["metrics"]) for task in kept):
            return {"metric": ours}
    return {}


def _suite(name: str, version: str, description: str, made: Mapping[str, Yaml], notes: list[str]) -> Suite:
    ours = our_name(name)
    document = {"suite": ours, "version": version, "description": description, "categories": dict(made)}
    return Suite(ours, document, tuple(notes))
