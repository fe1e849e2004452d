"""Translations score what sacreBLEU says, sentence by sentence and over a corpus."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import corpus_bleu, corpus_chrf, sentence_bleu, sentence_chrf

from evalharness.scoring import METRICS
from evalharness.scoring.kind import TextItem

ANSWERS = ["Der Hund läuft schnell.", "Das Haus ist klein , sagt er", "猫は黒い。", "x", "ja"]
REFERENCES = [
    ("Der Hund rennt schnell.", "Ein Hund läuft schnell."), ("Das Haus ist klein, sagte er.", "Das Haus sei klein."),
    ("猫は白い。", "その猫は黒い。"), ("etwas ganz anderes", "nichts"), ("ja", "nein"),
]  # fmt: skip
STREAMS = [list(stream) for stream in zip(*REFERENCES, strict=True)]
TOKENS = "der die Hund Katze läuft , . schnell ist 12"
WORDS = st.lists(st.sampled_from(TOKENS.split()), max_size=12).map(" ".join)


def measures(name: str, **options: Any) -> list[Any]:
    pairs = zip(ANSWERS, REFERENCES, strict=True)
    return [METRICS[name].measure(TextItem("de", (answer,), texts), options) for answer, texts in pairs]


def corpus(name: str, found: list[Any]) -> float:
    fold = METRICS[name].corpus
    assert fold is not None
    return float(fold(np.sum([measure.parts for measure in found], axis=0)))


@pytest.mark.parametrize(("char_order", "word_order"), [(6, 2), (6, 0), (4, 1)])
def test_chrf_is_that_of_sacrebleu(char_order: int, word_order: int) -> None:
    found = measures("chrf", char_order=char_order, word_order=word_order)
    theirs = {"char_order": char_order, "word_order": word_order}
    assert corpus("chrf", found) == pytest.approx(corpus_chrf(ANSWERS, STREAMS, **theirs).score, abs=1e-9)
    for measure, answer, texts in zip(found, ANSWERS, REFERENCES, strict=True):
        assert measure.value == pytest.approx(sentence_chrf(answer, list(texts), **theirs).score, abs=1e-9)


@pytest.mark.parametrize("tokenize", ["13a", "intl", "char", "zh", "none"])
def test_bleu_is_that_of_sacrebleu(tokenize: str) -> None:
    found = measures("bleu", tokenize=tokenize)
    assert corpus("bleu", found) == pytest.approx(corpus_bleu(ANSWERS, STREAMS, tokenize=tokenize).score, abs=1e-9)
    for measure, answer, texts in zip(found, ANSWERS, REFERENCES, strict=True):
        assert measure.value == pytest.approx(sentence_bleu(answer, list(texts), tokenize=tokenize).score, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_any_corpus_scores_what_sacrebleu_says(pairs: list[tuple[str, str]]) -> None:
    answers, references = (list(texts) for texts in zip(*pairs, strict=True))
    items = [TextItem("de", (answer,), (reference,)) for answer, reference in pairs]
    theirs = {
        "chrf": corpus_chrf(answers, [references], word_order=2).score,
        "bleu": corpus_bleu(answers, [references], force=True).score,
    }
    for name, score in theirs.items():
        assert corpus(name, [METRICS[name].measure(item) for item in items]) == pytest.approx(score, abs=1e-9)


def test_draws_are_scored_together() -> None:
    for name in ("chrf", "bleu"):
        parts = np.array([measure.parts for measure in measures(name)])
        draws = np.stack([parts[[0, 1]].sum(axis=0), parts[[0, 0]].sum(axis=0), parts.sum(axis=0)])
        fold = METRICS[name].corpus
        assert fold is not None
        assert fold(draws) == pytest.approx([float(fold(draw)) for draw in draws], abs=1e-12)


def test_a_failed_answer_counts_as_an_empty_one_and_a_missing_one_not_at_all() -> None:
    chrf = METRICS["chrf"]
    whole = chrf.measure(
        TextItem("de", ("ja", None, "", "lang"), ("ja",), failures=(None, None, None, "candidate_failure"))
    )
    assert whole.value == pytest.approx(100 / 3)
    assert (whole.status, whole.n_missing, whole.n_failed, whole.answer) == ("ok", 1, 2, "ja")
    assert chrf.measure(TextItem("de", (None,), ("ja",))).parts is None
    failed = chrf.measure(TextItem("de", ("",), ("ja",)))
    assert (failed.value, failed.status) == (0.0, "candidate_failure")
    assert failed.parts is not None


def test_a_tokenizer_that_is_not_there_says_what_to_install() -> None:
    for tokenize, package, install in (
        ("ja-mecab", "MeCab", r"sacrebleu\[ja\]"), ("flores200", "sentencepiece", "pip install sentencepiece")
    ):  # fmt: skip
        if find_spec(package) is None:
            with pytest.raises(ValueError, match=install):
                METRICS["bleu"].measure(TextItem("ja", ("猫",), ("猫",)), {"tokenize": tokenize})
