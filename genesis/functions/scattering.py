"""Elements and slices written to, or joined with, the places that index tensors and masks say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, IndexingError, OpError
from compiler.ir.graph import Value
from compiler.ir.op import OPS, o
from compiler.ir.types import boolean, i64
from compiler.ops.layout import slice_along
from compiler.ops.reduce import normalize_axis
from genesis.functions.gathering import as_shape, at_least_1d, checked_index, from_the_front
from genesis.functions.indexing import as_operand, put_places, scattered_by_mask
from genesis.functions.rearranging import diagonal
from genesis.functions.shapes import expand, select
from genesis.functions.table import api
from genesis.tensor import Tensor, wrap

# Along a dimension

_JOINS = {
    "sum": "scatter_add",
    "mean": "scatter_add",
    "prod": "scatter_prod",
    "amax": "scatter_amax",
    "amin": "scatter_amin",
}


def _scattered(op: str, input: Tensor, dim: int, index: Tensor, source: Value, include_self: bool = True) -> Value:
    """The result of a scatter; without ``include_self``, places that are written start with the neutral element."""
    axis = normalize_axis(dim, input.ndim)
    x, places, source = at_least_1d(input.value), at_least_1d(index.value), at_least_1d(source)
    if not places.type.size:
        return input.value
    if places.type.rank == source.type.rank:
        for a, n in enumerate(places.shape):
            source = slice_along(o, source, a, 0, n) if source.shape[a] > n else source
    places = checked_index(places, x.shape[axis])
    if not include_self:
        neutral = o.constant(value=OPS[op].neutral(x.dtype), dtype=x.dtype)
        x = o.scatter(x, places, o.expand(neutral, shape=places.shape), axis=axis)
    return as_shape(OPS[op](x, places, source, axis=axis), input.shape)


@api(inplace=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """``input`` with ``src`` (or a number) written along ``dim`` at ``index``; of several for a place the last stays.

    ``reduce`` "add" or "multiply" joins them with the elements there. Elements that ``index`` misses do not count.
    """
    given = value if src is None else src
    ops = {None: "scatter", "add": "scatter_add", "multiply": "scatter_prod"}
    if given is None:
        raise ArgumentError("scatter() takes src=, a tensor, or value=, a number")
    if not isinstance(given, Tensor) and (not hasattr(given, "__float__") or isinstance(given, np.ndarray)):
        raise ArgumentError(f"scatter() takes a tensor or a number, not {type(given).__name__}")
    if reduce not in ops:
        raise OpError("reduce argument must be either add or multiply.")
    if not isinstance(given, Tensor):
        number = o.constant(value=given, dtype=input.dtype)
        return wrap(_scattered(ops[reduce], input, dim, index, o.expand(number, shape=tuple(index.shape))))
    return wrap(_scattered(ops[reduce], input, dim, index, given.value))


@api(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``input`` with ``src`` added along ``dim`` at ``index``; of ``src`` only what ``index`` covers counts."""
    return wrap(_scattered("scatter_add", input, dim, index, src.value))


@api(inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``input`` joined with ``src`` along ``dim`` at ``index`` by "sum", "prod", "mean", "amax" or "amin".

    Without ``include_self``, elements of ``input`` that others are written to do not count.
    """
    if reduce not in _JOINS:
        raise OpError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    joined = _scattered(_JOINS[reduce], input, dim, index, src.value, include_self)
    if reduce != "mean":
        return wrap(joined)
    ones = o.expand(o.constant(value=1, dtype=i64), shape=tuple(index.shape))
    start = wrap(o.expand(o.constant(value=int(include_self), dtype=i64), shape=tuple(input.shape)))
    count = o.maximum(_scattered("scatter_add", start, dim, index, ones), 1)
    count = o.cast(count, to=joined.dtype)
    return wrap(o.div(joined, count) if joined.dtype.is_floating_point else o.floor_divide(joined, count))


# Slices along a dimension


def _slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> tuple[int, Value, Value]:
    """The axis, the index as a vector, and the source's slices as rows."""
    axis = normalize_axis(dim, input.ndim)
    if index.ndim > 1:
        raise IndexingError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    places, rows = at_least_1d(index.value), at_least_1d(source.value)
    wanted = (*input.shape[:axis], places.type.size, *input.shape[axis + 1 :])
    if source.ndim == 0 < input.ndim and places.type.size == 1:
        rows = o.expand(rows, shape=wanted)
    if rows.shape != (wanted if input.ndim else (places.type.size,)) or source.dtype is not input.dtype:
        raise OpError(f"{name}(): the source must be {input.dtype.name}{list(wanted)}, not {source._type}")
    return axis, places, o.permute(rows, dims=_first(axis, rows.type.rank))


def _first(axis: int, rank: int) -> tuple[int, ...]:
    return (axis, *(a for a in range(rank) if a != axis))


def _back(x: Value, axis: int) -> Value:
    """The inverse of the permutation by :func:`_first`."""
    dims = _first(axis, x.type.rank)
    return o.permute(x, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__)))


@api(inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """``input`` with the slices of ``source``, times ``alpha``, added along ``dim`` at ``index``."""
    axis, places, rows = _slices("index_add", input, dim, index, source)
    x = at_least_1d(input.value)
    added = o.scatter_rows(checked_index(places, x.shape[axis]), rows, rows=x.shape[axis])
    added = _back(added if alpha == 1 else o.mul(added, alpha), axis)
    return wrap(as_shape(o.add(x, added), input.shape))


@api(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``input`` with the slices of ``source`` written along ``dim`` at ``index``."""
    axis, places, rows = _slices("index_copy", input, dim, index, source)
    x = at_least_1d(input.value)
    table = o.permute(x, dims=_first(axis, x.type.rank))
    return wrap(as_shape(_back(o.put_rows(table, checked_index(places, x.shape[axis]), rows), axis), input.shape))


@api(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """``input`` with a number written along ``dim`` at ``index``; a negative index counts from the end."""
    axis, x = normalize_axis(dim, input.ndim), at_least_1d(input.value)
    if index.ndim > 1:
        raise IndexingError("index_fill_(): Index is supposed to be a vector")
    if isinstance(value, Tensor) and value.ndim:
        raise OpError(f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dims")
    n, places = x.shape[axis], from_the_front(at_least_1d(index.value), x.shape[axis])
    hit = o.any(o.eq(o.iota(shape=(n, 1), axis=0), o.reshape(places, shape=(1, places.type.size))), axes=(1,))
    hit = o.reshape(hit, shape=tuple(n if a == axis else 1 for a in range(x.type.rank)))
    return wrap(as_shape(o.where(hit, as_operand(value, input.dtype), x), input.shape))


@api(inplace=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``input`` joined with the slices of ``source`` along ``dim`` at ``index`` by "prod", "mean", "amax" or "amin"."""
    if reduce not in _JOINS or reduce == "sum":
        raise OpError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    axis, places, _ = _slices("index_reduce", input, dim, index, source)
    shape = tuple(places.type.size if a == axis else 1 for a in range(source.ndim))
    spread = expand(wrap(o.reshape(places, shape=shape)), *source.shape)
    return scatter_reduce(input, dim, spread, source, reduce, include_self=include_self)


# Places


@api(overwrites=True)
def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``values`` written to ``input[indices]``, or added there; a copy."""
    return wrap(put_places(input, tuple(indices), values, accumulate))


@api(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``source`` written (added) at ``index`` of it as a vector; negative indices count from the end."""
    if index.dtype is not i64 or source.dtype is not input.dtype or index.numel() != source.numel():
        raise OpError(
            f"put_(): expected int64 indices and as many elements of the input's type, not {index._type} and "
            f"{source._type} for {input._type}"
        )
    n = input.numel()
    row, places, elements = (o.reshape(t.value, shape=(t.numel(),)) for t in (input, index, source))
    places = from_the_front(places, n)
    written = o.add(row, o.scatter_rows(places, elements, rows=n)) if accumulate else o.put_rows(row, places, elements)
    return wrap(o.reshape(written, shape=tuple(input.shape)))


@api(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """``input`` with the elements of ``source``, in order, written where ``mask`` is true."""
    if mask.dtype is not boolean or source.dtype is not input.dtype:
        raise OpError(
            f"masked_scatter_ expects a bool mask and a source of the input's type, not {mask._type} and {source._type}"
        )
    flags = expand(mask, *input.shape).value if mask.shape != input.shape else mask.value
    if flags.data is not None and flags.data.sum() > source.numel():
        raise OpError("masked_scatter: expected self and source to have same number of elements as there are true")
    return wrap(scattered_by_mask(input.value, flags, o.reshape(source.value, shape=(source.numel(),)), exact=False))


# Views written to, as copies


@api()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of ``input`` with ``src`` in place of ``input.select(dim, index)``."""
    return _with_view(input, src, lambda copy: select(copy, dim, index))


@api()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of ``input`` with ``src`` in place of ``input[start:end:step]`` along ``dim``."""
    axis = normalize_axis(dim, input.ndim)
    return _with_view(input, src, lambda copy: copy[(slice(None),) * axis + (slice(start, end, step),)])


@api()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of ``input`` with ``src`` in place of ``input.diagonal(offset, dim1, dim2)``."""
    return _with_view(input, src, lambda copy: diagonal(copy, offset, dim1, dim2))


def _with_view(input: Tensor, src: Tensor, view: Any) -> Tensor:
    copy = wrap(input.value)
    part = view(copy)
    if part.shape != src.shape:
        raise OpError(f"expected src to have a size equal to the slice of self, {list(part.shape)}, not {src._type}")
    part.write(o.cast(src.value, to=input.dtype) if src.dtype is not input.dtype else src.value)
    return copy
