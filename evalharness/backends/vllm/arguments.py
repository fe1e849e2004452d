"""What an entry may say to vLLM in, the arguments of its engine out; a slip is told before a load."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalharness.backends.models import RENDERING
from evalharness.backends.weights import read_json
from evalharness.errors import ModelError, suggestion
from evalharness.specs.model import ModelSpec
from evalharness.types import Engine

# Arguments that change where and how fast a model runs, and not what it answers.
OPTIONS = (
    "async_scheduling", "block_size", "compilation_config", "cpu_offload_gb", "data_parallel_size",
    "disable_custom_all_reduce", "distributed_executor_backend", "enable_chunked_prefill", "enable_expert_parallel",
    "enable_prefix_caching", "enforce_eager", "gpu_memory_utilization", "kv_cache_memory_bytes", "load_format",
    "max_num_batched_tokens", "max_num_seqs", "max_parallel_loading_workers", "pipeline_parallel_size",
    "tensor_parallel_size",
)  # fmt: skip
# Arguments that the harness sets, and the key of an entry that says the same.
FIXED = {
    "model": "path", "tokenizer": "path", "revision": "revision", "code_revision": "revision",
    "tokenizer_revision": "revision", "enable_lora": "adapter", "max_lora_rank": "adapter", "max_loras": "adapter",
    "skip_tokenizer_init": "path", "generation_config": "generate", "override_generation_config": "generate",
    "logprobs_mode": "engine", "runner": "engine", "convert": "engine", "seed": "generate", "disable_log_stats": "engine",
    "served_model_name": "path", "max_logprobs": "engine", "trust_remote_code": "engine",
}  # fmt: skip
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the ranks of adapters that vLLM has room for
_OURS = frozenset({"adapter", "adapter_folder", "replicas", "ray_address", "ray_folder"})


def arguments_of(engine: Engine) -> dict[str, Any]:
    """Return the arguments of vLLM's engine that loads ``engine``, but for where its files lie."""
    said = {name: _thawed(value) for name, value in (*engine.settings, *engine.options) if name not in _OURS}
    folder = adapter_of(engine)
    adapter = {} if folder is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(Path(folder))}
    return {"generation_config": "vllm", "disable_log_stats": True, "seed": 0, **said, **adapter}


def adapter_of(engine: Engine) -> str | None:
    """Return the folder of the adapter that ``engine`` adds to its weights, if it does."""
    folder: str | None = dict(engine.options).get("adapter_folder")
    return folder


def _rank(adapter: Path) -> int:
    """Return the smallest rank vLLM has room for that holds the adapter's."""
    said = read_json(adapter / "adapter_config.json")
    rank = max([int(said.get("r") or 1), *map(int, (said.get("rank_pattern") or {}).values())])
    return next((size for size in RANKS if size >= rank), rank)


def _thawed(value: Any) -> Any:
    """Return what ``wire.frozen`` made of mappings and lists as those again."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = list(value)
        pairs = all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items)
        return {key: _thawed(item) for key, item in items} if items and pairs else [_thawed(item) for item in items]
    return value


def checked(spec: ModelSpec, said: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return those arguments of vLLM that ``spec`` sets and that may change what the model answers.

    Raises ModelError for one that vLLM does not have or that the harness sets itself.
    """
    more = [name for name in said if name not in known and name not in RENDERING]
    if not more:
        return ()
    arguments = engine_arguments()
    for name in more:
        if name in FIXED:
            mend = f"write the entry's {FIXED[name]}" if FIXED[name] != "engine" else "leave it out"
            raise ModelError(f"model '{spec.name}': the harness sets vLLM's {name} itself; {mend}")
        if arguments is not None and name not in arguments:
            raise ModelError(
                f"model '{spec.name}': unknown setting '{name}'; {suggestion(name, (*known, *RENDERING, *sorted(arguments)))}"
            )
    return tuple(more)


@cache
def engine_arguments() -> frozenset[str] | None:
    """Return the names of the fields of the installed vLLM's ``EngineArgs``; ``None`` where they cannot be read.

    Its source is read: an import takes many seconds.
    """
    found = find_spec("vllm")
    if found is None or found.origin is None:
        return None
    try:
        tree = ast.parse((Path(found.origin).parent / "engine" / "arg_utils.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return None
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"]
    names = {
        field.target.id
        for node in classes
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    return frozenset(names) or None
