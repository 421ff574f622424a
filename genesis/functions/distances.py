"""Distances and similarities."""

from __future__ import annotations

from compiler.ops.elementwise import broadcast_shapes
from genesis.functions.normalization import normalize
from genesis.functions.pointwise import mul
from genesis.functions.precision import full_precision
from genesis.functions.reductions import sum
from genesis.functions.shapes import expand
from genesis.functions.table import functional_only
from genesis.tensor import Tensor


@functional_only
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 · x2 / (max(|x1|, eps) max(|x2|, eps))`` along ``dim`` of the shape that both broadcast to."""
    x1, x2 = full_precision(x1, x2)
    shape = broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = expand(x1, *shape), expand(x2, *shape)
    return sum(mul(normalize(x1, 2.0, dim, eps), normalize(x2, 2.0, dim, eps)), dim)
