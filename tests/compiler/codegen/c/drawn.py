"""Random graphs of pointwise ops, reductions, views, products and lookups, with their gradients and state updates."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

import compiler.ops.all  # noqa: F401
from compiler.errors import OpError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Update, Value
from compiler.ir.op import o
from compiler.ir.types import TensorType, bf16, f16, f32

SHAPES = [(6,), (4, 6), (3, 4, 6), (1, 6), (4, 1), (3, 1, 6), (2, 3, 4, 6), (8, 3)]
LARGEST = 3000  # elements
BINARY = ["add", "sub", "mul", "maximum", "minimum"]
UNARY = ["tanh", "neg", "abs", "relu", "sigmoid", "exp", "gelu", "silu"]


class Draw:
    """One graph in the making; what it becomes depends on the seed only."""

    def __init__(self, seed: int, size: int, halves: bool = False) -> None:
        self.rng = random.Random(seed)
        self.halves = halves
        self.graph = Graph(f"drawn{seed}")
        self.values: list[Value] = [self.param(self.rng.choice(SHAPES)) for _ in range(self.rng.randint(2, 4))]
        self.kinds: list[Callable[[Value], Any]] = [
            self.pointwise, self.pointwise, self.pointwise, self.view, self.view, self.reduction, self.softmax,
            self.product, self.concat, self.choice, self.lookup, self.layer, self.loss,
        ]  # fmt: skip
        with using(GraphBuilder()) as builder:
            while len(builder.nodes) < size:
                self.extend()
        self.graph.nodes = builder.nodes
        self.graph.outputs = list(dict.fromkeys([*self.rng.sample(self.values, 2), self.values[-1]]))
        self.differentiate()
        self.update()

    def param(self, shape: tuple[int, ...]) -> Value:
        return self.graph.add_param(TensorType(f32, shape), "input", "", f"x{len(self.graph.params)}")

    def other(self, rank: int = 0) -> Value:
        return self.rng.choice([v for v in self.values if v.type.rank >= rank] or self.values)

    def extend(self) -> None:
        """One more op on the values so far; an op that does not fit is drawn again."""
        kind, x = self.rng.choice(self.kinds), self.other(rank=1)
        try:
            found = kind(x)
        except OpError:
            return
        if 0 < found.type.size <= LARGEST:
            self.values.append(found)

    # Kinds of ops

    def pointwise(self, x: Value) -> Value:
        if self.halves and self.rng.random() < 0.3:
            return o.cast(x, to=self.rng.choice([f16, bf16, f32]))
        if self.rng.random() < 0.4:
            return getattr(o, self.rng.choice(UNARY))(o.minimum(x, 4.0))
        return getattr(o, self.rng.choice(BINARY))(x, self.other())

    def view(self, x: Value) -> Value:
        shape, rng = list(x.shape), self.rng
        kind = rng.choice(["permute", "merge", "slice", "expand"])
        if kind == "permute":
            return o.permute(x, dims=tuple(rng.sample(range(len(shape)), len(shape))))
        if kind == "expand":
            return o.expand(x, shape=(rng.choice([2, 3]), *shape))
        if kind == "merge":
            at = rng.randrange(len(shape))
            shape[at : at + 2] = [int(np.prod(shape[at : at + 2]))]
            return o.reshape(x, shape=tuple(shape))
        starts = [rng.randrange(n) for n in shape]
        stops = [rng.randint(a + 1, n) for a, n in zip(starts, shape, strict=True)]
        return o.slice(x, start=tuple(starts), stop=tuple(stops), step=tuple(rng.choice([1, 1, 2]) for _ in shape))

    def reduction(self, x: Value) -> Value:
        axes = tuple(sorted(self.rng.sample(range(x.type.rank), self.rng.randint(1, x.type.rank))))
        return getattr(o, self.rng.choice(["sum", "amax", "mean"]))(x, axes=axes, keepdim=self.rng.random() < 0.5)

    def softmax(self, x: Value) -> Value:
        return getattr(o, self.rng.choice(["softmax", "log_softmax"]))(x, axis=self.rng.randrange(x.type.rank))

    def product(self, x: Value) -> Value:
        return o.matmul(x, self.other(rank=1))

    def concat(self, x: Value) -> Value:
        return o.concat(x, self.other(rank=1), axis=self.rng.randrange(x.type.rank))

    def choice(self, x: Value) -> Value:
        return o.where(o.gt(x, 0.1), self.other(), x)

    def lookup(self, x: Value) -> Value:
        table = self.other(rank=1)
        index = o.argmax(x, axes=(self.rng.randrange(x.type.rank),))
        return o.take(table, o.minimum(index, table.shape[0] - 1))

    def layer(self, x: Value) -> Value:
        if self.rng.random() < 0.5:
            return o.linear(x, self.param((self.rng.choice([5, 16]), x.shape[-1])))
        weight, bias = self.param(x.shape[-1:]), self.param(x.shape[-1:])
        return o.layer_norm(x, weight, bias, ndim=1)[0]

    def loss(self, x: Value) -> Value:
        labels = o.minimum(o.argmax(self.other(rank=2), axes=(1,)), x.shape[min(1, x.type.rank - 1)] - 1)
        return o.cross_entropy(x, labels)[0]

    # What follows

    def differentiate(self) -> None:
        """The gradients of the sum of squares of all outputs, as further outputs."""
        with using(GraphBuilder()) as builder:
            builder.nodes = list(self.graph.nodes)
            total = o.zeros(shape=(), dtype=f32)
            for value in self.graph.outputs:
                wide = o.cast(value, to=f32)
                total = o.add(total, o.sum(o.mul(wide, wide), axes=tuple(range(value.type.rank))))
            grads = o.grad(total, *self.graph.inputs())
        self.graph.nodes = builder.nodes
        found = list(grads) if isinstance(grads, tuple) else [grads]
        self.values += found
        self.graph.outputs += found[1:]

    def update(self) -> None:
        """Make some parameters state, and let anything of their type be its new value, even another state."""
        for param in self.graph.params:
            candidates = [v for v in self.values if v.type == param.value.type]
            if self.rng.random() < 0.6:
                param.kind = "state"
                new = self.rng.choice(candidates + [v for v in candidates if v.producer is not None] * 2)
                if new is not param.value:
                    self.graph.updates.append(Update(param.value, new))


def arrays_for(graph: Graph, seed: int) -> list[np.ndarray]:
    """One array per parameter, uniform in (-1, 1)."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, v.shape).astype(v.dtype.numpy) for v in graph.inputs()]
