"""Order: sorted elements, the first of them, medians, modes and quantiles."""

from __future__ import annotations

from typing import Any

from compiler.errors import ArgumentError, OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import f32, f64, i64
from compiler.ops.layout import before, slice_along
from compiler.ops.reduce import normalize_axis
from genesis.functions.reductions import ValuesIndices
from genesis.functions.shapes import reshape, select
from genesis.functions.table import api
from genesis.tensor import Tensor, tensor, wrap


def _order(x: Value, count: int, descending: bool, axis: int) -> Value:
    """The places of the first ``count`` elements along ``axis``, in order."""
    last = x.type.rank - 1
    dims = tuple(last if a == axis else axis if a == last else a for a in range(last + 1))
    if axis == last:
        return o.argsort(x, count=count, descending=descending)
    return o.permute(o.argsort(o.permute(x, dims=dims), count=count, descending=descending), dims=dims)


def _first(input: Tensor, count: int, dim: int, descending: bool) -> ValuesIndices:
    """The first ``count`` elements along ``dim`` in order, and their places."""
    if not input.ndim:
        normalize_axis(dim, 0)
        return ValuesIndices(*(reshape(t[:1], ()) for t in _first(reshape(input, 1), count, 0, descending)))
    axis = normalize_axis(dim, input.ndim)
    index = _order(input.value, count, descending, axis)
    return ValuesIndices(wrap(o.gather(input.value, index, axis=axis)), wrap(index))


def _size(input: Tensor, dim: int) -> int:
    axis = normalize_axis(dim, input.ndim)
    return input.shape[axis] if input.ndim else 1


@api()
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesIndices:
    """The elements in order along ``dim``, and where they were. Equal ones keep their order; a NaN is the largest."""
    return _first(input, _size(input, dim), dim, descending)


@api()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The places at which the elements of :func:`sort` were; int64."""
    return sort(input, dim, descending).indices


@api()
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    return sort(input, 0).values


@api()
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The ``k`` largest (least) elements along ``dim`` in order, and where they were; of equals the first ones."""
    if not 0 <= k <= _size(input, dim):
        raise OpError(f"selected index k out of range: {k} of {_size(input, dim)} elements along dimension {dim}")
    return _first(input, k, dim, largest)


@api()
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """The ``k``-th least element along ``dim``, counted from 1, and where it was."""
    if not 1 <= k <= _size(input, dim):
        raise OpError(f"selected number k out of range for dimension {dim}: {k} of {_size(input, dim)} elements")
    if not input.ndim:
        return _first(input, k, dim, False)
    axis = normalize_axis(dim, input.ndim)
    index = slice_along(o, _order(input.value, k, False, axis), axis, k - 1, k)
    return _selected(input, index, axis, keepdim)


def _selected(input: Tensor, index: Value, axis: int, keepdim: bool) -> ValuesIndices:
    """The elements at ``index``, one along ``axis``, and their places."""
    values, places = wrap(o.gather(input.value, index, axis=axis)), wrap(index)
    if keepdim:
        return ValuesIndices(values, places)
    return ValuesIndices(select(values, axis, 0), select(places, axis, 0))


# Medians, modes and quantiles


@api()
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The element in the middle, the lower one of two: of all, or those along ``dim`` with its place. NaN beats all.

    The gradient of the median of all is shared out among the elements that are equal to it, as in PyTorch.
    """
    return _middle(input, dim, keepdim, skip=False)


@api()
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """:func:`median` of the elements that are no NaN."""
    return _middle(input, dim, keepdim, skip=True)


def _middle(input: Tensor, dim: int | None, keepdim: bool, skip: bool) -> Any:
    if dim is None or not input.ndim:
        found = _middle(reshape(input, -1), 0, False, skip)
        return found if dim is not None else _shared_out(reshape(input, -1).value, found.values)
    axis, x = normalize_axis(dim, input.ndim), input.value
    n = x.shape[axis]
    if not n:
        raise OpError(f"median needs elements along dimension {dim}, and the shape is {list(x.shape)}")
    order = _order(x, n, False, axis)
    middle: Value = slice_along(o, order, axis, (n - 1) // 2, (n - 1) // 2 + 1)
    if x.dtype.is_floating_point:
        numbers = o.sum(o.logical_not(o.isnan(x)), axes=(axis,), keepdim=True)
        lower = o.floor_divide(o.sub(numbers, 1), 2)
        place = o.maximum(lower, 0) if skip else o.where(o.lt(numbers, n), numbers, lower)
        middle = o.gather(order, place, axis=axis)
    return _selected(input, middle, axis, keepdim)


def _shared_out(x: Value, middle: Tensor) -> Tensor:
    """``middle``, an element of the vector ``x``, with a gradient for all that are equal to it."""
    if not x.dtype.is_floating_point:
        return middle
    equal = o.logical_or(o.eq(x, middle.value), o.logical_and(o.isnan(x), o.isnan(middle.value)))
    return wrap(o.amax(o.where(equal, x, float("-inf")), axes=(0,)))


@api()
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """The most frequent element along ``dim``, the least of several, and the last place where it stands."""
    if not input.ndim:
        return ValuesIndices(*(reshape(t, ()) for t in mode(reshape(input, 1), 0)))
    axis, x = normalize_axis(dim, input.ndim), input.value
    n = x.shape[axis]
    if not n:
        raise OpError(f"mode needs elements along dimension {dim}, and the shape is {list(x.shape)}")
    order = _order(x, n, False, axis)
    line, place = o.gather(o.detach(x), order, axis=axis), o.iota(shape=x.shape, axis=axis)
    starts = o.logical_or(o.ne(line, before(o, line, axis, 0)), o.eq(place, 0))
    length = o.sub(place, o.cummax(o.where(starts, place, 0), axis=axis))
    best = o.argmax(length, axes=(axis,), keepdim=True)
    return _selected(input, o.gather(order, best, axis=axis), axis, keepdim)


@api()
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The ``q`` quantiles, of all elements or along ``dim``; several ``q`` are a first dimension. NaN where one is NaN.

    ``interpolation`` between two neighbours: "linear", "lower", "higher", "midpoint" or "nearest".
    """
    return _quantile(input, q, dim, keepdim, interpolation, skip=False)


@api()
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """:func:`quantile` of the elements that are no NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, skip=True)


def _quantile(input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool) -> Tensor:
    if interpolation not in _BETWEEN:
        raise OpError(f"quantile() interpolation must be one of {', '.join(_BETWEEN)}, but got {interpolation}")
    if input.dtype not in (f32, f64):
        raise OpError(f"quantile() input tensor must be either float or double dtype, not {input._type}")
    if not input.numel():
        raise OpError("quantile() input tensor must be non-empty")
    wanted = q if isinstance(q, Tensor) else tensor(q, dtype=input.dtype)
    known = wanted.value.data
    if wanted.ndim > 1 or wanted.dtype is not input.dtype:
        raise ArgumentError(f"quantile() q must be a number or a vector of {input.dtype!r}, not {wanted._type}")
    if known is not None and not ((known >= 0) & (known <= 1)).all():
        raise OpError("quantile() q must be in the range [0, 1]")
    rank, row = input.ndim, reshape(input, -1) if dim is None else input
    row = reshape(row, 1) if not row.ndim else row
    axis = 0 if dim is None else normalize_axis(dim, rank)
    last = row.ndim - 1
    dims = (*(a for a in range(row.ndim) if a != axis), axis)
    x = o.permute(row.value, dims=dims)
    n = x.shape[-1]
    line = o.gather(x, o.argsort(x, count=n), axis=last)
    numbers = o.sum(o.logical_not(o.isnan(x)), axes=(last,), keepdim=True)
    ends: Value = o.cast(o.maximum(o.sub(numbers, 1), 0), to=x.dtype)
    places = o.mul(o.reshape(wanted.value, shape=(wanted.numel(),)), ends)
    if not skip:
        places = o.where(o.lt(numbers, n), float(n - 1), places)
    low, high, weight = _BETWEEN[interpolation](places)
    below, above = (o.gather(line, o.cast(v, to=i64), axis=last) for v in (low, high))
    found = below if weight is None else o.lerp(below, above, weight)
    found = o.permute(found, dims=(last, *range(last)))
    kept: tuple[int, ...] = tuple(found.shape[1:])
    if keepdim:
        kept = (1,) * rank if dim is None else tuple(1 if a == axis else s for a, s in enumerate(input.shape))
    return wrap(o.reshape(found, shape=(*([wanted.numel()] * wanted.ndim), *kept)))


def _linear(places: Value) -> tuple[Value, Value, Any]:
    low = o.floor(places)
    return low, o.ceil(places), o.sub(places, low)


def _nearest(places: Value) -> tuple[Value, Value, Any]:
    near = o.round(places)
    return near, near, None


_BETWEEN: dict[str, Any] = {
    "linear": _linear,
    "lower": lambda places: (o.floor(places), o.floor(places), None),
    "higher": lambda places: (o.ceil(places), o.ceil(places), None),
    "midpoint": lambda places: (o.floor(places), o.ceil(places), 0.5),
    "nearest": _nearest,
}
"""The places below and above a quantile, and the share of the second one."""
