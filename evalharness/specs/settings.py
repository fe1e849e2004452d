"""The ``run:`` section of an ``evalharness.yaml`` in, the defaults of command-line options out, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from evalharness.specs.fields import build
from evalharness.specs.reader import Document, Path_, read_file
from evalharness.specs.sampling import check_sampling
from evalharness.specs.task import Format
from evalharness.types import Sampling, Where

_RANGES: dict[str, tuple[float, float, str]] = {
    "limit": (1, float("inf"), "must be 1 or above"),
    "level": (0.5, 0.999, "must lie in 0.5..0.999, as 0.95 does"),
    "rounds": (100, float("inf"), "must be 100 or above"),
    "seed": (0, float("inf"), "must be 0 or above"),
    "sign_flips": (0, float("inf"), "must be 0 or above"),
    "max_cost": (1e-9, float("inf"), "must be above 0: US dollars"),
    "min_coverage": (0, 1, "must lie in 0..1"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults of options, by the option's name with underscores; a flag or an environment variable wins over them.

    ``models``, ``task``, ``languages``, ``judge``, ``by`` and ``pool`` are lists, or text with commas. ``gen`` holds
    sampling values. ``specs`` are folders of tasks and judges, ``results`` is the folder of journals and runs,
    ``ray_address`` is heard where the executor is ``ray``.
    """

    models: tuple[str, ...] | str | None = None
    task: tuple[str, ...] | str | None = None
    languages: tuple[str, ...] | str | None = None
    judge: tuple[str, ...] | str | None = None
    judge_model: str | None = None
    baseline: str | None = None
    limit: int | None = None
    gen: Sampling | None = None
    gen_seed: int | None = None
    format: Format | None = None
    choices: Literal["auto", "likelihood", "generate"] | None = None
    specs: tuple[str, ...] | None = None
    results: str | None = None
    average: Literal["macro", "micro"] | None = None
    level: float | None = None
    rounds: int | None = None
    seed: int | None = None
    pairs: Literal["complete", "any"] | None = None
    on_candidate_failure: Literal["loss", "drop"] | None = None
    min_coverage: float | None = None
    by: tuple[str, ...] | str | None = None
    method: Literal["winrate", "bradley-terry"] | None = None
    pool: tuple[str, ...] | str | None = None
    control: Literal["length", "style"] | None = None
    sign_flips: int | None = None
    max_cost: float | None = None
    shard: str | None = None
    executor: Literal["local", "ray"] | None = None
    ray_address: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as the command line takes it (text, a number, or a list of texts), and where it was written."""

    value: Any
    where: Where


def load_settings(path: Path) -> dict[str, Setting]:
    """Return what the ``run:`` section of the file at ``path`` says, by option; raises SpecError with file, line and key."""
    document = read_file(path)
    if document.data.get("run") is None:
        return {}
    settings = build(Settings, document, ("run",))
    check_settings(settings, document, ("run",))
    said = {f.name: value for f in fields(Settings) if (value := getattr(settings, f.name)) is not None}
    return {name: Setting(_words(name, value), document.where(("run", name))) for name, value in said.items()}


def check_settings(settings: Settings, document: Document, path: Path_) -> None:
    """Raise a SpecError for the first value of ``settings``, written at ``path``, that is out of range."""
    for name, (low, high, rule) in _RANGES.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise document.error((*path, name), f"{value:g} {rule}")
    if settings.gen is not None:
        if settings.gen.seed is not None:
            raise document.error((*path, "gen", "seed"), "is an option of its own; write it as run.gen_seed")
        check_sampling(settings.gen, document, (*path, "gen"))


def _words(name: str, value: Any) -> Any:
    if name in ("results", "specs"):  # no shell has replaced the ~
        return str(Path(value).expanduser()) if isinstance(value, str) else [str(Path(v).expanduser()) for v in value]
    if not isinstance(value, Sampling):
        return list(value) if isinstance(value, tuple) else value
    said = {f.name: item for f in fields(Sampling) if (item := getattr(value, f.name)) is not None}
    stops = [f"stop={text}" for text in said.pop("stop", ())]
    return [*(f"{name}={item}" for name, item in said.items()), *stops]
