"""Numbers are read as their writers meant them: every script's digits, signs as the language has them."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from evalharness.scoring.numbers import find_numbers, parse_number, reference_number, shown

CODES = "ar cs de el en es fa fr he hi id it ja ko nl pl pt ro ru tr uk vi zh bn te th"
LANGUAGES = tuple(CODES.split())
ZEROS = {
    "latn": "0", "arab": "٠", "arabext": "۰", "deva": "०", "beng": "০", "telu": "౦", "thai": "๐", "fullwide": "０",
    "tamldec": "௦", "mymr": "၀", "khmr": "០", "gujr": "૦",
}  # fmt: skip


def digits(text: str, system: str) -> str:
    zero = ord(ZEROS[system])
    return "".join(chr(zero + int(c)) if c.isascii() and c.isdigit() else c for c in text)


def systems(language: str) -> set[str]:
    """The numbering systems that CLDR says the language uses, and the one every computer has."""
    locale = Locale.parse(language)
    return {locale.default_numbering_system, *locale.other_numbering_systems.values(), "latn"} & ZEROS.keys()


def test_the_systems_of_the_languages_are_all_tried() -> None:
    assert systems("ar") >= {"arab", "latn"}
    assert systems("fa") >= {"arabext", "latn"}
    assert systems("hi") >= {"deva", "latn"}
    assert systems("bn") >= {"beng", "latn"}
    assert systems("te") >= {"telu"}
    assert systems("th") >= {"thai"}


@given(
    st.sampled_from([(language, system) for language in LANGUAGES for system in sorted(systems(language))]),
    st.decimals(-10_000_000_000, 10_000_000_000, allow_nan=False, places=3),
)
def test_what_cldr_writes_is_read_back_in_every_numbering_system(place: tuple[str, str], number: Decimal) -> None:
    language, system = place
    symbols = system if system in ("arab", "arabext") else "latn"
    written = digits(
        format_decimal(number, locale=language, numbering_system=symbols, decimal_quantization=False), system
    )
    assert find_numbers(written, language) == [number]
    assert find_numbers(f"= {written} €.", language) == [number]


@given(st.sampled_from(LANGUAGES), st.integers(-(10**12), 10**12))
def test_whole_numbers_in_the_languages_groups_are_read_back(language: str, number: int) -> None:
    assert parse_number(format_decimal(number, locale=language), language) == number


@given(st.integers(0, 10**15), st.sampled_from(sorted(ZEROS)))
def test_digits_of_any_script_are_digits_in_any_language(number: int, system: str) -> None:
    assert parse_number(digits(str(number), system), "en") == number


@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_has_a_list_of_numbers(text: str, language: str) -> None:
    for number in find_numbers(text, language):
        assert Decimal(shown(number)) == number


@pytest.mark.parametrize(
    ("text", "language", "numbers"),
    [
        ("-5", "en", "-5"),
        ("10-5", "en", "10 5"),
        ("x=-5", "en", "-5"),
        ("−1.234,5", "de", "-1234.5"),
        ("－５", "ja", "-5"),
        ("-$5 or $-5.25", "en", "-5 -5.25"),
        ("1.500", "de", "1500"),
        ("1.500", "en", "1.5"),
        ("1,500", "de", "1.5"),
        ("1,500", "en", "1500"),
        ("0,125", "en", "0.125"),
        ("1.500", "fr", "1500"),
        ("1 500", "fr", "1500"),
        ("1 500", "en", "1 500"),
        ("1\u202f234,5", "fr", "1234.5"),
        ("1'500", "de", "1500"),
        ("1’234.50", "de", "1234.5"),
        ("1,23,456.7", "hi", "123456.7"),
        ("१,२३,४५६.७", "hi", "123456.7"),
        ("١٬٢٣٤٫٥", "ar", "1234.5"),
        ("1.234.567", "en", "1234567"),
        ("1,500.00", "de", "1500"),
        ("1,2,3", "en", "1 2 3"),
        ("1,234.567.890", "en", "1 234 567 890"),
        (".5", "en", "0.5"),
        ("50 %", "de", "50"),
        ("18.", "en", "18"),
        ("1{,}500", "en", "1500"),
        ("1e3", "en", "1000"),
        ("1万5000円", "ja", "15000"),
        ("3億2千万", "ja", "320000000"),
        ("5万", "en", "5"),
        ("3만 명", "ko", "30000"),
        ("三〇", "zh", "30"),
        ("一些 5", "zh", "5"),
        ("no number", "en", ""),
    ],
)
def test_separators_signs_and_units_by_hand(text: str, language: str, numbers: str) -> None:
    assert find_numbers(text, language) == [Decimal(number) for number in numbers.split()]


def test_a_reference_in_the_notation_of_data_files_is_read_as_such() -> None:
    assert reference_number("3.125", "de") == Decimal("3.125")
    assert reference_number("3.125 km", "de") == 3125
    assert reference_number("1 oder 2", "de") is None


def test_a_flood_of_digits_is_no_number() -> None:
    assert find_numbers("9" * 100_000, "en") == []
    assert len(find_numbers("1 " * 20_000, "fr")) <= 20_000


def test_numbers_are_shown_without_needless_zeros() -> None:
    assert [shown(Decimal(n)) for n in ("1.500", "-0", "1E+3", "100", "0.10")] == ["1.5", "0", "1000", "100", "0.1"]


def test_every_decimal_digit_of_unicode_is_read() -> None:
    every = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Nd"]
    assert len(every) > 600
    assert all(find_numbers(digit, "en") == [unicodedata.decimal(digit)] for digit in every)
