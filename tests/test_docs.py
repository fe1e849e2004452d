"""Every command of README and docs/ is run, in order, in an empty folder with the files the page writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalharness.catalog import Catalog
from evalharness.cli.main import VERBS
from evalharness.flows.catalogue import catalogue

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind it, its text."""

    language: str
    note: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [Block(m[1], m[2].strip(), m[3]) for m in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[str]:
    """Return the commands of a page that are to be run: every line of a shell block, every Python block as a whole."""
    out = []
    for block in blocks(page):
        if block.note:
            continue
        if block.language == "sh":
            out += [line for line in block.text.splitlines() if line.strip()]
        elif block.language == "python":
            out.append(f"python -W error - <<'END'\n{block.text}END")
    return out


WITH_COMMANDS = [page for page in PAGES if commands(page)]


# The pages whose commands load the real demo model; on the others a checkpoint of a megabyte answers under its name.
WITH_REAL_MODEL = ("add-a-judge.md", "getting-started.md", "models.md")


@pytest.mark.model
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path, tiny_model: Path, demo_weights: None) -> None:
    home = tmp_path / "the user's configuration"
    if page.name not in WITH_REAL_MODEL:
        entry = {"backend": "hf", "path": str(tiny_model), "note": "a stand-in"}
        models = {"gemma-3-270m": entry, "gemma-3-270m-sampled": {**entry, "generate": {"temperature": 1.0}}}
        home.mkdir()
        (home / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    for block in blocks(page):
        if block.note.startswith("file="):
            file = tmp_path / block.note.removeprefix("file=")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands(page):
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": path,
                "EVALHARNESS_GEN": "max_tokens=4",
                "EVALHARNESS_CONFIG": str(home),
                "EVALHARNESS_SECRET": "pages",  # of the fences a judge reads: a small model's answer hangs on them
            },  # the commands, not long answers
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_pages_with_commands_were_found() -> None:
    assert {page.name for page in WITH_COMMANDS} >= {
        "getting-started.md",
        "add-a-language.md",
        "configuration.md",
        "python.md",
    }


def test_the_readme_names_every_command() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"| `{verb}" not in text and f" `{verb}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= targets


def test_the_list_of_tasks_is_that_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    written = (REPOSITORY / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert written == catalogue(Catalog()), "write it anew: evalharness ls tasks --markdown > docs/tasks.md"
