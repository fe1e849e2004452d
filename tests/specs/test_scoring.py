"""Metrics of a task: a name or a record, one headline, options that are checked where they were written."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from evalharness.errors import SpecError
from evalharness.scoring import METRICS, NAMES
from evalharness.scoring.kind import Metric
from evalharness.specs.fields import convert
from evalharness.specs.reader import Document, read
from evalharness.specs.scoring import MetricSpec, StepSpec, StepWord, check_metrics, headline, metric_specs


def metrics(yaml: str) -> tuple[tuple[MetricSpec, ...], Document]:
    document = read(f"metrics: {yaml}", "t.yaml")
    lines = convert(tuple[str | MetricSpec, ...], document.data["metrics"], document, ("metrics",))
    return metric_specs(lines), document


def test_a_name_is_a_metric_without_settings() -> None:
    specs, document = metrics("[acc, {name: acc_norm, headline: true, chance: 0.25}]")
    check_metrics(specs, document)
    assert specs == (MetricSpec("acc"), MetricSpec("acc_norm", headline=True, chance=0.25))
    assert headline(specs) == specs[1]
    assert headline(specs[:1]) == specs[0]
    assert headline(()) is None


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("[acc, acc]", r"metrics\[1\]: 'acc' is listed twice with the same options"),
        ("[{name: a, headline: true}, {name: b, headline: true}]", r"metrics\[1\].headline: 'a' is it; mark one alone"),
    ],
)
def test_a_mistake_in_the_list_is_told(yaml: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_metrics(*metrics(yaml))


def test_one_metric_may_stand_twice_with_other_options() -> None:
    check_metrics(*metrics("[{name: pass_at_k, options: {k: 1}}, {name: pass_at_k, options: {k: 10}}]"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("acc", "{ignore_case: true}", "ignore_case: unknown key"),
        ("exact_match", "{ignore_cas: true}", "did you mean 'ignore_case'"),
        ("exact_match", "{ignore_punctuation: asci}", "'asci' is not one of ascii; did you mean 'ascii'"),
        ("exact_match", "{normalise: squat}", "did you mean 'squad'"),
        ("exact_match", "{regexes_to_ignore: ['(']}", "is not a regular expression"),
        ("number", "{take: lst}", "did you mean 'last'"),
        ("pass_at_k", "{k: 0}", "k must be 1 or more"),
        ("pass_at_k", "{k: [1, 0]}", "k must be 1 or more"),
        ("chrf", "{char_order: 0}", "char_order must be 1 or more"),
        ("bleu", "{tokenize: moses}", "'moses' is not one of 13a, intl, zh"),
    ],
)
def test_options_are_checked_by_their_metric(name: str, options: str, message: str) -> None:
    document = read(f"options: {options}", "t.yaml")
    with pytest.raises(SpecError, match=r"t\.yaml:1: options") as caught:
        METRICS[name].read_options(document, ("options",))
    assert message in str(caught.value)


def test_options_that_are_right_are_filled_up_with_defaults() -> None:
    document = read("options: {k: [1, 10]}")
    assert METRICS["pass_at_k"].read_options(document, ("options",)) == {"k": (1, 10)}
    document = read("options: {ignore_punctuation: true}")
    found = METRICS["exact_match"].read_options(document, ("options",))
    assert (found["ignore_punctuation"], found["ignore_case"], found["strip"]) == (True, False, True)


def test_every_metric_is_there_under_its_name() -> None:
    assert len(METRICS) == len(NAMES)
    for name in METRICS:
        metric = METRICS[name]
        assert isinstance(metric, Metric)
        assert metric.name == name
        assert metric.outputs <= {"choice", "text", "loglikelihood", "code"}
    with pytest.raises(KeyError):
        METRICS["accuracy"]
    assert "accuracy" not in METRICS


def test_the_docs_name_every_metric_option_and_step() -> None:
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    options = {f.name for metric in METRICS.values() for f in fields(metric.options)}
    steps = {*get_args(StepWord), *(f.name for f in fields(StepSpec))}
    missing = [name for name in sorted({*METRICS, *options, *steps}) if not re.search(rf"[`{{]{name}\b", page)]
    assert missing == []
