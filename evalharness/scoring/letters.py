"""A text and the letters of the choices in, which choice it declares out: (B), B., Answer: B, 답: B, the choice's own words.

What is looked for, in this order: the text is a letter, or the words of a choice; a letter declared after a word or sign that
announces one, or alone on a line, or set off (bold, boxed), where the last declaration wins; the last letter in brackets or
before a point; the only letter that stands alone (an A that begins a sentence is an article). A list of all letters in order
restates the question and is passed over.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import regex  # type: ignore[import-untyped]

from evalharness.scoring.kind import TextItem

LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_USUAL = 10  # letters that are looked for where the prompt does not say how many choices there are

_CUES = (
    "answer|option|choice|is|antwort|lautet|ist|respuesta|opción|es|réponse|est|risposta|opzione|è|resposta|"
    "opção|alternativa|letra|é|antwoord|optie|odpowiedź|opcja|to|odpověď|možnost|je|răspuns|răspunsul|este|"
    "cevap|yanıt|seçenek|şık|jawaban|jawabannya|opsi|pilihan|adalah|đáp án|câu trả lời|lựa chọn|là|ответ|вариант|відповідь|"
    "варіант|απάντηση|επιλογή|είναι|الإجابة|الجواب|الخيار|هي|هو|پاسخ|جواب|گزینه|תשובה|התשובה|היא|הוא|उत्तर|जवाब|"
    "विकल्प|উত্তর|বিকল্প|సమాధానం|జవాబు|jibu|ni"
)
_UNSPACED_CUES = (
    "คำตอบคือ|คำตอบ|ข้อ|答えは|答え|解答は|解答|正解は|正解|答案是|答案为|答案為|答案|选择|選擇|"
    "选|選|是|정답은|정답|답은|답"
)
_SCRIPTS = {
    "LATIN": r"\p{Latin}", "CYRILLIC": r"\p{Cyrillic}", "GREEK": r"\p{Greek}", "ARABIC": r"\p{Arabic}", "HEBREW": r"\p{Hebrew}",
    "DEVANAGARI": r"\p{Devanagari}", "BENGALI": r"\p{Bengali}", "TELUGU": r"\p{Telugu}", "TAMIL": r"\p{Tamil}",
    "ARMENIAN": r"\p{Armenian}", "GEORGIAN": r"\p{Georgian}",
}  # fmt: skip
_ALEF = str.maketrans("أإآٱ", "اااا")
_INVISIBLE = regex.compile(r"[\u200b-\u200f\u061c\u202a-\u202e\u2060-\u2069\ufeff\u0640]")
_OPEN = r"[\s\"'“”„«»‹›「『(\[{<*_`$\\]*+"


def choice_letters(item: TextItem) -> tuple[str, ...]:
    """Return the letters of the item's choices: its own, or A, B, C … as many as there are choices."""
    return item.letters or tuple(LATIN[: len(item.choices) or _USUAL])


def plain(text: str) -> str:
    """Return ``text`` with full-width letters made plain, the forms of alef as one, and invisible marks removed."""
    return str(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text).translate(_ALEF)))


def _bare(text: str) -> str:
    """Return ``text`` without the punctuation, signs and spaces around it."""
    begin, end = 0, len(text)
    while begin < end and unicodedata.category(text[begin])[0] in "PSZC":
        begin += 1
    while end > begin and unicodedata.category(text[end - 1])[0] in "PSZC":
        end -= 1
    return text[begin:end]


class _Finders(NamedTuple):
    """The patterns of one set of letters, and which choice each spelling stands for."""

    position: dict[str, int]
    declared: regex.Pattern[str]
    bracketed: regex.Pattern[str]
    alone: regex.Pattern[str]


@lru_cache(maxsize=256)
def _finders(letters: tuple[str, ...]) -> _Finders:
    """Return the patterns for ``letters``; Latin ones count too, but not beside Cyrillic ones, which look the same."""
    own = {plain(letter): at for at, letter in enumerate(letters)}
    family = unicodedata.name(next(iter(own))[:1] or " ", "").split(" ")[0]
    latin = {} if family == "CYRILLIC" else {letter: at for at, letter in enumerate(LATIN[: len(letters)])}
    position = latin | own
    small = {letter.lower(): at for letter, at in position.items()} | position
    one = "|".join(map(regex.escape, sorted(position, key=len, reverse=True)))
    any_case = "|".join(map(regex.escape, sorted(small, key=len, reverse=True)))
    script = "".join({_SCRIPTS.get(family, ""), _SCRIPTS["LATIN"]})
    before, after = rf"(?<![{script}\p{{M}}\p{{Nd}}])", rf"(?![{script}\p{{M}}\p{{Nd}}])"
    words = rf"(?i:(?<!\p{{L}})(?:{plain(_CUES)})(?!\p{{L}})|(?:{plain(_UNSPACED_CUES)}))\s*+[:=—–-]*+"
    cue = rf"(?:{words}|[:=]|->|=>|→|\\boxed\{{(?:\\text\{{)?)"
    return _Finders(
        small,
        regex.compile(
            rf"{cue}{_OPEN}(?:(?P<l>{one})|(?<=[(\[])(?P<l>{any_case})(?=[)\]])){after}"
            rf"|\*\*[(\[]?(?P<l>{one})[)\].]?\*\*|(?m:^)[^\w\n]*+(?P<l>{one})[^\w\n]*+(?m:$)"
        ),
        regex.compile(rf"[(\[](?P<l>{any_case})[)\]]|{before}(?P<l>{one})(?=[.):](?:\s|$))"),
        regex.compile(rf"{before}(?!(?<=(?:\A|[.!?\n])\s{{0,3}})A\s+\p{{Latin}})(?P<l>{one}){after}"),
    )


def find_choice(text: str, letters: tuple[str, ...], choices: tuple[str, ...] = ()) -> int | None:
    """Return the position of the choice that ``text`` declares, or ``None`` where it declares none, or not which."""
    text = plain(text)
    finders = _finders(letters)
    bare = _bare(text)
    if (whole := finders.position.get(bare, finders.position.get(bare.lower()))) is not None:
        return whole
    words = [_bare(plain(choice)).casefold() for choice in choices]
    if bare and words.count(bare.casefold()) == 1:
        return words.index(bare.casefold())
    text = _without_list(text, finders, len(letters))
    if declared := _positions(finders.declared, finders, text):
        return declared[-1]
    if bracketed := _positions(finders.bracketed, finders, text):
        return bracketed[-1]
    alone = set(_positions(finders.alone, finders, text))
    return alone.pop() if len(alone) == 1 else None


def _without_list(text: str, finders: _Finders, count: int) -> str:
    """Return ``text`` without lists of all letters in order, which restate the question."""
    marks = list(finders.bracketed.finditer(text)) if count > 1 else []
    order = [finders.position[mark["l"]] for mark in marks]
    at = 0
    kept, begin = "", 0
    while at + count <= len(marks):
        if order[at : at + count] == list(range(count)):
            kept, begin = f"{kept}{text[begin : marks[at].start()]}\n", marks[at + count - 1].end()
            at += count
        else:
            at += 1
    return kept + text[begin:]


def find_mentioned(text: str, choices: tuple[str, ...]) -> int | None:
    """Return the position of the only choice whose words occur in ``text``, or ``None``; longer choices are looked for first."""
    left = plain(text).casefold()
    found = set()
    words = [_bare(plain(choice)).casefold() for choice in choices]
    for at in sorted(range(len(words)), key=lambda at: -len(words[at])):
        if words[at] and words[at] in left:
            found.add(at)
            left = left.replace(words[at], "\n")
    return found.pop() if len(found) == 1 else None


def reference_choice(reference: str, letters: tuple[str, ...], choices: tuple[str, ...]) -> int | None:
    """Return the position that a reference names: a letter of ours, a Latin one, or the words of a choice; ``None`` unknown."""
    bare = _bare(plain(reference))
    if (at := _finders(letters).position.get(bare)) is not None:
        return at
    words = [_bare(plain(choice)).casefold() for choice in choices]
    return words.index(bare.casefold()) if bare and words.count(bare.casefold()) == 1 else None


def _positions(pattern: regex.Pattern[str], finders: _Finders, text: str) -> list[int]:
    return [finders.position[match["l"]] for match in pattern.finditer(text)]
