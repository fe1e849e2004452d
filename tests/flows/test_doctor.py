"""What `evalharness doctor` finds: endpoints over real HTTP, keys, data, locks, folders; and that it shows no key."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.flows import machine
from tests.conftest import ApiServer

KEY = "canary-key-0123456789abcdef"


def doctor(folder: Path, *words: str, **environment: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]], str]:
    """Run the command in ``folder``; return its exit code, its checks by area and name, and all it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "evalharness", "doctor", "--json", *words],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    checks = json.loads(done.stdout)
    return done.returncode, {(check["area"], check["name"]): check for check in checks}, done.stdout + done.stderr


def entries(folder: Path, url: str, **models: dict[str, Any]) -> None:
    """Write the model entries ``models``, each behind ``url``."""
    whole = {name: {"backend": "openai", "path": name, "base_url": url, **entry} for name, entry in models.items()}
    (folder / "evalharness.yaml").write_text(json.dumps({"models": whole}), encoding="utf-8")


def test_a_machine_that_can_run_has_no_failure(tmp_path: Path) -> None:
    code, checks, _ = doctor(tmp_path, "--task", "m-arenahard-mini[de,ar]")
    assert code == 0
    assert checks["packages", "openai"]["state"] == "ok"
    assert checks["disk", "file locks"]["found"] == "a second process is kept out"
    assert checks["disk", "journal"]["found"].endswith("wal mode")
    assert checks["data", "m-arenahard-mini[de,ar]"]["found"] == "on this machine: de, ar"
    assert list(tmp_path.iterdir()) == [], "nothing is left behind, and no results folder is made"


def test_a_sandbox_for_code_is_tried_and_one_that_is_missing_is_no_failure(tmp_path: Path) -> None:
    code, checks, _ = doctor(tmp_path, PATH=str(tmp_path))
    assert (code, checks["machine", "sandbox"]["state"]) == (0, "unknown")
    assert "bwrap is not installed" in checks["machine", "sandbox"]["found"]
    if shutil.which("bwrap"):
        _, checks, _ = doctor(tmp_path)
        assert checks["machine", "sandbox"]["found"].startswith("bubblewrap 0.")


def test_an_endpoint_that_answers_and_one_without_log_probabilities(tmp_path: Path, api_server: ApiServer) -> None:
    entries(tmp_path, api_server.url, good={"api_key_env": "TEST_KEY"}, **{"no-logprobs": {}})
    code, checks, said = doctor(tmp_path, "--models", "good,no-logprobs", TEST_KEY=KEY)
    assert code == 0
    assert checks["endpoint", "good"]["state"] == "ok"
    assert checks["endpoint", "good, log-probabilities"]["state"] == "ok"
    poor = checks["endpoint", "no-logprobs, log-probabilities"]
    assert poor["state"] == "warn"
    assert "judges that read probabilities" in poor["mend"]
    assert len(api_server.log("good")) == 2, "two questions, of one token each"
    assert KEY not in said


def test_nobody_is_asked_where_that_is_not_wanted(tmp_path: Path, api_server: ApiServer) -> None:
    entries(tmp_path, api_server.url, good={})
    code, checks, _ = doctor(tmp_path, "--models", "good", "--no-ask")
    assert (code, checks["model", "good"]["state"]) == (0, "ok")
    assert api_server.log() == []


def test_an_endpoint_that_refuses_or_is_not_there_fails_with_exit_code_6(tmp_path: Path, api_server: ApiServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        models = {"good": {"api_key_env": "TEST_KEY"}, "misspelled": {}, "nobody": {"base_url": nobody}}
        entries(tmp_path, api_server.url, **models, keyless={"api_key_env": "NO_SUCH_KEY"})
        code, checks, said = doctor(tmp_path, "--models", "good,misspelled,nobody,keyless", TEST_KEY=f"wrong-{KEY}")
    assert code == 6
    found = {name: checks["endpoint", name]["found"] for name in ("good", "misspelled", "nobody", "keyless")}
    assert "TEST_KEY" in found["good"]
    assert "did you mean 'misspelt'?" in found["misspelled"]
    assert nobody in found["nobody"]
    assert "NO_SUCH_KEY is not set" in found["keyless"]
    assert KEY not in said


def test_what_is_wrong_without_an_endpoint_has_exit_code_2(tmp_path: Path) -> None:
    code, checks, _ = doctor(tmp_path, "--models", "nobody-knows", "--task", "m-arenahard-mini[xx]")
    assert code == 2
    assert "no model named 'nobody-knows'" in checks["model", "nobody-knows"]["found"]
    assert "no language named 'xx'" in checks["data", "m-arenahard-mini[xx]"]["found"]


def test_data_that_is_not_here_is_named_and_what_fetches_it(tmp_path: Path) -> None:
    code, checks, _ = doctor(tmp_path, "--task", "m-arenahard[de]", HF_HOME=str(tmp_path), EVALHARNESS_DATA="")
    assert code == 0
    found = checks["data", "m-arenahard[de]"]
    assert (found["state"], found["found"]) == ("warn", "to be fetched from the hub: de")
    assert "evalharness pin 'm-arenahard[de]'" in found["mend"]


def test_a_network_file_system_is_told(tmp_path: Path) -> None:
    _, checks, _ = doctor(tmp_path, EVALHARNESS_NETWORK_FS="1")
    assert checks["disk", "journal"]["state"] == "warn"


def test_a_lock_that_keeps_nobody_out_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.fcntl, "flock", lambda *_: None)  # as on a network file system that ignores locks
    assert machine._lock(tmp_path / "lock").state == "fail"
    monkeypatch.setattr(machine.sys, "executable", str(tmp_path / "nothing"))
    assert machine._lock(tmp_path / "lock").state == "unknown"


@pytest.mark.skipif(sys.platform != "linux", reason="reads a folder that Linux has")
def test_a_results_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    code, checks, _ = doctor(tmp_path, "--results", "/proc/results")
    assert (code, checks["disk", "results"]["state"]) == (2, "fail")


def test_a_card_that_torch_does_not_reach_fails(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 570.86.15'\n", encoding="utf-8")
    program.chmod(0o755)
    hidden = {"PATH": f"{program.parent}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    code, checks, _ = doctor(tmp_path, **hidden)
    assert checks["graphics", "card 0"]["found"] == "NVIDIA H100 80GB HBM3, 81559 MiB, driver 570.86.15"
    torch = checks["graphics", "torch"]
    assert (code, torch["state"]) == (2, "fail") and "reaches no card" in torch["found"]


def test_people_read_a_line_a_check(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "evalharness", "doctor", "--models", "nobody-knows"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "FAIL  model: nobody-knows: no model named" in done.stdout
