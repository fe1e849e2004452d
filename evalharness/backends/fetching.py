"""A model's path in, how many bytes of its weights are still to be fetched out; nothing is fetched."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from evalharness.backends.models import HUB_ID, PATTERNS


def hub_cache() -> Path:
    """Return the folder into which weights from the Hugging Face hub are fetched."""
    from huggingface_hub import constants  # noqa: PLC0415

    return Path(constants.HF_HUB_CACHE)


def to_fetch(path: str, revision: str | None) -> int | None:
    """Return the bytes that the hub has of the model ``path`` and this machine has not; 0 for what is no id of the hub.

    ``None`` where they are not known: the hub cannot be reached, knows no such model, or does not say a size.
    """
    if Path(path).expanduser().exists() or not HUB_ID.match(path):
        return 0
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(path, revision=revision, allow_patterns=PATTERNS, local_files_only=True))
        if any(folder.glob("*.safetensors")):
            return 0
    except LocalEntryNotFoundError:
        pass
    try:
        info = HfApi().model_info(path, revision=revision, files_metadata=True)
    except (*HfHubHTTPError.__bases__, HFValidationError, OSError):
        return None
    files = [file for file in info.siblings or () if any(fnmatch(file.rfilename, pattern) for pattern in PATTERNS)]
    missing = [
        file.size
        for file in files
        if not isinstance(try_to_load_from_cache(path, file.rfilename, revision=info.sha), str)
    ]
    return None if not files or None in missing else sum(size for size in missing if size is not None)
