"""A stored run in, its battle frame, its tables and its samples out: everything a page shows, from the journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd

from evalharness import battles, languages, tables
from evalharness.specs.fields import plain
from evalharness.stages.answers import NOT_ANSWERED, Answers
from evalharness.stages.bench import reader
from evalharness.stages.describe import thinking_spec, verdict_spec
from evalharness.stages.judge import verdict_of
from evalharness.stats.comparisons import Difference
from evalharness.stats.rank import CLUSTER, rank
from evalharness.stats.style import Style, markdown
from evalharness.store import CompletionRow, GameRow, Journal, ReviewRow, RunRow, Runs, SampleRow
from evalharness.types import Completion, Rating, Result, Score, Verdict
from evalharness.verdicts import probabilities

GROUPS = ("language", "category", "size")
UNASKED = ("not_asked", "no_answer")


@dataclass(frozen=True, slots=True)
class Played:
    """A game with its verdict (told from the slot read first) and the reply it was read from."""

    row: GameRow
    verdict: Verdict
    reply: Result | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as the journal holds it; games and reviews are in the order of the plan, grouped by sample on demand."""

    run: RunRow
    samples: tuple[SampleRow, ...]
    completions: tuple[CompletionRow, ...]
    games: tuple[GameRow, ...]
    reviews: tuple[ReviewRow, ...]
    answers: Answers


def stored(journal: Journal, name: str) -> Stored:
    """Read the run ``name``."""
    runs = Runs(journal)
    run = runs.get(name)
    samples, completions = tuple(runs.samples(name)), tuple(runs.completions(name))
    thinking = {model["name"]: spec for model in run.plan["models"] if (spec := thinking_spec(model)) is not None}
    answers = Answers(journal, samples, completions, thinking)
    games, reviews = tuple(runs.games(name)), tuple(runs.reviews(name))
    return Stored(run, samples, completions, games, reviews, answers)


def played(journal: Journal, run: Stored) -> list[Played]:
    """Return every game of ``run`` with its verdict, in the order of the samples."""
    readers = {judge["name"]: reader(verdict_spec(judge), thinking_spec(judge)) for judge in run.run.plan["judges"]}
    identities = [identity for row in run.games for identity in (row.identity, row.repair) if identity is not None]
    results = journal.results(identities)
    games = [Played(row, *verdict_of(readers[row.game.judge], row, results)) for row in run.games]
    return sorted(games, key=lambda game: game.row.sample)


def battle_frame(run: Stored, games: Sequence[Played]) -> pd.DataFrame:
    """Return the battle frame of ``games``, with the lengths, ends and Markdown of the answers."""
    style = lru_cache(maxsize=1024)(markdown)  # an answer plays several games
    return battles.frame(_battle(game, run.answers.of(game.row.sample), style) for game in games)


def _battle(game: Played, answers: Mapping[str, Completion], style_of: Callable[[str], Style]) -> dict[str, Any]:
    a, b = answers[game.row.game.model_a], answers[game.row.game.model_b]
    style = {"a": style_of(a.text), "b": style_of(b.text)}
    return battles.row(
        game.row.game, game.verdict, repeat_a=a.repeat, repeat_b=b.repeat, tokens_a=a.tokens, tokens_b=b.tokens,
        chars_a=len(a.text), chars_b=len(b.text), finish_a=a.finish, finish_b=b.finish,
        **{f"{battles.STYLE}{name}_{side}": n for side, of in style.items() for name, n in of._asdict().items()},
    )  # fmt: skip


def complete(run: Stored, games: Sequence[Played]) -> bool:
    """Say whether nothing of the run's games is missing but what failed for good."""
    answered = len({(row.sample, row.model) for row in run.completions}) == len(run.samples) * len(
        run.run.plan["models"]
    )
    asked = answered and all(game.verdict.status not in UNASKED for game in games)
    return asked and {game.row.game.judge for game in games} == {judge["name"] for judge in pair_judges(run.run.plan)}


def pair_judges(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the judges of a stored plan that compare two answers."""
    return [judge for judge in plan["judges"] if judge["compare"] == "pair"]


def summary(run: Stored, games: Sequence[Played], frame: pd.DataFrame) -> dict[str, Any]:
    """Return what ``summary.json`` holds but for scores: the tables of every judge apart, and the plan they belong to."""
    plan = run.run.plan
    statistics = plan["statistics"]
    drop = statistics["candidate_failure"] == "drop"
    sizes = {model["name"]: model["size_b"] for model in plan["models"]}
    options = {
        "baseline": plan["baseline"], "average": statistics["average"], "level": statistics["level"],
        "rounds": statistics["rounds"], "seed": statistics["seed"], "pairs": statistics["pairs"], "sizes": sizes,
    }  # fmt: skip
    ratings, others, pairs, duels, health = {}, {}, {}, {}, {}
    for judge in pair_judges(plan):
        name = judge["name"]
        own = frame[frame[battles.JUDGE] == name]
        kept = tables.without_candidate_failures(own)
        counted, other = (kept, own) if drop else (own, kept)
        groups = axes(counted[battles.LANGUAGE])
        ranked = _ranked(counted, by=groups, **options)
        ratings[name] = {axis: [asdict(r) for r in ranked.ratings if r.by == axis] for axis in ("all", *groups)}
        pairs[name] = [asdict(pair) for pair in ranked.pairs]
        others[name] = [asdict(r) for r in _ranked(other, **options).ratings]
        duels[name] = tables.head_to_head(counted, **_interval(statistics)) if len(counted) else []
        health[name] = tables.health(own) if len(own) else []
    answers = completion_table(run)
    done = complete(run, games) and not any(row["unasked"] for row in answers)
    return {
        "schema": 1, "run": run.run.name, "status": "complete" if done else "partial",
        "tasks": [{**task, "n_prompts": _prompts(run, task["task"])} for task in plan["tasks"]],
        "models": [{**model, "size_class": tables.size_class(model["size_b"])} for model in plan["models"]],
        "judges": plan["judges"], "baseline": plan["baseline"], "pairing": plan["pairing"],
        "statistics": {**statistics, "method": "winrate", "cluster": CLUSTER},
        "ratings": ratings, "pairs": pairs, "ratings_other_candidate_failure": others, "head_to_head": duels, "health": health,
        "completions": answers, "language_groups": language_groups(sample.language for sample in run.samples),
    }  # fmt: skip


def axes(codes: Iterable[str]) -> tuple[str, ...]:
    """Return the axes of a run's groups: families, scripts and resources only of several languages."""
    return GROUPS if len(set(codes)) < 2 else (*GROUPS, *languages.AXES)


def language_groups(codes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the languages of each family, script and level of resources among ``codes``."""
    return {
        axis: {name: list(found) for name, found in languages.grouped(axis, codes).items()} for axis in languages.AXES
    }


class _Ranked(NamedTuple):
    """The ratings of a judge's games and the differences between the models."""

    ratings: tuple[Rating, ...] = ()
    pairs: tuple[Difference, ...] = ()


def _ranked(frame: pd.DataFrame, **options: Any) -> _Ranked:
    """Return the ranking of ``frame``; an empty one where nothing was played yet."""
    if not len(frame):
        return _Ranked()
    ranking = rank(frame, **options)
    return _Ranked(ranking.ratings, ranking.pairs)


def _interval(statistics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: statistics[key] for key in ("level", "rounds", "seed")}


def _prompts(run: Stored, task: str) -> int:
    return len({sample.prompt_id for sample in run.samples if sample.task == task})


class _Answered(NamedTuple):
    """What is counted of a completion; its text need not stay in memory."""

    failure: str | None
    error: str | None
    finish: str
    tokens: int | None
    chars: int | None


def completion_table(run: Stored) -> list[dict[str, Any]]:
    """Return how each model answered, over all languages and in each: counts of answers, failures and errors, mean lengths."""
    rows: dict[tuple[str, str], list[_Answered]] = {}
    for sample in run.samples:
        for model, answers in run.answers.all_of(sample.position).items():
            for a in answers:
                chars = len(a.text) if a.logprobs is None else None
                answered = _Answered(a.failure, a.error, a.finish, a.tokens, chars)
                rows.setdefault((model, "all"), []).append(answered)
                rows.setdefault((model, sample.language), []).append(answered)
    return [_counted(model, language, answers) for (model, language), answers in rows.items()]


def _counted(model: str, language: str, answers: Sequence[_Answered]) -> dict[str, Any]:
    given = [answer for answer in answers if answer.error is None]
    written = [answer for answer in given if answer.chars is not None]
    chars = [answer.chars or 0 for answer in written]
    tokens = [answer.tokens for answer in written if answer.tokens is not None]
    return {
        "model": model, "language": language, "n": len(answers), "errors": len(answers) - len(given),
        "empty": sum(answer.failure == "empty" for answer in given),
        "failed": sum(answer.failure not in (None, "empty") for answer in given),
        "failures": dict(sorted(Counter(answer.failure for answer in given if answer.failure).items())),
        "truncated": sum(answer.finish == "length" for answer in given),
        "unasked": sum(answer.error == NOT_ANSWERED for answer in answers),
        "mean_chars": sum(chars) / len(chars) if chars else None,
        "mean_tokens": sum(tokens) / len(tokens) if tokens else None,
    }  # fmt: skip


def sample_documents(
    run: Stored,
    games: Sequence[Played],
    reviews: Mapping[int, Sequence[Mapping[str, Any]]],
    scores: Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]],
) -> Iterator[dict[str, Any]]:
    """Yield what ``samples.jsonl.gz`` holds: every sample with its answers, games, reviews and scores, in the plan's order."""
    labels = {judge["name"]: list(judge["verdict"]["labels"]) for judge in run.run.plan["judges"]}
    by_sample: dict[int, list[Played]] = {}
    for game in games:
        by_sample.setdefault(game.row.sample, []).append(game)
    for sample in run.samples:
        yield {
            "task": sample.task, "prompt_id": sample.prompt_id, "language": sample.language, "category": sample.category,
            "prompt": sample.prompt,
            "target": plain(sample.target),
            "answers": {model: _answer_document(found) for model, found in run.answers.all_of(sample.position).items()},
            "scores": list(scores.get((sample.task, sample.language, sample.prompt_id), ())),
            "games": [_game_document(game, labels) for game in by_sample.get(sample.position, ())],
            "reviews": list(reviews.get(sample.position, ())),
        }  # fmt: skip


def _answer_document(answers: Sequence[Completion]) -> dict[str, Any]:
    """Return a model's answer; the texts of the others, where there are several, are in ``repeats``."""
    first = answers[0]
    return {
        "text": first.text, "thinking": first.thinking, "finish": first.finish, "tokens": first.tokens,
        "failure": first.failure, "error": first.error, "logprobs": first.logprobs,
        **({"repeats": [answer.text for answer in answers]} if len(answers) > 1 else {}),
    }  # fmt: skip


def score_documents(scores: Sequence[Score]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return what ``samples.jsonl.gz`` holds of scores, by task, language and prompt id."""
    out: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for score in scores:
        out.setdefault((score.task, score.language, score.prompt_id), []).append({
            "model": score.model, "metric": score.metric, "filter": score.filter, "value": score.value,
            "status": score.status, "answer": score.answer,
        })  # fmt: skip
    return out


def _game_document(game: Played, labels: Mapping[str, list[str]]) -> dict[str, Any]:
    row = battles.row(game.row.game, game.verdict)
    share = probabilities(game.reply.logprobs or ()) if game.reply else None
    return {
        "game_id": row["game_id"], "match_id": row["match_id"], "judge": row["judge"], "model_a": row["model_a"],
        "model_b": row["model_b"], "order": row["order"], "status": row["status"], "label": row["label"],
        "score": row["score"], "weight": row["weight"], "judge_text": game.reply.text if game.reply else None,
        "error": game.reply.error if game.reply else None,
        "probs": dict(zip(labels[row["judge"]], share, strict=True)) if share else None,
    }  # fmt: skip
