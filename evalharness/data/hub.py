"""A hub data set in, its rows and the commit they were read at out, through ``datasets``."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalharness.data.source import LOCAL, Source
from evalharness.errors import DataError, suggestion
from evalharness.text import clean_row, clean_text
from evalharness.types import Row

_UPPER_UPPER = re.compile(r"([A-Z]+)([A-Z][a-z])")
_LOWER_UPPER = re.compile(r"([a-z\d])([A-Z])")


def from_hub(source: Source, locked_revision: str | None) -> tuple[list[Row], str | None]:
    """Return the rows of ``source`` and their commit: the one asked for, the locked one, else the newest there is.

    ``HF_HUB_OFFLINE`` is honoured: then only the local cache is read, and the commit may stay unknown.
    """
    import datasets  # noqa: PLC0415
    import huggingface_hub  # noqa: PLC0415
    from datasets.exceptions import DatasetNotFoundError  # noqa: PLC0415

    quieten()
    datasets.disable_progress_bars()
    revision = source.revision or locked_revision
    try:
        if revision is None and not offline():
            revision = huggingface_hub.HfApi().dataset_info(source.path).sha
        loaded = datasets.load_dataset(source.path, source.name, split=source.split, revision=revision)
    except (*network_errors(), ValueError, DatasetNotFoundError) as error:
        raise DataError(_not_found(source, clean_text(str(error)))) from None
    return [clean_row(dict(row)) for row in loaded], revision


def file_from_hub(source: Source, locked_revision: str | None) -> tuple[Path, str | None]:
    """Return the one file of a data set that ``source`` names, on this machine, and the commit it is of (as ``from_hub``)."""
    import huggingface_hub  # noqa: PLC0415

    quieten()
    revision = source.revision or locked_revision
    try:
        if revision is None and not offline():
            revision = huggingface_hub.HfApi().dataset_info(source.path).sha
        place = huggingface_hub.hf_hub_download(
            source.path, source.data_files or "", repo_type="dataset", revision=revision
        )
    except network_errors() as error:
        raise DataError(_not_found(source, clean_text(str(error)))) from None
    return Path(place), revision


def cached_file(source: Source) -> Path | None:
    """Return the one file of a data set that ``source`` names, if it is in the cache of the hub's library."""
    import huggingface_hub  # noqa: PLC0415

    found = huggingface_hub.try_to_load_from_cache(
        source.path, source.data_files or "", repo_type="dataset", revision=source.revision
    )
    return Path(found) if isinstance(found, str) else None


def is_cached(source: Source) -> bool:
    """Say whether the cache of ``datasets`` holds the configuration of ``source``; needs no library."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"))
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets").expanduser()
    owner, slash, name = source.path.rpartition("/")
    snake = _LOWER_UPPER.sub(r"\1_\2", _UPPER_UPPER.sub(r"\1_\2", name)).lower()  # as ``datasets`` names its folders
    return (cache / f"{owner}{'___' if slash else ''}{snake}" / (source.name or "default")).is_dir()


def from_cache(source: Source) -> list[Row]:
    """Return the rows of ``source`` from the cache of ``datasets``, without asking the hub; for a look, not for a run."""
    import datasets  # noqa: PLC0415
    from datasets.packaged_modules.cache.cache import Cache  # noqa: PLC0415

    name = source.path.rpartition("/")[2]
    try:
        builder = Cache(dataset_name=name, repo_id=source.path, config_name=source.name, version="auto", hash="auto")
        loaded = builder.as_dataset(split=source.split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"data set {source.shown}: cannot be read from the cache: {clean_text(str(error))}") from None
    return [clean_row(dict(row)) for row in loaded]


def on_hub(source: Source) -> None:
    """Ask the hub whether the data set, configuration and split of ``source`` exist; raises DataError where one does not.

    Rows that lie beside the YAML are not asked for.
    """
    if source.path in LOCAL:
        return
    if source.beside is not None:
        on_hub(replace(source, beside=None))
        on_hub(replace(source, beside=None, name=source.beside.name))
        return
    if source.data_files is not None:
        _file_on_hub(source)
        return
    known = _on_hub(source.path, source.revision)
    if not known:  # a data set without a list of its configurations
        return
    name = source.name or "default"
    if name not in known and not (source.name is None and len(known) == 1):
        raise DataError(f"{source.path} has no configuration '{name}'; {suggestion(name, known)}")
    splits = known.get(name) or next(iter(known.values()))
    if source.split not in splits:
        raise DataError(f"{source.path}/{name} has no split '{source.split}'; {suggestion(source.split, splits)}")


def _file_on_hub(source: Source) -> None:
    import huggingface_hub  # noqa: PLC0415

    try:
        there = huggingface_hub.HfApi().list_repo_files(source.path, repo_type="dataset", revision=source.revision)
    except network_errors() as error:
        first = clean_text(str(error)).strip().partition("\n")[0]
        raise DataError(
            f"the HF hub could not be asked for {source.path}: {first}; check the name and the network"
        ) from None
    if source.data_files not in there:
        raise DataError(
            f"{source.path} has no file '{source.data_files}'; {suggestion(source.data_files or '', there)}"
        )


@lru_cache(maxsize=64)
def _on_hub(path: str, revision: str | None) -> dict[str, list[str]]:
    """Return the splits of every configuration that the data set's card names."""
    from huggingface_hub import HfApi, errors  # noqa: PLC0415

    try:
        info = HfApi().dataset_info(path, revision=revision)
    except errors.RevisionNotFoundError:
        raise DataError(f"{path} has no revision '{revision}' on the HF hub; leave it out, or name a commit") from None
    except errors.RepositoryNotFoundError:
        raise DataError(f"no data set '{path}' on the HF hub; check the name, or HF_TOKEN if it is private") from None
    except network_errors() as error:
        first = clean_text(str(error)).strip().partition("\n")[0]
        raise DataError(f"the HF hub could not be asked for {path}: {first}; check the network") from None
    card = (info.card_data.to_dict() if info.card_data else {}) or {}
    return _configurations(card)


def _configurations(card: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the YAML at the head of a data set's card says: ``configs`` with files, or ``dataset_info``."""
    listed = card.get("dataset_info") or []
    found = {
        str(entry.get("config_name", "default")): [str(split["name"]) for split in entry.get("splits") or []]
        for entry in (listed if isinstance(listed, list) else [listed])
    }
    for entry in card.get("configs") or []:
        files = entry.get("data_files")
        splits = (
            [str(f["split"]) for f in files if isinstance(f, dict) and "split" in f] if isinstance(files, list) else []
        )
        found[str(entry["config_name"])] = splits or found.get(str(entry["config_name"]), [])
    return {name: splits for name, splits in found.items() if splits}


def network_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the hub's library: they carry the base classes of whichever HTTP library it was built on."""
    from huggingface_hub import errors  # noqa: PLC0415

    kinds = errors.HfHubHTTPError.__mro__
    return (OSError, *(kind for kind in kinds if issubclass(kind, Exception) and kind is not Exception))


def quieten() -> None:
    """Keep the hub's library from logging what is an error of ours, or none."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def offline() -> bool:
    """Say whether ``HF_HUB_OFFLINE`` is set."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _not_found(source: Source, why: str) -> str:
    looked = [f"EVALHARNESS_DATA={root}"] if (root := os.environ.get("EVALHARNESS_DATA")) else []
    looked.append(
        "the local cache of the HF hub (HF_HUB_OFFLINE is set)" if offline() else "the HF hub and its local cache"
    )
    first = next((line for line in why.splitlines() if line.strip()), "not found")
    file = source.data_files
    below = (
        (source.path, file) if file else (source.path, *([source.name] if source.name else []), f"{source.split}.jsonl")
    )
    return (
        f"no data set {source.shown} (configuration {source.name or 'default'}, split {source.split}, revision "
        f"{source.revision or 'newest'}); looked in {' and '.join(looked)}: {first[:200]}; to run without a network, put it at "
        f"{'/'.join(('DIR', *below))} and set EVALHARNESS_DATA=DIR"
    )
