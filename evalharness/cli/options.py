"""The options that verbs share, and words to values: ``a,b`` to names, ``key=value`` to sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from evalharness.catalog import split_names
from evalharness.cli.verb import said
from evalharness.errors import UsageError, suggestion
from evalharness.specs.sampling import fault
from evalharness.types import Sampling

if TYPE_CHECKING:
    from evalharness.backends.kind import Executor

F = TypeVar("F", bound=Callable[..., Any])

results = click.option(
    "--results", "results_folder", type=click.Path(path_type=Path, file_okay=False), default=Path("results"), show_default=True,
    help="The folder of journals and runs.",
)  # fmt: skip
specs = click.option(
    "--specs",
    multiple=True,
    metavar="DIR",
    help="A folder of your own tasks and judges, looked in first; may be repeated.",
)
print_config = click.option(
    "--print-config", is_flag=True, help="Only print every option with its value and where it comes from."
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Only say what would be asked, reused and loaded; ask nobody, write no results."
)
max_cost = click.option(
    "--max-cost", type=click.FloatRange(0, min_open=True), metavar="USD",
    help="Ask no more once the answers took so many US dollars, by the entries' `price`; exit 5, to be resumed.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout and nothing else.")

level = click.option(
    "--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True,
    help="Confidence level of the intervals.",
)  # fmt: skip
rounds = click.option("--rounds", type=click.IntRange(100), default=1000, show_default=True, help="Bootstrap rounds.")
seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap; in no request."
)

_STATISTICS = (
    click.option(
        "--average", type=click.Choice(["macro", "micro"]), default="macro", show_default=True,
        help="Over languages: each weighs the same, or each game.",
    ),
    level,
    rounds,
    seed,
    click.option(
        "--pairs", type=click.Choice(["complete", "any"]), default="complete", show_default=True,
        help="Whether a match of which one verdict is missing counts.",
    ),
)  # fmt: skip


_EXECUTOR = (
    click.option(
        "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True,
        help="Where models of vLLM run: in processes of this machine, or on Ray.",
    ),
    click.option(
        "--ray-address", metavar="ADDRESS", show_default="a Ray of this machine alone",
        help="The Ray cluster that this machine belongs to: auto, or HOST:PORT of its head.",
    ),
)  # fmt: skip


def executor(command: F) -> F:
    """Give ``command`` the options that say where engines run."""
    for option in reversed(_EXECUTOR):
        command = option(command)
    return command


def executor_of(name: str, address: str | None) -> Executor:
    """Return the executor that the options ask for; an address that no flag says is for Ray alone."""
    from evalharness.backends import executor as found

    flag = click.get_current_context().get_parameter_source("ray_address") is ParameterSource.COMMANDLINE
    return found(name, address if name == "ray" or flag else None)


def statistics(command: F) -> F:
    """Give ``command`` the options that say how rates are computed."""
    for option in reversed(_STATISTICS):
        command = option(command)
    return command


def names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split ``a,b`` into names."""
    return tuple(split_names(value or ""))


def shard(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read ``i/n``."""
    if value is None:
        return None
    from evalharness.plan import shard_of

    return shard_of(value, said(ctx, parameter))


def sampling(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs of ``--gen`` as sampling values."""
    kinds: dict[str, Callable[[str], Any]] = {"temperature": float, "top_p": float, "top_k": int, "max_tokens": int}
    out: dict[str, Any] = {}
    flag = said(ctx, parameter)
    for pair in value:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{flag} {pair}: write it as key=value, for instance --gen temperature=0.7")
        if key == "stop":
            out["stop"] = (*out.get("stop", ()), text)
            continue
        if key not in kinds:
            raise UsageError(f"{flag} {key}: unknown key; {suggestion(key, [*kinds, 'stop'])}")
        try:
            out[key] = kinds[key](text)
        except ValueError:
            wanted = "a number" if kinds[key] is float else "a whole number"
            raise UsageError(f"{flag} {key}={text}: must be {wanted}") from None
    if (found := fault(Sampling(**out))) is not None:
        raise UsageError(f"{flag} {found[0]}={out[found[0]]}: {found[1].partition(' ')[2]}")
    return out
