"""`--dry-run` says what the run then does: requests, reuse, games, loads, name; and leaves no trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import shipped
from evalharness.cli.main import main
from evalharness.flows.dry_run import dry_run
from evalharness.flows.forecast import Step
from evalharness.plan import Ask
from evalharness.run import run
from evalharness.types import Event

MINI = "m-arenahard-mini"
RESULTS = Path("results")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """A working folder with the tiny model under two names, and a third one beside it."""
    monkeypatch.chdir(tmp_path)
    entry = {"backend": "hf", "path": str(tiny_model), "engine": {"batch_size": 4}}
    models = {
        "tiny": entry,
        "hot": {**entry, "generate": {"temperature": 1.0}},
        "plain": {**entry, "add_bos": False},
        "half": {**entry, "engine": {"dtype": "bfloat16"}},
    }
    (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    return tmp_path


def asking(**words: Any) -> Ask:
    """Return an Ask over two languages and two prompts."""
    given = {
        "models": ("tiny", "hot"), "tasks": (f"{MINI}[de,ja]",), "limit": 2, "judge_model": "tiny",
        "gen": {"max_tokens": 4}, **words,
    }  # fmt: skip
    return Ask(**given)


def counts(step: Step) -> tuple[Any, ...]:
    """Return what is asked, without what it comes to."""
    about = (step.stage, step.subject, step.backend)
    return (*about, step.requests, step.reused, step.at_most, step.games, step.decided)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file with size and time of change."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_before_anything_is_asked_it_says_what_the_run_then_asks(home: Path) -> None:
    before = files(home)
    said = dry_run(asking(), RESULTS)
    assert files(home) == before and not RESULTS.exists()
    assert (said.prompts, said.languages, said.samples, said.models) == (2, 2, 4, ("tiny", "hot"))
    assert [counts(step) for step in said.steps] == [
        counts(Step("generate", "tiny, hot", "hf", 8, 0)),
        counts(Step("judge", "pairwise-logprob/tiny", "hf", 8, 0, at_most=True, games=8, decided=0)),
    ]
    assert len(said.loads) == 1  # contestants and judge are one engine
    events: list[Event] = []
    outcome = run(asking(), RESULTS, listen=events.append)
    assert outcome.name == said.name
    last = {event.stage: event for event in events}
    assert last["generate"].total == said.steps[0].requests and last["judge"].total <= said.steps[1].requests
    assert len(list((RESULTS / "logs").iterdir())) == len(said.loads)


def test_what_is_stored_is_reused_and_nothing_is_written(home: Path) -> None:
    run(asking(), RESULTS)
    before = files(home)
    whole = dry_run(asking(), RESULTS)
    assert [(s.requests - s.reused, s.at_most) for s in whole.steps] == [(0, False), (0, False)] and whole.loads == ()
    longer = dry_run(asking(limit=3), RESULTS)
    assert [(s.requests, s.reused, s.at_most) for s in longer.steps] == [(12, 8, False), (12, 8, True)]
    assert files(home) == before


def test_completions_that_are_there_make_the_games_exact(home: Path) -> None:
    run(asking(), RESULTS, until="generate")
    said = dry_run(asking(), RESULTS)
    judged = said.steps[1]
    assert not judged.at_most and judged.reused == 0 and judged.games == 8
    assert judged.requests + (judged.decided or 0) == 8


def test_engines_are_loaded_one_after_the_other(home: Path) -> None:
    assert len(dry_run(asking(models=("tiny", "half")), RESULTS).loads) == 2
    assert len(dry_run(asking(models=("tiny", "half")), RESULTS, judged=False).steps) == 2


def test_models_that_differ_in_wording_alone_share_a_load(home: Path) -> None:
    said = dry_run(asking(models=("tiny", "plain")), RESULTS)
    assert len(said.loads) == 1 and [step.stage for step in said.steps] == ["generate", "generate", "judge"]


def test_stored_answers_are_no_load(home: Path) -> None:
    rows = [{"prompt_id": "mini-code", "language": "de", "model": m, "text": m} for m in ("a", "b")]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said = dry_run(asking(models=("replay:answers.jsonl",)), RESULTS)
    assert {s.backend for s in said.steps if s.stage == "generate"} == {"replay"} and len(said.loads) == 1


def test_the_flag_prints_lines_or_one_document(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "tiny,hot", "-t", f"{MINI}[de]", "--limit", "1", "--judge-model", "tiny", "--dry-run"]
    with pytest.raises(SystemExit) as ended:
        main(["run", *words])
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and not err
    assert "at most 2 to ask, 0 reused" in out and out.endswith("nothing was asked, nothing was written\n")
    with pytest.raises(SystemExit):
        main(["generate", *words, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert [step["stage"] for step in document["steps"]] == ["generate"] and document["steps"][0]["requests"] == 2
    assert not RESULTS.exists()


def test_tokens_and_money_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    price = {"input": 3.0, "output": 6.0}
    api = {"backend": "openai", "base_url": "http://localhost:9/v1"}
    models = {"paid": {**api, "path": "p", "price": price}, "unpriced": {**api, "path": "u"}}
    (home / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")
    asked = asking(
        models=("unpriced", "paid"), judges=("arena-hard",), judge_model="paid", tasks=(f"{MINI}[ja]",), limit=1
    )
    said = dry_run(asked, RESULTS)
    rows = [
        json.loads(line) for line in (shipped("tasks") / MINI / "ja.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    sizes = {len(row["prompt"].encode()) for row in rows}
    one, other, judged = said.steps
    assert one.tokens_in in {-(-size // 3) for size in sizes}
    assert (one.tokens_out, one.cost) == (4, None)
    assert other.cost == pytest.approx((other.tokens_in * 3 + 4 * 6) / 1e6)
    assert judged.tokens_out == 2 * 4096, "both orders, as long as the judge may write"
    longer = dry_run(replace(asked, gen={"max_tokens": 104}), RESULTS).steps[2]
    assert longer.tokens_in - judged.tokens_in == 2 * 2 * 100, "both answers of both games at their longest"
    assert judged.cost == pytest.approx((judged.tokens_in * 3 + judged.tokens_out * 6) / 1e6)
    words = ["estimate", "-m", "unpriced,paid", "-t", f"{MINI}[ja]", "--limit", "1", "--gen", "max_tokens=4"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--judge", "arena-hard", "--judge-model", "paid"])
    assert ended.value.code == 0
    whole = (other.cost or 0) + (judged.cost or 0)
    assert f"cost      about {whole:,.2f} dollars; steps without a price: 1" in capsys.readouterr().out
    assert not RESULTS.exists()
