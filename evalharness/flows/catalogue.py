"""The tasks and suites that can be seen in, a page about them out: docs/tasks.md is ``evalharness ls tasks --markdown``."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.catalog import Catalog
from evalharness.specs.scoring import headline
from evalharness.specs.suite import SuiteSpec
from evalharness.specs.task import TaskSpec

_HEAD = """# The tasks that come with evalharness

One YAML a task, in all its languages; `evalharness show NAME --language L` prints what a model is shown.
[add-a-task.md](add-a-task.md) says how to write your own. This page is made of the files: `evalharness ls tasks --markdown`.

A task marked † could not be compared with its data set on the hub when it was written: `evalharness validate --online FILE`
does that. Its comments say what is not certain. The data sets are not shipped; their licences are on their cards."""
_OTHER = "other"


def catalogue(catalog: Catalog) -> str:
    """Return the page: suites first, then the tasks by category."""
    tasks = [catalog.task(name) for name in catalog.task_names()]
    categories: dict[str, list[TaskSpec]] = {}
    for task in tasks:
        categories.setdefault(task.suite_category or _OTHER, []).append(task)
    parts = [_HEAD, "## Suites", *_suites([catalog.suite(name) for name in catalog.suite_names()])]
    for name in sorted(categories, key=lambda key: (key == _OTHER, key)):
        parts += [f"## {name.capitalize()}", "\n".join(_table(catalog, categories[name]))]
    return "\n\n".join(parts) + "\n"


def _suites(suites: list[SuiteSpec]) -> Iterator[str]:
    for suite in suites:
        rows = ["| category | figure | tasks |", "|---|---|---|"]
        for name, category in suite.categories.items():
            tasks = ", ".join(f"`{task}`" for task in category.tasks)
            figure = (
                "win rate" if category.kind == "win-rate" else f"mean {category.metric or 'of the headline metrics'}"
            )
            rows.append(f"| {category.label or name} | {figure} | {tasks} |")
        yield f"`--task {suite.suite}`, version {suite.version}: {suite.description}\n\n" + "\n".join(rows)


def _table(catalog: Catalog, tasks: list[TaskSpec]) -> Iterator[str]:
    yield "| task | what it is | data set | languages | asked for | scored by |"
    yield "|---|---|---|---|---|---|"
    for task in tasks:
        mark = "" if task.verified else " †"
        codes = [*task.codes, *catalog.added_languages(task.task)]
        yield (
            f"| `{task.task}`{mark} | {_cell(task.description)} | {_data(task)} | {_languages(codes)} | {_asked(task)} | "
            f"{_scored(task)} |"
        )


def _data(task: TaskSpec) -> str:
    return "beside the file" if task.dataset.path in ("json", "csv", "parquet") else f"`{task.dataset.path}`"


def _languages(codes: list[str]) -> str:
    if not codes:
        return "those of the data set"
    return " ".join(codes) if len(codes) <= 12 else f"{len(codes)}: {' '.join(codes)}"


def _asked(task: TaskSpec) -> str:
    shots = 0 if task.shots is None else len(task.shots.ids or ()) or task.shots.n or 0
    said = [task.output, *([f"{shots} examples"] if shots else []), *([f"{task.n} answers"] if task.n > 1 else [])]
    return ", ".join(said)


def _scored(task: TaskSpec) -> str:
    found = headline(task.metrics)
    if found is None:
        return f"judge `{task.judge}`" if task.judge else "a judge you name"
    others = [f"`{metric.name}`" for metric in task.metrics if metric is not found]
    chance = f" (chance {found.chance:g})" if found.chance else ""
    return f"**`{found.name}`**{chance}" + "".join(f", {other}" for other in others)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
