"""The interface of every model of the benchmark: its parameters, its data, and its forward pass in both dialects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray
Shapes = dict[str, tuple[int, ...]]


class Model(ABC):
    """A classifier; PyTorch's names and layouts are the common ones."""

    embeddings: tuple[str, ...] = ()
    """Names of the matrices that are looked up: no weights of a linear layer."""

    @abstractmethod
    def shapes(self) -> Shapes:
        """Every parameter by its name in a state dict."""

    @abstractmethod
    def batch_of_data(self, random: np.random.Generator) -> tuple[Array, Array]:
        """One batch: inputs, and labels as i64."""

    @abstractmethod
    def module(self, framework: Any) -> Any:
        """The model as an ``nn.Module`` of ``framework``: ``torch``, or ``genesis``, which has the same names."""

    @abstractmethod
    def jax_logits(self, jax: Any, parameters: dict[str, Any], x: Any, compute: Any) -> Any:
        """The logits for ``x`` in JAX; matrix products in the dtype ``compute``, linear weights as ``[in, out]``."""

    def weights(self) -> dict[str, Array]:
        """The initial parameters, f32, the same for every peer."""
        random = np.random.default_rng(0)
        return {name: _draw(random, name, shape) for name, shape in self.shapes().items()}

    def batches(self, count: int) -> list[tuple[Array, Array]]:
        """The first ``count`` batches, the same for every peer."""
        random = np.random.default_rng(1)
        return [self.batch_of_data(random) for _ in range(count)]


def _draw(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Matrices and windows of variance 1 / fan in; scales of a norm near 1; biases near 0, so that none is left out."""
    scale = prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.02
    mean = 1.0 if len(shape) == 1 and name.endswith(".weight") else 0.0
    return random.normal(mean, scale, shape).astype(np.float32)


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    """Parameters of a linear layer."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    """Parameters of a layer norm or a batch norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def jax_linear(parameters: dict[str, Any], name: str, x: Any, compute: Any) -> Any:
    """``x @ weight + bias`` computed and returned in ``compute``."""
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    return x.astype(compute) @ weight.astype(compute) + bias.astype(compute)
