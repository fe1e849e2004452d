"""The log-probabilities of fixed choices in, accuracies and macro-F1 out; of equally likely choices the first is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evalharness.scoring.kind import MISSING, ChoiceItem, Floats, Measure, Metric, plain

_CHOICE = frozenset({"choice"})


def _scored(item: ChoiceItem, scores: Sequence[float] | str) -> Measure:
    """Return whether the choice of the highest score is right; ``scores`` as a text is the reason why there are none."""
    if item.failure is not None:
        return Measure(0.0, item.failure, n_failed=1)
    if isinstance(scores, str):
        return Measure(None, scores)
    taken = max(range(len(scores)), key=scores.__getitem__)
    return Measure(float(taken in item.right), answer=item.choices[taken])


def _logprobs(item: ChoiceItem, values: tuple[float, ...] | None) -> tuple[float, ...] | str:
    if values is None or len(values) != len(item.choices) or not values or any(math.isnan(v) for v in values):
        return MISSING
    return "zero_probability" if max(values) == -math.inf else values


def _per(values: tuple[float, ...] | str, lengths: tuple[int, ...]) -> Sequence[float] | str:
    if isinstance(values, str):
        return values
    return [v / n for v, n in zip(values, lengths, strict=True)] if all(lengths) else "empty_choice"


def acc(item: ChoiceItem) -> Measure:
    """Return whether the likeliest choice is right."""
    return _scored(item, _logprobs(item, item.logprobs))


def acc_norm(item: ChoiceItem) -> Measure:
    """Return whether the choice of the highest log-probability per character is right."""
    return _scored(item, _per(_logprobs(item, item.logprobs), item.chars))


def acc_bytes(item: ChoiceItem) -> Measure:
    """Return whether the choice of the highest log-probability per UTF-8 byte is right."""
    return _scored(item, _per(_logprobs(item, item.logprobs), item.bytes))


def acc_pmi(item: ChoiceItem) -> Measure:
    """Return whether the choice that the prompt makes likelier by the largest factor is right.

    The score is log p(choice | prompt) - log p(choice) (Holtzman et al. 2021, "Surface Form Competition").
    """
    if item.failure is not None:
        return _scored(item, ())
    given, alone = _logprobs(item, item.logprobs), _logprobs(item, item.unconditional)
    if isinstance(given, str) or isinstance(alone, str):
        return Measure(None, given if isinstance(given, str) else "no_unconditional")
    if -math.inf in alone:
        return Measure(None, "zero_probability")
    return _scored(item, [a - b for a, b in zip(given, alone, strict=True)])


def macro_f1(item: ChoiceItem) -> Measure:
    """Return the prompt's counts for the F1 of each choice as a class: true positives, false positives, false negatives.

    The parts are these three per class, class by class: all prompts of a task must offer the same choices. The class of a
    prompt with several right choices is the chosen one if that is right, else the first right one. The value of one prompt
    says whether it is right.
    """
    measure = acc(item)
    if measure.value is None:
        return measure
    counts = [0.0] * (3 * len(item.choices))
    if item.failure is not None:  # nothing was chosen: the right class was missed
        counts[3 * min(item.right) + 2] = 1.0
        return replace(measure, parts=tuple(counts))
    scores = item.logprobs
    taken = max(range(len(scores)), key=scores.__getitem__)
    true = taken if taken in item.right else min(item.right)
    if taken == true:
        counts[3 * taken] = 1.0
    else:
        counts[3 * taken + 1] = counts[3 * true + 2] = 1.0
    return Measure(measure.value, parts=tuple(counts), answer=measure.answer)


def corpus_macro_f1(sums: Floats) -> Floats:
    """Return the mean F1 over classes from summed counts [..., 3 x classes]; classes never right nor chosen are left out."""
    hits, false, missed = (sums[..., k::3] for k in range(3))
    whole = 2 * hits + false + missed
    seen = whole > 0
    f1 = np.where(seen, 2 * hits / np.where(seen, whole, 1.0), 0.0)
    classes = seen.sum(axis=-1)
    return np.where(classes > 0, f1.sum(axis=-1) / np.maximum(classes, 1), np.nan)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("acc", _CHOICE, plain(acc), "share of prompts whose likeliest choice is right"),
        Metric("acc_norm", _CHOICE, plain(acc_norm), "as acc, log-probabilities divided by characters"),
        Metric("acc_bytes", _CHOICE, plain(acc_bytes), "as acc, log-probabilities divided by UTF-8 bytes"),
        Metric("acc_pmi", _CHOICE, plain(acc_pmi), "as acc, log-probabilities less those without the prompt"),
        Metric("macro_f1", _CHOICE, plain(macro_f1), "mean F1 over the choices as classes", corpus=corpus_macro_f1),
    )
}
