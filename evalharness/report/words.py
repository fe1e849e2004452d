"""Codes of the statistics and stages in, plain words for readers out; the sentence that explains each column."""

from __future__ import annotations

REASONS = {
    "too_few_prompts": "too few prompts",
    "no_verdicts": "no verdicts",
    "no_verdicts_of_baseline": "no verdicts of the baseline",
    "missing_languages": "no verdicts in some languages",
    "not_strongly_connected": "too few upsets to place the models on one scale",
    "baseline": "the baseline, by definition",
    "no_spread": "the prompts do not differ",
    "no_shared_prompts": "no prompts shared with another model",
    "base_at_chance": "base at chance",
    "missing_tasks": "no scores in some tasks",
    "no_scores": "no scores",
    "no_common_scale": "its tasks have no common scale",
    "rating_covers_other_tasks": "the judge's games are of other tasks, too",
    "undefined_without_a_prompt": "undefined without one of the prompts",
    "no_base_of_this_size": "no base of this size",
    "no_base_at_this_step": "no base at this step",
    "unknown_size": "unknown size",
}

INTERVALS = {
    "bootstrap": "bootstrap",
    "clustered-t": "clustered t, few prompts",
    "wilson": "Wilson, all won or lost",
}

STATUSES = {
    "ok": "ok",
    "unparsed": "no verdict found in the judge's text",
    "truncated": "the judge's text was cut off",
    "empty": "the judge said nothing",
    "refused": "the judge refused",
    "error": "the request failed",
    "too_long": "the judge could not read so much",
    "not_asked": "not asked yet",
    "no_answer": "an answer is missing",
    "candidate_failure": "decided without the judge",
}

SCORE_STATUSES = {
    "no_match": "nothing to read in the answer",
    "candidate_failure": "the answer failed",
    "missing": "the answer is missing",
    "no_reference": "no right answer is known",
    "zero_probability": "no choice has any probability",
    "too_few_samples": "too few answers",
}

FAILURES = {
    "empty": "empty answer",
    "truncated": "its thought reached the token limit before an answer",
    "context": "the prompt did not fit",
    "refused": "refused",
    "filtered": "filtered",
}

COLUMNS = {
    "rank": (
        "Rank",
        "The places this model may hold: the best and the worst that the differences between models allow.",
    ),
    "win_rate": (
        "Win rate",
        "The share of the win that the judge gave this model, averaged over its games; 50 % is as good as the others.",
    ),
    "interval": (
        "Interval",
        "Where the rate would lie had other prompts of the kind been asked; the band in the drawing from 0 to 100 %.",
    ),
    "games": (
        "Games W/T/L",
        "Games won, tied and lost among those that count: verdicts above, at and below one half, each order by itself.",
    ),
    "matches": (
        "Prompts W/T/L",
        "Prompts won, tied and lost, counted only where the judge said the same in both orders.",
    ),
    "inconsistent": (
        "Orders disagree",
        "Matches in which the judge changed its mind when the two answers changed places.",
    ),
    "n_prompts": ("Prompts", "Different prompts behind the number; translations of one prompt count once."),
    "n_games": ("Games", "All games of the model, with and without a verdict."),
    "missing": ("Missing", "The share of games without a verdict; they count neither as a win, a tie, nor a loss."),
    "unpaired": ("Unpaired", "Games left out of the rate because the same match in the other order has no verdict."),
    "rating": (
        "Strength",
        "Bradley–Terry log-strength and interval: a model stronger by 1 should win 73 to 27; 0 is the mean, or the baseline.",
    ),
    "difference": (
        "Difference",
        "Win rate of the line's model minus that of the column's on the prompts both have, in percentage points.",
    ),
    "p_adjusted": (
        "p",
        "How often models that do not differ would come out this far apart; adjusted (Holm) for all pairs of the table.",
    ),
    "statuses": (
        "Without verdict",
        "Games without a verdict, by reason: unparsed (no verdict in the judge's text), truncated, empty, an error, …",
    ),
    "unasked": ("Not asked", "Games decided without the judge, because an answer was empty, cut off or refused."),
    "coverage": ("With verdict", "The share of games that have a verdict."),
    "consistency": ("Orders agree", "The share of matches in which the judge favoured the same answer in both orders."),
    "first_slot": (
        "First slot",
        "How often the answer read first won; far from 50 % means the judge looks at the place, not the answer.",
    ),
    "ties": ("Ties", "Games in which the judge favoured neither answer."),
    "conflicts": ("Conflicts", "Verdicts whose text holds more than one verdict; the last one counts."),
    "score": ("Mean score", "The mean of the scores that the judge gave this model's answers, each language alike."),
    "score_interval": (
        "Interval",
        "Where the mean would lie had other prompts of the kind been asked; the band in the drawing of the whole scale.",
    ),
    "n_scores": ("Answers", "All answers of the model, with and without a score."),
    "score_missing": ("Missing", "The share of answers without a score; they count neither as high nor as low."),
    "score_failed": (
        "Failed answers",
        "Answers that are empty, cut off or refused: they get the lowest score without the judge being asked.",
    ),
    "result": ("Metric", "The value over all prompts, each language alike; the task's own first metric is drawn."),
    "result_interval": ("Interval", "Where the value would lie had other prompts of the kind been asked."),
    "result_missing": ("Missing", "The share of answers without a score by a fault of ours; they count neither way."),
    "result_failed": (
        "Failed answers",
        "Answers that are empty, refused, or longer than the context: they get the lowest score.",
    ),
    "scored": ("With score", "The share of answers that have a score."),
    "score_statuses": (
        "Without score",
        "Answers without a score, by reason: unparsed (no number of the scale in the judge's text), truncated, an error, …",
    ),
    "score_unasked": ("Not asked", "Failed answers: they have the lowest score without the judge being asked."),
    "repaired": ("Second attempt", "Scores that were read only after the judge was asked once more for a number."),
    "score_conflicts": ("Conflicts", "Replies that hold more than one number; the last one counts."),
    "empty": ("Empty", "Answers without any text."),
    "truncated": ("Cut off", "Answers that reached the token limit before they ended."),
    "failed": (
        "Failed",
        "Answers that failed otherwise: the prompt did not fit, or the model refused or was filtered.",
    ),
    "errors": ("Errors", "Answers that could not be had: network, engine or context."),
    "mean_chars": ("Characters", "Mean length of an answer in characters; judges tend to favour longer answers."),
    "mean_tokens": ("Tokens", "Mean length of an answer in the model's own tokens."),
}


def _spoken(table: dict[str, str], code: str | None) -> str | None:
    return None if code is None else table.get(code, code.replace("_", " "))


def reason(code: str | None) -> str | None:
    """Return why a number is not there, in words; an unknown code as it is, ``None`` for none."""
    return _spoken(REASONS, code)


def interval(code: str | None) -> str | None:
    """Return how an interval was computed, in words."""
    return _spoken(INTERVALS, code)


def status(code: str | None) -> str | None:
    """Return what became of a game, in words."""
    return _spoken(STATUSES, code)


def score_status(code: str | None) -> str | None:
    """Return why an answer scores lowest, or not at all, in words."""
    return _spoken(SCORE_STATUSES, code)


def failure(code: str | None) -> str | None:
    """Return how a candidate failed, in words."""
    return _spoken(FAILURES, code)


def size(code: str | None) -> str:
    """Return a size class in words: ``4-10`` -> ``4–10 B`` (billions of parameters), ``unknown`` for none."""
    return "unknown" if code in (None, "unknown") else f"{code}".replace("-", "–") + " B"
