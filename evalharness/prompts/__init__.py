"""A data row in, a Sample out; a Sample in, what the model is shown out; two answers in, what a judge is shown out."""

from __future__ import annotations

from evalharness.prompts.judging import Duel, Single, check_judge, judge_shown, specimen
from evalharness.prompts.rendering import MAX_RENDERED, NullPrintedError, check, evaluate, render, values_of
from evalharness.prompts.samples import chosen, dataset_name, matching, samples
from evalharness.prompts.showing import (
    Form,
    Prompt,
    Scored,
    after,
    format_for,
    listed,
    named_turns,
    question,
    scored,
    shown,
)

__all__ = [
    "MAX_RENDERED",
    "Duel",
    "Form",
    "NullPrintedError",
    "Prompt",
    "Scored",
    "Single",
    "after",
    "check",
    "check_judge",
    "chosen",
    "dataset_name",
    "evaluate",
    "format_for",
    "judge_shown",
    "listed",
    "matching",
    "named_turns",
    "question",
    "render",
    "samples",
    "scored",
    "shown",
    "specimen",
    "values_of",
]
