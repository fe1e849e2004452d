"""BCP 47 codes in; names, script, direction, signs of numbers (CLDR, through babel), family and resources (a table) out."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from babel import Locale, UnknownLocaleError
from babel.core import get_global

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_UNKNOWN = re.compile(r"und\b", re.IGNORECASE)  # babel takes it for American English
_UNSPACED = frozenset(["ja", "km", "lo", "my", "th", "yue", "zh"])
_RTL_SCRIPTS = frozenset(["Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"])


@lru_cache(maxsize=1024)
def _locale(code: str) -> Locale | None:
    if _UNKNOWN.match(code):
        return None
    try:
        return Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return None


def is_tag(text: str) -> bool:
    """Say whether ``text`` looks like a BCP 47 language tag (``de``, ``pt-BR``, ``zh-Hant``)."""
    return bool(_TAG.fullmatch(text))


def is_language(code: str) -> bool:
    """Say whether CLDR knows a name for the language of ``code``."""
    return is_tag(code) and code.split("-", maxsplit=1)[0].lower() in Locale("en").languages


def name(code: str, within: str = "en") -> str:
    """Return the language's name in the language ``within`` (``de`` -> ``German``); the code itself where unknown."""
    locale, shown = _locale(code), _locale(within) or Locale("en")
    if locale is not None and (found := locale.get_display_name(shown)):
        return str(found)
    known = (shown or Locale("en")).languages
    return str(known.get(code.split("-", maxsplit=1)[0].lower(), code))


def own_name(code: str) -> str:
    """Return the language's name in itself (``de`` -> ``Deutsch``)."""
    return name(code, code)


@lru_cache(maxsize=1024)
def script(code: str) -> str | None:
    """Return the ISO 15924 script of ``code`` (``Latn``, ``Arab``, …), likely subtags of CLDR applied; ``None`` unknown."""
    for part in code.split("-")[1:]:
        if len(part) == 4 and part.isalpha():
            return part.title()
    if _UNKNOWN.match(code):
        return None
    likely = get_global("likely_subtags")
    found = likely.get(code.replace("-", "_")) or likely.get(code.split("-", maxsplit=1)[0].lower())
    parts = str(found).split("_") if found else []
    return next((part for part in parts[1:] if len(part) == 4), None)


def direction(code: str) -> str:
    """Return ``rtl`` or ``ltr``, the direction of the language's script."""
    return "rtl" if script(code) in _RTL_SCRIPTS else "ltr"


def writes_spaces(code: str) -> bool:
    """Say whether the language puts spaces between words: not Chinese, Japanese, Thai, Khmer, Lao and Burmese."""
    return code.split("-", maxsplit=1)[0].lower() not in _UNSPACED


@lru_cache(maxsize=1024)
def number_signs(code: str) -> tuple[str, str]:
    """Return (decimal sign, group sign) that the language uses with digits 0-9 in CLDR; of English where unknown."""
    signs = (_locale(code) or Locale("en")).number_symbols["latn"]
    return str(signs["decimal"]), str(signs["group"])


class _Row(NamedTuple):
    """A language of the table: its family, and its class in the taxonomy of resources; ``None`` is unknown."""

    family: str | None
    resource_class: int | None


@cache
def _table() -> dict[str, _Row]:
    lines = Path(__file__).with_name("languages.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["code"]: _Row(row["family"] or None, int(row["resource_class"]) if row["resource_class"] else None)
        for row in rows
    }


def _row(code: str) -> _Row:
    return _table().get(code.split("-", maxsplit=1)[0].lower(), _Row(None, None))


def family(code: str) -> str | None:
    """Return the family of the language as Glottolog names it (``de`` -> ``Indo-European``), or ``None`` where unknown."""
    return _row(code).family


def resource_class(code: str) -> int | None:
    """Return the class of the language by its resources, 0 (left behind) to 5 (winner), or ``None`` where unknown.

    Joshi et al. 2020, "The State and Fate of Linguistic Diversity and Inclusion in the NLP World", ACL.
    """
    return _row(code).resource_class


def resource_level(code: str) -> Literal["high", "mid", "low"] | None:
    """Return ``high`` (classes 4 and 5), ``mid`` (3) or ``low`` (0 to 2): the groups of Üstün et al. 2024, "Aya Model"."""
    found = resource_class(code)
    return None if found is None else "high" if found >= 4 else "mid" if found == 3 else "low"


AXES: Mapping[str, Callable[[str], str | None]] = {"family": family, "script": script, "resource": resource_level}
UNKNOWN = "unknown"


def group(axis: str, code: str) -> str:
    """Return the group of the language on one of AXES (``family``, ``de`` -> ``Indo-European``), ``unknown`` where unknown."""
    return AXES[axis](code) or UNKNOWN


def grouped(axis: str, codes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the groups that the languages ``codes`` form on one of AXES, and the languages of each, both sorted."""
    found: dict[str, list[str]] = {}
    for code in sorted(set(codes)):
        found.setdefault(group(axis, code), []).append(code)
    return {name: tuple(found[name]) for name in sorted(found)}
