"""Distances and similarities."""

from __future__ import annotations

from compiler.errors import OpError
from compiler.ops.elementwise import broadcast_shapes
from genesis.functions.normalization import normalize
from genesis.functions.pointwise import add, mul, sub
from genesis.functions.precision import full_precision
from genesis.functions.reductions import norm, sum
from genesis.functions.shapes import cat, expand, narrow
from genesis.functions.table import everywhere
from genesis.tensor import Tensor


@everywhere
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 · x2 / (max(|x1|, eps) max(|x2|, eps))`` along ``dim`` of the shape that both broadcast to."""
    x1, x2 = full_precision(x1, x2)
    shape = broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = expand(x1, *shape), expand(x2, *shape)
    return sum(mul(normalize(x1, 2.0, dim, eps), normalize(x2, 2.0, dim, eps)), dim)


@everywhere
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The norm of order ``p`` of ``x1 - x2 + eps`` along the last dimension; the two broadcast."""
    return norm(add(sub(x1, x2), eps), p, -1, keepdim)


@everywhere
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of order ``p`` of all pairs of rows of ``[N, M]``: ``N (N - 1) / 2`` numbers."""
    if input.ndim != 2:
        raise OpError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise OpError("pdist only supports non-negative p values")
    (input,) = full_precision(input)
    n = input.shape[0]
    later = [sub(narrow(input, 0, i, 1), narrow(input, 0, i + 1, n - i - 1)) for i in range(n - 1)]
    return norm(cat(later, 0) if later else narrow(input, 0, 0, 0), p, 1)
