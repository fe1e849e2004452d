"""The command ``evalharness``: arguments in, an exit code out. Verbs are loaded when they are called, errors are one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from evalharness.errors import EvalHarnessError, suggestion
from evalharness.text import terminal_safe

# verb -> (module of this folder, what it does); the module has a click command called VERB_command
VERBS = {
    "run": ("run", "Generate, judge, rank and write the page: the main job."),
    "estimate": ("run", "Say what a run would come to, tokens and money too; the same as `run --dry-run`."),
    "generate": ("run", "Only generate the completions of a run."),
    "judge": ("stored", "Judge the games of a stored run, also by more judges."),
    "add": ("stored", "Add models to a stored run and play only what is missing."),
    "merge": ("merge", "Put the shards of a run together."),
    "score": ("stored", "Score the answers of a stored run again, by what its tasks say now."),
    "report": ("stored", "Write tables and page of a stored run again, as far as it got."),
    "resume": ("stored", "Go on with a run that was interrupted or had failed items."),
    "rank": ("rank", "Win rates with intervals from a battle file."),
    "compare": ("compare", "Paired differences of win rates between runs, judges and checkpoints."),
    "import": ("importing", "Result files of other evaluations, or the answers of a batch service."),
    "export": ("export", "Write what a run would ask of an API model as files for its batch service."),
    "agreement": ("agreement", "How far judges, their two orders and people agree; rates corrected by people."),
    "plan": ("plan", "How many prompts an interval of a given width takes, and what difference can be seen."),
    "ls": ("ls", "List tasks, judges, models, languages, runs or backends."),
    "show": ("show", "Show a task, judge, model or run."),
    "validate": ("validate", "Check tasks, judges and evalharness.yaml, and render what can be rendered."),
    "pin": ("pin", "Write commit and content hash of a task's data sets into the lock file."),
    "doctor": ("doctor", "Look for what would stop a run: packages, GPUs, disk, data, models, endpoints, keys."),
    "schema": ("schema", "Print the JSON Schema of a YAML file, for editors."),
    "completion": ("completion", "Print the script that completes words in your shell."),
}


class Verbs(click.Group):
    """A group whose commands are imported when one is called; ``--help`` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"evalharness.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete verbs without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(verb, help=what) for verb, (_, what) in VERBS.items() if verb.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            ctx.fail(f"no command '{args[0]}'; {suggestion(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, what) for verb, (_, what) in VERBS.items()])


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"evalharness {version('evalharness')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
def evalharness() -> None:
    """A multilingual LLM evaluation harness: completions, pairwise judges, win rates with intervals, pages to publish."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code (README lists them)."""
    sys.excepthook = _unexpected
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # a C locale must not break a table
    try:
        code = evalharness.main(
            args=list(arguments) if arguments is not None else None, prog_name="evalharness", standalone_mode=False
        )
    except click.ClickException as error:
        click.echo(f"error: {terminal_safe(_one_line(error))}", err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("error: stopped at once; everything answered before is stored", err=True)
        sys.exit(130)
    except EvalHarnessError as error:
        click.echo(f"error: {terminal_safe(str(error))}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: click.ClickException) -> str:
    """Return what is wrong with the words of the command line, and where its help is."""
    message = " ".join(error.format_message().split()).rstrip(".")
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and ctx is not None:  # one way to say it, whatever click's version
        known = [name for parameter in ctx.command.params for name in parameter.opts if name.startswith("--")]
        message = f"No such option: {error.option_name}; {suggestion(error.option_name, known)}"
    return f"{message} (`{ctx.command_path} --help` says more)" if ctx is not None else message


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Any:
    if os.environ.get("EVALHARNESS_DEBUG"):
        return sys.__excepthook__(kind, error, trace)
    message = terminal_safe(" ".join(str(error).split()))
    return click.echo(f"error: unexpected {kind.__name__}: {message}; EVALHARNESS_DEBUG=1 shows where", err=True)
