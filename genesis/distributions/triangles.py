"""Cholesky factors and triangular equations of small matrices, in ops that compile and have gradients."""

from __future__ import annotations

import genesis.functions as fn
from genesis.tensor import Tensor


def cholesky(matrix: Tensor) -> Tensor:
    """The lower triangular ``L [*, n, n]`` with ``L Lᵀ = matrix``, column by column; for a few dozen columns."""
    matrix = fn.mul(fn.add(matrix, fn.transpose(matrix, -2, -1)), 0.5)  # its gradient is symmetric
    size = matrix.shape[-1]
    columns: list[Tensor] = []
    for j in range(size):
        column = fn.narrow(fn.select(matrix, -1, j), -1, j, size - j)
        for i, before in enumerate(columns):
            own = fn.narrow(before, -1, j - i, size - j)
            column = fn.sub(column, fn.mul(own, fn.narrow(own, -1, 0, 1)))
        columns.append(fn.div(column, fn.sqrt(fn.narrow(column, -1, 0, 1))))
    padded = [
        fn.cat([fn.zeros(*c.shape[:-1], size - c.shape[-1], dtype=c.dtype), c], -1) if c.shape[-1] < size else c
        for c in columns
    ]
    return fn.stack(padded, -1)


def solve_lower(lower: Tensor, right: Tensor) -> Tensor:
    """``x`` with ``lower x = right``, row by row: ``lower [*, n, n]``, ``right [*, n, m]``; the batches broadcast."""
    rows: list[Tensor] = []
    for i in range(lower.shape[-1]):
        row = fn.select(right, -2, i)
        for j, x in enumerate(rows):
            row = fn.sub(row, fn.mul(fn.unsqueeze(lower[..., i, j], -1), x))
        rows.append(fn.div(row, fn.unsqueeze(lower[..., i, i], -1)))
    return fn.stack(rows, -2)
