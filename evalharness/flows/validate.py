"""YAML files in, every problem in them as a line out: ``evalharness validate``. What can be rendered here is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from evalharness import prompts
from evalharness.backends import BACKENDS
from evalharness.catalog import SUITES, Catalog
from evalharness.data import local_rows
from evalharness.data.hub import offline, on_hub
from evalharness.errors import DataError, NotInCatalog, SpecError, UsageError, suggestion
from evalharness.specs.fields import faults
from evalharness.specs.judge import JudgeSpec, load_judge
from evalharness.specs.model import load_models
from evalharness.specs.reader import Document, display, read_file
from evalharness.specs.schema import GIVEN, SHAPES, Kind
from evalharness.specs.settings import load_settings
from evalharness.specs.suite import CategorySpec, SuiteSpec, load_suite, task_name
from evalharness.specs.task import LanguageSpec, TaskSpec, extended, load_task
from evalharness.stages.load import source

_SELECTOR = re.compile(r"[^\[\],]+(?:\[([^\[\]]+)\])?")
_PLACED = re.compile(r"[^:]+\.yaml:\d+: ")
ROWS = 100  # of a language, that are rendered

_MARKS: dict[str, Kind] = {  # the keys by which a file shows what it is, the surest first
    "models": "config", "run": "config", "verdict": "judge", "suite": "suite", "categories": "suite", "task": "task",
    "extends": "task", "sample": "task", "dataset": "task", "judge": "judge", "prompts": "judge",
}  # fmt: skip


@dataclass(slots=True)
class Report:
    """What was found: ``problems`` are lines; ``files`` and ``rendered`` (prompts and duels) count; ``unseen`` are
    the languages of tasks whose rows are not on this machine."""

    problems: list[str] = field(default_factory=list)
    files: int = 0
    rendered: int = 0
    unseen: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[str]) -> None:
        """Take ``problems``; one that a file shares with the task it extends is said once."""
        self.problems += [problem for problem in dict.fromkeys(problems) if problem not in self.problems]


def validate(paths: Sequence[Path], specs: Sequence[str] = (), *, online: bool = False) -> Report:
    """Check the files at ``paths``, and all of the folders there. ``online`` asks the hub for the data sets of tasks.

    Raises UsageError where a path is none, and where ``online`` is asked for without a network.
    """
    if online and offline():
        raise UsageError("--online asks the HF hub, and HF_HUB_OFFLINE is set; unset it, or leave out --online")
    catalog, report = Catalog(specs), Report()
    for path in dict.fromkeys(file for named in paths for file in _files(named)):
        report.files += 1
        try:
            _file(path, catalog, report, online)
        except UsageError as error:
            report.add([_placed(error, path)])
    return report


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*.yaml") if file.is_file())
        if not found:
            raise UsageError(f"{path}: holds no .yaml file; name a file, or a folder of tasks or judges")
        return found
    if not path.exists():
        near = suggestion(path.name, [file.name for file in path.parent.glob("*.yaml")])
        raise UsageError(f"{path}: no such file or folder; {near}")
    return [path]


def _placed(error: Exception, path: Path) -> str:
    """Return the line of an error; one that names no file gets ``path``."""
    return str(error) if isinstance(error, SpecError) else f"{display(path)}: {error}"


def _file(path: Path, catalog: Catalog, report: Report, online: bool) -> None:
    document = read_file(path)
    kind = _kind(path, document)
    find = _finder(path, catalog)
    if kind == "task":
        document = extended(path, find)
    wrong = list(_faults(kind, document))
    report.add(wrong)
    if wrong:
        return
    if kind == "task":
        _task(load_task(path, find), document, catalog, report, online)
    elif kind == "judge":
        _judge(load_judge(path), report)
    elif kind == "suite":
        _suite(load_suite(path, find), document, find, report)
    else:
        _config(path, document, report)


def _kind(path: Path, document: Document) -> Kind:
    if path.name == "evalharness.yaml":
        return "config"
    if path.parent.name == SUITES:
        return "suite"
    if (mark := next((mark for mark in _MARKS if mark in document.data), None)) is not None:
        return _MARKS[mark]
    folder = next((part for part in reversed(path.parts[:-1]) if part in ("tasks", "judges")), None)
    if folder is None:
        raise document.error(
            (), "is neither a task, a judge, a suite nor an evalharness.yaml; give it `task:`, `judge:` or `suite:`"
        )
    return "task" if folder == "tasks" else "judge"


def _finder(path: Path, catalog: Catalog) -> Callable[[str], Path]:
    """Return how the file at ``path`` finds a task that it extends, or that is of its suite: beside itself first."""
    suite = path.parent.name == SUITES
    near = (
        {file.stem: file for file in path.parent.parent.rglob("*.yaml") if file.parent.name != SUITES} if suite else {}
    )

    def find(name: str) -> Path:
        beside = near.get(name, path.with_name(f"{name}.yaml"))
        return beside if beside.is_file() else catalog.task_file(name)

    return find


def _faults(kind: Kind, document: Document) -> Iterator[str]:
    """Yield unknown and missing keys, values of a wrong type, and templates that do not compile."""
    for found in faults(SHAPES[kind], document, (), GIVEN):
        if isinstance(found, SpecError):
            yield str(found)
            continue
        try:
            prompts.check(found)
        except SpecError as error:
            yield str(error)


def _task(task: TaskSpec, document: Document, catalog: Catalog, report: Report, online: bool) -> None:
    if task.judge is not None and task.judge not in catalog.judge_files:
        beside = Path(task.file).resolve().parent.parent / "judges" / f"{task.judge}.yaml"
        if not beside.is_file():
            no_judge = NotInCatalog("judge", task.judge, catalog.judge_names())
            report.add([str(document.error(("judge",), str(no_judge)))])
    grouped: dict[str, tuple[str, int]] = {}
    for language in task.languages:
        try:
            _language(task, language, document, report, online)
        except DataError as error:  # one mistake in a template is one problem, not one a language
            place, row, _ = str(error).partition(": row ")
            first, times = grouped.get(place if row else str(error), (str(error), 0))
            grouped[place if row else str(error)] = (first, times + 1)
    for first, times in grouped.values():
        report.add([f"{first}{f' (and so in {times - 1} more languages)' if times > 1 else ''}"])


def _language(task: TaskSpec, language: LanguageSpec, document: Document, report: Report, online: bool) -> None:
    place = source(task, language)
    key = "data_files" if place.data_files else "path"
    said = _said(document, ("dataset", key))
    try:
        if online:
            on_hub(place)
        rows = local_rows(place)
        if rows is None:
            report.unseen.append(f"{task.task}[{language.code}]")
            return
        first = list(islice(rows, ROWS))
    except DataError as error:
        raise DataError(f"{said}{str(error).removeprefix(f'dataset.{key}: ')}") from None
    if not first:
        raise DataError(f"{said}{place.shown} has no rows; put one JSON object a line into it")
    try:
        report.rendered += sum(1 for _ in prompts.samples(task, language, first))
    except DataError as error:  # of a template, which says where it was written, or of ids
        raise error if _PLACED.match(str(error)) else DataError(f"{_said(document, ('sample', 'id'))}{error}") from None


def _said(document: Document, path: tuple[str, ...]) -> str:
    where = document.where(path)
    return f"{where.file}:{where.line}: {where.key}: "


def _suite(suite: SuiteSpec, document: Document, find: Callable[[str], Path], report: Report) -> None:
    """Report tasks that have not the languages or the metric asked of them, or that are not judged and should be."""
    for name, category in suite.categories.items():
        for i, selector in enumerate(category.tasks):
            task = load_task(find(task_name(selector)), find)
            wrong = _misfit(category, task, selector)
            report.add([str(document.error(("categories", name, "tasks", i), wrong))] if wrong else [])


def _misfit(category: CategorySpec, task: TaskSpec, selector: str) -> str | None:
    """Return what keeps ``task`` from being in ``category`` as ``selector``, or ``None``."""
    if (written := _SELECTOR.fullmatch(selector)) is None:
        return f"'{selector}': write it as name, name[de,fr] or name[*]"
    codes = [code.strip() for code in (written[1] or "*").split(",")]
    if task.languages_from is None and (missing := [c for c in codes if c not in (*task.codes, "*")]):
        return f"task {task.task} has no language '{missing[0]}'; {suggestion(missing[0], task.codes)}"
    metrics = [metric.name for metric in task.metrics]
    if category.metric is not None and category.metric not in metrics:
        return f"task {task.task} has no metric '{category.metric}'; {suggestion(category.metric, metrics)}"
    if category.kind == "score" and not metrics and task.judge is None:
        return f"task {task.task} has no metric; put it in a category with kind: win-rate"
    if category.kind == "win-rate" and task.judge is None:
        return f"task {task.task} names no judge, so it has no win rate; leave it out, or give the task a judge"
    return None


def _judge(judge: JudgeSpec, report: Report) -> None:
    try:
        prompts.check_judge(judge)
    except SpecError as error:
        report.add([str(error)])
        return
    for code in judge.prompts:
        language = "en" if code == "default" else code
        try:
            prompts.judge_shown(judge, prompts.specimen(judge, language), "0000", "chat")
            report.rendered += 1
        except DataError as error:
            report.add([str(error)])


def _config(path: Path, document: Document, report: Report) -> None:
    load_settings(path)
    for name, model in load_models(path).items():
        if model.backend not in BACKENDS:
            unknown = NotInCatalog("backend", model.backend, BACKENDS)
            report.add([str(document.error(("models", name, "backend"), str(unknown)))])
