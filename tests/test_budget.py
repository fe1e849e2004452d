"""Runs with a limit of money, models behind a server: what is counted, when it stops, how it goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends.prices import Price
from evalharness.errors import UsageError
from evalharness.stages.budget import Budget
from evalharness.types import Engine, Result
from tests.conftest import ApiServer

TASK = "m-arenahard-mini[de,ar]"
PRICE = {"input": 0.0, "output": 1e6 / 100}  # a hundredth of a dollar a token written
ENGINE = Engine("openai", "m", "w")


def answer(tokens_in: int | None, tokens_out: int | None, error: str | None = None) -> Result:
    return Result("i", text="x", tokens_in=tokens_in, tokens_out=tokens_out, error=error)


def test_tokens_read_and_written_have_their_prices() -> None:
    money = Budget(0.01, {ENGINE.key: Price(2.0, 10.0)})
    money.take(ENGINE, answer(1000, 500))
    assert money.spent == pytest.approx(0.007) and not money.reached
    money.take(ENGINE, answer(None, None, error="timeout"))
    money.take(Engine("hf", "free", "v"), answer(10**9, 10**9))
    assert money.spent == pytest.approx(0.007)
    money.take(ENGINE, answer(0, 300))
    assert money.spent == pytest.approx(0.01) and money.reached


def test_an_answer_without_usage_is_an_error_and_not_free() -> None:
    with pytest.raises(UsageError, match="m: the server does not say how many tokens"):
        Budget(1.0, {ENGINE.key: Price(1.0, 1.0)}).take(ENGINE, answer(5, None))


class Home:
    """A working folder with two models and a judge behind the server, asked two at a time."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        entry: dict[str, Any] = {"backend": "openai", "base_url": url, "engine": {"concurrency": 2}}
        models = {name: {**entry, "path": name, "price": PRICE} for name in ("good", "other", "judge")}
        models["odd"] = {**models["good"], "path": "odd-usage"}
        models["unpriced"] = {**entry, "path": "good"}
        (folder / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")

    def do(self, *words: str) -> tuple[int, str]:
        """Run the command; return its exit code and what it said on stderr."""
        command = [sys.executable, "-m", "evalharness", *words]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, env=os.environ, timeout=60
        )
        return done.returncode, done.stderr

    def run(self, *words: str, models: str = "good,other") -> tuple[int, str]:
        judge = ("--judge", "arena-hard", "--judge-model", "judge")
        return self.do("run", "--models", models, "--task", TASK, "--limit", "4", *judge, "--name", "r", *words)


@pytest.fixture
def home(tmp_path: Path, api_server: ApiServer) -> Home:
    return Home(tmp_path, api_server.url)


def test_it_stops_within_what_is_in_flight_and_the_printed_command_goes_on(home: Home, api_server: ApiServer) -> None:
    code, said = home.run("--max-cost", "0.0001")
    assert code == 5
    assert re.search(r"error: --max-cost 0.0001 is reached: \d+\.\d{4} dollars spent; everything done is stored", said)
    asked = len(api_server.log())
    assert 1 <= asked <= 4, "the first answer reaches it; two are in flight, and two may have been begun meanwhile"
    again = re.search(r"evalharness (resume r --results results --max-cost 0.0001)", said)
    assert again is not None
    assert home.do(*again[1].split())[0] == 5
    assert asked < len(api_server.log()) <= asked + 4, (
        "what is stored is not asked again, and the money is that command's"
    )
    assert home.do("report", "r")[0] in (0, 3)
    summary = json.loads((home.folder / "results/r/summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "partial"
    assert home.do("resume", "r")[0] == 0
    bodies = [json.dumps(entry["body"], sort_keys=True) for entry in api_server.log()]
    assert len(bodies) == len(set(bodies)), "nothing was asked twice"


def test_enough_money_changes_nothing(home: Home) -> None:
    code, said = home.run("--max-cost", "1000000")
    assert code == 0, said


def test_a_paid_model_without_a_price_is_refused_before_anything_is_asked(home: Home, api_server: ApiServer) -> None:
    code, said = home.run("--max-cost", "1", models="unpriced,other")
    assert code == 2
    assert "model 'unpriced': --max-cost needs its price; add `price: {input: …, output: …}`" in said
    assert api_server.log() == []


def test_a_server_that_reports_no_usage_ends_the_run_and_what_it_answered_is_kept(
    home: Home, api_server: ApiServer
) -> None:
    code, said = home.run("--max-cost", "1", models="odd,good")
    assert code == 2
    assert "odd-usage: the server does not say how many tokens an answer took" in said
    asked = len(api_server.log("odd-usage"))
    assert 1 <= asked <= 4
    assert home.run(models="odd,good")[0] == 0, "without the limit it goes on"
    whole = len(api_server.log("odd-usage"))
    assert 8 <= whole < 8 + asked, "what was answered before the error is not asked again"


def test_a_price_below_zero_is_an_error_of_its_line(home: Home) -> None:
    file = home.folder / "evalharness.yaml"
    text = "models:\n  m:\n    backend: openai\n    path: good\n    price: {input: -1, output: 2}\n"
    file.write_text(text, encoding="utf-8")
    code, said = home.run(models="m,m")
    assert code == 2
    assert "evalharness.yaml:5: models.m.price.input: must be 0 or above" in said
