"""The built wheel, away from the checkout: it finds its tasks, judges, models and templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", str(REPOSITORY), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder / "dist")]
    subprocess.run([*pip, *build], check=True, capture_output=True, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True, capture_output=True
    )
    return folder / "site"


def python(site: Path, cwd: Path, *arguments: str) -> str:
    """Run Python with the wheel's folder before everything else, in an empty folder."""
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_brings_its_tasks_judges_and_models(installed: Path, tmp_path: Path) -> None:
    where = python(installed, tmp_path, "-c", "import evalharness; print(evalharness.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    for kind, key in (("tasks", "task"), ("judges", "judge")):
        listed = {
            row[key] for row in json.loads(python(installed, tmp_path, "-m", "evalharness", "ls", kind, "--json"))
        }
        there = [path for path in (REPOSITORY / kind).rglob("*.yaml") if path.parent.name != "suites"]
        assert listed == {path.stem for path in there}
    suites = json.loads(python(installed, tmp_path, "-m", "evalharness", "ls", "suites", "--json"))
    assert {row["suite"] for row in suites} == {"aya-expanse", "to-code"}
    models = json.loads(python(installed, tmp_path, "-m", "evalharness", "ls", "models", "--json"))
    assert {"gemma-3-270m", "gemma-3-270m-sampled"} <= {row["model"] for row in models}


def test_the_wheel_brings_data_templates_and_types(installed: Path) -> None:
    package = installed / "evalharness"
    assert len(list((package / "shipped/tasks/m-arenahard-mini").glob("*.jsonl"))) == 23
    for source in (REPOSITORY / "evalharness").rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            assert (package / source.relative_to(REPOSITORY / "evalharness")).is_file(), source
    assert (package / "py.typed").is_file()
