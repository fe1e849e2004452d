"""An endpoint's engine in, the names of the models that its server lists out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from evalharness.backends.openai.entry import endpoint
from evalharness.backends.openai.faults import AgainError
from evalharness.types import Engine

if TYPE_CHECKING:
    from evalharness.backends.openai.client import Client


def listed(engine: Engine) -> list[str]:
    """Return the names under ``/models``, none where the server does not say; the key goes along, and costs nothing."""
    # Half a second of imports, and only where something is asked.
    from evalharness.backends.openai.client import Client  # noqa: PLC0415

    return asyncio.run(_names(Client(endpoint(engine))))


async def _names(client: Client) -> list[str]:
    try:
        return list(await client.models())
    except AgainError:
        return []
    finally:
        await client.close()
