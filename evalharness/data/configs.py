"""A hub data set in, the names of its configurations out: from the mirror folder, the hub, or the local cache of the hub."""

from __future__ import annotations

from evalharness.data.hub import network_errors, offline, quieten
from evalharness.data.mirror import mirrored
from evalharness.errors import DataError
from evalharness.text import clean_text


def configurations(path: str, revision: str | None) -> list[str]:
    """Return the configurations of the data set ``path``, sorted; raises DataError where none can be found.

    A folder of ``EVALHARNESS_DATA`` that has the data set wins; there every sub-folder is one.
    """
    folder = mirrored(path)
    if folder is not None and folder.is_dir():
        found = sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
        if found:
            return found
    if offline():
        raise DataError(
            f"the languages of data set {path} are its configurations, and HF_HUB_OFFLINE is set; "
            "name those you want, as TASK[de,sw], or put the data set below EVALHARNESS_DATA"
        )
    return _on_the_hub(path, revision)


def _on_the_hub(path: str, revision: str | None) -> list[str]:
    import datasets  # noqa: PLC0415
    from datasets.exceptions import DatasetNotFoundError  # noqa: PLC0415

    quieten()
    try:
        return sorted(datasets.get_dataset_config_names(path, revision=revision))
    except (*network_errors(), ValueError, DatasetNotFoundError) as error:
        why = next(iter(clean_text(str(error)).splitlines()), "not found")
        raise DataError(
            f"the languages of data set {path} are its configurations, which cannot be read from the hub: {why[:200]}; "
            "name those you want, as TASK[de,sw], or put the data set below EVALHARNESS_DATA"
        ) from None
