"""A plan in, its samples and the data sets they came from out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from evalharness import prompts
from evalharness.data import LOCAL, Beside, Source, Use, load
from evalharness.errors import DataError, UsageError
from evalharness.plan import Plan
from evalharness.specs.task import LanguageSpec, TaskSpec
from evalharness.types import Sample

LOCK = "datasets.lock.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The samples of a plan in order (task by task, language by language, by the hash of their ids), and what was read."""

    samples: tuple[Sample, ...]
    uses: tuple[Use, ...]
    shots: tuple[Use, ...] = ()


def load_samples(plan: Plan, root: Path, *, extend: bool = True) -> Loaded:
    """Read every data set of ``plan`` and render its samples; ``root`` holds the lock file of data sets.

    Without ``extend`` the lock file is checked, and not written.
    """
    loaded = load_tasks(list(plan.tasks), plan.ask.limit, root, extend=extend)
    if plan.ask.shard is None:
        return loaded
    part, parts = plan.ask.shard
    if len(loaded.samples) < parts:
        raise UsageError(f"--shard {part}/{parts}: there are {len(loaded.samples)} samples; use at most as many shards")
    # a sample with the answers of all models and all games about them
    return replace(loaded, samples=loaded.samples[part - 1 :: parts])


def load_tasks(tasks: Sequence[TaskSpec], limit: int | None, root: Path, *, extend: bool = True) -> Loaded:
    """Read the data sets of ``tasks`` and render their samples, ``limit`` of each language."""
    samples: list[Sample] = []
    uses: list[Use] = []
    shots_uses: list[Use] = []
    read = lru_cache(maxsize=2)(
        lambda asked: load(asked, root / LOCK, extend=extend)
    )  # languages in a row may share a data set
    for task, language in [(each, own) for each in tasks for own in each.languages]:
        place = source(task, language)
        try:
            rows, use = read(place)
        except DataError as error:  # of a key of the task: say whose
            raise DataError(f"{task.file}: {error}" if str(error).startswith("dataset.") else str(error)) from None
        if not rows:
            raise DataError(f"{task.task}[{language.code}]: data set {place.shown} has no rows")
        uses.append(use)
        own = prompts.matching(task, language, rows)
        examples = None
        if task.shots is not None:
            examples, shots_use = read(shots_source(task, language))
            shots_uses.append(shots_use)
        samples += prompts.chosen(prompts.samples(task, language, own, examples), limit)
    return Loaded(tuple(samples), tuple(uses), tuple(dict.fromkeys(shots_uses)))


def source(task: TaskSpec, language: LanguageSpec) -> Source:
    """Return where the rows of ``task`` in ``language`` are."""
    spec = task.dataset
    beside = None
    if spec.beside is not None:
        beside = Beside(prompts.dataset_name(language, spec.beside.name) or "", spec.beside.on)
    return Source(
        path=spec.path, name=prompts.dataset_name(language, spec.name), split=spec.split, revision=spec.revision,
        data_files=prompts.dataset_name(language, spec.data_files), folder=task.folder,
        beside=beside,
    )  # fmt: skip


def shots_source(task: TaskSpec, language: LanguageSpec) -> Source:
    """Return where the worked examples of ``task`` in ``language`` are: in the split of ``shots``, or in its own file."""
    assert task.shots is not None
    place = source(task, language)
    files = prompts.dataset_name(language, task.shots.data_files)
    if files is not None and place.path not in LOCAL:  # a file beside the YAML of a task whose rows are on the hub
        place = replace(place, path="json", name=None, revision=None)
    return replace(place, split=task.shots.split or place.split, data_files=files or place.data_files)
