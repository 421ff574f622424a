"""Running sums, products, extrema and differences along a dimension."""

from __future__ import annotations

from typing import Any

from compiler.errors import OpError
from compiler.ir.op import Op, o
from compiler.ir.types import boolean
from compiler.ir.types import dtype as to_dtype
from compiler.ops.reduce import normalize_axis
from genesis.functions.gathering import gather
from genesis.functions.pointwise import Dim, add, div, logical_xor, mul, sub
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


@api(method=False)
def gradient(input: Tensor, *, spacing: Any = 1, dim: Dim = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The slopes along each dimension in ``dim`` or all, by differences of second order.

    ``spacing`` is a number or the places along the dimension, a tensor; or a list of such, one a dimension. At the ends
    the order is ``edge_order``, 1 or 2. Source: the documentation of ``numpy.gradient``.
    """
    axes = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = [normalize_axis(axis, input.ndim) for axis in axes]
    given = list(spacing) if isinstance(spacing, list | tuple) else [spacing] * len(axes)
    if len(given) != len(axes):
        raise OpError(f"gradient expects a spacing for each of {len(axes)} dimensions, not {len(given)}")
    if edge_order not in (1, 2):
        raise OpError(f"gradient only supports edge_order=1 and edge_order=2, not {edge_order}")
    return tuple(_slopes(input, axis, gap, edge_order) for axis, gap in zip(axes, given, strict=True))


def _slopes(y: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    count = y.shape[axis]
    if count < edge_order + 1:
        raise OpError(f"gradient expects each dimension size to be at least edge_order+1, but {y._type} has {count}")
    gaps = reshape(diff(spacing), -1, *[1] * (y.ndim - axis - 1)) if isinstance(spacing, Tensor) else None
    steps = div(diff(y, dim=axis), spacing if gaps is None else gaps)

    def step(i: int, length: int = 1) -> Tensor:
        return narrow(steps, axis, i, length)

    def share(i: int, j: int, length: int = 1) -> Any:
        """The part that gap ``i`` has of the gaps ``i`` and ``j``."""
        if gaps is None:
            return 0.5
        one, other = narrow(gaps, 0, i, length), narrow(gaps, 0, j, length)
        return div(one, add(one, other))

    inside, last = count - 2, count - 2
    left = share(1, 0, inside)
    inner = add(mul(step(0, inside), left), mul(step(1, inside), sub(1, left)))
    ends = [step(0), step(last)]
    if edge_order == 2:
        ends = [add(step(i), mul(sub(step(i), step(j)), share(i, j))) for i, j in ((0, 1), (last, last - 1))]
    return cat([ends[0], inner, ends[1]], axis)


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
