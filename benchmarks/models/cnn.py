"""Convolutions of 3x3 with batch norm, ReLU and pooling, then a linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.models.model import Array, Model, Shapes, jax_linear, linear, norm

EPSILON = 1e-5


@dataclass(frozen=True)
class CNN(Model):
    """``channels`` from those of an image to those of the last block; inputs are f32[batch, channels, size, size].

    Every block halves the image.
    """

    channels: tuple[int, ...]
    size: int
    classes: int
    batch: int

    def __str__(self) -> str:
        channels = "-".join(map(str, self.channels))
        return f"CNN {channels} on {self.size}x{self.size}, batch {self.batch}"

    @property
    def features(self) -> int:
        """Elements of the last image."""
        return self.channels[-1] * (self.size >> (len(self.channels) - 1)) ** 2

    def shapes(self) -> Shapes:
        shapes: Shapes = {}
        blocks = len(self.channels) - 1
        for block, (inputs, outputs) in enumerate(pairwise(self.channels)):
            shapes |= {f"{4 * block}.weight": (outputs, inputs, 3, 3), f"{4 * block}.bias": (outputs,)}
            shapes |= norm(f"{4 * block + 1}", outputs)
        return shapes | linear(f"{4 * blocks + 1}", self.features, self.classes)

    def batch_of_data(self, random: np.random.Generator) -> tuple[Array, Array]:
        x = random.normal(size=(self.batch, self.channels[0], self.size, self.size)).astype(np.float32)
        return x, random.integers(self.classes, size=self.batch)

    def module(self, framework: Any) -> Any:
        nn = framework.nn
        layers = []
        for inputs, outputs in pairwise(self.channels):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(self.features, self.classes))

    def jax_logits(self, jax: Any, parameters: dict[str, Any], x: Any, compute: Any) -> Any:
        """Batch norm by the statistics of the batch; the running ones, which training does not read, are left out."""
        blocks = len(self.channels) - 1
        for block in range(blocks):
            name = f"{4 * block}"
            weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
            x = jax.lax.conv_general_dilated(x.astype(compute), weight.astype(compute), (1, 1), "SAME")
            x = x + bias.astype(compute)[:, None, None]
            x = jax.nn.relu(_jax_batch_norm(jax, parameters, f"{4 * block + 1}", x))
            x = jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return jax_linear(parameters, f"{4 * blocks + 1}", x.reshape(self.batch, -1), compute)


def _jax_batch_norm(jax: Any, parameters: dict[str, Any], name: str, x: Any) -> Any:
    """In the type of ``x``, statistics in f32, as PyTorch has it."""
    wide = x.astype(jax.numpy.float32)
    mean, variance = wide.mean(axis=(0, 2, 3), keepdims=True), wide.var(axis=(0, 2, 3), keepdims=True)
    weight, bias = (parameters[f"{name}.{kind}"][:, None, None] for kind in ("weight", "bias"))
    return ((wide - mean) * jax.lax.rsqrt(variance + EPSILON) * weight + bias).astype(x.dtype)
