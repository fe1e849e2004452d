"""Free answers and references in, exact match and token F1 out, after the normalisation that the task asks for."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import regex  # type: ignore[import-untyped]

from evalharness.languages import writes_spaces
from evalharness.scoring.kind import NO_REFERENCE, Compared, Measure, Metric, TextItem, over_answers

ARTICLES = {"en": ("a", "an", "the")}
PATTERN_SECONDS = 2.0

Preset = Literal["squad", "trivia", "none"]

_TEXT = frozenset({"text"})
_ASCII = str.maketrans("", "", string.punctuation)
_TRIVIA = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
_PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~]")  # ASCII has signs that Unicode does not call punctuation
_NUMBERS = regex.compile(r"\p{Nd}+")


def remove_punctuation(text: str, kind: Literal["unicode", "ascii"] = "unicode") -> str:
    """Return ``text`` without the punctuation of ASCII, or (``unicode``) that and the punctuation of all scripts."""
    return text.translate(_ASCII) if kind == "ascii" else str(_PUNCTUATION.sub("", text))


@lru_cache(maxsize=64)
def _articles(words: tuple[str, ...]) -> regex.Pattern[str]:
    return regex.compile(rf"\b(?:{'|'.join(map(regex.escape, words))})\b", regex.IGNORECASE)


@lru_cache(maxsize=64)
def _article_places(words: tuple[str, ...], leading: bool) -> regex.Pattern[str]:
    """Return the pattern of an article and the space after it."""
    return regex.compile(("^\\s*" if leading else "") + _articles(words).pattern + r"\s+", regex.IGNORECASE)


def _article_words(language: str) -> tuple[str, ...]:
    return ARTICLES.get(language.split("-", maxsplit=1)[0], ())


def squad(text: str, language: str) -> str:
    """Return ``text`` lower-cased, without punctuation and articles, spaces made one, as the SQuAD script does for English.

    In English the punctuation is that of ASCII, as in the script; elsewhere that of all scripts, and no article is known.
    """
    plain = remove_punctuation(text.lower(), "ascii" if _article_words(language) else "unicode")
    return _without_articles(plain, language)


def trivia(text: str, language: str) -> str:
    """Return ``text`` normalised as the TriviaQA script does for English: as ``squad``, punctuation giving way to spaces."""
    plain = text.lower().translate(_TRIVIA)
    plain = plain if _article_words(language) else _PUNCTUATION.sub(" ", plain)
    return _without_articles(plain, language)


def _without_articles(text: str, language: str) -> str:
    words = _article_words(language)
    return " ".join((_articles(words).sub(" ", text) if words else text).split())


_PRESETS: dict[str, Callable[[str, str], str]] = {
    "squad": squad,
    "trivia": trivia,
    "none": lambda text, language: text,
}


@dataclass(frozen=True, slots=True)
class ExactOptions:
    """What is the same before answer and reference are compared.

    ``normalise`` is a whole set of rules: squad or trivia. Otherwise, in this order: matches of ``regexes_to_ignore`` go;
    with ``ignore_case`` capitals do not count; with ``ignore_articles`` the articles of the language (English, or
    ``articles``) go at the beginning (``leading``) or ``anywhere``; with ``ignore_punctuation`` punctuation goes (``ascii``:
    that of ASCII alone); with ``ignore_numbers`` digits go; with ``strip`` white space around the text goes.
    """

    normalise: Preset = "none"
    regexes_to_ignore: tuple[str, ...] = ()
    ignore_case: bool = False
    ignore_articles: Literal["leading", "anywhere"] | None = None
    articles: tuple[str, ...] = ()
    ignore_punctuation: bool | Literal["ascii"] = False
    ignore_numbers: bool = False
    strip: bool = True

    def __post_init__(self) -> None:
        for pattern in self.regexes_to_ignore:
            try:
                _pattern(pattern)
            except regex.error as error:
                raise ValueError(f"'{pattern}' is not a regular expression: {error}") from None


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def normalised(text: str, language: str, options: ExactOptions) -> str:
    """Return ``text`` as it is compared; raises TimeoutError where a pattern takes longer than 2 s."""
    if options.normalise != "none":
        return _PRESETS[options.normalise](text, language)
    text = unicodedata.normalize("NFC", text)
    for pattern in options.regexes_to_ignore:
        text = _pattern(pattern).sub("", text, timeout=PATTERN_SECONDS)
    text = text.lower() if options.ignore_case else text
    words = options.articles or _article_words(language)
    if options.ignore_articles and words:
        text = _article_places(words, options.ignore_articles == "leading").sub("", text)
    if options.ignore_punctuation:
        text = remove_punctuation(text, "ascii" if options.ignore_punctuation == "ascii" else "unicode")
    text = _NUMBERS.sub("", text) if options.ignore_numbers else text
    return text.strip() if options.strip else text


def exact_match(item: TextItem, options: ExactOptions) -> Measure:
    """Return the share of answers that equal a reference."""

    def normal(text: str) -> str | None:
        try:
            return normalised(text, item.language, options)
        except TimeoutError:
            return None

    right = {plain for reference in item.references if (plain := normal(reference)) is not None}
    if not right:
        return Measure(None, NO_REFERENCE)

    def compare(answer: str) -> Compared | None:
        plain = normal(answer)
        return None if plain is None else Compared(float(plain in right), plain)

    return over_answers(item, compare)


@dataclass(frozen=True, slots=True)
class F1Options:
    """``normalise`` says how answer and reference are made alike before they are cut into tokens."""

    normalise: Preset = "squad"


def tokens(text: str, language: str) -> list[str]:
    """Return the words of ``text``; its characters without spaces where the language writes no spaces between words."""
    return text.split() if writes_spaces(language) else [mark for mark in text if not mark.isspace()]


def token_f1(answer: list[str], reference: list[str]) -> float:
    """Return the harmonic mean of token precision and recall; two empty lists agree."""
    if not answer or not reference:
        return float(answer == reference)
    same = sum((Counter(answer) & Counter(reference)).values())
    return 2 * same / (len(answer) + len(reference))


def f1(item: TextItem, options: F1Options) -> Measure:
    """Return the mean over answers of the highest token F1 with a reference (Rajpurkar et al. 2016, SQuAD)."""
    alike = _PRESETS[options.normalise]
    references = [tokens(alike(text, item.language), item.language) for text in item.references]

    def compare(answer: str) -> Compared:
        plain = alike(answer, item.language)
        cut = tokens(plain, item.language)
        return Compared(max(token_f1(cut, reference) for reference in references), plain)

    return over_answers(item, compare)


METRICS = {
    "exact_match": Metric(
        "exact_match", _TEXT, exact_match, "share of answers that equal a reference", options=ExactOptions
    ),
    "f1": Metric("f1", _TEXT, f1, "token F1 with the nearest reference", options=F1Options),
}
