"""An engine of vLLM in, a backend that runs it on a Ray cluster out; only its process imports Ray."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalharness.backends import replicas
from evalharness.backends.process import ProcessBackend
from evalharness.types import Backend, Engine

LOCAL = "local"  # what Ray calls a cluster of this machine alone
MODULE = "evalharness.backends.ray.runner"
WAITING = 64  # requests with an engine beyond those it runs
_QUIET = {
    "RAY_COLOR_PREFIX": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


class LocalRay(ProcessBackend):
    """An engine on a Ray of this machine alone, whose files lie in ``folder`` and are gone with it."""

    def __init__(self, engine: Engine, folder: Path, environment: Mapping[str, str], **options: Any) -> None:
        # A secret in the environment: Ray would write one into the home folder.
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        super().__init__(engine, MODULE, environment={**environment, **token}, **options)
        self._folder = folder

    def close(self) -> None:
        """End the child and everything it has started; done twice it does nothing."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)


def opened(engine: Engine, logs: Path, address: str | None) -> Backend:
    """Return a backend that loads ``engine`` on the cluster at ``address`` (``None``: a Ray of this machine alone)."""
    said = dict(engine.options)
    window = (int(said["max_num_seqs"]) + WAITING) * replicas.count(said.get("replicas", 1))
    options: dict[str, Any] = {
        "extra": "vllm,ray", "log": logs / f"ray-{engine.weights[:12]}.log", "window": window, "streams": True,
    }  # fmt: skip
    if address is not None:
        return ProcessBackend(_at(engine, address), MODULE, environment=_QUIET, **options)
    # Ray's sockets lie in it, whose paths may have a hundred letters: a folder for temporary files can be too deep.
    folder = Path(tempfile.mkdtemp(prefix="eh-ray-", dir="/tmp"))
    return LocalRay(_at(engine, LOCAL, str(folder)), folder, _QUIET, **options)


def _at(engine: Engine, address: str, folder: str | None = None) -> Engine:
    more = {"ray_address": address, "ray_folder": folder}
    return replace(
        engine, options=(*engine.options, *((key, value) for key, value in more.items() if value is not None))
    )
