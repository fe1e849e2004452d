"""An address in, a Ray cluster that has room for an engine and finds its files out."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evalharness.errors import ModelError

LOCAL, AUTO = "local", "auto"
CONNECT_SECONDS = 10.0
CAUSE_CHARACTERS = 600
STORE_BYTES = 1 << 28  # of the object store of a Ray of our own: prompts and answers pass through it
ROOM_SECONDS = 120.0  # that nodes may take to join
_HUB = re.compile(r"/models--(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+)/snapshots/(?P<commit>[0-9a-f]{40})$")
_WORDY = "ray.llm._internal.batch.stages.vllm_engine_stage"  # writes a line a prompt


def connect(address: str, folder: str | None) -> None:
    """Start a Ray of this machine alone, with its files in ``folder``, or connect to the cluster at ``address``.

    Raises ModelError where none answers.
    """
    workers = {"worker_process_setup_hook": quiet}
    if address == LOCAL:
        ray.init(LOCAL, include_dashboard=False, object_store_memory=STORE_BYTES, _temp_dir=folder, runtime_env=workers)
        return
    try:
        if address != AUTO:  # Ray itself would go on for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        ray.init(address, runtime_env=workers)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:CAUSE_CHARACTERS]
        raise ModelError(
            f"no Ray cluster can be used at {address} ({type(error).__name__}: {said}); "
            "start one with `ray start --head`, or leave out --ray-address for a Ray of this machine alone"
        ) from error


def quiet() -> None:
    """Keep a worker's log to what matters, and its reports to itself; run in each before anything else."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    logging.getLogger(_WORDY).setLevel(logging.WARNING)


def devices() -> str:
    """Return what engines are placed on: GPU where the cluster has any, else CPU."""
    return "GPU" if ray.cluster_resources().get("GPU", 0) else "CPU"


def room(bundle: Mapping[str, float]) -> int:
    """Return how many cards of an engine, each with the resources ``bundle``, the living nodes have."""
    there = ray.cluster_resources()
    return int(min(there.get(kind, 0) / number for kind, number in bundle.items()))


def wait_for(number: int, seconds: float) -> Mapping[str, float]:
    """Return the resources of one card of an engine, once the cluster has ``number`` of them; ModelError where it has not."""
    until = time.monotonic() + seconds
    while (there := room(bundle := {"GPU": 1, "CPU": 1} if devices() == "GPU" else {"CPU": 1})) < number:
        what = " with a ".join(bundle)
        if time.monotonic() > until:
            raise ModelError(
                f"replicas and parallel sizes need {number} {what} each, and the Ray cluster has {there}; add nodes or set fewer"
            )
        sys.stderr.write(f"the Ray cluster has {there} of {number} {what}\n")
        time.sleep(1.0)
    return bundle


def located(path: str, adapter: str | None, versions: Sequence[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    """Return the model as the nodes find it, and vLLM's arguments that say its revision.

    That is ``path`` where it is a folder of every node that may hold an engine; of a model of the Hugging Face hub, else,
    its id, which each node downloads. Raises ModelError, which names the nodes that lack a folder, or have another version
    of a distribution than ``versions`` says: answers are recorded under those of the main process.
    """
    folders = [path, *([adapter] if adapter else [])]
    names = [name for name, _ in versions]
    nodes = _nodes()
    found = ray.get([_at(node).remote(folders, names) for node in nodes])
    hosts = [str(node["NodeManagerHostname"]) for node in nodes]
    for host, (_, there) in zip(hosts, found, strict=True):
        for (name, ours), theirs in zip(versions, there, strict=True):
            if ours != theirs:
                other = f"{theirs or 'not installed'} on the node {host} of the Ray cluster"
                raise ModelError(f"{name} is {ours} here and {other}; install {ours} there")
    lacking = {
        folder: [host for host, (has, _) in zip(hosts, found, strict=True) if not has[place]]
        for place, folder in enumerate(folders)
    }
    if adapter and lacking[adapter]:
        raise ModelError(_absent("the adapter's folder", adapter, lacking[adapter]))
    if not lacking[path]:
        return path, {}
    if hub := _HUB.search(path):
        commit = hub["commit"]
        return f"{hub['owner']}/{hub['name']}", {"revision": commit, "tokenizer_revision": commit}
    raise ModelError(_absent("the folder", path, lacking[path]))


def _absent(what: str, folder: str, nodes: Sequence[str]) -> str:
    shown = ", ".join(nodes[:4]) + (f" and {len(nodes) - 4} more" if len(nodes) > 4 else "")
    return (
        f"{what} {folder} is not on the node{'s' * (len(nodes) > 1)} {shown} of the Ray cluster; put it where every node "
        "has it under the same path, or name a model of the Hugging Face hub, which each node downloads"
    )


def _nodes() -> list[dict[str, Any]]:
    """Return the nodes that may hold an engine."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get(devices())]


def _at(node: Mapping[str, Any]) -> Any:
    place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(_there).options(num_cpus=0, scheduling_strategy=place)


def _there(folders: Sequence[str], distributions: Sequence[str]) -> tuple[list[bool], list[str | None]]:
    return [Path(folder).is_dir() for folder in folders], [_version(name) for name in distributions]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def context(model: str, arguments: Mapping[str, Any]) -> int:
    """Return the longest context, in tokens, that vLLM gives the model; ModelError where it refuses the arguments."""
    place = NodeAffinitySchedulingStrategy(_nodes()[0]["NodeID"], soft=True)
    look = ray.remote(_context).options(num_cpus=0, scheduling_strategy=place)
    try:
        found: int = ray.get(look.remote(model, arguments))
    except RayTaskError as error:
        raise ModelError(cause(error)) from error
    return found


def _context(model: str, arguments: Mapping[str, Any]) -> int:
    from vllm import EngineArgs  # noqa: PLC0415 (on a node of the cluster)

    found: int = EngineArgs(model=model, **arguments).create_model_config().max_model_len
    return found


def cause(error: RayError) -> str:
    """Return the error behind ``error``, on one line: what was raised on a node, or the last one that its text names."""
    if (raised := getattr(error, "cause", None)) is not None and not isinstance(raised, RayError):
        text = f"{type(raised).__name__}: {raised}"
    else:
        text = str(error)
        named = list(re.finditer(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): .+$", text, re.MULTILINE))
        text = text[named[-1].start() :] if named else text
    return " ".join(text.split())[:CAUSE_CHARACTERS] or type(error).__name__
