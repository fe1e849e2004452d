"""A plan in, plain data out: what a stored run needs to be reported without its YAML, data or weights, and what a page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evalharness.data import Use
from evalharness.plan import Bench, Plan, Player
from evalharness.prompts import render, values_of
from evalharness.specs.fields import plain
from evalharness.specs.judge import LabelSpec, VerdictSpec
from evalharness.specs.model import ThinkingSpec
from evalharness.specs.scoring import FilterSpec
from evalharness.specs.suite import SuiteSpec
from evalharness.specs.task import TaskSpec
from evalharness.text import fingerprint
from evalharness.types import Sampling


def describe(plan: Plan, uses: Sequence[Use], shots: Sequence[Use] = ()) -> dict[str, Any]:
    """Return ``plan`` as the plain data that is stored with the run; ``uses`` are a data set a language, ``shots`` those of
    worked examples."""
    return {
        "tasks": _tasks(plan, uses),
        "suites": [_suite(suite) for suite in plan.suites],
        "models": [_model(plan, player) for player in plan.players],
        "judges": [_judge(bench) for bench in plan.benches],
        "baseline": plan.baseline,
        "pairing": "baseline" if plan.baseline else "all-pairs",
        "limit": plan.ask.limit,
        "code_execution": plan.ask.allow_code_execution,
        "statistics": asdict(plan.ask.statistics),
        "datasets": [asdict(use) for use in (*uses, *shots)],
    }


def _tasks(plan: Plan, uses: Sequence[Use]) -> list[dict[str, Any]]:
    """Return one entry a task; the parts that its languages come from are one task."""
    used = dict(zip([(t.task, lang.code) for t, lang in plan.languages()], uses, strict=True))
    out = []
    for name in dict.fromkeys(task.task for task in plan.tasks):
        parts = [task for task in plan.tasks if task.task == name]
        first = parts[0]
        codes = [code for part in parts for code in part.codes]
        out.append({
            "task": name, "version": first.version, "description": first.description,
            "prompt_hash": prompt_hash(parts),
            "languages": codes, "languages_hash": fingerprint(codes)[:12],
            "origin": first.prompts.origin, "method": first.prompts.method,
            "source_language": first.prompts.source_language, "parallel": first.prompts.parallel,
            "license": first.license, "pinned": all(used[name, code].pinned for code in codes),
            "generate": _sampling(first.generate),
            "stop": {
                language.code: [render(template, values_of(language)) for template in part.stop]
                for part in parts if part.stop for language in part.languages
            },
            "generate_by": {category: _sampling(own) for category, own in first.generate_by.items()},
            "added_languages": _added(parts), **scoring(parts),
        })  # fmt: skip
    return out


def _suite(suite: SuiteSpec) -> dict[str, Any]:
    """Return a suite with the names of its tasks and the weight of each."""
    categories = {
        name: {
            "label": category.label or name, "kind": category.kind, "metric": category.metric, "tasks": list(category.names),
            "weights": {task: category.weight(task) for task in category.names},
        }
        for name, category in suite.categories.items()
    }  # fmt: skip
    return {"suite": suite.suite, "version": suite.version, "description": suite.description, "categories": categories}


def prompt_hash(parts: Sequence[TaskSpec]) -> str:
    """Return the hash of the prompts of a task, of which ``parts`` are the files its languages come from."""
    return parts[0].hash if len(parts) == 1 else fingerprint([part.hash for part in parts])


def scoring(parts: Sequence[TaskSpec]) -> dict[str, Any]:
    """Return how the answers are scored: metrics, and the filters of each language, their templates filled."""
    first = parts[0]
    readers = {
        language.code: [_literal(spec, values_of(language)) for spec in part.filters]
        for part in parts
        for language in part.languages
    }
    return {
        "output": first.output, "suite_category": first.suite_category, "verified": first.verified, "n": first.n,
        "shots": first.shots and (len(first.shots.ids or ()) or first.shots.n), "delimiter": first.delimiter.text,
        "metrics": plain(first.metrics), "filters": readers if any(readers.values()) else {},
        "program": asdict(first.program) if first.output == "code" else None,
    }  # fmt: skip


def _literal(spec: FilterSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter as plain data, with the texts of its templates in the place of the templates."""
    steps = [
        step if isinstance(step, str) else {**plain(step), **{
            key: render(template, values) for key in ("regex", "before", "after") if (template := getattr(step, key))
        }}
        for step in spec.steps
    ]  # fmt: skip
    return {"name": spec.name, "steps": [step if isinstance(step, str) else _without_none(step) for step in steps]}


def _without_none(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if value is not None}


def _added(parts: Sequence[TaskSpec]) -> list[str]:
    return [code for part in parts for code in part.codes if part.file.endswith(f".{code}.yaml")]


def _model(plan: Plan, player: Player) -> dict[str, Any]:
    spec, engine = player.spec, player.engine
    deviations = [
        text if len(plan.tasks) == 1 else f"{task.task}: {text}"
        for task in plan.tasks
        for text in plan.deviations(task, player)
    ]
    task = plan.tasks[0]
    return {
        "name": spec.name, "backend": spec.backend, "path": spec.path, "revision": spec.revision, "weights": engine.weights,
        "size_b": spec.size_b, "family": spec.family, "variant": spec.variant, "license": spec.license, "note": spec.note,
        "step": spec.step, "adapter": spec.adapter, "system": spec.system,
        "thinking": None if spec.thinking is None else asdict(spec.thinking),
        "ways": {task.task: plan.way(task, player) for task in plan.tasks},
        "format": plan.format(task, player), "sampling": _sampling(plan.sampling(task, player)),
        "deviations": list(dict.fromkeys(deviations)), "settings": {**dict(engine.settings), **dict(engine.rendering)},
        "template_sha": engine.template_sha, "versions": dict(engine.versions),
    }  # fmt: skip


def _judge(bench: Bench) -> dict[str, Any]:
    spec = bench.spec
    return {
        "name": bench.name, "judge": spec.judge, "version": spec.version, "model": bench.player.name, "tasks": list(bench.tasks),
        "description": spec.description, "compare": spec.compare,
        "orders": spec.orders if spec.compare == "pair" else None,
        "prompt_hash": spec.hash, "weights": bench.player.engine.weights,
        "format": bench.player.format(spec.format), "sampling": _sampling(bench.sampling), "note": bench.player.spec.note,
        "verdict": asdict(spec.verdict), "thinking": None if (own := bench.player.spec.thinking) is None else asdict(own),
        "versions": dict(bench.player.engine.versions),
    }  # fmt: skip


def _sampling(sampling: Sampling) -> dict[str, Any]:
    return {name: value for name, value in asdict(sampling).items() if value is not None}


def verdict_spec(judge: Mapping[str, Any]) -> VerdictSpec:
    """Return how the replies to a stored judge are read."""
    stored = dict(judge["verdict"])
    labels = {label: LabelSpec(**worth) for label, worth in stored.pop("labels").items()}
    scale = stored.pop("range", None)
    return VerdictSpec(labels=labels, range=None if scale is None else (scale[0], scale[1]), **stored)


def thinking_spec(described: Mapping[str, Any]) -> ThinkingSpec | None:
    """Return how a stored model, or the model of a stored judge, thinks before it answers; ``None`` if it does not."""
    stored = described["thinking"]
    return None if stored is None else ThinkingSpec(**stored)
