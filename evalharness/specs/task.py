"""A task's YAML in, a frozen TaskSpec out: dataset, language axis, sample templates, sampling, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import NotInCatalog
from evalharness.languages import is_language, is_tag
from evalharness.specs.fields import Template, build, plain
from evalharness.specs.reader import Document, merged, read_file
from evalharness.specs.sample import (
    GenerativeSpec,
    Output,
    ProgramSpec,
    SampleSpec,
    ShotsSpec,
    check_sample,
    check_shots,
)
from evalharness.specs.sampling import check_sampling
from evalharness.specs.scoring import FilterSpec, MetricSpec, check_filters, check_metrics, metric_specs
from evalharness.text import fingerprint
from evalharness.types import Sampling, Where

_DEEP = frozenset({"sample", "generate", "words"})
MAX_SAMPLES = 1000
_SPACE = Template(" ")
_RIGHT = frozenset({"target", "program"})  # keys of ``sample`` that change no prompt
_ONLY = {  # keys that mean something for some outputs alone
    "n": ("text", "code"), "stop": ("text", "code"), "filters": ("text", "choice", "code"), "judge": ("text",),
    "baseline": ("text",),
    "generative": ("choice",), "program": ("code",), "answer_prefix": ("text", "choice", "code"),
}  # fmt: skip

Format = Literal["auto", "chat", "raw"]
Origin = Literal["native", "machine-translated", "human-translated", "human-edited", "mixed", "unknown"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the prompts came to be; ``parallel`` says that equal ids are translations of one prompt."""

    origin: Origin
    method: str | None = None
    source_language: str | None = None
    parallel: bool = True


@dataclass(frozen=True, slots=True)
class BesideSpec:
    """Another configuration of the data set: ``name`` is a template of it; its row with the same value in the column ``on`` is
    ``row.beside``."""

    name: Template
    on: str


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Where the rows come from: a hub id, or ``json``, ``csv``, ``parquet`` with ``data_files`` beside the YAML.

    With a hub id ``data_files`` is one file of that data set, which is read by itself; ``beside`` is another configuration
    whose rows go with those of ``name``.
    """

    path: str
    name: Template | None = None
    split: str = "test"
    revision: str | None = None
    data_files: Template | None = None
    beside: BesideSpec | None = None


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """One language of a task: the data set's name for it, and the language's own wording."""

    code: str
    config: str
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A benchmark in all its languages. ``folder`` is where its data files are; ``file`` where it was read from.

    ``where`` keeps only the rows whose columns have these values (of a list, one). ``delimiter`` stands between a raw
    prompt and its continuation. ``languages`` is empty where the task's languages are the configurations of its data set
    (``languages_from``), which are looked up when they are needed. ``generate_by`` is what the samples of a category have
    instead of ``generate``; ``stop`` are templates of more texts that end an answer.
    """

    task: str
    version: str
    description: str
    dataset: DatasetSpec
    sample: SampleSpec
    prompts: Provenance
    languages: tuple[LanguageSpec, ...]
    languages_from: Literal["configs"] | None = None
    where: Mapping[str, Template | tuple[Template, ...]] = field(default_factory=dict)
    output: Output = "text"
    suite_category: str | None = None
    license: str | None = None
    verified: bool = True
    system: Template | None = None
    intro: Template | None = None
    shots: ShotsSpec | None = None
    delimiter: Template = _SPACE
    answer_prefix: Template | None = None
    generative: GenerativeSpec | None = None
    generate: Sampling = Sampling()
    generate_by: Mapping[str, Sampling] = field(default_factory=dict)
    stop: tuple[Template, ...] = ()
    n: int = 1
    filters: tuple[FilterSpec, ...] = ()
    metrics: tuple[MetricSpec, ...] = ()
    program: ProgramSpec = ProgramSpec()
    target_language: Template | None = None
    format: Format = "auto"
    judge: str | None = None
    baseline: str | None = None
    folder: Path = field(default=Path(), compare=False)
    file: str = field(default="", compare=False)

    @property
    def codes(self) -> tuple[str, ...]:
        """The language codes, in the task's order."""
        return tuple(language.code for language in self.languages)

    def reading(self, configurations: Sequence[str]) -> TaskSpec:
        """Return the task with the languages of ``configurations`` (``pt_BR`` is pt-BR); names that are no tag are left out."""
        codes = {config.replace("_", "-"): config for config in configurations}
        return replace(
            self, languages=tuple(LanguageSpec(code, config) for code, config in codes.items() if is_tag(code))
        )

    def only(self, codes: tuple[str, ...]) -> TaskSpec:
        """Return the task with just the languages ``codes``, in that order."""
        by_code = {language.code: language for language in self.languages}
        return replace(self, languages=tuple(by_code[code] for code in codes))

    @property
    def hash(self) -> str:
        """SHA-256 over everything that shapes the prompts; the languages chosen are not part of it."""
        sample = {key: value for key, value in _said(self.sample).items() if key not in _RIGHT}
        parts = {
            "task": self.task, "version": self.version, "dataset": _dataset(self.dataset), "sample": sample,
            "system": self.system and self.system.text, "format": self.format,
            "answer_prefix": self.answer_prefix and self.answer_prefix.text, "where": plain(self.where),
        }  # fmt: skip
        more = {
            "output": None if self.output == "text" else self.output, "intro": self.intro and self.intro.text,
            "shots": self.shots and _said(self.shots),
            "delimiter": None if self.delimiter == _SPACE else self.delimiter.text,
            "generative": self.generative and _said(self.generative), "stop": plain(self.stop) or None,
        }  # fmt: skip
        return fingerprint(parts | {key: value for key, value in more.items() if value is not None})

    @property
    def scoring_hash(self) -> str:
        """SHA-256 over all that turns answers into scores, and over how many answers a prompt gets."""
        sample = {key: value for key, value in _said(self.sample).items() if key in _RIGHT}
        program = plain(self.program) if self.output == "code" else None
        return fingerprint([self.n, sample, plain(self.filters), plain(self.metrics), program])


@dataclass(frozen=True, slots=True)
class _TaskYaml:
    """The keys of a task's YAML, as written."""

    task: str
    version: str
    description: str
    dataset: DatasetSpec
    sample: SampleSpec
    prompts: Provenance
    languages: tuple[str, ...] | Mapping[str, Mapping[str, str]] | Literal["configs"] | None = None
    language: str | None = None
    where: Mapping[str, Template | tuple[Template, ...]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    output: Output = "text"
    suite_category: str | None = None
    license: str | None = None
    verified: bool = True
    system: Template | None = None
    intro: Template | None = None
    shots: ShotsSpec | None = None
    delimiter: Template = _SPACE
    answer_prefix: Template | None = None
    generative: GenerativeSpec | None = None
    generate: Sampling | Mapping[str, Sampling | Literal["category"]] = Sampling()
    stop: tuple[Template, ...] = ()
    n: int = 1
    filters: tuple[FilterSpec, ...] = ()
    metrics: tuple[str | MetricSpec, ...] = ()
    program: ProgramSpec = ProgramSpec()
    target_language: Template | None = None
    format: Format = "auto"
    judge: str | None = None
    baseline: str | None = None


def _dataset(spec: DatasetSpec) -> dict[str, Any]:
    """Return the data set as it is hashed: a key that came later changes no hash where it is not said."""
    plain_: dict[str, Any] = plain(spec)
    return {key: value for key, value in plain_.items() if key != "beside" or value is not None}


def _said(record: Any) -> dict[str, Any]:
    """Return what a record of the YAML says, without the keys that it leaves out: a new key changes no hash."""
    return {key: value for key, value in plain(record).items() if value is not None}


def split_name(stem: str) -> tuple[str, str | None]:
    """Return (task, language) of a file stem: ``mgsm.sw`` is the language ``sw`` of ``mgsm``; ``mgsm`` has none."""
    head, dot, last = stem.rpartition(".")
    return (head, last) if dot and is_tag(last) and is_language(last) else (stem, None)


def load_task(path: Path, find: Callable[[str], Path]) -> TaskSpec:
    """Read the task at ``path``; ``find`` gives the file of a task that it ``extends``."""
    document = extended(path, find)
    return from_document(document, path)


def extended(path: Path, find: Callable[[str], Path], seen: tuple[Path, ...] = ()) -> Document:
    """Return the document at ``path`` merged over what it ``extends``."""
    document = read_file(path)
    base_name = document.data.get("extends")
    if base_name is None:
        return document
    if not isinstance(base_name, str):
        raise document.error(("extends",), "must be the name of a task")
    try:
        base_path = find(base_name)
    except NotInCatalog as error:
        raise document.error(("extends",), str(error)) from None
    if base_path in (*seen, path):
        chain = " -> ".join(p.name for p in (*seen, path, base_path))
        raise document.error(("extends",), f"goes in a circle: {chain}")
    base = extended(base_path, find, (*seen, path))
    own = Document({k: v for k, v in document.data.items() if k != "extends"}, document.places, document.file)
    if "language" in own.data and "languages" not in own.data:
        base = Document({k: v for k, v in base.data.items() if k != "languages"}, base.places, base.file)
    return merged(base, own, _DEEP)


def from_document(document: Document, path: Path) -> TaskSpec:
    """Return the TaskSpec of a merged document; ``path`` is the file it was asked by."""
    written = build(_TaskYaml, document)
    name, language = split_name(path.stem)
    if written.task != name:
        raise document.error(("task",), f"'{written.task}' is not the file's name; call it '{name}' or rename the file")
    if language is not None and written.language != language:
        raise document.error(("language",), f"must be '{language}', as in the file's name")
    generate, generate_by = _samplings(written, document)
    _check_output(written, document)
    folder = Path(document.where(("dataset",)).file).resolve().parent
    common = {
        f: getattr(written, f)
        for f in _TaskYaml.__dataclass_fields__
        if f not in ("languages", "language", "words", "generate")
    }
    common["metrics"] = metric_specs(written.metrics)
    from_configs: Literal["configs"] | None = "configs" if written.languages == "configs" else None
    return TaskSpec(
        **common,
        generate=generate,
        generate_by=generate_by,
        languages=_languages(written, document),
        languages_from=from_configs,
        folder=folder,
        file=document.file,
    )


def _samplings(written: _TaskYaml, document: Document) -> tuple[Sampling, dict[str, Sampling]]:
    """Return how samples are answered, and how those of each category are that ``generate`` names with ``by: category``."""
    said = written.generate
    if isinstance(said, Sampling):
        check_sampling(said, document, ("generate",))
        return said, {}
    if said.get("by") != "category":
        raise document.error(("generate", "by"), "must be category")
    if written.sample.category is None:
        raise document.error(("generate", "by"), "category is what sample.category says; add it")
    found: dict[str, Sampling] = {}
    for value, sampling in said.items():
        if value == "by":
            continue
        if not isinstance(sampling, Sampling):
            raise document.error(("generate", value), "must hold keys and values, as {temperature: 0.7}")
        check_sampling(sampling, document, ("generate", value))
        found[value] = sampling
    default = found.pop("default", Sampling())
    return default, {value: sampling.over(default) for value, sampling in found.items()}


def _check_output(written: _TaskYaml, document: Document) -> None:
    """Raise a SpecError where the keys of an output are missing, or mean nothing with it."""
    check_sample(written.sample, written.output, document)
    if written.sample.turns is not None and written.answer_prefix is not None:
        raise document.error(("answer_prefix",), "means nothing beside sample.turns; leave it out")
    if written.shots is not None:
        check_shots(written.shots, document)
    if not 1 <= written.n <= MAX_SAMPLES:
        raise document.error(("n",), f"{written.n} must lie in 1..{MAX_SAMPLES}")
    for key, outputs in _ONLY.items():
        if key in document.data and written.output not in outputs:
            raise document.error((key,), f"means nothing with output: {written.output}; leave it out")
    if written.output != "text" and not written.metrics:
        raise document.error(("metrics",), f"missing; a task with output: {written.output} needs at least one")
    if written.output == "text" and written.metrics and written.sample.target is None:
        raise document.error(("sample", "target"), "missing; metrics need to know what is right")
    check_metrics(metric_specs(written.metrics), document)
    check_filters(written.filters, document)


def _languages(written: _TaskYaml, document: Document) -> tuple[LanguageSpec, ...]:
    if (written.languages is None) == (written.language is None):
        raise document.error(("languages",), "give either languages (a list or mapping) or language (one code)")
    shared = dict(written.words)
    if written.languages == "configs":
        return ()
    if written.language is not None:
        _check_code(written.language, ("language",), document)
        return (LanguageSpec(written.language, written.language, tuple(sorted(shared.items()))),)
    listed = written.languages or ()
    rows = {code: {} for code in listed} if isinstance(listed, tuple) else dict(listed)
    if isinstance(listed, tuple) and len(rows) < len(listed):
        raise document.error(("languages",), f"{next(c for c in listed if listed.count(c) > 1)} is listed twice")
    if not rows:
        raise document.error(("languages",), "is empty; name at least one language")
    out = []
    for i, (code, words) in enumerate(rows.items()):
        _check_code(code, ("languages", i if isinstance(listed, tuple) else code), document)
        own = {**shared, **words}
        config = own.pop("config", code)
        out.append(LanguageSpec(code, config, tuple(sorted(own.items()))))
    return tuple(out)


def _check_code(code: str, path: tuple[str | int, ...], document: Document) -> None:
    if not is_tag(code):
        raise document.error(path, f"'{code}' is not a BCP 47 language tag such as de or pt-BR")


def place(where: Where) -> str:
    """Return ``file:line`` of a template, for messages."""
    return where.file if where.line is None else f"{where.file}:{where.line}"
