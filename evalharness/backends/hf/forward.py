"""Rows of token ids in, the logits of their last positions out: padded on the left, shared beginnings computed once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

SHARED_TOKENS = 32  # a shorter common beginning is not worth a forward pass of its own


@dataclass
class Step:
    """What a forward pass leaves: logits (rows, kept positions, vocabulary), and what the next one needs."""

    logits: Any
    cache: Any
    mask: Any


class Forward:
    """A causal language model that is asked for rows of token ids."""

    def __init__(self, model: Any, pad: int) -> None:
        self.model = model
        self.device = model.device
        self._pad = pad
        self._accepted = frozenset(inspect.signature(model.forward).parameters)
        self._cache = "cache" if "cache" in self._accepted else "past_key_values"  # its name before transformers 5.24
        self._window = _window(model.config.get_text_config())

    @property
    def vocabulary(self) -> int:
        """How many logits a position has."""
        size: int = self.model.config.get_text_config().vocab_size
        return size

    def rows(self, rows: Sequence[Sequence[int]], keep: int = 1, ahead: int = 0) -> Step:
        """Return the logits of every row's last ``keep`` positions; up to ``ahead`` calls of ``step`` may follow."""
        shared = self._shared(rows, keep, ahead)
        width = max(len(row) for row in rows) - shared
        ids = [[self._pad] * (width + shared - len(row)) + list(row[shared:]) for row in rows]
        mask = [[1] * shared + [0] * (width + shared - len(row)) + [1] * (len(row) - shared) for row in rows]
        cache = self._beginning(rows[0][:shared], len(rows)) if shared else None
        return self._run(self._tensor(ids), self._tensor(mask), cache, keep, ahead > 0)

    def step(self, last: Step, tokens: Sequence[int]) -> Step:
        """Return the logits after one more token in every row."""
        ids = self._tensor([[token] for token in tokens])
        return self._run(ids, torch.cat([last.mask, torch.ones_like(ids)], dim=1), last.cache, 1, True)

    def select(self, step: Step, rows: Sequence[int]) -> Step:
        """Return ``step`` with only the rows numbered ``rows``."""
        index = self._tensor(list(rows))
        step.cache.batch_select_indices(index)
        return Step(step.logits[index], step.cache, step.mask[index])

    def _run(self, ids: Any, mask: Any, cache: Any, keep: int, cached: bool) -> Step:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        optional = {"position_ids": positions, "logits_to_keep": keep}
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=cached or cache is not None,
            **{self._cache: cache},
            **{name: value for name, value in optional.items() if name in self._accepted},
        )
        return Step(out.logits[:, -keep:], getattr(out, self._cache) if cached else None, mask)

    def _shared(self, rows: Sequence[Sequence[int]], keep: int, ahead: int) -> int:
        """Return how many tokens at the beginning of all rows are computed once.

        Padding stands between them and the rest; a sliding window counts it, so it must hold the longest row.
        """
        longest = max(len(row) for row in rows) + ahead
        if len(rows) < 2 or (self._window is not None and longest > self._window):
            return 0
        shared = min(common(rows), min(len(row) for row in rows) - keep)
        return shared if shared >= SHARED_TOKENS else 0

    def _beginning(self, ids: Sequence[int], rows: int) -> Any:
        ids_ = self._tensor([list(ids)])
        cache = DynamicCache(config=self.model.config)
        self._run(ids_, torch.ones_like(ids_), cache, 1, False)
        cache.batch_repeat_interleave(rows)
        return cache

    def _tensor(self, numbers: Any) -> Any:
        return torch.tensor(numbers, dtype=torch.long, device=self.device)


def common(rows: Sequence[Sequence[int]]) -> int:
    """Return the length of the longest common beginning of ``rows``."""
    first, last = min(map(list, rows)), max(map(list, rows))
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _window(config: Any) -> int | None:
    """Return how long rows with a shared beginning may be: as the sliding window; 0 for layers of other kinds."""
    kinds = set(getattr(config, "layer_types", None) or ("full_attention",))
    if kinds - {"full_attention", "sliding_attention"}:
        return 0
    window: int | None = getattr(config, "sliding_window", None)
    return window
