"""The messages between the driver and a worker."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.models.model import Model


@dataclass(frozen=True)
class Task:
    """The model that a worker trains, with which library, and on which processors."""

    module: str
    model: Model
    precision: str
    processors: list[int]


@dataclass(frozen=True)
class Started:
    """The first steps. ``first_call`` is the first step, ``step`` the last of them, both in seconds."""

    first_call: float
    step: float
    losses: list[float]
    versions: dict[str, str]


@dataclass(frozen=True)
class Finished:
    """The end. ``memory`` is by how many bytes its peak grew; ``products`` are those of the peer's program."""

    memory: int
    products: dict[str, int] | None


@dataclass(frozen=True)
class Failed:
    """Why there is no figure, in one line."""

    reason: str
