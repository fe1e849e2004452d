"""The rows of worked examples in, the examples that stand before each question out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from random import Random

from evalharness.errors import DataError
from evalharness.prompts.rendering import Filler, render, values_of
from evalharness.prompts.targets import listed_prompt, target_of
from evalharness.prompts.where import having
from evalharness.specs.task import LanguageSpec, TaskSpec
from evalharness.text import one_line, sha256
from evalharness.types import Row, Shot, Target


class Examples:
    """The worked examples of a task in one language; ``rows`` are those of its ``shots``, in the data set's order."""

    def __init__(self, task: TaskSpec, language: LanguageSpec, rows: Sequence[Row]) -> None:
        assert task.shots is not None
        self._task, self._language, self._spec = task, language, task.shots
        self._rows = having(task.shots.where, rows, values_of(language), f"{self._subject}: shots")
        self._ids = [render(task.sample.id, values_of(language, row, at)) for at, row in enumerate(self._rows)]
        self._same_rows = task.shots.data_files is None and task.shots.split in (None, task.dataset.split)
        self._example = lru_cache(maxsize=4096)(self._made)
        self._named = self._chosen_by_id() if task.shots.ids is not None else None
        self._kinds = [self._kind(row) for row in rows]

    def before(self, row: Row, prompt_id: str) -> tuple[Shot, ...]:
        """Return the examples before the question of ``row``: never the row itself."""
        named, wanted = self._named, self._spec.n or 0
        if named is not None:
            return tuple(self._example(at) for at in named if not self._is(at, row, prompt_id))
        kind = self._kind(row)
        others = (at for at in range(len(self._rows)) if self._kinds[at] == kind and not self._is(at, row, prompt_id))
        if self._spec.sampler == "first":
            drawn = list(islice(others, wanted))
        else:
            pool = list(others)
            drawn = Random(sha256(f"{self._task.task}\x1f{prompt_id}")).sample(pool, min(wanted, len(pool)))
        if len(drawn) < wanted:
            of_kind = f" with '{one_line(kind, 60)}' by shots.same" if kind else ""
            raise DataError(
                f"{self._subject}: shots.n is {wanted}, and its split has {len(drawn)} rows{of_kind} besides the question; "
                "use fewer"
            )
        return tuple(self._example(at) for at in drawn)

    @property
    def _subject(self) -> str:
        return f"{self._task.task}[{self._language.code}]"

    def _kind(self, row: Row) -> str:
        """Return what the examples of ``row`` have in common with it; nothing where any row will do."""
        same = self._spec.same
        return "" if same is None else render(same, values_of(self._language, row), self._subject)

    def _is(self, at: int, row: Row, prompt_id: str) -> bool:
        return (self._same_rows and self._ids[at] == prompt_id) or self._rows[at] == row

    def _chosen_by_id(self) -> list[int]:
        places = {name: at for at, name in enumerate(self._ids)}
        missing = next((name for name in self._spec.ids or () if name not in places), None)
        if missing is not None:
            raise DataError(
                f"{self._subject}: shots.ids: there is no row '{one_line(missing, 60)}' in the split of shots"
            )
        return [places[name] for name in self._spec.ids or ()]

    def _made(self, at: int) -> Shot:
        spec, task = self._spec, self._task
        fill = Filler(
            values_of(self._language, self._rows[at], at), f"shot '{one_line(self._ids[at], 60)}' of {self._subject}"
        )
        target = target_of(task, fill) if spec.answer is None or task.generative is not None else None
        if task.sample.contexts is not None and target is not None:
            prompt: str | None = target.choices[target.right[0]]
            answer, bare = fill.text(task.sample.continuation), ""
        else:
            prompt = fill.text(spec.prompt or task.sample.raw_prompt or task.sample.prompt)
            answer = fill.text(spec.answer) if spec.answer is not None else _answer(target)
            bare = fill.text(task.sample.prompt) or ""
        if prompt is None or answer is None:
            raise DataError(
                f"{self._subject}: shots needs `prompt` and `answer`, which this task's sample does not give"
            )
        if task.generative is None or target is None:
            return Shot(prompt, answer)
        return Shot(prompt, answer, listed_prompt(task, fill, target, bare), target.letters[target.right[0]])


def _answer(target: Target | None) -> str | None:
    if target is None:
        return None
    return target.choices[target.right[0]] if target.choices else next(iter(target.texts), None)
