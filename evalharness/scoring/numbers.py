"""A text and its language in, the numbers written in it out, exact: digits of every script, signs as the language has them.

Separators are read by these rules. Spaces that do not break, apostrophes and the Arabic thousands sign group; a plain space
groups where CLDR groups with a space. The Arabic decimal sign is one. Of points and commas: where both occur, the last is the
decimal sign and the other groups; one that occurs several times groups; one that occurs once before exactly three digits, and
after one to three that are not 0, is the decimal sign if it is the language's, else it groups; any other is the decimal sign.
Groups have three digits, or two before the last three (India). Digits whose groups have other sizes are separate numbers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from evalharness.languages import number_signs

MOST_DIGITS = 400  # of one number: longer runs of digits are no answer anyone counts with

_NBSP = "\u00a0"
_PLAIN = str.maketrans(
    {"\u2212": "-", "\ufe63": "-", "\uff0d": "-", "\uff0b": "+", "\uff0c": ",", "\uff0e": ".", "\u2019": "'", "\uff07": "'"}
    | dict.fromkeys("\u2007\u2009\u202f", _NBSP)
)  # fmt: skip
_INVISIBLE = regex.compile(r"[\u200b-\u200f\u061c\u202a-\u202e\u2060-\u2069\ufeff]")
_LATEX = ((r"{,}", ","), (r"\,", _NBSP))
_DIGIT = regex.compile(r"[^\P{Nd}0-9]")
_HAN = {ord(han): str(value) for value, han in enumerate("〇一二三四五六七八九")} | {ord("零"): "0"}
_HAN_NUMBER = regex.compile(r"[-+]?[〇零一二三四五六七八九]++(?:[.,][〇零一二三四五六七八九]++)*+")
_PLAIN_NUMBER = regex.compile(r"[-+]?[0-9]++(?:\.[0-9]++)?")
_GROUPED = regex.compile(r"[0-9]{1,3}(?:g[0-9]{3})+|[0-9]{1,2}(?:g[0-9]{2})+g[0-9]{3}")
_GROUPING = regex.compile("[\u00a0 '\u066c]")
_SIGNS = regex.compile("[., '\u00a0\u066b\u066c]")
_UNITS = {"百": 10**2, "백": 10**2, "千": 10**3, "천": 10**3, "万": 10**4, "萬": 10**4, "만": 10**4} | {
    "亿": 10**8, "億": 10**8, "억": 10**8, "兆": 10**12, "조": 10**12
}  # fmt: skip
_EAST_ASIAN = frozenset({"ja", "ko", "yue", "zh"})


@lru_cache(maxsize=4)
def _tokens(spaced: bool, units: bool) -> regex.Pattern[str]:
    sign = r"(?P<sign>(?<![\p{L}\p{M}0-9)\]])[-+](?:\p{Sc}\u00a0?)?)?"
    separators = r"[.,'\u00a0\u066b\u066c" + (" " if spaced else "") + "]"
    body = rf"(?P<body>[0-9]++(?:{separators}[0-9]++)*+|(?<![\p{{L}}0-9])[.,\u066b][0-9]++)"
    unit = f"(?P<unit>[{''.join(_UNITS)}]{{1,2}})?" if units else "(?P<unit>(?!))?"
    return regex.compile(rf"{sign}{body}(?:[eE](?P<exponent>[-+]?[0-9]{{1,2}})(?![\p{{L}}0-9.]))?{unit}")


def _plain(text: str) -> str:
    """Return ``text`` with ASCII digits and signs, without invisible marks."""
    for written, meant in _LATEX:
        text = text.replace(written, meant)
    plain = _INVISIBLE.sub("", text.translate(_PLAIN))
    # of digits newer than Python's Unicode nothing is known
    plain = _DIGIT.sub(lambda m: str(unicodedata.decimal(m[0], m[0])), plain)
    return str(plain.translate(_HAN)) if _HAN_NUMBER.fullmatch(plain.strip()) else plain


def find_numbers(text: str, language: str) -> list[Decimal]:
    """Return the numbers in ``text`` in order; currency and per cent signs beside them are passed over.

    A hyphen is a sign where no letter, digit or bracket stands before it. In Chinese, Japanese and Korean a number takes the
    units written after it: 1万5000 is 15,000.
    """
    decimal, group = number_signs(language)
    east_asian = language.split("-", maxsplit=1)[0] in _EAST_ASIAN
    pattern = _tokens(group in ("\u00a0", "\u202f", " "), east_asian)
    found: list[Decimal] = []
    end, smallest = -1, 0  # where the last number with a unit ended, and that unit
    for match in pattern.finditer(_plain(text)):
        values = list(_values(match["body"], decimal))
        if not values:
            continue
        sign = -1 if (match["sign"] or "").startswith("-") else 1
        unit = 1
        for each in match["unit"] or "":
            unit *= _UNITS[each]
        values[0] *= sign
        values[-1] = (values[-1] * unit).scaleb(int(match["exponent"] or 0))
        if match.start() == end and unit < smallest:
            found[-1] += values[0] if found[-1] >= 0 else -values[0]
            values = values[1:]
        found += values
        end, smallest = (match.end(), unit) if unit > 1 else (-1, 0)
    return found


def parse_number(text: str, language: str) -> Decimal | None:
    """Return the one number of ``text``, or ``None`` where there is none or more than one."""
    found = find_numbers(text, language)
    return found[0] if len(found) == 1 else None


def reference_number(text: str, language: str) -> Decimal | None:
    """Return the number of a reference: digits with a point as data files write them, else as the language writes it."""
    plain = text.strip()
    return Decimal(plain) if _PLAIN_NUMBER.fullmatch(plain) else parse_number(plain, language)


def shown(number: Decimal) -> str:
    """Return ``number`` in digits with a decimal point, without needless zeros."""
    plain = format(number, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def _values(body: str, decimal: str) -> Iterator[Decimal]:
    """Yield the number that digits with separators stand for; several where they do not make one."""
    if len(body) > MOST_DIGITS:
        return
    whole, point, fraction = _split(body, decimal)
    marks = set(_SIGNS.findall(whole))
    grouped = whole.replace(next(iter(marks)), "g") if len(marks) == 1 else whole
    if not marks or (len(marks) == 1 and _GROUPED.fullmatch(grouped)):
        yield Decimal(f"{grouped.replace('g', '') or '0'}{'.' if point else ''}{fraction}")
    else:
        yield from (Decimal(digits) for digits in _SIGNS.split(body) if digits)


def _split(body: str, decimal: str) -> tuple[str, str, str]:
    """Return (whole part with its group signs, decimal sign or nothing, fraction) by the rules of the module."""
    if "\u066b" in body:
        return body.rpartition("\u066b")
    kinds = [mark for mark in ".," if mark in body]
    if not kinds:
        return body, "", ""
    last = max(kinds, key=body.rindex)
    if body.count(last) > 1:
        return body, "", ""
    whole, point, fraction = body.rpartition(last)
    alone = len(kinds) == 1 and not _GROUPING.search(whole)
    if alone and len(fraction) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0" and last != decimal:
        return body, "", ""
    return whole, point, fraction
