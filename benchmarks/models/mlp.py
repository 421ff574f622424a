"""Linear layers with ReLU between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.models.model import Array, Model, Shapes, jax_linear, linear


@dataclass(frozen=True)
class MLP(Model):
    """``sizes`` from the features of an input to the number of classes; inputs are f32[batch, features]."""

    sizes: tuple[int, ...]
    batch: int

    def __str__(self) -> str:
        return f"MLP {'-'.join(map(str, self.sizes))}, batch {self.batch}"

    def shapes(self) -> Shapes:
        shapes: Shapes = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            shapes |= linear(str(2 * layer), inputs, outputs)
        return shapes

    def batch_of_data(self, random: np.random.Generator) -> tuple[Array, Array]:
        x = random.normal(size=(self.batch, self.sizes[0])).astype(np.float32)
        return x, random.integers(self.sizes[-1], size=self.batch)

    def module(self, framework: Any) -> Any:
        nn = framework.nn
        layers = [layer for sizes in pairwise(self.sizes) for layer in (nn.Linear(*sizes), nn.ReLU())]
        return nn.Sequential(*layers[:-1])

    def jax_logits(self, jax: Any, parameters: dict[str, Any], x: Any, compute: Any) -> Any:
        last = len(self.sizes) - 2
        for layer in range(last):
            x = jax.nn.relu(jax_linear(parameters, str(2 * layer), x, compute))
        return jax_linear(parameters, str(2 * last), x, compute)
