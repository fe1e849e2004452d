"""Names in, specs, models and backends out. Nothing registers: a file that lies in a folder is found when it is asked for.

Specs are looked up in ``--specs DIR``, ``./tasks`` and ``./judges``, the user's configuration folder, then what is shipped;
the first wins. Models are entries of ``evalharness.yaml`` in the same places, or ``backend:path[@revision]``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from evalharness.backends import BACKENDS, resolve
from evalharness.errors import ModelError, NotInCatalog, UsageError
from evalharness.specs.judge import JudgeSpec, load_judge
from evalharness.specs.model import ModelSpec, expanded, load_models, parse_model, step_of
from evalharness.specs.suite import SuiteSpec, load_suite, task_name
from evalharness.specs.task import TaskSpec, load_task, split_name
from evalharness.types import Engine

SUITES = "suites"  # the folder in which suites lie
_SELECTOR = re.compile(r"^([^\[\],]+)(?:\[([^\[\]]*)\])?$")
_PACKAGE = Path(__file__).resolve().parent


def user_folder() -> Path:
    """Return the user's configuration folder (``EVALHARNESS_CONFIG``, ``XDG_CONFIG_HOME`` or ``~/.config``)."""
    if own := os.environ.get("EVALHARNESS_CONFIG"):
        return Path(own)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "evalharness"


def shipped(kind: str) -> Path:
    """Return the folder of shipped ``tasks`` or ``judges``: inside the wheel, or beside the package in a checkout."""
    inside = _PACKAGE / "shipped" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def split_names(text: str) -> list[str]:
    """Split ``a,b[de,fr],c@{1,2}`` at the commas outside brackets and braces."""
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])(?![^{]*\})", text)]
    return [part for part in parts if part]


def _once(parts: Sequence[TaskSpec]) -> Iterator[TaskSpec]:
    """Yield ``parts`` without the languages of a task that a part before holds."""
    seen: set[tuple[str, str]] = set()
    for part in parts:
        fresh = tuple(code for code in part.codes if (part.task, code) not in seen)
        seen |= {(part.task, code) for code in fresh}
        if fresh:
            yield part if fresh == part.codes else part.only(fresh)


class Selection(NamedTuple):
    """The tasks that selectors name, a TaskSpec for each file that languages come from, and the suites among the selectors."""

    tasks: tuple[TaskSpec, ...]
    suites: tuple[SuiteSpec, ...] = ()


class Catalog:
    """The specs that can be seen from the working folder. ``notes`` collects what a user should know (hidden names).

    ``configurations`` looks up those of a data set (path, revision), for tasks whose languages they are; without it such a
    task must be selected with its languages.
    """

    def __init__(
        self, specs: Sequence[str] = (), configurations: Callable[[str, str | None], Sequence[str]] | None = None
    ) -> None:
        missing = next((folder for folder in specs if not Path(folder).is_dir()), None)
        if missing is not None:
            raise UsageError(f"--specs {missing}: no such folder")
        self.specs = tuple(Path(folder) for folder in specs)
        self.notes: list[str] = []
        self._configurations = configurations

    def _folders(self, kind: str) -> Iterator[Path]:
        for folder in self.specs:
            sorted_in = any((folder / own).is_dir() for own in ("tasks", "judges"))
            yield folder / kind if sorted_in else folder
        yield Path(kind)
        yield user_folder() / kind
        yield shipped(kind)

    def _files(self, kind: str, suites: bool = False) -> dict[str, Path]:
        """Return the first file of every name, in the order of the folders: those in folders ``suites``, or all others."""
        found: dict[str, Path] = {}
        own = shipped(kind).resolve()
        for folder in self._folders(kind):
            for path in sorted(path for path in folder.rglob("*.yaml") if (path.parent.name == SUITES) == suites):
                first = found.setdefault(path.stem, path)
                if first.resolve() != path.resolve() and path.resolve().is_relative_to(own):
                    note = f"{first} hides the shipped {'suite' if suites else kind.removesuffix('s')} '{path.stem}'"
                    self.notes += [note] if note not in self.notes else []
        return found

    @cached_property
    def task_files(self) -> dict[str, Path]:
        """The file of every task and of every added language (``name.lang``)."""
        return self._files("tasks")

    @cached_property
    def suite_files(self) -> dict[str, Path]:
        """The file of every suite: those in a folder ``suites`` of a folder of tasks."""
        return self._files("tasks", suites=True)

    @cached_property
    def judge_files(self) -> dict[str, Path]:
        """The file of every judge."""
        return self._files("judges")

    def task_names(self) -> list[str]:
        """Return the names of all tasks, without their added languages."""
        return sorted(stem for stem in self.task_files if split_name(stem)[1] is None)

    def suite_names(self) -> list[str]:
        """Return the names of all suites."""
        return sorted(self.suite_files)

    def judge_names(self) -> list[str]:
        """Return the names of all judges."""
        return sorted(self.judge_files)

    def task_file(self, name: str) -> Path:
        """Return the file of the task (or added language) ``name``."""
        if (path := self.task_files.get(name)) is None:
            raise NotInCatalog("task", name, self.task_names())
        return path

    def task(self, name: str) -> TaskSpec:
        """Return the task ``name`` with its own language list."""
        return load_task(self.task_file(name), self.task_file)

    def suite(self, name: str) -> SuiteSpec:
        """Return the suite ``name``."""
        if (path := self.suite_files.get(name)) is None:
            raise NotInCatalog("suite", name, self.suite_names())
        return load_suite(path, self.task_file)

    def is_suite(self, name: str) -> bool:
        """Say whether ``name`` is that of a suite; a task of the same name comes first."""
        return name in self.suite_files and name not in self.task_files

    def judge(self, name: str) -> JudgeSpec:
        """Return the judge ``name``."""
        if (path := self.judge_files.get(name)) is None:
            raise NotInCatalog("judge", name, self.judge_names())
        return load_judge(path)

    def added_languages(self, name: str) -> list[str]:
        """Return the languages that files ``name.LANG.yaml`` add to the task ``name``."""
        split = (split_name(stem) for stem in self.task_files)
        return sorted(language for task, language in split if task == name and language is not None)

    def expand(self, selectors: Sequence[str], languages: Sequence[str] = ()) -> Selection:
        """Return the tasks of ``selectors``, those of suites among them; no language of a task comes twice.

        ``languages`` narrows the selectors that name none, and every task of a suite; of a suite, the tasks without any of
        them are left out, with a note.
        """
        parts: list[TaskSpec] = []
        suites: dict[str, SuiteSpec] = {}
        for selector in selectors:
            name = task_name(selector)
            if self.is_suite(name):
                if name != selector.strip():
                    raise UsageError(f"suite {name}: takes no languages in brackets; narrow its tasks with --languages")
                suites[name] = self.suite(name)
                parts += self._of_suite(suites[name], languages)
            elif name not in self.task_files and _SELECTOR.match(selector.strip()):
                raise NotInCatalog("task", name, [*self.task_names(), *self.suite_names()])
            else:
                parts += self.select(selector, languages)
        return Selection(tuple(_once(parts)), tuple(suites.values()))

    def _of_suite(self, suite: SuiteSpec, languages: Sequence[str]) -> list[TaskSpec]:
        parts: list[TaskSpec] = []
        for selector in suite.selectors:
            own = self._narrowed(selector, languages)
            if not own:
                self.notes.append(f"suite {suite.suite}: {selector} has none of the languages asked for; left out")
            parts += own
        held = {code for part in parts for code in part.codes}
        if unknown := next((code for code in languages if code not in held), None):
            known = {
                code for selector in suite.selectors for part in self._narrowed(selector, ()) for code in part.codes
            }
            raise NotInCatalog("language", unknown, known, f"suite {suite.suite}")
        return parts

    def _narrowed(self, selector: str, languages: Sequence[str]) -> list[TaskSpec]:
        """Return the parts of ``selector`` with those of ``languages`` that it has; with all where none are given."""
        name = task_name(selector)
        if not languages or self.task(name).languages_from is not None:
            return self.select(selector, languages)
        codes = {code for part in self.select(selector) for code in part.codes}
        codes |= set() if "[" in selector else set(self.added_languages(name))
        wanted = [code for code in dict.fromkeys(languages) if code in codes]
        return self.select(f"{name}[{','.join(wanted)}]") if wanted else []

    def select(self, selector: str, languages: Sequence[str] = ()) -> list[TaskSpec]:
        """Return the parts of ``name``, ``name[de,fr]`` or ``name[*]``: one TaskSpec a file that its languages come from.

        ``languages`` (of ``--languages``) narrows a selector that names none.
        """
        match = _SELECTOR.match(selector.strip())
        if match is None:
            raise UsageError(f"task '{selector}': write it as name, name[de,fr] or name[*]")
        name, inner = match[1].strip(), match[2]
        everything = inner is not None and inner.strip() == "*"
        codes = [code.strip() for code in inner.split(",")] if inner and not everything else []
        codes = codes or ([] if everything else list(languages))
        base = self._with_languages(self.task(name), codes)
        added = self.added_languages(name)
        if everything:
            codes = [*base.codes, *(code for code in added if code not in base.codes)]
        if not codes:
            return [base]
        for code in codes:
            if code not in base.codes and code not in added:
                raise NotInCatalog("language", code, [*base.codes, *added], f"task {name}")
        own = tuple(dict.fromkeys(code for code in codes if code in base.codes))
        parts = [base.only(own)] if own else []
        return parts + [self.task(f"{name}.{code}") for code in dict.fromkeys(codes) if code not in base.codes]

    def _with_languages(self, task: TaskSpec, named: Sequence[str]) -> TaskSpec:
        """Return ``task`` with its languages looked up, where they are its data set's configurations: those ``named``, or all."""
        if task.languages_from is None:
            return task
        if named:
            return task.reading(named)
        if self._configurations is None:
            raise UsageError(f"task {task.task}: its languages are its data set's; name some, as {task.task}[de,fr]")
        return task.reading(self._configurations(task.dataset.path, task.dataset.revision))

    @cached_property
    def models(self) -> dict[str, ModelSpec]:
        """Every model entry, by name: the working folder's, the user's, the shipped ones."""
        files = [
            *(folder / "evalharness.yaml" for folder in self.specs),
            Path("evalharness.yaml"),
            user_folder() / "evalharness.yaml",
        ]
        found: dict[str, ModelSpec] = {}
        for path in [*files, _PACKAGE / "evalharness.yaml"]:
            if path.is_file():
                found = {**load_models(path), **found}
        return found

    def model(self, text: str) -> list[ModelSpec]:
        """Return the models that ``text`` names: an entry, an entry at another revision (``name@revision``), or
        ``backend:path[@revision]``; ``{1000..3000..1000}`` and ``{a,b}`` stand for several, as does ``replay:GLOB``."""
        return [spec for one in expanded(text) for spec in self._model(one)]

    def _model(self, text: str) -> list[ModelSpec]:
        spec = self.models.get(text) or self._at_revision(text) or parse_model(text)
        if spec is None:
            raise NotInCatalog("model", text, self.models)
        backend = BACKENDS.get(spec.backend)
        if backend is None:
            raise ModelError(f"model '{spec.name}': {NotInCatalog('backend', spec.backend, BACKENDS)}")
        return backend.models(spec)

    def _at_revision(self, text: str) -> ModelSpec | None:
        name, at, revision = text.rpartition("@")
        entry = self.models.get(name)
        if not at or not revision or entry is None:
            return None
        return replace(entry, name=text, revision=revision, step=step_of(revision))

    def engine(self, spec: ModelSpec) -> tuple[ModelSpec, Engine]:
        """Return ``spec``, with its size read from the weights where it was unknown, and the engine that answers for it."""
        engine = resolve(spec)
        return (spec if spec.size_b is not None else replace(spec, size_b=engine.size_b)), engine
