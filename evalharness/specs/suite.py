"""A suite's YAML in, a frozen SuiteSpec out: categories of tasks, each with how their figures become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalharness.errors import NotInCatalog, suggestion
from evalharness.specs.fields import build
from evalharness.specs.reader import Document, read_file


@dataclass(frozen=True, slots=True)
class CategorySpec:
    """Tasks whose figures become one: the mean of their scores, or a win rate.

    ``tasks`` are written as after ``--task``: ``arc-easy``, ``xcopa[id,vi]``. ``label`` is the heading in tables, without it
    the category's name. ``kind`` says what is averaged: the score of each task in ``metric`` (without it each task's headline
    metric), or the win-rate of tasks that are judged in pairs. ``weights`` are those of tasks in the mean, by name; a task
    that is not named has weight 1.
    """

    tasks: tuple[str, ...]
    label: str | None = None
    kind: Literal["score", "win-rate"] = "score"
    metric: str | None = None
    weights: Mapping[str, float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks, without their languages."""
        return tuple(task_name(selector) for selector in self.tasks)

    def weight(self, task: str) -> float:
        """Return the weight of ``task`` in the category's mean."""
        return (self.weights or {}).get(task, 1.0)


@dataclass(frozen=True, slots=True)
class SuiteSpec:
    """A list of tasks to run together, in ``categories`` that have one figure each. ``file`` is where it was read from."""

    suite: str
    version: str
    description: str
    categories: Mapping[str, CategorySpec]
    file: str = ""

    @property
    def selectors(self) -> tuple[str, ...]:
        """The tasks of all categories as they are written, each once."""
        return tuple(dict.fromkeys(task for category in self.categories.values() for task in category.tasks))


def task_name(selector: str) -> str:
    """Return the task of ``name`` or ``name[de,fr]``."""
    return selector.partition("[")[0].strip()


def load_suite(path: Path, find: Callable[[str], Path]) -> SuiteSpec:
    """Read the suite at ``path``; ``find`` gives the file of a task, or raises NotInCatalog."""
    document = read_file(path)
    suite = build(SuiteSpec, document, given={"file": document.file})
    if suite.suite != path.stem:
        raise document.error(
            ("suite",), f"'{suite.suite}' is not the file's name; call it '{path.stem}' or rename the file"
        )
    for error in _faults(suite, document, find):
        raise error
    return suite


def _faults(suite: SuiteSpec, document: Document, find: Callable[[str], Path]) -> Iterator[Exception]:
    if not suite.categories:
        yield document.error(("categories",), "is empty; name at least one category with its tasks")
    for name, category in suite.categories.items():
        path = ("categories", name)
        if not category.tasks:
            yield document.error((*path, "tasks"), "is empty; name at least one task, or leave the category out")
        for i, task in enumerate(category.names):
            if task in category.names[:i]:
                mend = "name it once, with all its languages in one pair of brackets"
                yield document.error((*path, "tasks", i), f"{task} is listed twice; {mend}")
            try:
                find(task)
            except NotInCatalog as error:
                yield document.error((*path, "tasks", i), str(error))
        for task, weight in (category.weights or {}).items():
            if task not in category.names:
                near = suggestion(task, category.names)
                yield document.error((*path, "weights", task), f"is no task of this category; {near}")
            if not 0 < weight < math.inf:
                yield document.error((*path, "weights", task), f"{weight:g} must be above 0")
        if category.metric is not None and category.kind == "win-rate":
            yield document.error((*path, "metric"), "means nothing with kind: win-rate; leave it out")
