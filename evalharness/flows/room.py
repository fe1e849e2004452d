"""A run not begun yet in, whether its weights and its answers fit on the disk out."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from evalharness.backends import BACKENDS
from evalharness.backends.fetching import hub_cache, to_fetch
from evalharness.errors import EvalHarnessError
from evalharness.flows.dry_run import dry_run
from evalharness.flows.forecast import size
from evalharness.flows.machine import Check, State, standing
from evalharness.plan import Ask
from evalharness.specs.model import ModelSpec
from evalharness.text import one_line

_WORDS = 300
_MEND = "free some space, or choose a folder on another disk"


def weights(specs: Iterable[ModelSpec]) -> Iterator[Check]:
    """Yield a check for each of ``specs`` of which weights are still to be fetched, one after the other into the cache."""
    needed = 0
    for spec in specs:
        fetch = to_fetch(spec.path, spec.revision) if BACKENDS[spec.backend].loads else 0
        if fetch == 0:
            continue
        if fetch is None:
            yield Check(
                "disk", f"weights of {spec.name}", "unknown", "to be fetched; the hub does not say how large they are"
            )
            continue
        place = standing(hub_cache())
        free = shutil.disk_usage(place).free - needed
        needed += fetch
        found = f"{size(fetch)} to be fetched, {size(max(0, free))} free at {place}"
        state = verdict(fetch, fetch, free)
        mend = "" if state == "ok" else f"{_MEND} (HF_HOME names the cache)"
        yield Check("disk", f"weights of {spec.name}", state, found, mend)


def answers(ask: Ask, root: Path) -> Check:
    """Compare what the answers and pages of ``ask`` take in the results folder ``root`` with what is free there.

    What would stop the run before it asks (a judge without a model, its key) stops the forecast, and fails.
    """
    try:
        forecast = dry_run(ask, root)
    except EvalHarnessError as error:
        return Check("run", "forecast", "fail", one_line(str(error), _WORDS))
    place = standing(root)
    free = shutil.disk_usage(place).free
    asked = sum(step.asked for step in forecast.steps)
    found = (
        f"{size(forecast.least_bytes)} at least, at most about {size(forecast.most_bytes)} for {asked:,} requests; "
        f"{size(free)} free at {place}"
    )
    state = verdict(forecast.least_bytes, forecast.most_bytes, free)
    return Check("disk", "answers", state, found, "" if state == "ok" else _MEND)


def verdict(least: int, most: int, free: int) -> State:
    """Return fail where not even ``least`` bytes fit into ``free``, warn where ``most`` do not."""
    return "fail" if least > free else "warn" if most > free else "ok"
