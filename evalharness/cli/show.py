"""``evalharness show NAME``: a task, suite, judge, model or run, as a person reads it or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evalharness.catalog import Catalog
from evalharness.cli import complete, options
from evalharness.cli.verb import Verb
from evalharness.errors import NotInCatalog, UsageError
from evalharness.specs.fields import plain
from evalharness.specs.task import TaskSpec
from evalharness.text import terminal_safe

Json = dict[str, Any]


@click.command("show", cls=Verb)
@click.argument("name", shell_complete=complete.everything)
@click.option(
    "--language", metavar="L", shell_complete=complete.languages,
    help="Of a judge, the prompt it sees in this language; of a task, its first sample; of an item, this language alone.",
)  # fmt: skip
@click.option(
    "--item", metavar="ID", help="Of a run, one prompt: what was asked, what is right, answers, scores, games."
)
@options.specs
@options.results
@options.as_json
def show_command(
    name: str, language: str | None, item: str | None, specs: tuple[str, ...], results_folder: Path, as_json: bool
) -> int:
    """Show the task, suite, judge, model or run called NAME.

    \b
    Examples:
      evalharness show pairwise-logprob --language de
      evalharness show m-arenahard-mini --language ar
      evalharness show RUN --item story --language de
    """
    if item is not None:
        from evalharness.flows.items import items

        documents = items(name, item, results_folder, language)
        text = json.dumps(documents, ensure_ascii=False, allow_nan=False) if as_json else _items(documents)
        click.echo(text if as_json else terminal_safe(text))
        return 0
    catalog = Catalog(specs)
    document = _found(name, catalog, results_folder) if language is None else _in_language(name, language, catalog)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
        return 0
    click.echo(terminal_safe(_lines(_brief(document, results_folder) if "plan_hash" in document else document)))
    return 0


def _items(documents: list[Json]) -> str:
    return "\n\n".join(_lines(document) for document in documents)


def _brief(run: Json, root: Path) -> Json:
    """Return what a person asks of a stored run; `--json` has all of it."""
    from evalharness.plan import Ask, command

    plan, page = run["plan"], root / run["name"] / "site" / "index.html"
    tasks = [f"{t['task']} v{t['version']} [{', '.join(t['languages'])}]" for t in plan.get("tasks", ())]
    return {
        "run": run["name"], "created": run["created"], "finished": run["finished"] or "not yet",
        "command": command(Ask.read(run["ask"])), "tasks": tasks,
        "models": [model["name"] for model in plan.get("models", ())],
        "judges": [judge["name"] for judge in plan.get("judges", ())], "baseline": plan.get("baseline"),
        "limit": plan.get("limit"), "page": str(page) if page.is_file() else "not written yet",
        "go on": f"evalharness resume {run['name']} --results {root}",
    }  # fmt: skip


def _found(name: str, catalog: Catalog, root: Path) -> Json:
    if name in catalog.task_files:
        return _task(catalog.task(name))
    if name in catalog.suite_files:
        return dict(plain(catalog.suite(name)))
    if name in catalog.judge_files:
        return dict(plain(catalog.judge(name)))
    if name in catalog.models:
        return dict(plain(catalog.models[name]))
    from evalharness.store import Journal, Runs

    runs: list[str] = []
    try:
        with Journal.reading(root) as journal:
            runs = Runs(journal).names()
            if (run := Runs(journal).find(name)) is not None:
                return dict(plain(run))
    except UsageError:  # no journal here: then there is no run of that name either
        pass
    known = [*catalog.task_names(), *catalog.suite_names(), *catalog.judge_names(), *catalog.models, *runs]
    raise NotInCatalog("task, suite, judge, model or run", name, known)


def _task(task: TaskSpec) -> Json:
    """Return a task as it is written: languages with no wording of their own are codes."""
    document = dict(plain(task))
    document["languages"] = [
        {"code": language.code, "config": language.config, **dict(language.words)}
        if language.words or language.config != language.code
        else language.code
        for language in task.languages
    ]
    return document


def _in_language(name: str, language: str, catalog: Catalog) -> Json:
    if name in catalog.task_files:
        return _first_sample(name, language, catalog)
    if name in catalog.judge_files:
        return _judge_prompt(name, language, catalog)
    known = [*catalog.task_names(), *catalog.judge_names()]
    raise NotInCatalog("task or judge", name, known)


def _judge_prompt(name: str, language: str, catalog: Catalog) -> Json:
    """Return what a judge is shown, with placeholders for what differs from game to game."""
    from evalharness import languages, prompts

    judge = catalog.judge(name)
    if not languages.is_language(language):
        raise NotInCatalog("language", language, [code for code in judge.prompts if code != "default"], f"judge {name}")
    form = prompts.format_for(judge.format, has_template=True)
    shown = prompts.judge_shown(judge, prompts.specimen(judge, language), "‹nonce›", form)
    own = language in judge.prompts or language.split("-", maxsplit=1)[0] in judge.prompts
    return {"judge": name, "language": language, "wording": "its own" if own else "default", **_shown(shown)}


def _first_sample(name: str, language: str, catalog: Catalog) -> Json:
    """Return the first sample of a task in a language: its messages, the raw prompt, what is scored, and what is right."""
    from evalharness import prompts
    from evalharness.data import local_rows
    from evalharness.stages.load import shots_source, source

    own = catalog.task(name)
    task = own if language in own.codes else catalog.select(f"{name}[{language}]")[0]
    spec = next(known for known in task.languages if known.code == language)
    place = source(task, spec)
    rows = local_rows(place)
    shot_rows = None if task.shots is None else local_rows(shots_source(task, spec))
    head = {"task": task.task, "language": language, "data": place.shown}
    if rows is None:
        return {
            **head,
            "note": f"its rows are not on this machine; `evalharness pin '{name}[{language}]'` fetches them",
        }
    examples = None if task.shots is None or shot_rows is None else list(shot_rows)
    sample = next(prompts.samples(task, spec, prompts.matching(task, spec, list(rows)), examples), None)
    if sample is None:
        return {**head, "note": "the data set has no rows"}
    extra = {"id": sample.prompt_id, "category": sample.category, "reference": sample.reference}
    asked = {"messages": plain(sample.messages), "raw": prompts.shown(sample, "raw")}
    if sample.target is not None and task.output in ("choice", "loglikelihood"):
        asked["likelihoods"] = [
            {"prompt": one.prompt, "continuations": list(one.continuations)} for one in prompts.scored(sample, "raw")
        ]
    return {**head, **extra, **asked, "listed": sample.generative, "target": plain(sample.target)}


def _shown(shown: Any) -> Json:
    return {"text": shown} if isinstance(shown, str) else {"messages": plain(shown)}


def _lines(value: Json, depth: int = 0) -> str:
    """Return nested data as indented ``key: value`` lines; texts of several lines as indented blocks."""
    pad = "  " * depth
    out = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            out += [f"{pad}{key}:", _lines(item, depth + 1)]
        elif isinstance(item, list) and any(isinstance(entry, dict) for entry in item):
            out += [f"{pad}{key}:", *(_entry(entry, depth + 1) for entry in item)]
        elif isinstance(item, str) and "\n" in item:
            out += [f"{pad}{key}: |", *(f"{pad}  {line}".rstrip() for line in item.splitlines())]
        elif item not in (None, {}, []):
            out.append(f"{pad}{key}: {', '.join(map(str, item)) if isinstance(item, list) else item}")
    return "\n".join(out)


def _entry(entry: Any, depth: int) -> str:
    """Return one entry of a list, its first line marked by a dash."""
    pad = "  " * depth
    text = _lines(entry, depth + 1) if isinstance(entry, dict) else f"{pad}  {entry}"
    return f"{pad}- {text[len(pad) + 2 :]}"
