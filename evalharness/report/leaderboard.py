"""The summary of a run in, the lines of every table of its page out: sorted, joined to models, not computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from evalharness import languages
from evalharness.files import safe_name
from evalharness.report import words
from evalharness.report.gaps import Gap, gaps
from evalharness.types import Rating

Json = Mapping[str, Any]
AXES = {  # groups of languages: the heading, and what one is called
    "family": ("By language family", "Family"),
    "script": ("By script", "Script"),
    "resource": ("By resource level of the language", "Resources"),
}
_FIELDS = frozenset(f.name for f in fields(Rating))


@dataclass(frozen=True, slots=True)
class Model:
    """A contestant as the tables name it; ``about`` is its entry in the summary, empty for a model that has none."""

    name: str
    anchor: str
    size_class: str
    size_b: float | None
    deviations: tuple[str, ...]
    baseline: bool
    about: Json


@dataclass(frozen=True, slots=True)
class Language:
    """A language as a reader and a browser know it; ``tag`` is the ``lang`` attribute, empty where unknown."""

    code: str
    english: str
    own: str
    tag: str
    direction: str


@dataclass(frozen=True, slots=True)
class Row:
    """A model's line in a table, with what goes beside its numbers in words.

    ``missing`` is the share of its games without a verdict (``None`` without games), ``method`` how the interval came
    about, ``reason`` why there is none, ``rating_reason`` why there is no strength, ``rank_reason`` why no rank.
    """

    model: Model
    rating: Rating
    missing: float | None
    method: str | None
    reason: str | None
    rating_reason: str | None
    rank_reason: str | None = None

    @property
    def decided(self) -> bool:
        """Say whether the interval lies on one side of one half."""
        low, high = self.rating.ci_low, self.rating.ci_high
        return low is not None and high is not None and not low <= 0.5 <= high


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one group (a language, a category, a size class), the best first."""

    name: str
    language: Language | None
    rows: tuple[Row, ...]

    def row(self, model: Model) -> Row | None:
        """Return the line of ``model``, ``None`` where it has none."""
        return next((row for row in self.rows if row.model.name == model.name), None)

    @property
    def n_prompts(self) -> list[int]:
        """Return the number of prompts of each line that has games."""
        return [row.rating.n_prompts for row in self.rows if row.rating.n_games]

    @property
    def missing(self) -> float | None:
        """Return the share of games without a verdict over all lines, ``None`` without games."""
        return part(sum(r.rating.n_unparsed for r in self.rows), sum(r.rating.n_games for r in self.rows))


@dataclass(frozen=True, slots=True)
class Meeting:
    """A cell of the head-to-head matrix, told from the model of its line; ``missing`` and ``reason`` as in a Row."""

    win_rate: float | None
    ci_low: float | None
    ci_high: float | None
    reason: str | None
    n_games: int
    n_prompts: int
    missing: float | None


@dataclass(frozen=True, slots=True)
class Answers:
    """How a model's answers came out, in one language or (``None``) in all; ``about`` is the entry of the summary."""

    model: Model
    language: Language | None
    about: Json


@dataclass(frozen=True, slots=True)
class Judge:
    """All tables of one judge; judges are never pooled. ``about`` is its entry in the summary."""

    name: str
    anchor: str
    about: Json
    overall: tuple[Row, ...]
    dropped: tuple[tuple[Row, Row], ...]
    languages: tuple[Group, ...]
    categories: tuple[Group, ...]
    others: tuple[tuple[str, str, tuple[Group, ...]], ...]
    sizes: tuple[Group, ...]
    meetings: Mapping[tuple[str, str], Meeting]
    gaps: Mapping[tuple[str, str], Gap]
    health: tuple[tuple[Language | None, Json], ...]

    @property
    def ranked(self) -> bool:
        """Say whether any line carries a range of ranks."""
        return any(row.rating.rank_low is not None for row in self.overall)


def part(some: float, whole: float) -> float | None:
    """Return ``some / whole``, ``None`` of nothing."""
    return some / whole if whole else None


def language(code: str) -> Language:
    """Return the names and direction of a language code; ``und`` and codes CLDR does not know keep the code."""
    if code == "und":
        return Language(code, "Unknown language", "Unknown language", "", "ltr")
    if not languages.is_tag(code):
        return Language(code, code, code, "", "ltr")
    return Language(code, languages.name(code), languages.own_name(code), code, languages.direction(code))


def contestants(summary: Json) -> dict[str, Model]:
    """Return the models of a run by name, in the order of the summary; models known only from a rating come last."""
    about = {entry["name"]: entry for entry in summary.get("models", ())}
    named = dict.fromkeys(about)
    for axes in summary.get("ratings", {}).values():
        named.update(dict.fromkeys(sorted({row["model"] for axis in axes.values() for row in axis} - named.keys())))
    return {name: _model(name, about.get(name, {}), summary.get("baseline")) for name in named}


def model_named(name: str, models: Mapping[str, Model]) -> Model:
    """Return the model ``name``, one without an entry where the summary has none."""
    return models.get(name) or _model(name, {}, None)


def _model(name: str, about: Json, baseline: str | None) -> Model:
    return Model(
        name=name,
        anchor=f"m-{safe_name(name)}",
        size_class=words.size(about.get("size_class")),
        size_b=about.get("size_b"),
        deviations=tuple(about.get("deviations") or ()),
        baseline=name == baseline,
        about=about,
    )


def judges(summary: Json, models: Mapping[str, Model]) -> tuple[Judge, ...]:
    """Return the tables of every judge of pairs, in the order of the summary."""
    about = {entry["name"]: entry for entry in summary.get("judges", ()) if entry.get("compare") != "single"}
    named = dict.fromkeys(about) | dict.fromkeys(sorted(summary.get("ratings", {})))
    return tuple(_judge(name, about.get(name, {}), summary, models) for name in named)


def completions(summary: Json, models: Mapping[str, Model]) -> tuple[Answers, ...]:
    """Return counts and lengths of the answers: over all languages first, then by language, models in their order."""
    order = {name: place for place, name in enumerate(models)}
    lines = [
        Answers(
            model_named(entry["model"], models),
            None if entry["language"] == "all" else language(entry["language"]),
            entry,
        )
        for entry in summary.get("completions", ())
    ]
    return tuple(sorted(lines, key=lambda line: (*all_first(line.about), order.get(line.model.name, len(order)))))


def _judge(name: str, about: Json, summary: Json, models: Mapping[str, Model]) -> Judge:
    ratings = summary.get("ratings", {}).get(name, {})
    overall = rows(ratings.get("all", ()), models)
    return Judge(
        name=name,
        anchor=f"j-{safe_name(name)}",
        about=about,
        overall=overall,
        dropped=_changed(
            overall, rows(summary.get("ratings_other_candidate_failure", {}).get(name, ()), models), summary
        ),
        languages=groups(ratings.get("language", ()), models, by_language=True),
        categories=groups(ratings.get("category", ()), models),
        others=tuple((*AXES[axis], found) for axis in AXES if len(found := groups(ratings.get(axis, ()), models)) > 1),
        sizes=groups(ratings.get("size", ()), models),
        meetings=_meetings(summary.get("head_to_head", {}).get(name, ())),
        gaps=gaps(summary.get("pairs", {}).get(name, ()), (summary.get("statistics") or {}).get("level")),
        health=tuple(
            (None if entry["language"] == "all" else language(entry["language"]), entry)
            for entry in sorted(summary.get("health", {}).get(name, ()), key=all_first)
        ),
    )


def all_first(entry: Json) -> tuple[bool, str]:
    """Return the key that sorts entries by language, that over all languages first."""
    code = entry["language"]
    return (code != "all", language(code).english)


def rows(ratings: Iterable[Json], models: Mapping[str, Model]) -> tuple[Row, ...]:
    """Return ratings as lines of a table, the best first, those without a rate last."""
    lines = [
        _row(Rating(**{key: value for key, value in entry.items() if key in _FIELDS}), models) for entry in ratings
    ]
    return tuple(sorted(lines, key=_best_first))


def _row(rating: Rating, models: Mapping[str, Model]) -> Row:
    model = model_named(rating.model, models)
    said = words.reason(rating.reason)
    if rating.missing_languages and rating.win_rate is None:
        said = "no verdicts in " + ", ".join(language(each).english for each in rating.missing_languages)
    return Row(
        model=model,
        rating=rating,
        missing=part(rating.n_unparsed, rating.n_games),
        method=words.interval(rating.interval),
        reason=said,
        rating_reason=words.reason(rating.rating_reason) or said,
        rank_reason=words.reason(rating.rank_reason),
    )


def _best_first(row: Row) -> tuple[bool, float, str]:
    rate = row.rating.win_rate
    return (rate is None, -(rate or 0.0), row.model.name)


def groups(ratings: Iterable[Json], models: Mapping[str, Model], by_language: bool = False) -> tuple[Group, ...]:
    """Return ratings by their group: languages by name, size classes from small to large, others by name."""
    members: dict[str, list[Json]] = {}
    for entry in ratings:
        members.setdefault(entry["group"], []).append(entry)
    found = [Group(name, language(name) if by_language else None, rows(some, models)) for name, some in members.items()]
    return tuple(sorted(found, key=_group_order))


def _group_order(group: Group) -> tuple[float, str]:
    if group.language is not None:
        return (0.0, group.language.english)
    sizes = [
        row.rating.size_b for row in group.rows if row.rating.size_class == group.name and row.rating.size_b is not None
    ]
    return (min(sizes, default=float("inf")), group.name)


def _changed(chosen: tuple[Row, ...], others: tuple[Row, ...], summary: Json) -> tuple[tuple[Row, Row], ...]:
    """Pair each model's figure with failed answers counted and the one with them dropped, where any of them differs."""
    other = {row.model.name: row for row in others}
    pairs = tuple((row, other[row.model.name]) for row in chosen if row.model.name in other)
    if all(one.rating == two.rating for one, two in pairs):
        return ()
    return tuple((two, one) for one, two in pairs) if failure_rule(summary) == "drop" else pairs


def failure_rule(summary: Json) -> str:
    """Return what the tables do with games of a failed answer: ``loss`` counts them, ``drop`` leaves them out."""
    return str(summary.get("statistics", {}).get("candidate_failure", "loss"))


def _meetings(entries: Iterable[Json]) -> dict[tuple[str, str], Meeting]:
    found: dict[tuple[str, str], Meeting] = {}
    for e in entries:
        met = Meeting(
            win_rate=e["win_rate"],
            ci_low=e["ci_low"],
            ci_high=e["ci_high"],
            reason=words.reason(e["reason"]),
            n_games=e["n_games"],
            n_prompts=e["n_prompts"],
            missing=part(e["n_unparsed"], e["n_games"]),
        )
        found[e["model_a"], e["model_b"]] = met
        found[e["model_b"], e["model_a"]] = replace(
            met, win_rate=_other(met.win_rate), ci_low=_other(met.ci_high), ci_high=_other(met.ci_low)
        )
    return found


def _other(rate: float | None) -> float | None:
    return None if rate is None else 1 - rate
