"""A working folder whose models and judge are behind the fake server, and the command line called in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main

MODELS = {"api": "good", "second": "other", "judge": "judge"}


@pytest.fixture
def served_home(tmp_path: Path, api_server: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the entries of MODELS."""
    models = {name: {"backend": "openai", "path": path, "base_url": api_server.url} for name, path in MODELS.items()}
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_SECRET", "s")
    return tmp_path


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Call a command; returns its exit code, the JSON it prints and what it says on stderr."""

    def call(*words: str) -> tuple[int, Any, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--json"])
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if said.out else None, said.err

    return call
