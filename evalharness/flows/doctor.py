"""Models and tasks in, everything that would stop a run of them out, found before the run: ``evalharness doctor``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from evalharness.backends import BACKENDS, opened
from evalharness.backends.models import cache_folder
from evalharness.backends.openai.entry import apart
from evalharness.backends.openai.listing import listed
from evalharness.backends.prices import price
from evalharness.catalog import Catalog
from evalharness.data import local_rows
from evalharness.data.configs import configurations
from evalharness.errors import BackendError, DataError, EvalHarnessError, UsageError, suggestion
from evalharness.flows import room
from evalharness.flows.machine import Check, machine
from evalharness.plan import Ask
from evalharness.specs.model import ModelSpec
from evalharness.stages.load import source
from evalharness.text import one_line
from evalharness.types import Engine, Kind, Message, Request, Sampling

_WORDS = 300


def doctor(wanted: Ask, root: Path, *, ask: bool = True) -> Iterator[Check]:
    """Yield a check for everything that the run ``wanted``, into ``root``, rests on, as it is looked at; it may name nothing.

    No weights are loaded; those that are not there are fetched, as a run would, if they fit on the disk. With ``ask`` each
    endpoint, at each of its addresses, is asked twice for one token, which may cost a fraction of a cent.
    """
    seen: list[Check] = []
    for check in _all(wanted, root, ask):
        seen.append(check)
        yield check
    if wanted.models and wanted.tasks and not any(check.state == "fail" for check in seen):
        yield room.answers(wanted, root)


def _all(wanted: Ask, root: Path, ask: bool) -> Iterator[Check]:
    yield from machine(root, cache_folder())
    catalog = Catalog(wanted.specs, configurations)
    for selector in wanted.tasks:
        yield from _data(catalog, selector)
    for name in dict.fromkeys((*wanted.models, *([wanted.judge_model] if wanted.judge_model else ()))):
        yield from _models(catalog, name, ask)


def exit_code(checks: Iterable[Check]) -> int:
    """Return 6 if an endpoint failed, 2 if anything else did, else 0."""
    failed = [check for check in checks if check.state == "fail"]
    return 6 if any(check.area == "endpoint" for check in failed) else 2 if failed else 0


def _data(catalog: Catalog, selector: str) -> Iterator[Check]:
    try:
        parts = catalog.expand([selector]).tasks
    except UsageError as error:
        yield Check("data", selector, "fail", _said(error))
        return
    here: list[str] = []
    away: list[str] = []
    for task in parts:
        for language in task.languages:
            try:
                (away if local_rows(source(task, language)) is None else here).append(language.code)
            except DataError as error:
                yield Check("data", f"{task.task}[{language.code}]", "fail", _said(error))
    if here:
        yield Check("data", selector, "ok", f"on this machine: {', '.join(here)}")
    if away:
        mend = f"with a network, `evalharness pin '{selector}'` fetches them before the run"
        yield Check("data", selector, "warn", f"to be fetched from the hub: {', '.join(away)}", mend)


def _models(catalog: Catalog, name: str, ask: bool) -> Iterator[Check]:
    try:
        specs = catalog.model(name)
    except UsageError as error:
        yield Check("model", name, "fail", _said(error))
        return
    fetched = list(room.weights(specs))
    yield from fetched
    if any(check.state == "fail" for check in fetched):
        return
    for spec in specs:
        try:
            _, engine = catalog.engine(spec)
        except EvalHarnessError as error:
            yield Check("endpoint" if isinstance(error, BackendError) else "model", spec.name, "fail", _said(error))
            continue
        size = f", {spec.size_b or engine.size_b:g} billion parameters" if spec.size_b or engine.size_b else ""
        yield Check("model", spec.name, "ok", f"{engine.backend}: {engine.path}{size}")
        if BACKENDS[engine.backend].paid:
            yield from _paid(spec, engine)
            yield from _addresses(spec.name, engine) if ask else ()


def _paid(spec: ModelSpec, engine: Engine) -> Iterator[Check]:
    """Say where the key comes from, never the key, and what the tokens cost."""
    variable = dict(engine.options).get("key_env")
    key = f"found in the environment variable {variable}" if variable else "none is sent"
    yield Check("endpoint", f"{spec.name}, key", "ok", key)
    if (said := price(spec, engine)) is None:
        mend = "`price` in its entry says it; pip install 'evalharness[prices]' knows those of public services"
        yield Check("endpoint", f"{spec.name}, price", "unknown", "--max-cost cannot be kept", mend)
        return
    rates = f"{said.input:g} dollars a million tokens read, {said.output:g} written (price: {said.source})"
    yield Check("endpoint", f"{spec.name}, price", "ok", rates)


def _addresses(name: str, engine: Engine) -> Iterator[Check]:
    """Ask each address of ``engine``; where there are several, each check names its own."""
    parts = apart(engine) if engine.backend == "openai" else [engine]
    for part in parts:
        yield from _endpoint(f"{name} at {dict(part.options)['base_url']}" if len(parts) > 1 else name, part)


def _endpoint(name: str, engine: Engine) -> Iterator[Check]:
    """Look whether the server lists the model, ask for one token, then for the probability of one label."""
    chat = engine.template_sha is not None
    said = _asked(engine, _probe("generate", chat))
    if said is not None:
        yield Check("endpoint", name, "fail", said)
        return
    yield Check("endpoint", name, "ok", "reached, the key is taken, the model answers")
    yield _listed(name, engine)
    said = _asked(engine, _probe("label_logprobs", chat))
    if said is None:
        yield Check("endpoint", f"{name}, log-probabilities", "ok", "given")
        return
    mend = "judges that read probabilities cannot use it; judges that write a verdict can"
    yield Check("endpoint", f"{name}, log-probabilities", "warn", said, mend)


def _listed(name: str, engine: Engine) -> Check:
    names = listed(engine)
    if not names:
        return Check("endpoint", f"{name}, list of models", "unknown", "the server gives none")
    if engine.path in names:
        return Check("endpoint", f"{name}, list of models", "ok", f"{engine.path} is one of {len(names):,}")
    found = f"the server answers for {engine.path}, and lists it not among its {len(names):,}"
    mend = f"it may answer with another model; {suggestion(engine.path, names)}"
    return Check("endpoint", f"{name}, list of models", "warn", found, mend)


def _probe(kind: Kind, chat: bool) -> Request:
    words = "Answer with A or B."
    messages, text = ((Message("user", words),), None) if chat else (None, words)
    offered = ("A", "B") if kind == "label_logprobs" else ()
    return Request(f"doctor-{kind}", kind, messages, text, Sampling(temperature=0.0, max_tokens=1), offered)


def _asked(engine: Engine, request: Request) -> str | None:
    """Return why ``engine`` does not answer ``request``, ``None`` if it does."""
    with tempfile.TemporaryDirectory(prefix="evalharness-doctor-") as logs:
        backend = opened(engine, Path(logs))
        try:
            return next((result.error for result in backend.submit([request])), "no answer")
        except EvalHarnessError as error:
            return _said(error)
        finally:
            backend.close()


def _said(error: Exception) -> str:
    return one_line(str(error), _WORDS)
