"""Matrix products."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.functions.pointwise import add, mul
from genesis.functions.shapes import unsqueeze
from genesis.tensor import Tensor, wrap


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, batched over leading dimensions."""
    return wrap(o.matmul(input.value, other.value))


mm = bmm = mv = dot = matmul


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)``."""
    return add(mul(input, beta), matmul(batch1, batch2), alpha=alpha)


addmm = baddbmm


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors."""
    return mul(unsqueeze(input, 1), vec2)
