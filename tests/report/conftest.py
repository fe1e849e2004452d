"""Nothing in, a made-up but coherent run out: summary, manifest and samples of three models in 23 languages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import pytest

Json = dict[str, Any]
Texts = Callable[[str], str]

PHRASES = {
    "ar": (
        "ما هي أسباب تغيّر الفصول على الأرض؟",
        "تتغيّر الفصول لأن محور الأرض مائل بنحو 23.4 درجة أثناء دورانها حول الشمس.",
    ),
    "cs": (
        "Proč se na Zemi střídají roční období?",
        "Roční období se střídají, protože zemská osa je skloněná přibližně o 23,4°.",
    ),
    "de": (
        "Warum gibt es auf der Erde Jahreszeiten?",
        "Die Jahreszeiten entstehen, weil die Erdachse um etwa 23,4° geneigt ist.",
    ),
    "el": ("Γιατί αλλάζουν οι εποχές στη Γη;", "Οι εποχές αλλάζουν επειδή ο άξονας της Γης έχει κλίση περίπου 23,4°."),
    "en": (
        "Why does the Earth have seasons?",
        "The seasons change because the Earth's axis is tilted by about 23.4° as it goes round the Sun.",
    ),
    "es": (
        "¿Por qué hay estaciones en la Tierra?",
        "Las estaciones cambian porque el eje de la Tierra está inclinado unos 23,4°.",
    ),
    "fa": ("چرا در زمین فصل‌ها تغییر می‌کنند؟", "فصل‌ها تغییر می‌کنند زیرا محور زمین حدود ۲۳٫۴ درجه کج است."),
    "fr": (
        "Pourquoi y a-t-il des saisons sur la Terre ?",
        "Les saisons changent parce que l'axe de la Terre est incliné d'environ 23,4°.",
    ),
    "he": ("מדוע יש עונות שנה בכדור הארץ?", "העונות מתחלפות מפני שציר כדור הארץ נטוי בכ־23.4 מעלות."),
    "hi": ("पृथ्वी पर ऋतुएँ क्यों बदलती हैं?", "ऋतुएँ इसलिए बदलती हैं क्योंकि पृथ्वी की धुरी लगभग 23.4° झुकी हुई है।"),
    "id": ("Mengapa ada musim di Bumi?", "Musim berganti karena sumbu Bumi miring sekitar 23,4°."),
    "it": (
        "Perché sulla Terra ci sono le stagioni?",
        "Le stagioni cambiano perché l'asse terrestre è inclinato di circa 23,4°.",
    ),
    "ja": (
        "地球に季節があるのはなぜですか?",
        "地軸が約23.4度傾いたまま太陽の周りを回っているため、季節が移り変わります。",
    ),
    "ko": ("지구에는 왜 계절이 있나요?", "지구의 자전축이 약 23.4도 기울어진 채 태양을 돌기 때문에 계절이 바뀝니다."),
    "nl": (
        "Waarom zijn er seizoenen op aarde?",
        "De seizoenen wisselen doordat de aardas ongeveer 23,4° gekanteld is.",
    ),
    "pl": (
        "Dlaczego na Ziemi są pory roku?",
        "Pory roku zmieniają się, ponieważ oś Ziemi jest nachylona o około 23,4°.",
    ),
    "pt": (
        "Por que existem estações do ano na Terra?",
        "As estações mudam porque o eixo da Terra está inclinado cerca de 23,4°.",
    ),
    "ro": (
        "De ce există anotimpuri pe Pământ?",
        "Anotimpurile se schimbă deoarece axa Pământului este înclinată cu circa 23,4°.",
    ),
    "ru": (
        "Почему на Земле меняются времена года?",
        "Времена года сменяются, потому что земная ось наклонена примерно на 23,4°.",
    ),
    "tr": ("Dünya'da mevsimler neden oluşur?", "Mevsimler, Dünya'nın ekseni yaklaşık 23,4° eğik olduğu için değişir."),
    "uk": ("Чому на Землі змінюються пори року?", "Пори року змінюються, бо вісь Землі нахилена приблизно на 23,4°."),
    "vi": ("Vì sao Trái Đất có các mùa?", "Các mùa thay đổi vì trục Trái Đất nghiêng khoảng 23,4°."),
    "zh": ("为什么地球上有四季?", "四季变化是因为地轴倾斜约23.4度,地球带着这个倾角绕太阳公转。"),
}
MODELS = ("aya-expanse-8b", "gemma-3-4b-it", "qwen3-0.6b")
SIZES = {"aya-expanse-8b": (8.0, "4-10"), "gemma-3-4b-it": (4.3, "4-10"), "qwen3-0.6b": (0.6, "<1")}
STRENGTH = {"aya-expanse-8b": 0.64, "gemma-3-4b-it": 0.56, "qwen3-0.6b": 0.25}
CATEGORIES = ("science", "writing", "code")
JUDGES = ("pairwise-logprob/gemma-3-270m", "arena-hard/gpt-4o-2024-08-06")


@dataclass(frozen=True)
class Run:
    """The three inputs of the report."""

    summary: Json
    manifest: Json
    samples: list[Json]


def draw(*parts: object) -> float:
    """Return a number in [0, 1) that depends on ``parts`` alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


def made_samples(
    languages: tuple[str, ...] = tuple(PHRASES),
    n_prompts: int = 4,
    models: tuple[str, ...] = MODELS,
    judges: tuple[str, ...] = JUDGES[:1],
    length: int = 2,
) -> Iterator[Json]:
    """Yield samples in the order of the contract; ``length`` is the number of sentences of an answer, more or less."""
    for code in languages:
        for number in range(n_prompts):
            yield _sample(code, f"q{number:04d}", models, judges, length)


def _sample(code: str, prompt_id: str, models: tuple[str, ...], judges: tuple[str, ...], length: int) -> Json:
    question, sentence = PHRASES[code]
    answers: Json = {}
    for model in models:
        sentences = 1 + int(draw(model, prompt_id) * 2 * length)
        answers[model] = {
            "text": "\n\n".join([sentence] * sentences),
            "finish": "stop",
            "tokens": 24 * sentences,
            "failure": None,
            "error": None,
        }
    if draw(code, prompt_id, "empty") < 0.04:
        answers[models[-1]] = {"text": "", "finish": "stop", "tokens": 0, "failure": "empty", "error": None}
    games = [
        _game(code, prompt_id, judge, a, b, order, answers)
        for judge in judges
        for i, a in enumerate(models)
        for b in models[i + 1 :]
        for order in ("ab", "ba")
    ]
    category = CATEGORIES[int(prompt_id[1:]) % len(CATEGORIES)]
    return {
        "task": "m-seasons",
        "prompt_id": prompt_id,
        "language": code,
        "category": category,
        "prompt": question,
        "answers": answers,
        "games": games,
    }


def _game(code: str, prompt_id: str, judge: str, a: str, b: str, order: str, answers: Json) -> Json:
    key = (code, prompt_id, judge, a, b)
    game: Json = {
        "game_id": f"g-{hashlib.sha256(repr((*key, order)).encode()).hexdigest()[:16]}",
        "match_id": f"m-{prompt_id}-{code}-{a}-{b}",
        "judge": judge,
        "model_a": a,
        "model_b": b,
        "order": order,
        "weight": 1.0,
        "probs": None,
        "judge_text": None,
    }
    failed = [model for model in (a, b) if answers[model]["failure"]]
    if failed:
        score = 0.5 if len(failed) == 2 else 0.0 if failed == [a] else 1.0
        return game | {"status": "candidate_failure", "label": None, "score": score}
    if draw(*key, order, "null") < 0.02:
        return game | {
            "status": "unparsed",
            "label": None,
            "score": None,
            "judge_text": "Both answers explain the tilt of the axis well.",
        }
    chance = STRENGTH.get(a, 0.5) / (STRENGTH.get(a, 0.5) + STRENGTH.get(b, 0.5))
    share = min(0.97, max(0.03, chance + 0.6 * (draw(*key) - 0.5) + (0.06 if order == "ab" else -0.06)))
    if "logprob" in judge:
        first = share if order == "ab" else 1 - share
        return game | {
            "status": "ok",
            "label": "A" if first > 0.5 else "B",
            "score": share,
            "probs": {"A": first, "B": 1 - first},
        }
    score = 1.0 if share > 0.55 else 0.0 if share < 0.45 else 0.5
    label = "A=B" if score == 0.5 else "A>B" if (score > 0.5) == (order == "ab") else "B>A"
    return game | {
        "status": "ok",
        "label": label,
        "score": score,
        "judge_text": f"Answer A gives the reason. Answer B is shorter.\n\nMy verdict: [[{label}]]",
    }


def _score_of(model: str, game: Json) -> float | None:
    if game["score"] is None:
        return None
    return game["score"] if game["model_a"] == model else 1 - game["score"]


def rating(model: str, group: str, samples: list[Json], judge: str, drop_failures: bool = False) -> Json:
    """Return a rating row: a plain mean with a normal interval over prompts. Made up for pages, not a statistic."""
    games = [
        (sample, game)
        for sample in samples
        for game in sample["games"]
        if game["judge"] == judge
        and model in (game["model_a"], game["model_b"])
        and not (drop_failures and game["status"] == "candidate_failure")
    ]
    scores = [(sample["prompt_id"], score) for sample, game in games if (score := _score_of(model, game)) is not None]
    prompts = sorted({prompt for prompt, _ in scores})
    means = [sum(s for p, s in scores if p == prompt) / sum(p == prompt for p, _ in scores) for prompt in prompts]
    rate = sum(score for _, score in scores) / len(scores) if scores else None
    spread = sqrt(sum((m - sum(means) / len(means)) ** 2 for m in means) / max(1, len(means) - 1)) if means else 0.0
    half = None if len(prompts) < 4 else 2.0 * max(spread, 0.05) / sqrt(len(prompts))
    signs = [(score > 0.5) - (score < 0.5) for _, score in scores]
    known = rate is not None and half is not None
    return {
        "model": model,
        "group": group,
        "win_rate": rate,
        "size_b": SIZES.get(model, (None, ""))[0],
        "ci_low": max(0.0, rate - half) if known else None,
        "ci_high": min(1.0, rate + half) if known else None,
        "interval": ("bootstrap" if len(prompts) >= 30 else "clustered-t") if known else None,
        "reason": None if known else "too_few_prompts" if scores else "no_verdicts",
        "wins": signs.count(1),
        "ties": signs.count(0),
        "losses": signs.count(-1),
        "prompt_wins": signs.count(1) // 2,
        "prompt_ties": signs.count(0) // 2,
        "prompt_losses": signs.count(-1) // 2,
        "inconsistent": len(signs) // 11,
        "n_prompts": len(prompts),
        "n_games": len(games),
        "n_unparsed": len(games) - len(scores),
        "n_unpaired": len(games) - len(scores),
        "missing_languages": [],
        "size_class": SIZES.get(model, (None, "unknown"))[1],
        "rating": None if rate is None else 2 * rate - 1,
        "rating_low": None if not known else 2 * (rate - half) - 1,
        "rating_high": None if not known else 2 * (rate + half) - 1,
        "rank_low": None,
        "rank_high": None,
        "by": "all",
        "estimate": "mean",
        "raw_win_rate": rate,
        "rating_reason": None,
        "redrawn": 0,
    }


def _ratings(samples: list[Json], models: tuple[str, ...], judge: str) -> Json:
    languages = sorted({sample["language"] for sample in samples})
    return {
        "all": [rating(model, "all", samples, judge) for model in models],
        "language": [
            rating(model, code, [s for s in samples if s["language"] == code], judge)
            for code in languages
            for model in models
        ],
        "category": [
            rating(model, c, [s for s in samples if s["category"] == c], judge) for c in CATEGORIES for model in models
        ],
        "size": [rating(model, SIZES[model][1], samples, judge) for model in models if model in SIZES],
    }


def _head_to_head(samples: list[Json], models: tuple[str, ...], judge: str) -> list[Json]:
    met = []
    for i, a in enumerate(models):
        for b in models[i + 1 :]:
            games = [
                g for s in samples for g in s["games"] if g["judge"] == judge and {g["model_a"], g["model_b"]} == {a, b}
            ]
            scores = [score for g in games if (score := _score_of(a, g)) is not None]
            rate = sum(scores) / len(scores)
            met.append(
                {
                    "model_a": a,
                    "model_b": b,
                    "n_games": len(games),
                    "n_prompts": len({s["prompt_id"] for s in samples}),
                    "win_rate": rate,
                    "ci_low": max(0.0, rate - 0.07),
                    "ci_high": min(1.0, rate + 0.07),
                    "interval": "clustered-t",
                    "reason": None,
                    "n_unparsed": len(games) - len(scores),
                    "n_unpaired": 0,
                    "wins": sum(s > 0.5 for s in scores),
                    "ties": sum(s == 0.5 for s in scores),
                    "losses": sum(s < 0.5 for s in scores),
                }
            )
    return met


def _health(samples: list[Json], judge: str) -> list[Json]:
    def entry(name: str, chosen: list[Json]) -> Json:
        games = [game for sample in chosen for game in sample["games"] if game["judge"] == judge]
        statuses: dict[str, int] = {}
        for game in games:
            statuses[game["status"]] = statuses.get(game["status"], 0) + 1
        ok = sum(game["score"] is not None for game in games)
        return {
            "language": name,
            "n_games": len(games),
            "n_ok": ok,
            "statuses": statuses,
            "coverage": ok / len(games),
            "n_matches": len(games) // 2,
            "n_unpaired": len(games) - ok,
            "consistency": 0.6 + 0.3 * draw(name, judge),
            "first_slot_rate": 0.5 + 0.2 * draw(judge, name),
            "ties": sum(game["score"] == 0.5 for game in games),
            "conflicts": 0,
        }

    codes = sorted({sample["language"] for sample in samples})
    return [entry("all", samples)] + [entry(code, [s for s in samples if s["language"] == code]) for code in codes]


def _completions(samples: list[Json], models: tuple[str, ...]) -> list[Json]:
    def entry(model: str, name: str, chosen: list[Json]) -> Json:
        texts = [sample["answers"][model] for sample in chosen]
        return {
            "model": model,
            "language": name,
            "n": len(texts),
            "empty": sum(not t["text"] for t in texts),
            "truncated": sum(t["finish"] == "length" for t in texts),
            "errors": sum(t["error"] is not None for t in texts),
            "mean_chars": sum(len(t["text"] or "") for t in texts) / len(texts),
            "mean_tokens": sum(t["tokens"] or 0 for t in texts) / len(texts),
        }

    codes = sorted({sample["language"] for sample in samples})
    return [entry(m, "all", samples) for m in models] + [
        entry(m, c, [s for s in samples if s["language"] == c]) for c in codes for m in models
    ]


def made_summary(samples: list[Json], models: tuple[str, ...] = MODELS, judges: tuple[str, ...] = JUDGES[:1]) -> Json:
    """Return the summary of ``samples``."""
    codes = sorted({sample["language"] for sample in samples})
    return {
        "schema": 1,
        "run": "m-seasons-1f0c93ab",
        "status": "complete",
        "baseline": None,
        "pairing": "all-pairs",
        "tasks": [
            {
                "task": "m-seasons",
                "version": "0.1",
                "description": "Short questions on nature in 23 languages, answered freely and judged in pairs",
                "prompt_hash": "5d41402abc4b2a76b9719d911017c592",
                "languages": codes,
                "languages_hash": "7d793037a0760186574b0282f2f435e7",
                "origin": "machine-translated",
                "method": "a translation model",
                "source_language": "en",
                "parallel": True,
                "license": "apache-2.0",
                "pinned": False,
                "n_prompts": len({s["prompt_id"] for s in samples}),
            }
        ],
        "models": [
            {
                "name": name,
                "backend": "hf",
                "path": f"org/{name}",
                "weights": hashlib.sha256(name.encode()).hexdigest(),
                "size_b": SIZES.get(name, (None,))[0],
                "size_class": SIZES.get(name, (None, "unknown"))[1],
                "family": name.split("-")[0],
                "variant": "instruct",
                "license": "apache-2.0",
                "format": "chat",
                "sampling": {"temperature": 0.0, "max_tokens": 1024},
                "deviations": ["max_tokens is 512, the task says 1024"] if name == models[1] else [],
            }
            for name in models
        ],
        "judges": [
            {
                "name": name,
                "judge": name.split("/")[0],
                "version": "1",
                "model": name.split("/")[1],
                "orders": "both",
                "prompt_hash": "e4d909c290d0fb1ca068ffaddf22cbd0",
                "sampling": {"temperature": 0.0, "max_tokens": 1},
                "note": "with a small base model this demonstrates and does not measure" if "270m" in name else None,
            }
            for name in judges
        ],
        "statistics": {
            "method": "winrate",
            "level": 0.95,
            "rounds": 1000,
            "seed": 0,
            "cluster": "task, task_version, prompt_id",
            "average": "macro",
            "pairs": "complete",
            "candidate_failure": "loss",
        },
        "ratings": {judge: _ratings(samples, models, judge) for judge in judges},
        "ratings_other_candidate_failure": {
            judge: [rating(m, "all", samples, judge, drop_failures=True) for m in models] for judge in judges
        },
        "head_to_head": {judge: _head_to_head(samples, models, judge) for judge in judges},
        "health": {judge: _health(samples, judge) for judge in judges},
        "completions": _completions(samples, models),
    }


def made_manifest() -> Json:
    """Return a manifest with every field of the contract."""
    return {
        "schema": 1,
        "run": "m-seasons-1f0c93ab",
        "evalharness": "1.0.0",
        "command": "evalharness run --models a,b,c --task m-seasons",
        "plan_hash": "1f0c93ab" * 8,
        "plan": {
            "tasks": ["m-seasons"],
            "languages": ["ar", "de"],
            "limit": None,
            "judge": {"name": "pairwise-logprob", "orders": "both"},
        },
        "created": "2026-11-23T10:00:00Z",
        "finished": "2026-11-23T10:42:17Z",
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "platform": "Linux x86_64, Python 3.11",
        "datasets": [{"path": "org/m-seasons", "name": "de", "revision": None, "sha256": "ab" * 32, "pinned": False}],
        "engines": [
            {"backend": "hf", "path": "org/aya-expanse-8b", "weights": "cd" * 32, "settings": {"dtype": "float32"}}
        ],
        "deviations": ["limit is 4 prompts"],
        "requests": {"asked": 2760, "reused": 0, "errors": 3},
    }


@pytest.fixture(scope="session")
def small_run() -> Run:
    """A run of three models in five languages and three directions of writing, with two judges."""
    samples = list(made_samples(("ar", "de", "fa", "he", "ja"), n_prompts=8, judges=JUDGES))
    return Run(made_summary(samples, judges=JUDGES), made_manifest(), samples)


@pytest.fixture(scope="session")
def run() -> Run:
    """A run of three models in 23 languages with 4 prompts each, one judge."""
    samples = list(made_samples())
    return Run(made_summary(samples), made_manifest(), samples)


RUBRIC = "rubric/gpt-4o-2024-08-06"
_SAYS = {"ar": "الإجابة صحيحة وواضحة.", "he": "התשובה נכונה וברורה.", "de": "Richtig und klar."}


def _scored(sample: Json) -> Json:
    """Return ``sample`` with a review of each answer: made up, some without a score."""
    reviews = []
    for model, answer in sample["answers"].items():
        key = (sample["language"], sample["prompt_id"], model, "review")
        score, status = float(4 + int(6 * STRENGTH.get(model, 0.5) * (0.6 + draw(*key)))), "ok"
        if answer["failure"]:
            score, status = 1.0, "candidate_failure"
        elif draw(*key, "null") < 0.08:
            score, status = None, "unparsed"
        said = _SAYS.get(sample["language"], "Correct and clear.") + ("" if score is None else f"\n\n[[{score:g}]]")
        reviews.append({
            "judge": RUBRIC, "model": model, "score": score, "status": status, "conflict": False,
            "judge_text": None if status == "candidate_failure" else said, "error": None,
        })  # fmt: skip
    return {**sample, "reviews": reviews}


def _means(samples: list[Json], models: tuple[str, ...], drop: bool = False) -> list[Json]:
    """Return rows of results: plain means with made-up intervals."""
    groups = [("all", "all", samples)]
    groups += [
        ("language", code, [s for s in samples if s["language"] == code])
        for code in sorted({s["language"] for s in samples})
    ]
    groups += [("category", name, [s for s in samples if s["category"] == name]) for name in CATEGORIES]
    rows = [_mean(model, by, group, chosen, drop) for by, group, chosen in groups for model in models]
    return rows + [
        {**row, "by": "size", "group": SIZES.get(row["model"], (None, "unknown"))[1]}
        for row in rows
        if row["by"] == "all"
    ]


def _mean(model: str, by: str, group: str, samples: list[Json], drop: bool) -> Json:
    reviews = [(s["prompt_id"], r) for s in samples for r in s["reviews"] if r["model"] == model]
    reviews = [(prompt, r) for prompt, r in reviews if not (drop and r["status"] == "candidate_failure")]
    values = [r["score"] for _, r in reviews if r["score"] is not None]
    value, prompts = (sum(values) / len(values) if values else None), len({prompt for prompt, _ in reviews})
    known = value is not None and prompts >= 4
    return {
        "judge": RUBRIC, "task": "m-seasons", "task_version": "0.1", "metric": "judge_score",
        "filter": "rubric@1/gpt-4o-2024-08-06", "chance": None, "model": model, "by": by, "group": group, "value": value,
        "ci_low": max(1.0, value - 0.61) if known else None, "ci_high": min(10.0, value + 0.57) if known else None,
        "interval": "clustered-t" if known else None, "reason": None if known else "too_few_prompts" if values else "no_verdicts",
        "n_prompts": prompts, "n_scores": len(reviews), "n_missing": len(reviews) - len(values),
        "n_failed": sum(r["status"] == "candidate_failure" for _, r in reviews), "missing_languages": [],
    }  # fmt: skip


def _review_health(samples: list[Json]) -> list[Json]:
    def entry(name: str, chosen: list[Json]) -> Json:
        reviews = [review for sample in chosen for review in sample["reviews"]]
        statuses = {
            status: sum(r["status"] == status for r in reviews) for status in sorted({r["status"] for r in reviews})
        }
        ok = sum(r["score"] is not None for r in reviews)
        return {"language": name, "n_reviews": len(reviews), "n_ok": ok, "coverage": ok / len(reviews), "statuses": statuses,
                "conflicts": 1, "repaired": 2}  # fmt: skip

    codes = sorted({sample["language"] for sample in samples})
    return [entry("all", samples)] + [entry(code, [s for s in samples if s["language"] == code]) for code in codes]


def made_scores(made: Run, pairs: bool = True) -> Run:
    """Return the run with a judge of single answers beside the judges of pairs, or (not ``pairs``) instead of them."""
    samples = [_scored(sample if pairs else {**sample, "games": []}) for sample in made.samples]
    models = tuple(model["name"] for model in made.summary["models"])
    judge = {
        "name": RUBRIC, "judge": "rubric", "version": "1", "model": "gpt-4o-2024-08-06", "compare": "single", "orders": None,
        "tasks": ["m-seasons"], "prompt_hash": "0a1b2c3d" * 4, "sampling": {"temperature": 0.0}, "note": "a note on the judge",
        "verdict": {"kind": "score", "range": [1.0, 10.0], "labels": {}},
    }  # fmt: skip
    keyed = ("ratings", "ratings_other_candidate_failure", "head_to_head", "health")
    summary = {
        **made.summary, **({} if pairs else {key: {} for key in keyed}),
        "judges": [*(made.summary["judges"] if pairs else ()), judge], "results": _means(samples, models),
        "results_other_candidate_failure": [row for row in _means(samples, models, drop=True) if row["by"] == "all"],
        "review_health": {RUBRIC: _review_health(samples)},
    }  # fmt: skip
    return Run(summary, made.manifest, samples)


@pytest.fixture(scope="session")
def scored_run(small_run: Run) -> Run:
    """The small run with rubric scores beside its pairs."""
    return made_scores(small_run)


@pytest.fixture(scope="session")
def scores_only(small_run: Run) -> Run:
    """The small run judged by a rubric alone."""
    return made_scores(small_run, pairs=False)


def made_results(made: Run) -> Run:
    """Return the run with tasks that metrics score instead of judges: choices asked in two ways, texts modelled, a suite."""
    models = [model["name"] for model in made.summary["models"]]
    codes = sorted({sample["language"] for sample in made.samples})
    task = made.summary["tasks"][0]
    tasks = [
        {**task, "task": name, "output": output, "suite_category": category, "metrics": [{"name": metric}], "shots": 5,
         "n": 1, "program": None, "verified": name != "xcopa"}
        for name, output, category, metric in (
            ("xcopa", "choice", "reasoning", "acc"), ("flores-bpb", "loglikelihood", None, "bits_per_byte"))
    ]  # fmt: skip
    results = []
    for model in models:
        for by, groups in (("all", ["all"]), ("language", codes), ("family", ["Indo-European", "Sino-Tibetan"])):
            for group in groups:
                results += _result_rows(model, by, group, written=model == models[-1])
    suites = [
        {"suite": "to-code", "version": "1", "category": category, "label": label, "kind": kind, "model": model,
         "value": value, "ci_low": None if value is None else value - 0.05, "ci_high": None if value is None else value + 0.05,
         "interval": "bootstrap", "reason": None, "n_tasks": 2, "n_prompts": 40, "chance": 0.25, "range": [0.0, 1.0],
         "missing_tasks": ["piqa"] if value is None else []}
        for model in models
        for category, label, kind, value in (
            ("reasoning", "Reasoning", "score", None if model == models[0] else 0.62), ("win-rate", None, "win-rate", 0.5))
    ]  # fmt: skip
    keyed = ("ratings", "ratings_other_candidate_failure", "head_to_head", "health")
    summary = {
        **made.summary, **{key: {} for key in keyed}, "judges": [], "tasks": tasks, "results": results, "suites": suites,
    }  # fmt: skip
    return Run(summary, made.manifest, [_measured(sample) for sample in made.samples])


def _result_rows(model: str, by: str, group: str, written: bool) -> list[Json]:
    value = 0.3 + 0.5 * draw(model, by, group)
    about = {
        "judge": None, "task_version": "0.1", "model": model, "by": by, "group": group, "interval": "bootstrap",
        "reason": None, "n_prompts": 40, "n_scores": 40, "n_missing": 1, "n_failed": 2, "missing_languages": [],
    }  # fmt: skip
    metric, filter_name = ("letter", "generated") if written else ("acc", "likelihood")
    choice = {
        "task": "xcopa", "metric": metric, "filter": filter_name, "chance": 0.5, "headline": True, "range": [0.0, 1.0],
        "higher_is_better": True, "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1,
    }  # fmt: skip
    texts = {
        "task": "flores-bpb", "metric": "bits_per_byte", "filter": "likelihood", "chance": None, "headline": True,
        "range": None, "higher_is_better": False, "value": 1.25, "ci_low": 1.125, "ci_high": 1.375,
    }  # fmt: skip
    return [{**about, **choice}, *([] if written else [{**about, **texts}])]


def _measured(sample: Json) -> Json:
    (first, *others) = sample["answers"]
    scores = [
        {
            "model": model,
            "metric": "acc",
            "filter": "likelihood",
            "value": 1.0,
            "status": "ok",
            "answer": sample["prompt"],
        }
        for model in sample["answers"]
    ]
    target = {"right": [0], "choices": [sample["prompt"], "x"], "letters": ["A", "B"], "texts": [], "text": None}
    answers = {**sample["answers"], first: {**sample["answers"][first], "text": "", "logprobs": [-3.5, -4.25]}}
    return {**sample, "games": [], "answers": answers, "target": target, "scores": scores if others else scores[:1]}


@pytest.fixture(scope="session")
def measured_run(small_run: Run) -> Run:
    """The small run with tasks that metrics score."""
    return made_results(small_run)
