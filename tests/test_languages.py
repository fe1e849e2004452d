"""Codes are BCP 47, names come from CLDR, and what is not known is not made up."""

from __future__ import annotations

import pytest

from evalharness.languages import (
    direction,
    family,
    is_language,
    is_tag,
    name,
    number_signs,
    own_name,
    resource_class,
    resource_level,
    script,
    writes_spaces,
)


@pytest.mark.parametrize("code", ["de", "pt-BR", "zh-Hant", "zh-Hant-TW", "es-419", "yue", "EN"])
def test_a_tag_is_a_tag(code: str) -> None:
    assert is_tag(code)
    assert is_language(code)


@pytest.mark.parametrize(
    "code", ["", "d", "deutsch", "de_AT", "de-", "-de", "de\n", "de ", "../de", "1a", "ä", "de-verylongsubtag"]
)
def test_what_is_no_tag_is_not_taken_for_one(code: str) -> None:
    assert not is_tag(code)
    assert not is_language(code)


def test_a_tag_of_no_language_is_no_language() -> None:
    assert is_tag("xx")
    assert not is_language("xx")


@pytest.mark.parametrize(
    ("code", "english", "own", "written", "way"),
    [
        ("de", "German", "Deutsch", "Latn", "ltr"),
        ("no", "Norwegian", "norsk", "Latn", "ltr"),
        ("ar", "Arabic", "العربية", "Arab", "rtl"),
        ("he", "Hebrew", "עברית", "Hebr", "rtl"),
        ("fa", "Persian", "فارسی", "Arab", "rtl"),
        ("ur", "Urdu", "اردو", "Arab", "rtl"),
        ("ckb", "Central Kurdish", "کوردیی ناوەندی", "Arab", "rtl"),
        ("zh", "Chinese", "中文", "Hans", "ltr"),
        ("zh-Hant", "Chinese (Traditional)", "中文 (繁體)", "Hant", "ltr"),
        ("zh-TW", "Chinese (Traditional, Taiwan)", "中文 (繁體, 台灣)", "Hant", "ltr"),
        ("sr-Latn", "Serbian (Latin)", "srpski (latinica)", "Latn", "ltr"),
        ("ja", "Japanese", "日本語", "Jpan", "ltr"),
        ("xx", "xx", "xx", None, "ltr"),
    ],
)
def test_cldr_knows_name_script_and_direction(code: str, english: str, own: str, written: str | None, way: str) -> None:
    assert (name(code), own_name(code), script(code), direction(code)) == (english, own, written, way)


def test_a_name_can_be_asked_for_in_another_language() -> None:
    assert name("de", within="fr") == "allemand"
    assert name("de", within="xx") == "German"


def test_the_undetermined_language_is_not_american_english() -> None:
    assert name("und") == own_name("und") == "Unknown language"
    assert script("und") is None
    assert script("und-Arab") == "Arab"


@pytest.mark.parametrize(
    ("code", "kin", "resources", "level"),
    [
        ("de", "Indo-European", 5, "high"),
        ("pt-BR", "Indo-European", 4, "high"),
        ("zh-Hant", "Sino-Tibetan", 5, "high"),
        ("id", "Austronesian", 3, "mid"),
        ("te", "Dravidian", 1, "low"),
        ("sw", "Atlantic-Congo", 2, "low"),
        ("qu", "Quechuan", 1, "low"),
        ("xx", None, None, None),
        ("und", None, None, None),
    ],
)
def test_the_table_knows_family_and_resources(
    code: str, kin: str | None, resources: int | None, level: str | None
) -> None:
    assert (family(code), resource_class(code), resource_level(code)) == (kin, resources, level)


def test_the_table_holds_every_language_of_the_benchmarks() -> None:
    benchmarks = (
        "ar cs de el en es fa fr he hi id it ja ko nl pl pt ro ru tr uk vi zh et ht qu sw ta th eu my te bn ca da gu hr hu hy "
        "is kn ml mr nb ne sk sr sv am fil ha ig ky lt mg ms ny si sn so yo sq az be bg fi ka kk mk tl ur uz"
    )
    assert [code for code in benchmarks.split() if family(code) is None or resource_level(code) is None] == []
    assert [code for code in benchmarks.split() if script(code) is None] == []


def test_signs_of_numbers_and_spaces_are_the_languages() -> None:
    assert number_signs("de") == (",", ".")
    assert number_signs("en") == number_signs("xx") == (".", ",")
    assert number_signs("fr")[0] == ","
    assert [code for code in ("ja", "zh-Hant", "th", "de", "ko") if not writes_spaces(code)] == ["ja", "zh-Hant", "th"]
