"""`validate`: all problems of all files, rows that lie here rendered, the hub asked over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from evalharness.errors import UsageError
from evalharness.flows.validate import Report, validate

REPOSITORY = Path(__file__).resolve().parents[2]
TASK = """\
task: mine
version: "1"
description: one of my own
dataset: {path: json, data_files: "{{ language }}.jsonl", split: train}
languages: [de, fr]
sample:
  id: "{{ row.id }}"
  prompt: "{{ row.prompt }}"
prompts: {origin: native}
judge: arena-hard
"""
ROW = '{"id": "1", "prompt": "Hallo?"}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a task in two languages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.yaml").write_text(TASK, encoding="utf-8")
    for code in ("de", "fr"):
        (tmp_path / f"tasks/{code}.jsonl").write_text(ROW, encoding="utf-8")
    return tmp_path


def written(folder: Path, name: str, text: str) -> Report:
    """Write a file and validate the whole folder."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return validate([folder])


def test_what_is_shipped_is_valid() -> None:
    report = validate([REPOSITORY / "tasks", REPOSITORY / "judges", REPOSITORY / "evalharness"])
    assert report.problems == [] and report.files >= 6 and report.rendered > 200
    assert "m-arenahard[de]" in report.unseen


def test_every_problem_of_every_file_is_said_once_with_its_place(folder: Path) -> None:
    broken = TASK.replace("version:", "versoin:").replace("split:", "splt:").replace("native", "nativ")
    (folder / "tasks/mine.yaml").write_text(broken.replace("row.id }}", "row.id }"), encoding="utf-8")
    (folder / "tasks/mine.sw.yaml").write_text("extends: mine\nlanguage: sw\nwrods: {}\n", encoding="utf-8")
    report = written(folder, "evalharness.yaml", "models:\n  m: {backend: hff, path: x}\nrun: {limt: 3, level: high}\n")
    assert report.files == 3
    *rest, origin = sorted(problem.partition("; ")[0] for problem in report.problems)
    assert origin.startswith("tasks/mine.yaml:9: prompts.origin: 'nativ' is not one of native, machine-translated")
    assert rest == [
        "evalharness.yaml:3: run.level: must be a number, not 'high'",
        "evalharness.yaml:3: run.limt: unknown key",
        "tasks/mine.sw.yaml:1: version: missing",
        "tasks/mine.sw.yaml:3: wrods: unknown key",
        "tasks/mine.yaml:1: version: missing",
        "tasks/mine.yaml:2: versoin: unknown key",
        "tasks/mine.yaml:4: dataset.splt: unknown key",
        "tasks/mine.yaml:7: sample.id: is not a template: unexpected '}'",
    ]


def test_one_mistake_in_a_template_is_one_problem_for_all_languages(folder: Path) -> None:
    report = written(folder, "tasks/mine.yaml", TASK.replace("row.prompt", "row.promt"))
    (problem,) = report.problems
    assert problem.startswith("tasks/mine.yaml:8: sample.prompt: row '1' (number 1) of mine[de]: there is no 'promt'")
    assert problem.endswith("(and so in 1 more languages)")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("tasks/fr.jsonl", "{", "fr.jsonl:1: is not JSON"),
        ("tasks/fr.jsonl", "", "tasks/mine.yaml:4: dataset.data_files: fr.jsonl has no rows"),
        ("tasks/fr.jsonl", ROW * 2, "tasks/mine.yaml:7: sample.id: mine[fr]: rows 1 and 2 have the same id '1'"),
        ("tasks/mine.yaml", TASK.replace("fr]", "it]"), "tasks/mine.yaml:4: dataset.data_files: no data file 'it.jsonl' in"),
        ("tasks/mine.yaml", TASK.replace("a-hard", "a-hrd"), "tasks/mine.yaml:10: judge: no judge named 'arena-hrd'; did"),
        ("other.yaml", "a: 1\n", "other.yaml:1: is neither a task, a judge, a suite nor an evalharness.yaml"),
        (
            "evalharness.yaml", "models:\n  m: {backend: hff, path: x}\n",
            "yaml:2: models.m.backend: no backend named 'hff'; did you mean",
        ),
        ("tasks/third.yaml", "extends: fourth\n", "tasks/third.yaml:1: extends: no task named 'fourth'"),
    ],
)  # fmt: skip
def test_a_problem(folder: Path, name: str, text: str, problem: str) -> None:
    (found,) = written(folder, name, text).problems
    assert problem in found


def test_a_judges_prompts_are_looked_at_in_each_of_its_languages(folder: Path) -> None:
    text = (
        'judge: j\nversion: "1"\ndescription: d\nprompts: {default: "{{ question }}", de: "{{ frage }}"}\n'
        "verdict: {kind: logprob, labels: {A: {score: 1}, B: {score: 0}}}\n"
    )
    report = written(folder, "judges/j.yaml", text)
    (problem,) = report.problems
    assert problem.startswith(
        "judges/j.yaml:4: prompts.de: {{ frage }} is not known here; there is: answer_a, answer_b"
    )


def test_the_mirror_is_rows_on_this_machine_and_the_hub_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = TASK.replace(
        '{path: json, data_files: "{{ language }}.jsonl", split: train}', "{path: org/set, name: '{{ language }}'}"
    )
    assert written(folder, "tasks/mine.yaml", hub).unseen == ["mine[de]", "mine[fr]"]
    file = folder / "mirror/org/set/de/test.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"id": "", "prompt": "x"}\n', encoding="utf-8")
    monkeypatch.setenv("EVALHARNESS_DATA", str(folder / "mirror"))
    report = validate([folder / "tasks"])
    assert report.unseen == ["mine[fr]"] and "row 1" in report.problems[0]


def test_the_cache_of_datasets_is_rows_on_this_machine(folder: Path) -> None:
    """In a process of its own: the library reads its environment when it is imported."""
    hub = TASK.replace(
        '{path: json, data_files: "{{ language }}.jsonl", split: train}', "{path: org/MySet, name: '{{ language }}'}"
    )
    (folder / "tasks/mine.yaml").write_text(hub, encoding="utf-8")
    code = """
import json, sys
from pathlib import Path
import datasets
cache = Path("cache/org___my_set/de/0.0.0/abc")
cache.mkdir(parents=True)
builder = datasets.load_dataset("json", data_files={"test": "tasks/de.jsonl"}, cache_dir="scratch")["test"]
builder.info.dataset_name, builder.info.config_name = "my_set", "de"
from datasets.arrow_writer import ArrowWriter
writer = ArrowWriter(path=str(cache / "my_set-test.arrow"), features=builder.features)
for row in builder:
    writer.write(row)
n, size = writer.finalize()
builder.info.splits = datasets.SplitDict.from_split_dict(
    {"test": {"name": "test", "num_bytes": size, "num_examples": n, "dataset_name": "my_set"}}
)
builder.info.write_to_directory(str(cache))
from evalharness.flows.validate import validate
report = validate([Path("tasks")])
print(json.dumps([report.problems, report.rendered, report.unseen]))
"""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], 1, ["mine[fr]"]]


CARD = {"configs": [{"config_name": "de", "data_files": [{"split": "test", "path": "de/test-*"}]}]}


class _Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = f"{self.path.partition('?')[0]}/".startswith("/api/datasets/org/set/")
        body = (
            {"id": "org/set", "sha": "a" * 40, "siblings": [], "tags": [], "cardData": CARD}
            if known
            else {"error": "x"}
        )
        self.send_response(200 if known else 404)
        if not known:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@pytest.fixture
def hub() -> Iterator[str]:
    """The far end: a hub that knows the data set org/set with the configuration de and the split test."""
    server = HTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("dataset", "problem"),
    [
        ("{path: org/set, name: de}", ""),
        ("{path: org/set, name: dee}", "dataset.path: org/set has no configuration 'dee'; did you mean 'de'?"),
        ("{path: org/set, name: de, split: tset}", "org/set/de has no split 'tset'; did you mean 'test'?"),
        ("{path: org/sett, name: de}", "no data set 'org/sett' on the HF hub; check the name"),
    ],
)
def test_online_asks_the_hub(folder: Path, hub: str, dataset: str, problem: str) -> None:
    """In a process of its own: the hub's library reads its environment when it is imported."""
    text = TASK.replace('{path: json, data_files: "{{ language }}.jsonl", split: train}', dataset)
    (folder / "tasks/mine.yaml").write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(folder / "hf"),
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "evalharness", "validate", "tasks/mine.yaml", "--online"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if problem else 0), done.stderr
    assert problem in done.stderr and len(done.stderr.splitlines()) == (2 if problem else 0)


def test_online_without_a_network_is_a_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE is set; unset it"):
        validate([folder], online=True)
