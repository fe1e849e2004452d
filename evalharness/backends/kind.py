"""What a kind of backend offers: a model entry in, its models, its engine and the open backend out, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Engine


def itself(spec: ModelSpec) -> list[ModelSpec]:
    """Return the entry as the one model it is."""
    return [spec]


def no_cards(_: Engine) -> int:
    """Return 0: what answers holds no graphics card of this machine."""
    return 0


@dataclass(frozen=True, slots=True)
class Executor:
    """Where engines run: in processes of this machine, or on the Ray cluster at ``address``.

    Without an address that is a Ray of this machine alone, which is started for an engine and ends with it. In no identity.
    """

    name: Literal["local", "ray"] = "local"
    address: str | None = None


LOCAL = Executor()


@dataclass(frozen=True, slots=True)
class BackendKind:
    """One kind of backend.

    ``resolve`` finds the weights and says what identifies the engine, without loading it; ``open`` gives a backend that
    loads at its first request and keeps its log in a folder; ``models`` lists the models an entry stands for; ``loads``
    says whether weights are loaded on this machine, ``paid`` whether answers may cost money, ``likelihoods`` whether an
    engine tells how likely a given text is; ``cards`` counts the graphics cards that an engine holds, those of all its
    replicas. ``spread`` opens an engine on the Ray cluster at an address (see Executor); kinds without it run on this
    machine in any case.
    """

    resolve: Callable[[ModelSpec], Engine]
    open: Callable[[Engine, Path], Backend]
    models: Callable[[ModelSpec], list[ModelSpec]] = itself
    loads: bool = True
    paid: bool = False
    likelihoods: Callable[[Engine], bool] = lambda engine: True
    cards: Callable[[Engine], int] = no_cards
    spread: Callable[[Engine, Path, str | None], Backend] | None = None
