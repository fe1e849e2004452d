"""The names of a task and of its data set's configuration in, the language they say out: a BCP 47 tag, or ``None``."""

from __future__ import annotations

import re
from functools import cache

from babel import Locale

_CODE = re.compile(r"[a-z]{2}")
_FLORES = re.compile(r"([a-z]{3})_([A-Z][a-z]{3})")
_REGION = re.compile(r"([a-zA-Z]{2})[-_]([A-Z]{2})")
_ISO_3 = {  # ISO 639-3 codes of FLORES-200 that have a shorter tag in BCP 47
    "afr": "af", "amh": "am", "arb": "ar", "asm": "as", "azj": "az", "bel": "be", "ben": "bn", "bos": "bs", "bul": "bg",
    "cat": "ca", "ces": "cs", "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "est": "et", "eus": "eu",
    "fin": "fi", "fra": "fr", "gle": "ga", "glg": "gl", "guj": "gu", "hau": "ha", "heb": "he", "hin": "hi", "hrv": "hr",
    "hun": "hu", "hye": "hy", "ibo": "ig", "ind": "id", "isl": "is", "ita": "it", "jav": "jv", "jpn": "ja", "kan": "kn",
    "kat": "ka", "kaz": "kk", "khk": "mn", "khm": "km", "kin": "rw", "kir": "ky", "kor": "ko", "lao": "lo", "lit": "lt",
    "lvs": "lv", "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mya": "my", "nld": "nl", "nob": "nb", "npi": "ne",
    "nya": "ny", "ory": "or", "pan": "pa", "pbt": "ps", "pes": "fa", "plt": "mg", "pol": "pl", "por": "pt", "ron": "ro",
    "rus": "ru", "sin": "si", "slk": "sk", "slv": "sl", "sna": "sn", "snd": "sd", "som": "so", "sot": "st", "spa": "es",
    "srp": "sr", "swe": "sv", "swh": "sw", "tam": "ta", "tel": "te", "tgk": "tg", "tgl": "fil", "tha": "th", "tsn": "tn",
    "tur": "tr", "ukr": "uk", "urd": "ur", "uzn": "uz", "vie": "vi", "wol": "wo", "xho": "xh", "yor": "yo", "zho": "zh",
    "zsm": "ms", "zul": "zu",
}  # fmt: skip
_SCRIPTS = {
    "zho_Hant": "zh-Hant",
    "srp_Latn": "sr-Latn",
    "arb_Latn": "ar-Latn",
}  # where the script is not the usual one


def guessed(task: str, config: str | None) -> str | None:
    """Return the language that ``config`` (``ar``, ``arb_Arab``, ``pt-BR``, ``Albanian``) names, else the last part of the
    name of the ``task`` (``xcopa_id``); ``None`` where neither names one."""
    found = _named(config) if config else None
    parts = re.split(r"[_.-]", task)
    return found or (_named(parts[-1]) if len(parts) > 1 else None) or _flores_end(parts)


def _flores_end(parts: list[str]) -> str | None:
    end = "_".join(parts[-2:])
    return _named(end) if len(parts) > 2 and _FLORES.fullmatch(end) else None


def _named(word: str) -> str | None:
    if (flores := _FLORES.fullmatch(word)) is not None:
        return _SCRIPTS.get(word, _ISO_3.get(flores[1], flores[1]))
    if _CODE.fullmatch(word) and word in Locale("en").languages:
        return word
    if (region := _REGION.fullmatch(word)) is not None and region[1].lower() in Locale("en").languages:
        return f"{region[1].lower()}-{region[2]}" if region[2] in Locale("en").territories else region[1].lower()
    return _english_names().get(word.lower())


@cache
def _english_names() -> dict[str, str]:
    """Return the codes of CLDR's English names of languages, without regions and scripts."""
    names = {str(name).lower(): code for code, name in Locale("en").languages.items() if len(code) <= 3}
    return {name: code for name, code in names.items() if len(name) > 3} | {"tagalog": "fil"}
