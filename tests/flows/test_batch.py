"""Batch files: what a run would ask leaves as lines, and comes back as if it had been asked directly."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evalharness.backends.openai import batch as lines

TASK = ["--task", "m-arenahard-mini[de,ar]", "--limit", "2", "--judge", "arena-hard", "--judge-model", "judge"]
RUN = ["--models", "api,second", *TASK]


def answered(server: Any, file: str) -> list[dict[str, Any]]:
    """Ask every line of ``file`` over HTTP and return the lines of OpenAI's output file, last line first."""
    out = []
    for number, text in enumerate(Path(file).read_text(encoding="utf-8").splitlines()):
        asked = json.loads(text)
        assert set(asked) == {"custom_id", "method", "url", "body"} and asked["method"] == "POST"
        body = json.dumps(asked["body"]).encode()
        with urllib.request.urlopen(f"{server.root}{asked['url']}", body) as reply:
            response = {"status_code": reply.status, "request_id": f"r{number}", "body": json.load(reply)}
        out.append({"id": f"b{number}", "custom_id": asked["custom_id"], "response": response, "error": None})
    return out[::-1]


def write(rows: list[Any], file: str = "output.jsonl") -> str:
    Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_answers_that_came_as_batches_give_the_run_that_asked_directly(
    served_home: Path, api_server: Any, called: Any
) -> None:
    assert called("run", *RUN, "--results", "direct")[0] == 0
    direct = api_server.log()
    api_server.tell("reset")

    asked = []
    for model, stage, count in (("api", "generate", 4), ("second", "generate", 4), ("judge", "judge", 8)):
        code, told, _ = called("export", "openai-batch", *RUN, "--of", model, "--out", f"{model}.jsonl")
        assert code == 0 and (told["stage"], told["requests"], told["files"]) == (stage, count, [f"{model}-1.jsonl"])
        rows = answered(api_server, f"{model}-1.jsonl")
        asked += rows
        code, taken, _ = called("import", "openai-batch", told["run"], write(rows))
        assert code == 0 and (taken["lines"], taken["stored"]) == (count, count), taken
    canonical = [json.dumps([entry["path"], entry["body"]], sort_keys=True) for entry in api_server.log()]
    assert sorted(canonical) == sorted(json.dumps([e["path"], e["body"]], sort_keys=True) for e in direct)

    api_server.tell("reset")
    code, told, _ = called("run", *RUN)
    assert code == 0 and api_server.log() == []
    own, other = (pd.read_parquet(Path(root) / told["run"] / "battles.parquet") for root in ("results", "direct"))
    pd.testing.assert_frame_equal(own, other)
    code, told, _ = called("export", "openai-batch", *RUN, "--of", "judge", "--out", "judge.jsonl")
    assert code == 0 and told["requests"] == 0 and told["files"] == []
    assert called("import", "openai-batch", told["run"], write(asked))[1]["known"] == 16


def test_faults_are_counted_and_only_they_are_asked_again(served_home: Path, api_server: Any, called: Any) -> None:
    run = called("export", "openai-batch", *RUN, "--of", "api", "--out", "a.jsonl")[1]["run"]
    good, bad, expired, vllm = answered(api_server, "a-1.jsonl")
    changed = json.loads(json.dumps(good))
    changed["response"]["body"]["choices"][0]["message"]["content"] = "a second answer"
    bad["response"] = {"status_code": 500, "body": {"error": {"message": "oops"}}}
    expired |= {"response": None, "error": {"code": "batch_expired", "message": "could not be executed in time"}}
    error = {"object": "error", "message": "bad request", "type": "BadRequestError", "code": 400}
    vllm |= {"response": {"status_code": 400, "body": None}, "error": {"error": error}}
    stranger = {**good, "custom_id": "f" * 32}
    write([good, changed, bad, expired, vllm, stranger])
    with open("output.jsonl", "a", encoding="utf-8") as file:
        file.write('{"custom_id": "cut')
    code, told, _ = called("import", "openai-batch", run, "output.jsonl")
    assert code == 3 and (told["stored"], told["known"], told["unknown"]) == (1, 1, 1)
    assert told["failed"] == {
        "HTTP 500: oops": 1,
        "could not be executed in time": 1,
        "bad request (HTTP 400)": 1,
    }
    assert told["left_out"] == ["output.jsonl:7"]

    api_server.tell("reset")
    assert called("run", *RUN)[0] == 0
    assert [len(api_server.log(path)) for path in ("good", "other", "judge")] == [3, 4, 8]
    texts = [part for entry in api_server.log("judge") for part in [json.dumps(entry["body"])]]
    assert not any("a second answer" in text for text in texts)


def test_a_failure_that_is_answered_in_a_later_line_is_none(served_home: Path, api_server: Any, called: Any) -> None:
    run = called("export", "openai-batch", *RUN, "--of", "api", "--out", "a.jsonl")[1]["run"]
    rows = answered(api_server, "a-1.jsonl")
    failed = {**rows[0], "response": {"status_code": 429, "body": None}}
    code, told, _ = called("import", "openai-batch", run, write([failed, *rows]))
    assert code == 0 and told["stored"] == 4 and told["failed"] == {}


def test_games_leave_only_when_every_completion_is_there(served_home: Path, called: Any) -> None:
    code, _, said = called("export", "openai-batch", *RUN, "--of", "judge")
    assert code == 2 and "4 of api, 4 of second" in said and "evalharness generate --models api,second" in said
    assert not list(served_home.glob("batch-*"))


def test_large_exports_are_split_and_no_older_file_is_taken_for_a_part(
    served_home: Path, called: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_REQUESTS", 3)
    told = called("export", "openai-batch", *RUN, "--of", "api")[1]
    assert told["files"] == ["batch-1.jsonl", "batch-2.jsonl"]
    assert [len(Path(file).read_text(encoding="utf-8").splitlines()) for file in told["files"]] == [3, 1]
    code, _, said = called("export", "openai-batch", *RUN, "--of", "api")
    assert code == 2 and "batch-1.jsonl: is there already" in said
    size = max(len(line) for file in told["files"] for line in Path(file).read_bytes().splitlines(keepends=True))
    monkeypatch.setattr(lines, "MOST_REQUESTS", 50_000)
    monkeypatch.setattr(lines, "MOST_BYTES", size)
    told = called("export", "openai-batch", *RUN, "--of", "api", "--out", "small.jsonl")[1]
    assert len(told["files"]) > 1 and all(Path(file).stat().st_size <= size for file in told["files"])


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (["export", "batch", *RUN, "--of", "api"], "openai-batch"),
        (["export", "openai-batch", *RUN], "--of"),
        (["export", "openai-batch", *RUN, "--of", "api", "--dry-run"], "evalharness estimate"),
        (["export", "openai-batch", *RUN, "--of", "apj"], "did you mean 'api'?"),
        (["import", "openai-batch", "RUN"], "openai-batch RUN FILE"),
        (["import", "openai-batch", "RUN", "x.jsonl", "--out", "y.jsonl"], "leave --out"),
        (["import", "openai-batch", "RUN", "x.jsonl"], "no runs in results"),
    ],
)
def test_mistakes_are_one_line(served_home: Path, called: Any, words: list[str], mend: str) -> None:
    code, _, said = called(*words)
    assert code == 2 and mend in said and said.count("\n") == 1, said


def test_a_model_without_an_address_cannot_leave(served_home: Path, called: Any) -> None:
    row = {"model": "kept", "language": "de", "prompt_id": "mini-code", "text": "x"}
    write([row], "kept.jsonl")
    code, _, said = called(
        "export", "openai-batch", "--models", "api,replay:kept.jsonl", *TASK, "--of", "kept"
    )  # fmt: skip
    assert code == 2 and "has the backend replay" in said
