"""A peer without a framework: gradient descent on nothing, whose losses depend on model and data alone."""

from __future__ import annotations

import time

from benchmarks.models.model import Array, Model
from benchmarks.peers import program
from benchmarks.peers.program import Batches

VERSIONS = {"stub": "1.0"}


class Program(program.Program):
    def __init__(self, model: Model, weights: dict[str, Array], batches: Batches, precision: str) -> None:
        self._loss = float(sum((weight**2).sum() for weight in weights.values()) + batches[0][1].sum())

    def steps(self, count: int) -> float:
        time.sleep(1e-4 * count)
        return self._loss

    def products(self) -> dict[str, int]:
        return {"f32": 3000}
