"""The command line as a stranger meets it: fast help, one helpful line for a mistake, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = (
    "aiohttp",
    "pandas",
    "numpy",
    "pyarrow",
    "openai",
    "datasets",
    "torch",
    "transformers",
    "huggingface_hub",
    "rich",
)


def evalharness(*arguments: str, cwd: Path = REPOSITORY, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "evalharness", *arguments],
        cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ls", "tasks"], ["ls", "judges"], ["ls", "models"], ["show", "arena-hard"]]
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom evalharness.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command_and_each_has_help_of_its_own() -> None:
    from evalharness.cli.main import VERBS

    shown = evalharness("--help").stdout
    for verb in VERBS:
        assert verb in shown
        own = evalharness(verb, "--help")
        assert own.returncode == 0 and "Usage: evalharness " + verb in own.stdout


def test_version_is_printed() -> None:
    assert evalharness("--version").stdout.startswith("evalharness ")


def test_ls_json_is_one_document_for_every_kind(tmp_path: Path) -> None:
    for kind in ("tasks", "judges", "models", "languages"):
        rows = json.loads(evalharness("ls", kind, "--json").stdout)
        assert rows and all(isinstance(row, dict) for row in rows)
    assert {row["task"] for row in json.loads(evalharness("ls", "tasks", "--json").stdout)} >= {
        "m-arenahard",
        "m-arenahard-mini",
    }


RUN = ["run", "--models", "gemma-3-270m", "--task"]
MISTAKES = {
    "command": (["rnu"], "no command 'rnu'; did you mean 'run'?"),
    "kind": (["ls", "task"], "no kind named 'task'; did you mean 'tasks'?"),
    "task": ([*RUN, "m-arenahrd"], "no task named 'm-arenahrd'; did you mean 'm-arenahard'?"),
    "language": ([*RUN, "m-arenahard-mini[dee]"], "task m-arenahard-mini: no language named 'dee'; did you mean 'de'?"),
    "language flag": ([*RUN, "m-arenahard-mini", "--languages", "xx"], "no language named 'xx'"),
    "model": (
        ["run", "--models", "gemma-3-270", "--task", "m-arenahard-mini"],
        "no model named 'gemma-3-270'; did you mean 'gemma-3-270m'?",
    ),
    "judge": (
        [*RUN, "m-arenahard-mini", "--judge", "arena-hrd"],
        "no judge named 'arena-hrd'; did you mean 'arena-hard'?",
    ),
    "backend": (
        ["run", "--models", "hff:x", "--task", "m-arenahard-mini"],
        "no backend named 'hff'; did you mean 'hf'?",
    ),
    "path": (["run", "--models", "hf:./nowhere", "--task", "m-arenahard-mini"], "nowhere"),
    "gen key": ([*RUN, "m-arenahard-mini", "--gen", "temprature=1"], "did you mean 'temperature'?"),
    "gen value": ([*RUN, "m-arenahard-mini", "--gen", "temperature=warm"], "must be a number"),
    "gen form": ([*RUN, "m-arenahard-mini", "--gen", "temperature"], "write it as key=value"),
    "limit": ([*RUN, "m-arenahard-mini", "--limit", "0"], "0 is not in the range"),
    "selector": ([*RUN, "m-arenahard-mini[de"], "write it as name, name[de,fr] or name[*]"),
    "specs": ([*RUN, "m-arenahard-mini", "--specs", "nowhere"], "--specs nowhere: no such folder"),
    "twice": (["run", "--models", "gemma-3-270m,gemma-3-270m", "--task", "m-arenahard-mini"], "given twice"),
    "one model": ([*RUN, "m-arenahard-mini", "--judge", "pairwise-logprob"], "needs two models"),
    "no models": (["run", "--task", "m-arenahard-mini"], "Missing option '--models'"),
    "replay": (["run", "--models", "replay:nothing-*.jsonl", "--task", "m-arenahard-mini"], "nothing-*.jsonl"),
    "run": (["resume", "nope"], "no runs in"),
    "show": (["show", "arena-hardd"], "did you mean 'arena-hard'?"),
    "file": (["rank", "nowhere.jsonl"], "nowhere.jsonl"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_helpful_line_and_exit_2(mistake: str, tmp_path: Path) -> None:
    arguments, expected = MISTAKES[mistake]
    done = evalharness(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(("Usage:", "Try "))]
    assert len(errors) == 1, errors
    assert list(tmp_path.iterdir()) == []  # nothing is written for a mistake


def test_broken_yaml_names_file_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    text = (REPOSITORY / "tasks/m-arenahard-mini.yaml").read_text(encoding="utf-8")
    (tmp_path / "tasks/mine.yaml").write_text(
        text.replace("task: m-arenahard-mini", "task: mine").replace("judge:", "juge:"), encoding="utf-8"
    )
    done = evalharness("show", "mine", cwd=tmp_path)
    assert done.returncode == 2
    line = text.splitlines().index("judge: pairwise-logprob") + 1
    assert f"tasks/mine.yaml:{line}: juge: unknown key; did you mean 'judge'?" in done.stderr


def test_a_hidden_shipped_task_is_said(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    text = (REPOSITORY / "tasks/m-arenahard-mini.yaml").read_text(encoding="utf-8")
    (tmp_path / "tasks/m-arenahard-mini.yaml").write_text(text, encoding="utf-8")
    assert "hides the shipped task 'm-arenahard-mini'" in evalharness("ls", "tasks", cwd=tmp_path).stderr


def test_a_missing_data_set_says_what_where_and_how(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"prompt_id": "1", "language": "de", "model": "a", "text": "x"}\n', encoding="utf-8"
    )
    arguments = ["run", "--models", "replay:a.jsonl", "--task", "m-arenahard[de]"]
    done = evalharness(
        *arguments,
        cwd=tmp_path,
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path / "hf"),
        EVALHARNESS_DATA=str(tmp_path / "data"),
    )
    assert done.returncode == 2, done.stderr
    for part in (
        "no data set CohereLabs/m-ArenaHard/de/test",
        "EVALHARNESS_DATA=",
        "HF_HUB_OFFLINE is set",
        "to run without a network",
    ):
        assert part in done.stderr


def test_a_folder_of_judges_alone_holds_no_tasks(tmp_path: Path) -> None:
    (tmp_path / "judges").mkdir()
    text = (REPOSITORY / "judges/rubric.yaml").read_text(encoding="utf-8").replace("judge: rubric", "judge: mine")
    (tmp_path / "judges/mine.yaml").write_text(text, encoding="utf-8")
    assert "mine" in evalharness("ls", "judges", "--specs", str(tmp_path)).stdout
    listed = evalharness("ls", "tasks", "--specs", str(tmp_path))
    assert (listed.returncode, "mine " in listed.stdout) == (0, False)
