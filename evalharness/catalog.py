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

from evalharness.backends import BACKENDS, resolve
from evalharness.errors import ModelError, NotInCatalog, UsageError
from evalharness.specs.judge import JudgeSpec, load_judge
from evalharness.specs.model import ModelSpec, expanded, load_models, parse_model, step_of
from evalharness.specs.task import TaskSpec, load_task, split_name
from evalharness.types import Engine

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

    def _files(self, kind: str) -> dict[str, Path]:
        """Return the first file of every name, in the order of the folders."""
        found: dict[str, Path] = {}
        own = shipped(kind).resolve()
        for folder in self._folders(kind):
            for path in sorted(folder.rglob("*.yaml")):
                first = found.setdefault(path.stem, path)
                if first.resolve() != path.resolve() and path.resolve().is_relative_to(own):
                    note = f"{first} hides the shipped {kind.removesuffix('s')} '{path.stem}'"
                    self.notes += [note] if note not in self.notes else []
        return found

    @cached_property
    def task_files(self) -> dict[str, Path]:
        """The file of every task and of every added language (``name.lang``)."""
        return {stem: path for stem, path in self._files("tasks").items() if path.parent.name != "suites"}

    @cached_property
    def judge_files(self) -> dict[str, Path]:
        """The file of every judge."""
        return self._files("judges")

    def task_names(self) -> list[str]:
        """Return the names of all tasks, without their added languages."""
        return sorted(stem for stem in self.task_files if split_name(stem)[1] is None)

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

    def judge(self, name: str) -> JudgeSpec:
        """Return the judge ``name``."""
        if (path := self.judge_files.get(name)) is None:
            raise NotInCatalog("judge", name, self.judge_names())
        return load_judge(path)

    def added_languages(self, name: str) -> list[str]:
        """Return the languages that files ``name.LANG.yaml`` add to the task ``name``."""
        split = (split_name(stem) for stem in self.task_files)
        return sorted(language for task, language in split if task == name and language is not None)

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
