"""What `evalharness doctor` finds: endpoints over real HTTP, keys, data, locks, folders; and that it shows no key."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from evalharness.flows import machine, room
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
    assert checks["endpoint", "good, key"]["found"] == "found in the environment variable TEST_KEY"
    assert checks["endpoint", "no-logprobs, key"]["found"] == "none is sent"
    unlisted = checks["endpoint", "no-logprobs, list of models"]
    assert (checks["endpoint", "good, list of models"]["state"], unlisted["state"]) == ("ok", "warn")
    assert "lists it not among its" in unlisted["found"]
    poor = checks["endpoint", "no-logprobs, log-probabilities"]
    assert poor["state"] == "warn"
    assert "judges that read probabilities" in poor["mend"]
    assert len(api_server.log("good")) == 2, "two questions, of one token each"
    assert KEY not in said


def test_each_address_of_a_model_is_looked_at(tmp_path: Path, api_server: ApiServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        entries(tmp_path, api_server.url, good={"base_url": [api_server.url, nobody]})
        code, checks, _ = doctor(tmp_path, "--models", "good")
    assert code == 6
    assert checks["endpoint", f"good at {api_server.url}"]["state"] == "ok"
    assert checks["endpoint", f"good at {nobody}"]["state"] == "fail"
    assert nobody in checks["endpoint", f"good at {nobody}"]["found"]
    assert len(api_server.log("good")) == 2


def test_an_endpoint_without_a_list_and_prices_that_are_known_or_not(tmp_path: Path, api_server: ApiServer) -> None:
    entries(tmp_path, api_server.url, good={"price": {"input": 0.5, "output": 1.5}}, mute={})
    _, checks, _ = doctor(tmp_path, "--models", "good,mute", "--no-ask")
    assert checks["endpoint", "good, price"]["found"] == (
        "0.5 dollars a million tokens read, 1.5 written (price: entry)"
    )
    unknown = checks["endpoint", "mute, price"]
    assert (unknown["state"], unknown["found"]) == ("unknown", "--max-cost cannot be kept")
    assert ("endpoint", "good, list of models") not in checks, "nobody was asked"


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


def test_the_answers_of_a_run_are_compared_with_the_free_disk(tmp_path: Path, api_server: ApiServer) -> None:
    entries(tmp_path, api_server.url, good={}, judge={})
    words = ["--models", "good,judge", "--task", "m-arenahard-mini[de]", "--judge-model", "judge", "--no-ask"]
    code, checks, _ = doctor(tmp_path, *words)
    answers = checks["disk", "answers"]
    assert (code, answers["state"]) == (0, "ok")
    assert "at least, at most about" in answers["found"] and " for 32 requests; " in answers["found"]
    _, few, _ = doctor(tmp_path, *words, "--limit", "1")
    assert " for 4 requests; " in few["disk", "answers"]["found"]
    task = "extends: m-arenahard-mini\nlanguage: sw\ndataset: {path: json, data_files: rows.jsonl, split: train}\n"
    (tmp_path / "tasks").mkdir()
    file = tmp_path / "tasks" / "m-arenahard-mini.sw.yaml"
    file.write_text(f"{task}generate: {{max_tokens: {10**15}}}\n", encoding="utf-8")
    row = {"question_id": "a", "category": "c", "prompt": "p", "raw_prompt": "p"}
    (tmp_path / "tasks" / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    words[3] = "m-arenahard-mini[sw]"
    code, checks, _ = doctor(tmp_path, *words)
    answers = checks["disk", "answers"]
    assert (code, answers["state"]) == (0, "warn") and "GB" in answers["found"] and "free some space" in answers["mend"]
    file.write_text(f"{task}judge: rubric\n", encoding="utf-8")
    code, checks, _ = doctor(tmp_path, *words[:4], "--no-ask")
    assert code == 2 and "OPENAI_API_KEY is not set" in checks["run", "forecast"]["found"], "its judge's own model"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("free", "state"), [(99, "fail"), (100, "warn"), (999, "warn"), (1000, "ok")])
def test_what_cannot_fit_fails_and_what_may_not_fit_warns(free: int, state: str) -> None:
    assert room.verdict(100, 1000, free) == state


class _Hub(BaseHTTPRequestHandler):
    """A hub that has the model org/large, far too large for any disk, and says nothing of org/unsaid's size."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        type(self).asked.append(path)
        sizes = {"/api/models/org/large": 10**17, "/api/models/org/unsaid": None}
        known = next((name for name in sizes if path in (name, f"{name}/revision/main")), None)
        self.send_response(200 if known else 404)
        self.end_headers()
        if known:
            files = [{"rfilename": "config.json", "size": 1000}, {"rfilename": "m.safetensors", "size": sizes[known]}]
            body = {"id": known, "sha": "a" * 40, "siblings": [*files, {"rfilename": "m.onnx", "size": 1}], "tags": []}
            self.wfile.write(json.dumps(body).encode())

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


def test_weights_that_do_not_fit_are_told_and_not_fetched(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        hub = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "hf"),
            "NO_PROXY": "*",
        }
        code, checks, _ = doctor(tmp_path, "--models", "hf:org/large", HF_HUB_OFFLINE="0", **hub)
        asked = list(_Hub.asked)
        _, more, _ = doctor(tmp_path, "--models", "hf:org/unsaid", HF_HUB_OFFLINE="0", **hub)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    large = checks["disk", "weights of org/large"]
    assert (code, large["state"]) == (2, "fail")
    assert "100,000,000.0 GB to be fetched" in large["found"] and "HF_HOME" in large["mend"]
    assert ("model", "org/large") not in checks and not any("resolve" in path for path in asked), "nothing was fetched"
    assert more["disk", "weights of org/unsaid"]["state"] == "unknown"


def test_a_hub_that_cannot_be_reached_leaves_the_size_unknown(tmp_path: Path) -> None:
    words = ["--models", "hf:org/large"]
    code, checks, _ = doctor(tmp_path, *words, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"))
    assert (code, checks["disk", "weights of org/large"]["state"]) == (2, "unknown")
    assert "could not be downloaded" in checks["model", "org/large"]["found"]


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
