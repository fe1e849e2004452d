"""An Ask in, a Plan out: every name looked up, cheap things first, weights last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalharness.backends import BACKENDS
from evalharness.catalog import Catalog, Selection
from evalharness.data.configs import configurations
from evalharness.errors import NotInCatalog, UsageError
from evalharness.plan import Ask, Bench, Plan, Player, plan_hash
from evalharness.prompts import check, check_judge
from evalharness.scoring import EXTRAS, METRICS
from evalharness.specs.fields import Expr, Template
from evalharness.specs.judge import JudgeSpec
from evalharness.specs.model import ModelSpec
from evalharness.specs.reader import Document
from evalharness.specs.sample import templates
from evalharness.specs.suite import task_name
from evalharness.specs.task import TaskSpec, split_name
from evalharness.types import SAMPLING_DEFAULTS, Sampling


@dataclass(frozen=True, slots=True)
class _Sitting:
    """A judge, the tasks it judges, and the model that judges; its weights are not looked for yet."""

    spec: JudgeSpec
    tasks: tuple[str, ...]
    model: ModelSpec


def resolve(ask: Ask) -> Plan:
    """Look up every name of ``ask``; raises UsageError (NotInCatalog, SpecError, ModelError …) for what is wrong with it."""
    catalog = Catalog(ask.specs, configurations)
    tasks, suites = _selected(catalog, ask)
    if ask.baseline == "task":
        ask = replace(ask, baseline=_own_baseline(tasks))
    models = _models(catalog, ask)
    alone = len(models) < 2
    sittings = _sittings(catalog, ask, [task for task in tasks if not alone or ask.judges or _scored(catalog, task)])
    if any(task.output == "code" for task in tasks) and not ask.allow_code_execution:
        names = ", ".join(task.task for task in tasks if task.output == "code")
        raise UsageError(f"task {names} runs programs that models write; allow it with --allow-code-execution")
    if alone and (pairwise := next((s.spec.judge for s in sittings if s.spec.compare == "pair"), None)):
        raise UsageError(f"judge {pairwise} needs two models to compare; name another with --models or --baseline")
    for sitting in sittings:
        check_judge(sitting.spec)
    players = tuple(_player(catalog, spec) for spec in models)
    _check_ways(ask, tasks, players)
    benches = tuple(_bench(catalog, ask, sitting) for sitting in sittings)
    digest = plan_hash(tasks, players, benches, ask)
    asked = dict.fromkeys(split_name(task_name(selector))[0] for selector in ask.tasks)
    name = ask.name or f"{'-'.join(asked)}-{digest[:8]}"
    return Plan(name, tasks, players, benches, ask, tuple(catalog.notes), suites)


def tasks_of(ask: Ask) -> list[TaskSpec]:
    """Return the tasks of ``ask`` as they are written now; no model is looked at."""
    return list(_selected(Catalog(ask.specs, configurations), ask).tasks)


def _selected(catalog: Catalog, ask: Ask) -> Selection:
    selected = catalog.expand(ask.tasks, ask.languages)
    if not selected.tasks:
        raise UsageError("no task given; name one with --task")
    for task in selected.tasks:
        _check_metrics(task)
    for template in _templates(selected.tasks):
        check(template)
    return selected


def _scored(catalog: Catalog, task: TaskSpec) -> bool:
    """Say whether the task's own judge scores answers one by one, so that it needs no second model."""
    return task.judge is not None and catalog.judge(task.judge).compare == "single"


def _own_baseline(tasks: Sequence[TaskSpec]) -> str:
    """Return the baseline that the tasks' published protocol names."""
    named = {task.baseline for task in tasks}
    if len(named) != 1 or None in named:
        names = ", ".join(sorted({task.task for task in tasks}))
        raise UsageError(f"--baseline task: {names} name no one baseline; name a model")
    return str(named.pop())


def _models(catalog: Catalog, ask: Ask) -> list[ModelSpec]:
    names = [*ask.models, *((ask.baseline,) if ask.baseline and ask.baseline not in ask.models else ())]
    specs = [spec for name in names for spec in catalog.model(name)]
    seen = [spec.name for spec in specs]
    if twice := next((name for name in seen if seen.count(name) > 1), None):
        raise UsageError(f"model '{twice}' is given twice; models are told apart by their names")
    if not specs:
        raise UsageError("no model given; name some with --models a,b")
    if ask.baseline is not None and ask.baseline not in seen:
        raise NotInCatalog("baseline", ask.baseline, seen)
    return specs


def _sittings(catalog: Catalog, ask: Ask, tasks: Sequence[TaskSpec]) -> list[_Sitting]:
    """Return the judges of the run: those asked for, for every task, or each task's own."""
    judged: dict[str, list[str]] = {}
    for task in {task.task: task for task in tasks}.values():
        if task.output != "text" or (task.metrics and task.judge is None):
            continue  # it is scored without a judge
        if not ask.judges and task.judge is None:
            known = ", ".join(catalog.judge_names())
            raise UsageError(f"task {task.task} names no judge; choose one with --judge: {known}")
        for name in (*(ask.judges or (task.judge or "",)), *ask.more_judges):
            judged.setdefault(name, []).append(task.task)
    sittings = [_sitting(catalog, ask, name, tuple(own)) for name, own in judged.items()]
    names = [(sitting.spec.judge, sitting.model.name, task) for sitting in sittings for task in sitting.tasks]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(
            f"judge {twice[0]}/{twice[1]} is given twice; give each a judge model of its own, as JUDGE=MODEL"
        )
    return sittings


def _sitting(catalog: Catalog, ask: Ask, written: str, tasks: tuple[str, ...]) -> _Sitting:
    """Return the judge ``written`` as ``JUDGE`` or ``JUDGE=MODEL``."""
    name, _, own = written.partition("=")
    spec = catalog.judge(name)
    model = own or ask.judge_model or spec.model
    if model is None:
        raise UsageError(f"judge {spec.judge} names no model; choose one with --judge-model")
    found = catalog.model(model)
    if len(found) != 1:
        raise UsageError(f"judge model {model} is {len(found)} models; name one")
    return _Sitting(spec, tasks, found[0])


def _player(catalog: Catalog, model: ModelSpec) -> Player:
    spec, engine = catalog.engine(model)
    return Player(spec, engine, BACKENDS[engine.backend].likelihoods(engine))


def _check_ways(ask: Ask, tasks: Sequence[TaskSpec], players: Sequence[Player]) -> None:
    """Raise a UsageError where a model cannot answer a task in the way it asks."""
    plan = Plan("", tuple(tasks), tuple(players), (), ask)
    for task in tasks:
        for player in players:
            if plan.way(task, player) == "likelihood" and not player.likelihoods:
                raise UsageError(
                    f"task {task.task} asks how likely texts are, which {player.name} ({player.engine.backend}) does not tell; "
                    "take a model that is loaded here, or a server with engine: {api: completions} in the model's entry"
                )
            if task.output == "choice" and plan.way(task, player) == "text" and task.generative is None:
                raise UsageError(
                    f"task {task.task} has no `generative` form, and {player.name} ({player.engine.backend}) is to answer in "
                    "text; take a model that tells likelihoods, or write `generative` into the task"
                )


def _check_metrics(task: TaskSpec) -> None:
    """Raise a UsageError where a metric of ``task`` does not exist, does not fit its output, or is not installed."""
    for spec in task.metrics:
        if spec.name not in METRICS:
            raise NotInCatalog("metric", spec.name, METRICS, f"{task.file}: metrics")
        try:
            metric = METRICS[spec.name]
        except ModuleNotFoundError as error:
            extra = EXTRAS.get(spec.name, "")
            raise UsageError(
                f"{task.file}: metric {spec.name} needs {error.name}; install it with: pip install 'evalharness[{extra}]'"
            ) from None
        if task.output not in metric.outputs:
            fitting = sorted(name for name in METRICS if name not in EXTRAS and task.output in METRICS[name].outputs)
            raise UsageError(
                f"{task.file}: metrics: {spec.name} is for output: {' or '.join(sorted(metric.outputs))}, not {task.output}; "
                f"there are {', '.join(fitting)}"
            )
        document = Document({"metrics": {spec.name: dict(spec.options)}}, file=task.file)
        metric.read_options(document, ("metrics", spec.name))


def _bench(catalog: Catalog, ask: Ask, sitting: _Sitting) -> Bench:
    player = _player(catalog, sitting.model)
    sampling = Sampling(seed=ask.gen_seed or None).over(sitting.spec.generate).over(SAMPLING_DEFAULTS)
    if (thinking := player.spec.thinking) is not None:
        sampling = replace(sampling, max_tokens=(sampling.max_tokens or 0) + thinking.budget)
    return Bench(sitting.spec, player, sampling, sitting.tasks)


def _templates(tasks: Sequence[TaskSpec]) -> Iterator[Template | Expr]:
    """Yield every template of the tasks, to be compiled before anything is loaded."""
    for task in tasks:
        for record in (task.sample, task.shots, task.generative, task.where):
            yield from templates(record)
        maybe = [task.system, task.intro, task.answer_prefix, task.target_language, task.dataset.name,
                 task.dataset.data_files, task.dataset.beside.name if task.dataset.beside else None,
                 *task.stop]  # fmt: skip
        yield from (template for template in maybe if template is not None)
