"""One sample's prompt, answers and games in; the section of a page that shows them side by side out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalharness.report import words
from evalharness.report.leaderboard import Language, language
from evalharness.text import sha256

Json = Mapping[str, Any]

SHOWN_CHARACTERS = 60_000  # far above any answer of 4,096 tokens; a longer text would only stall the browser
_LONG_CHARACTERS, _LONG_LINES = 1_600, 18  # beyond this a text gets its own scroll bar


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is shown: at most SHOWN_CHARACTERS of it, ``left_out`` more; ``long`` ones scroll by themselves."""

    shown: str
    left_out: int
    long: bool


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """What a judge of single answers said of an answer."""

    anchor: str
    judge: str
    score: float | None
    status: str | None
    decided: bool
    conflict: bool
    text: Text | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """What an answer scored in a metric; ``read`` is the answer as a filter read it, ``status`` says why there is none."""

    metric: str
    filter: str
    value: float | None
    status: str | None
    read: str | None


@dataclass(frozen=True, slots=True)
class Likely:
    """How likely a model found one of the choices offered, as a natural-log probability."""

    choice: str
    logprob: float
    right: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer; ``place`` is the model's number on the page, ``flags`` what is wrong with it, in words.

    ``thinking`` is what the model wrote before its answer, and ``thought_characters`` how long that is. ``likely`` are the
    choices where likelihoods were asked, ``repeats`` the other answers to the prompt, ``scores`` what metrics say.
    """

    model: str
    place: int
    text: Text | None
    tokens: int | None
    flags: tuple[str, ...]
    error: str | None
    reviews: tuple[ReviewLine, ...]
    thinking: Text | None = None
    thought_characters: int = 0
    likely: tuple[Likely, ...] = ()
    repeats: tuple[Text, ...] = ()
    scores: tuple[ScoreLine, ...] = ()


@dataclass(frozen=True, slots=True)
class GameLine:
    """One game: ``first`` is the model read first, if known; ``favours`` the preferred one, if any."""

    anchor: str
    first: str | None
    favours: str | None
    score: float | None
    label: str | None
    status: str | None
    decided: bool
    weight: float
    probabilities: tuple[tuple[str, float], ...]
    text: Text | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """Both orders of a pair; ``kind`` is win, tie, disagree, or none, ``places`` the numbers of the two models."""

    judge: str
    model_a: str
    model_b: str
    places: tuple[int, ...]
    kind: str
    winner: str | None
    outcome: str
    games: tuple[GameLine, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A prompt with all that was made of it, its matches by judge.

    ``flags`` and ``lost`` (the numbers of models) are what the filters of the page ask for.
    """

    anchor: str
    task: str
    prompt_id: str
    category: str | None
    language: Language
    prompt: Text
    answers: tuple[Answer, ...]
    verdicts: tuple[tuple[str, tuple[Match, ...]], ...]
    flags: tuple[str, ...]
    lost: tuple[int, ...]
    right: tuple[str, ...] = ()

    @property
    def scored(self) -> bool:
        """Say whether metrics score this prompt's answers."""
        return any(answer.scores for answer in self.answers)

    @property
    def matches(self) -> list[Match]:
        """Return the matches of all judges."""
        return [match for _, matches in self.verdicts for match in matches]


def section(sample: Json, places: Mapping[str, int]) -> Section:
    """Return the section of ``sample``; ``places`` numbers the models of the run."""
    anchor = prompt_anchor(sample["task"], sample["language"], sample["prompt_id"])
    matches = tuple(_match(games, anchor, places) for games in _matches(sample["games"]))
    reviews = [_review(entry, anchor) for entry in sample.get("reviews", ())]
    answers = [
        replace(
            _answer(model, answer, places, tuple(line for name, line in reviews if name == model)),
            likely=_likely(sample.get("target"), answer.get("logprobs")),
            repeats=tuple(shown(text) for text in (answer.get("repeats") or ())[1:]),
            scores=tuple(_score(entry) for entry in sample.get("scores", ()) if entry["model"] == model),
        )
        for model, answer in sample["answers"].items()
    ]
    return Section(
        anchor=anchor,
        task=sample["task"],
        prompt_id=sample["prompt_id"],
        category=sample["category"],
        language=language(sample["language"]),
        prompt=shown(sample["prompt"]),
        answers=tuple(sorted(answers, key=lambda answer: (answer.place, answer.model))),
        verdicts=tuple(
            (judge, tuple(m for m in matches if m.judge == judge)) for judge in dict.fromkeys(m.judge for m in matches)
        ),
        flags=_flags(sample, matches, answers),
        lost=tuple(sorted({places[loser] for match in matches for loser in _losers(match) if loser in places})),
        right=_right(sample.get("target")),
    )


def _right(target: Json | None) -> tuple[str, ...]:
    """Return what is right, as people read it: the choices that are, or the texts that are accepted."""
    if target is None:
        return ()
    return tuple(target["choices"][at] for at in target["right"]) or tuple(target["texts"])


def _likely(target: Json | None, logprobs: Sequence[float] | None) -> tuple[Likely, ...]:
    if target is None or not logprobs:
        return ()
    if not target["choices"]:
        return (Likely(target["text"] or "", logprobs[0], False),)
    return tuple(
        Likely(choice, value, at in target["right"])
        for at, (choice, value) in enumerate(zip(target["choices"], logprobs, strict=False))
    )


def _score(entry: Json) -> ScoreLine:
    status = None if entry["status"] == "ok" else words.score_status(entry["status"])
    return ScoreLine(entry["metric"], entry["filter"], entry["value"], status, entry["answer"])


def prompt_anchor(task: str, code: str, prompt_id: str) -> str:
    """Return the id of a prompt's section: of its content, so a link still finds it on a page sorted anew."""
    return "p-" + sha256(f"{task}\x1f{code}\x1f{prompt_id}")[:12]


def shown(text: str) -> Text:
    """Return ``text`` cut to what a page can hold."""
    long = len(text) > _LONG_CHARACTERS or text.count("\n") >= _LONG_LINES
    return Text(text[:SHOWN_CHARACTERS], max(0, len(text) - SHOWN_CHARACTERS), long)


def _review(entry: Json, anchor: str) -> tuple[str, ReviewLine]:
    """Return the model whose answer was scored, and the line of it."""
    key = sha256(f"{entry['judge']}\x1f{entry['model']}")[:8]
    line = ReviewLine(
        anchor=f"{anchor}-{key}",
        judge=entry["judge"],
        score=entry["score"],
        status=words.status(entry["status"]),
        decided=entry["status"] in ("ok", "candidate_failure"),
        conflict=entry["conflict"],
        text=None if entry.get("judge_text") is None else shown(entry["judge_text"]),
        error=entry.get("error"),
    )
    return entry["model"], line


def _answer(model: str, answer: Json, places: Mapping[str, int], reviews: tuple[ReviewLine, ...]) -> Answer:
    text = answer.get("text")
    failed, finish = answer.get("failure"), answer.get("finish")
    said = [words.failure(failed)] if failed else []
    if finish == "length" and failed != "truncated":
        said.append("stopped at the token limit")
    if finish == "error" or answer.get("error"):
        said.append("no answer: the request failed")
    if text is not None and not text.strip() and not failed and answer.get("logprobs") is None:
        said.append("empty answer")
    thinking = answer.get("thinking")
    return Answer(
        model=model,
        place=places.get(model, len(places)),
        text=None if text is None else shown(text),
        tokens=answer.get("tokens"),
        flags=tuple(flag for flag in said if flag),
        error=answer.get("error"),
        reviews=reviews,
        thinking=shown(thinking) if thinking else None,
        thought_characters=len(thinking or ""),
    )


def _matches(games: Sequence[Json]) -> list[list[Json]]:
    members: dict[tuple[str, str], list[Json]] = {}
    for game in games:
        members.setdefault((game["judge"], game["match_id"]), []).append(game)
    return list(members.values())


def _match(games: list[Json], anchor: str, places: Mapping[str, int]) -> Match:
    model_a, model_b = games[0]["model_a"], games[0]["model_b"]
    scores = [_share_of(model_a, game) for game in games]
    kind, winner, outcome = _outcome(model_a, model_b, scores)
    if all(game["status"] == "candidate_failure" for game in games):
        outcome += ", without asking the judge"
    return Match(
        judge=games[0]["judge"],
        model_a=model_a,
        model_b=model_b,
        places=tuple(places[name] for name in (model_a, model_b) if name in places),
        kind=kind,
        winner=winner,
        outcome=outcome,
        games=tuple(_line(game, anchor) for game in games),
    )


def _share_of(model: str, game: Json) -> float | None:
    score: float | None = game["score"]
    return score if score is None or game["model_a"] == model else 1 - score


def _outcome(model_a: str, model_b: str, scores: list[float | None]) -> tuple[str, str | None, str]:
    """Return the kind of a match, its winner, and the words that follow the winner's name or stand alone."""
    known = [score for score in scores if score is not None]
    if not known:
        return "none", None, "no verdict"
    if len(known) < len(scores):
        return "none", None, "one order has no verdict"
    signs = {(score > 0.5) - (score < 0.5) for score in known}
    if len(signs) > 1:
        return "disagree", None, "the orders disagree"
    orders = "in both orders" if len(known) > 1 else "in the one order asked"
    sign = signs.pop()
    if sign == 0:
        return "tie", None, f"tie {orders}"
    return "win", model_a if sign > 0 else model_b, f"preferred {orders}"


def _line(game: Json, anchor: str) -> GameLine:
    score, model_a, model_b = game["score"], game["model_a"], game["model_b"]
    favours = None if score is None or score == 0.5 else (model_a if score > 0.5 else model_b)
    return GameLine(
        anchor=f"{anchor}-{sha256(str(game['game_id']))[:8]}",
        first={"ab": model_a, "ba": model_b}.get(game["order"]),
        favours=favours,
        score=score,
        label=game["label"],
        status=words.status(game["status"]),
        decided=game["status"] in ("ok", "candidate_failure"),
        weight=game["weight"],
        probabilities=tuple(sorted((game.get("probs") or {}).items())),
        text=None if game.get("judge_text") is None else shown(game["judge_text"]),
        error=game.get("error"),
    )


def _losers(match: Match) -> list[str]:
    if match.winner is None:
        return []
    return [name for name in (match.model_a, match.model_b) if name != match.winner]


def _flags(sample: Json, matches: Sequence[Match], answers: Sequence[Answer]) -> tuple[str, ...]:
    asked = {
        "disagree": any(match.kind == "disagree" for match in matches),
        "missing": any(found["score"] is None for found in (*sample["games"], *sample.get("reviews", ())))
        or any(found["value"] is None for found in sample.get("scores", ())),
        "failed": any(answer.flags for answer in answers),
    }
    return tuple(flag for flag, holds in asked.items() if holds)
