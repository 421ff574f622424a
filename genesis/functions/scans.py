"""Running sums, products, extrema and differences along a dimension."""

from __future__ import annotations

from typing import Any

from compiler.errors import OpError
from compiler.ir.op import Op, o
from compiler.ir.types import boolean
from compiler.ir.types import dtype as to_dtype
from compiler.ops.reduce import normalize_axis
from genesis.functions.gathering import gather
from genesis.functions.pointwise import logical_xor, mul, sub
from genesis.functions.reductions import ValuesIndices
from genesis.functions.shapes import cat, narrow, reshape
from genesis.functions.table import api, function_only
from genesis.tensor import Tensor, copied, wrap


def _scanned(op: Op, input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    axis = normalize_axis(dim, input.ndim)
    x = input.value if dtype is None else o.cast(input.value, to=to_dtype(dtype))
    if input.ndim:
        return wrap(op(x, axis=axis))
    return wrap(o.reshape(op(o.reshape(x, shape=(1,)), axis=0), shape=()))


@api(inplace=True)
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sum of each element and all before it along ``dim``; of integers and bools in int64."""
    return _scanned(o.cumsum, input, dim, dtype)


@api(inplace=True)
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The product of each element and all before it along ``dim``; of integers and bools in int64."""
    return _scanned(o.cumprod, input, dim, dtype)


@api()
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """``log(cumsum(exp(x)))`` along ``dim``, without overflow."""
    return _scanned(o.logcumsumexp, input, dim)


@api()
def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """The largest element up to each one along ``dim``, and its index: the last one of equals. A NaN is the largest."""
    return _running_extremum(o.cummax, input, dim)


@api()
def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """The least element up to each one along ``dim``, and its index: the last one of equals. A NaN is the least."""
    return _running_extremum(o.cummin, input, dim)


def _running_extremum(op: Op, input: Tensor, dim: int) -> ValuesIndices:
    """An element that is the extremum up to itself is the one that those behind it see, until the next such one."""
    if not input.ndim:
        return ValuesIndices(*(reshape(t, ()) for t in _running_extremum(op, reshape(input, 1), dim)))
    axis, x = normalize_axis(dim, input.ndim), o.detach(input.value)
    found = o.eq(x, op(x, axis=axis))
    if x.dtype.is_floating_point:
        found = o.logical_or(found, o.isnan(x))
    place = o.where(found, o.iota(shape=x.shape, axis=axis), 0)
    index = wrap(o.cummax(place, axis=axis))
    return ValuesIndices(gather(input, dim, index), index)


@api()
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Each element less the one before it along ``dim``, ``n`` times over; of bools, whether they differ."""
    if not input.ndim:
        raise OpError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise OpError(f"order must be non-negative but got {n}")
    axis = normalize_axis(dim, input.ndim)
    ends = [x for x in (prepend, input, append) if x is not None]
    if len(ends) > 1:
        input = cat(ends, axis)
    elif not n:
        return wrap(copied(input))
    for _ in range(min(n, input.shape[axis])):
        count = max(input.shape[axis] - 1, 0)
        last, first = narrow(input, axis, min(1, input.shape[axis]), count), narrow(input, axis, 0, count)
        input = logical_xor(last, first) if input.dtype is boolean else sub(last, first)
    return input


@api(method=False, alias=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integral of ``y`` along ``dim`` by the trapezoidal rule, at places ``x`` or ``dx`` apart."""
    return _trapezoids(y, x, dx, dim).sum(dim)


@function_only
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integral of ``y`` along ``dim`` up to each place but the first, as :func:`trapezoid` computes it."""
    return cumsum(_trapezoids(y, x, dx, dim), dim)


def _trapezoids(y: Tensor, x: Tensor | None, dx: float, dim: int) -> Tensor:
    if not y.ndim:
        raise OpError("trapezoid expects at least one dimension")
    axis = normalize_axis(dim, y.ndim)
    width: Any = dx
    if x is not None:
        width = diff(x, dim=axis if x.ndim == y.ndim else -1)
        if x.ndim == 1:
            width = reshape(width, [-1 if a == axis else 1 for a in range(y.ndim)])
    count = max(y.shape[axis] - 1, 0)
    both = narrow(y, axis, min(1, y.shape[axis]), count) + narrow(y, axis, 0, count)
    return mul(both, width) / 2.0
