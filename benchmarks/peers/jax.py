"""JAX: the whole step under ``jit``, its state donated."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models.model import Array, Model
from benchmarks.peers import program
from benchmarks.peers.program import BETAS, EPSILON, LEARNING_RATE, MAX_NORM, WEIGHT_DECAY, Batches

VERSIONS = {"jax": jax.__version__}

Tree = dict[str, Any]


class Program(program.Program):
    def __init__(self, model: Model, weights: dict[str, Array], batches: Batches, precision: str) -> None:
        compute = jnp.bfloat16 if precision == "bf16" else jnp.float32

        def loss_of(parameters: Tree, x: Any, y: Any) -> Any:
            logits = model.jax_logits(jax, parameters, x, compute).astype(jnp.float32)
            picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)
            return -picked.mean()

        def step(state: tuple[Tree, Tree, Tree, Any], x: Any, y: Any) -> tuple[Any, Any]:
            parameters, means, squares, count = state
            loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
            norm = jnp.sqrt(sum(jnp.sum(g**2) for g in gradients.values()))
            factor = jnp.minimum(MAX_NORM / (norm + 1e-6), 1.0)
            count = count + 1
            correction1, correction2 = (1 - beta**count for beta in BETAS)
            new: tuple[Tree, Tree, Tree] = {}, {}, {}
            for name, p in parameters.items():
                g = gradients[name] * factor
                m = BETAS[0] * means[name] + (1 - BETAS[0]) * g
                v = BETAS[1] * squares[name] + (1 - BETAS[1]) * g**2
                update = m / correction1 / (jnp.sqrt(v / correction2) + EPSILON) + WEIGHT_DECAY * p
                for tree, value in zip(new, (p - LEARNING_RATE * update, m, v)):
                    tree[name] = value
            return (*new, count), loss

        self._step = jax.jit(step, donate_argnums=0)
        self._state = (*(_device(model, tree) for tree in _start(weights)), jnp.zeros((), jnp.float32))
        self._batches = cycle([(jax.device_put(_narrow(x)), jax.device_put(_narrow(y))) for x, y in batches])

    def steps(self, count: int) -> float:
        for _ in range(count):
            self._state, loss = self._step(self._state, *next(self._batches))
        jax.block_until_ready(self._state)
        return float(loss)


def _start(weights: dict[str, Array]) -> tuple[Tree, Tree, Tree]:
    """Parameters, first and second moments."""
    means, squares = ({name: np.zeros_like(weight) for name, weight in weights.items()} for _ in range(2))
    return weights, means, squares


def _device(model: Model, tree: Tree) -> Tree:
    """``tree`` in JAX's hands, copied; the weights of linear layers in its layout, ``[in, out]``."""
    turned = {name for name, array in tree.items() if array.ndim == 2 and name not in model.embeddings}
    return {name: jnp.array(array.T if name in turned else array) for name, array in tree.items()}


def _narrow(array: Array) -> Array:
    return array.astype(np.int32) if array.dtype == np.int64 else array
