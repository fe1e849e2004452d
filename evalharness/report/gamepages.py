"""Samples in, one at a time; pages of games out, each language's apart, with links between them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from evalharness.files import safe_name
from evalharness.report.games import Section, section
from evalharness.report.leaderboard import Language, Model
from evalharness.report.rendering import write_stream

Json = Mapping[str, Any]

PAGE_PROMPTS = 100
PAGE_CHARACTERS = 1_500_000  # with many models a page of 100 prompts would be too heavy to read
_CHUNK = 1 << 16


@dataclass(slots=True)
class LanguagePages:
    """The pages of one language: filled prompt by prompt, then read by the page templates.

    ``spools`` are the waiting bodies, a file a page; ``anchors`` gives the page of each prompt.
    """

    language: Language
    base: str
    spools: list[Path] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    n_games: int = 0
    n_reviews: int = 0
    n_scores: int = 0
    n_disagree: int = 0
    n_missing: int = 0
    n_failed: int = 0
    _prompts: int = 0
    _characters: int = 0

    def name(self, page: int) -> str:
        """Return the file name of a page, counted from 1."""
        return f"{self.base}.html" if page == 1 else f"{self.base}-{page}.html"

    def add(self, found: Section, html: str, folder: Path) -> None:
        """Append a prompt's HTML to the page that has room for it, and count it."""
        if not self.spools or self._prompts >= PAGE_PROMPTS or self._characters + len(html) > PAGE_CHARACTERS:
            self.spools.append(folder / f"{self.base}-{len(self.spools) + 1}")
            self._prompts = self._characters = 0
        with open(self.spools[-1], "a", encoding="utf-8", errors="replace", newline="") as spool:
            spool.write(html)
        self._prompts += 1
        self._characters += len(html)
        self.anchors[found.anchor] = len(self.spools)
        self.n_games += sum(len(match.games) for match in found.matches)
        self.n_disagree += sum(match.kind == "disagree" for match in found.matches)
        reviews = [review for answer in found.answers for review in answer.reviews]
        self.n_reviews += len(reviews)
        self.n_missing += sum(game.score is None for match in found.matches for game in match.games)
        self.n_missing += sum(review.score is None for review in reviews)
        self.n_scores += sum(bool(answer.scores) for answer in found.answers)
        self.n_missing += sum(any(score.value is None for score in answer.scores) for answer in found.answers)
        self.n_failed += sum(bool(answer.flags) for answer in found.answers)


def write_games(
    folder: Path, env: Environment, summary: Json, manifest: Json, models: Mapping[str, Model], samples: Iterable[Json]
) -> dict[str, LanguagePages]:
    """Write ``folder/<language>[-k].html`` for all samples and return the pages by language code.

    The body of a page waits in a spool file until the number of pages is known, so memory holds one prompt at a time.
    """
    folder.mkdir()
    spool = folder / ".spool"
    spool.mkdir()
    pages = _spooled(spool, env, models, samples)
    template = env.get_template("games.html")
    for found in pages.values():
        for number, body in enumerate(found.spools, start=1):
            stream = template.generate(
                summary=summary,
                manifest=manifest,
                models=list(models.values()),
                pages=found,
                number=number,
                body=_chunks(body),
            )
            write_stream(folder / found.name(number), stream)
    shutil.rmtree(spool)
    return pages


def _spooled(
    folder: Path, env: Environment, models: Mapping[str, Model], samples: Iterable[Json]
) -> dict[str, LanguagePages]:
    template = env.get_template("section.html")
    places = {name: number for number, name in enumerate(models)}
    pages: dict[str, LanguagePages] = {}
    for sample in samples:
        found = section(sample, places)
        code = found.language.code
        if code not in pages:
            pages[code] = LanguagePages(
                found.language, _free_name(code, {other.base.casefold() for other in pages.values()})
            )
        pages[code].add(found, template.render(s=found), folder)
    return pages


def _free_name(code: str, taken: set[str]) -> str:
    """Return a file name for a language; codes that differ only in case would be one file on macOS."""
    name = safe_name(code)
    while name.casefold() in taken:
        name += "x"
    return name


def _chunks(path: Path) -> Iterator[Markup]:
    """Yield a spool file's HTML, which the section template escaped, piece by piece."""
    with open(path, encoding="utf-8", newline="") as spool:
        while piece := spool.read(_CHUNK):
            yield Markup(piece)  # noqa: S704 -- our own template wrote it
