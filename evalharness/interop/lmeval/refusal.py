"""Why a task file cannot be taken over: the key, the reason in words that can be counted, and the place."""

from __future__ import annotations

from dataclasses import dataclass

from evalharness.errors import UsageError
from evalharness.text import one_line


class Refused(UsageError):
    """A key of a foreign task that has no equal here. ``reason`` is the same for all tasks it keeps out, ``detail`` is not."""

    def __init__(self, key: str, reason: str, detail: str = "", place: str = "") -> None:
        said = f"{reason} ({one_line(detail, 160)})" if detail else reason
        super().__init__(": ".join(part for part in (place, key, said) if part))
        self.key, self.reason, self.detail, self.place = key, reason, detail, place


@dataclass(frozen=True, slots=True)
class Refusal:
    """A task that was not taken over. ``place`` is ``file:line`` of the key, ``detail`` names functions and the like."""

    task: str
    folder: str
    key: str
    reason: str
    detail: str
    place: str

    @property
    def shown(self) -> str:
        """The key and the reason, by which refusals are counted."""
        return f"{self.key}: {self.reason}" if self.key else self.reason
