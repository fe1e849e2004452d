"""`import evalharness as eh`: the command line's options as keyword arguments, tables as frames, HTML for notebooks."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import click
import pandas as pd
import pytest

import evalharness as eh
from evalharness.cli.rank import rank_command
from evalharness.cli.run import run_command
from evalharness.cli.verb import key
from evalharness.errors import NotInCatalog, UsageError
from evalharness.types import Event

MINI = "m-arenahard-mini"
HEAVY = ("pandas", "numpy", "pyarrow", "openai", "datasets", "torch", "jinja2", "yaml", "click")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """A working folder with the tiny model and the answers of two others, one with a name that is HTML."""
    monkeypatch.chdir(tmp_path)
    models = {"tiny": {"backend": "hf", "path": str(tiny_model), "engine": {"batch_size": 4}}}
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    rows = [
        {"prompt_id": f"mini-{c}", "language": "de", "model": model, "text": f"{model} {c}"}
        for c in ("advice", "writing") for model in ("hare", "<b>tortoise")
    ]  # fmt: skip
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def test_importing_is_light_and_every_name_is_there() -> None:
    code = (
        "import sys, evalharness as eh\n"
        f"assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
        "for name in eh.__all__: assert callable(getattr(eh, name)), name\n"
        "import evalharness.run\nfrom evalharness.run import Outcome\n"
        "assert eh.run.__module__ == 'evalharness.api' and eh.Outcome is Outcome\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(eh.__all__) <= set(dir(eh)) and (Path(eh.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(("function", "command", "own"), [
    (eh.run, run_command, {"listen", "until", "allow_code_execution"}), (eh.rank, rank_command, {"battles"}),
])  # fmt: skip
def test_the_arguments_are_the_options(function: object, command: click.Command, own: set[str]) -> None:
    options = {key(p): p for p in command.params if isinstance(p, click.Option) and not p.is_flag}
    arguments = inspect.signature(function).parameters  # type: ignore[arg-type]
    assert set(arguments) - own == set(options)
    for name, argument in arguments.items():
        if name in options and argument.default is not inspect.Parameter.empty and argument.default:
            assert str(argument.default) == str(options[name].default), name


def test_a_run_comes_back_with_tables_and_page_and_goes_on_by_name(home: Path) -> None:
    events: list[Event] = []
    outcome = eh.run(
        "replay:answers.jsonl",
        f"{MINI}[de]",
        judge_model="tiny",
        limit=2,
        results=home / "out",
        rounds=200,
        listen=events.append,
    )
    assert {event.stage for event in events} == {"generate", "judge", "report"}
    ratings = outcome.ratings
    assert isinstance(ratings, pd.DataFrame) and {"judge", "model", "win_rate", "ci_low"} <= set(ratings.columns)
    assert set(ratings.model) == {"hare", "<b>tortoise"}
    assert outcome.page is not None and outcome.page.is_file() and outcome.summary is not None
    assert outcome.summary["statistics"]["rounds"] == 200
    html = outcome._repr_html_()
    assert "&lt;b&gt;tortoise" in html and "<b>" not in html and "interval" in html and "too few prompts" in html
    assert html.count("<tr>") == 3
    again = eh.resume(outcome.name, results=home / "out")
    assert again.ratings.equals(ratings) and again.name == outcome.name


def test_a_run_that_is_not_ranked_yet_has_no_rows_and_says_so(home: Path) -> None:
    bare = eh.run(["replay:answers.jsonl"], [f"{MINI}[de]"], judge_model="tiny", limit=1, until="generate")
    assert bare.summary is None and bare.ratings.empty and "resume" in bare._repr_html_()


def battles(n: int) -> pd.DataFrame:
    """Return n games on n prompts, of which the first model wins three of four."""
    return pd.DataFrame(
        {"prompt_id": [str(i) for i in range(n)], "language": "de", "model_a": "hare", "model_b": "<i>tortoise",
         "score": [float(i % 4 > 0) for i in range(n)], "judge": "j"}
    )  # fmt: skip


def test_a_frame_or_a_file_is_ranked(tmp_path: Path) -> None:
    frame = battles(40)
    ranking = eh.rank(frame, by="language", rounds=200)
    assert list(ranking.frame[ranking.frame.by == "all"].model) == ["hare", "<i>tortoise"]
    assert ranking.frame.win_rate.iloc[0] == 0.75
    html = ranking._repr_html_()
    assert "75.0%" in html and " to " in html and "&lt;i&gt;tortoise" in html and html.count("<tr>") == 3
    frame.to_json(tmp_path / "battles.jsonl", orient="records", lines=True)
    from_file = eh.rank(tmp_path / "battles.jsonl", by=["language"], rounds=200)
    assert from_file.frame.win_rate.tolist() == ranking.frame.win_rate.tolist()
    assert "against hare" in eh.rank(frame, baseline="hare", rounds=200)._repr_html_()


def test_specs_are_loaded_by_name() -> None:
    assert eh.load_task(MINI).codes[:2] == ("ar", "cs") and eh.load_judge("arena-hard").orders == "both"
    with pytest.raises(NotInCatalog, match="did you mean 'arena-hard'"):
        eh.load_judge("arena-hrd")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"limit": 0}, "limit=0: must be 1 or above"),
        ({"level": 95}, "level=95: must lie between 0 and 1"),
        ({"rounds": 0}, "rounds=0: must be 1 or above"),
        ({"gen": {"temprature": 1}}, "gen: unknown key 'temprature'; did you mean 'temperature'?"),
        ({"gen": {"top_p": 2}}, "gen: top_p: 2 must be above 0 and at most 1"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_how_to_mend_it(words: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        eh.run("gemma-3-270m", MINI, **words)  # type: ignore[arg-type]
    assert message in str(raised.value)
