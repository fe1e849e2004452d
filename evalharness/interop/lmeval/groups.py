"""Groups and tags of lm-evaluation-harness in, suites of ours out: categories of tasks, and the tasks they change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evalharness.interop.lmeval.files import Config, Function
from evalharness.interop.lmeval.refusal import Refused

_OF_GROUPS = frozenset({"group", "group_alias", "task", "aggregate_metric_list", "metadata"})
_NO_CHANGE = frozenset({"task", "task_alias", "tag", "task_list", "include"})
MAX_DEPTH = 20
MAX_MEMBERS = 50_000


@dataclass(frozen=True, slots=True)
class Member:
    """A task of a group: its name, and the keys that the group gives it instead of its own."""

    task: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Index:
    """What files define: tasks and groups by name, and the tasks of every tag."""

    tasks: Mapping[str, Config]
    groups: Mapping[str, Config]
    tags: Mapping[str, list[str]]


def categories(config: Config, index: Index) -> dict[str, list[Member]]:
    """Return the members of a group, by the name of the group or of the groups inside it; raises Refused where one is
    unknown or a group holds itself."""
    found: dict[str, list[Member]] = {}
    for total, (name, member) in enumerate(_members(str(config.data["group"]), config, {}, index, ())):
        listed = found.setdefault(name, [])
        if member not in listed:
            listed.append(member)
        if total > MAX_MEMBERS:
            raise Refused("task", "a group of too many tasks", place=config.place("task"))
    return found


def _members(
    name: str, config: Config, changes: Mapping[str, Any], index: Index, chain: tuple[str, ...]
) -> Iterator[tuple[str, Member]]:
    """Yield (category, member) of a group; ``changes`` are those of the groups around it, which win over its own."""
    if name in chain or len(chain) > MAX_DEPTH:
        raise Refused("task", "a group that holds itself", " -> ".join((*chain, name)), config.place("task"))
    listed = config.data.get("task")
    if not isinstance(listed, list):
        raise Refused("task", "a group without a list of tasks", place=config.place("task"))
    own = {key: value for key, value in config.data.items() if key not in _OF_GROUPS | _NO_CHANGE}
    changes = {**own, **changes}
    for item in listed:
        yield from _member(name, item, config, changes, index, (*chain, name))


def _member(
    name: str, item: Any, config: Config, changes: Mapping[str, Any], index: Index, chain: tuple[str, ...]
) -> Iterator[tuple[str, Member]]:
    place = config.place("task")
    if isinstance(item, dict) and "group" in item:
        inner = str(item["group"])
        if inner in index.groups:
            more = {key: value for key, value in item.items() if key not in _OF_GROUPS | _NO_CHANGE}
            yield from _members(inner, index.groups[inner], {**changes, **more}, index, chain)
        else:
            below = Config(item, config.file, dict.fromkeys(item, place))
            yield from _members(inner, below, changes, index, chain)
        return
    if (
        isinstance(item, Function)
        or not isinstance(item, (str, dict))
        or (isinstance(item, dict) and "task" not in item)
    ):
        raise Refused("task", "a group with a member that is no task", str(item), place)
    said = item if isinstance(item, dict) else {"task": item}
    task = str(said["task"])
    changes = {**changes, **{key: value for key, value in said.items() if key not in _NO_CHANGE}}
    if task in index.tasks:
        yield name, Member(task, changes)
    elif task in index.groups:
        yield from _members(task, index.groups[task], changes, index, chain)
    elif task in index.tags:
        for tagged in index.tags[task]:
            yield name, Member(tagged, changes)
    else:
        raise Refused("task", "a group with a task that these files do not define", task, place)
