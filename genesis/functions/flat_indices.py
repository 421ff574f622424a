"""Indices of the elements of a tensor in order, and as one index a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from compiler.errors import ArgumentError, OpError
from compiler.ir.types import i64
from genesis.functions.creation import arange, full
from genesis.functions.pointwise import floor_divide, logical_and, lt, ne, remainder, where
from genesis.functions.scans import cumsum
from genesis.functions.scattering import scatter
from genesis.functions.shapes import reshape, stack
from genesis.functions.table import api, function_only
from genesis.tensor import Tensor


@function_only
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """For each dimension of ``shape`` the index of the element that is number ``indices`` in order, int64."""
    if indices.dtype.kind != "int":
        raise ArgumentError(f"unravel_index(): expected 'indices' to be integer dtype, but got {indices._type}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if min(sizes, default=0) < 0:
        raise OpError(f"unravel_index(): 'shape' cannot have negative values, but got {sizes}")
    steps = [prod(sizes[d + 1 :]) for d in range(len(sizes))]
    whole = indices.to(i64)
    return tuple(
        remainder(floor_divide(whole, max(step, 1)), max(size, 1)) for step, size in zip(steps, sizes, strict=True)
    )


@api()
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The indices of the first ``size`` elements that are not zero, one in a row; rows behind them ``fill_value``."""
    if size < 0:
        raise OpError(f"nonzero_static: 'size' must be an non-negative integer, not {size}")
    flat = ne(reshape(input, -1), 0)
    place = cumsum(flat.to(i64), 0) - 1
    target = where(logical_and(flat, lt(place, size)), place, size)
    order = scatter(full((size + 1,), -1, dtype=i64), 0, target, arange(flat.numel()))[:size]
    rows = [where(order < 0, fill_value, index) for index in unravel_index(order, tuple(input.shape))]
    return stack(rows, 1) if rows else full((size, 0), fill_value, dtype=i64)
