"""An engine that answers nothing: the stages before it show what a run would ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from evalharness.types import Request, Result


class Silent:
    """A backend that gives every request to ``keep``, and no results; without ``keep`` it takes none."""

    capabilities: frozenset[str] = frozenset()
    window = 1

    def __init__(self, keep: Callable[[Request], None] | None) -> None:
        self._keep = keep

    def submit(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Show every request to ``keep``."""
        if self._keep is not None:
            for request in requests:
                self._keep(request)
        return iter(())

    def stop(self) -> None: ...

    def close(self) -> None: ...
