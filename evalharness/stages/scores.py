"""A stored run in, the scores of its judges of single answers out: each one, their means, the judges' health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from evalharness.stages.bench import reader
from evalharness.stages.derive import UNASKED, Stored
from evalharness.stages.describe import thinking_spec, verdict_spec
from evalharness.stages.review import score_of
from evalharness.stats.groups import Average
from evalharness.stats.intervals import Resampling
from evalharness.stats.scores import CANDIDATE_FAILURE, means, plain_row
from evalharness.store import Journal, ReviewRow
from evalharness.tables import ALL
from evalharness.types import Result, Score, Verdict

METRIC = "judge_score"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review with its score and the reply it was read from."""

    row: ReviewRow
    verdict: Verdict
    reply: Result | None


def single_judges(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the judges of a stored plan that score answers one by one."""
    return [judge for judge in plan["judges"] if judge["compare"] == "single"]


def reviewed(journal: Journal, run: Stored) -> list[Reviewed]:
    """Return every review of ``run`` with its score, judge by judge in the order of the plan."""
    readers = {
        judge["name"]: reader(verdict_spec(judge), thinking_spec(judge)) for judge in single_judges(run.run.plan)
    }
    identities = [identity for row in run.reviews for identity in (row.identity, row.repair) if identity is not None]
    results = journal.results(identities)
    return [Reviewed(row, *score_of(readers[row.judge], row, results)) for row in run.reviews if row.judge in readers]


def scored(run: Stored, reviews: Sequence[Reviewed]) -> bool:
    """Say whether nothing of the run's reviews is missing but what failed for good."""
    asked = all(found.verdict.status not in UNASKED for found in reviews)
    return asked and {found.row.judge for found in reviews} == {j["name"] for j in single_judges(run.run.plan)}


def scores(run: Stored, reviews: Sequence[Reviewed]) -> dict[str, list[Score]]:
    """Return the scores that each judge gave, in the order of the plan."""
    out: dict[str, list[Score]] = {judge["name"]: [] for judge in single_judges(run.run.plan)}
    labels = {judge["name"]: _filter(judge) for judge in single_judges(run.run.plan)}
    for found in reviews:
        sample = run.samples[found.row.sample]
        answer = run.answers.of(found.row.sample)[found.row.model]
        out[found.row.judge].append(Score(
            task=sample.task, task_version=sample.version, prompt_id=sample.prompt_id, language=sample.language,
            category=sample.category, model=found.row.model, repeat=answer.repeat, metric=METRIC,
            filter=labels[found.row.judge], value=found.verdict.score, status=found.verdict.status,
        ))  # fmt: skip
    return out


def _filter(judge: Mapping[str, Any]) -> str:
    """Return judge, version and judge model as one word: scores of different ones are never taken together."""
    return f"{judge['judge']}@{judge['version']}/{judge['model']}"


def score_tables(run: Stored, reviews: Sequence[Reviewed]) -> dict[str, Any]:
    """Return the parts of ``summary.json`` on scores: ``results``, those under the other rule for failures, and health."""
    by_judge = scores(run, reviews)
    results, others, health = [], [], {}
    drop = run.run.plan["statistics"]["candidate_failure"] == "drop"
    for judge in single_judges(run.run.plan):
        own = by_judge[judge["name"]]
        kept = [score for score in own if score.status != CANDIDATE_FAILURE]
        counted, other = (kept, own) if drop else (own, kept)
        results += _results(run, judge, counted)
        others += [row for row in _results(run, judge, other) if row["by"] == ALL]
        health[judge["name"]] = _health([found for found in reviews if found.row.judge == judge["name"]], run)
    return {"results": results, "results_other_candidate_failure": others, "review_health": health}


def _results(run: Stored, judge: Mapping[str, Any], scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the means of ``scores``, task by task."""
    plan = run.run.plan
    statistics = plan["statistics"]
    spec = verdict_spec(judge)
    if spec.range is None:
        return []
    out = []
    for task in judge["tasks"]:
        own = [score for score in scores if score.task == task]
        found = means(
            own, spec.range, average=cast("Average", statistics["average"]),
            how=Resampling(statistics["level"], statistics["rounds"], statistics["seed"]),
            sizes={model["name"]: model["size_b"] for model in plan["models"]},
        )  # fmt: skip
        about = {
            "judge": judge["name"], "task": task, "task_version": own[0].task_version if own else None,
            "metric": METRIC, "filter": _filter(judge), "chance": None, "headline": _headline(plan, judge, task),
            "range": spec.range, "higher_is_better": True, "suite_category": _category(plan, task),
        }  # fmt: skip
        out += [{**about, **plain_row(mean)} for mean in found]
    return out


def _headline(plan: Mapping[str, Any], judge: Mapping[str, Any], task: str) -> bool:
    """Say whether the scores of ``judge`` are the first to look at: those of the first judge of a task without metrics."""
    metrics = any(entry["task"] == task and entry.get("metrics") for entry in plan["tasks"])
    first = next(other["name"] for other in single_judges(plan) if task in other["tasks"])
    return not metrics and first == judge["name"]


def _category(plan: Mapping[str, Any], task: str) -> str | None:
    return next((entry.get("suite_category") for entry in plan["tasks"] if entry["task"] == task), None)


def _health(reviews: Sequence[Reviewed], run: Stored) -> list[dict[str, Any]]:
    """Return how a judge did: over all languages first, then in each."""
    groups: dict[str, list[Reviewed]] = {ALL: list(reviews)} if reviews else {}
    for found in reviews:
        groups.setdefault(run.samples[found.row.sample].language, []).append(found)
    return [
        _health_row(language, groups[language]) for language in sorted(groups, key=lambda code: (code != ALL, code))
    ]


def _health_row(language: str, reviews: Sequence[Reviewed]) -> dict[str, Any]:
    statuses: dict[str, int] = {}
    for found in reviews:
        statuses[found.verdict.status] = statuses.get(found.verdict.status, 0) + 1
    scored = sum(found.verdict.score is not None for found in reviews)
    return {
        "language": language, "n_reviews": len(reviews), "n_ok": scored, "coverage": scored / len(reviews),
        "statuses": statuses, "conflicts": sum(found.verdict.conflict for found in reviews),
        "repaired": sum(found.reply is not None and found.reply.id == found.row.repair for found in reviews),
    }  # fmt: skip


def review_documents(reviews: Sequence[Reviewed]) -> dict[int, list[dict[str, Any]]]:
    """Return what ``samples.jsonl.gz`` holds of reviews, by the sample's position."""
    out: dict[int, list[dict[str, Any]]] = {}
    for found in reviews:
        out.setdefault(found.row.sample, []).append({
            "judge": found.row.judge, "model": found.row.model, "score": found.verdict.score,
            "status": found.verdict.status, "conflict": found.verdict.conflict,
            "judge_text": found.reply.text if found.reply else None, "error": found.reply.error if found.reply else None,
        })  # fmt: skip
    return out
