"""Results whose shape depends on the contents of tensors: only outside compiled steps, where shapes are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import OpError
from compiler.ir.op import o
from compiler.ir.types import boolean, f32, f64, i64
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.reduce import normalize_axis
from genesis.functions.indexing import getitem
from genesis.functions.nonzeros import FIXED
from genesis.functions.pointwise import cast
from genesis.functions.shapes import expand, reshape
from genesis.functions.table import api
from genesis.scope import DATA_SHAPE
from genesis.tensor import Tensor, from_array, tensor, wrap


@api(eager_only=DATA_SHAPE)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` is true, as a vector. Eager only."""
    if mask.dtype is not boolean:
        raise OpError(f"masked_select: expected BoolTensor for mask, not {mask._type}")
    mask._array("masked_select()", FIXED.format("genesis.where and masked_fill keep the shape"))
    shape = broadcast_shapes(input.shape, mask.shape)
    picked: Tensor = (
        getitem(expand(input, *shape), expand(mask, *shape)) if shape else getitem(reshape(input, 1), reshape(mask, 1))
    )
    return picked


@api(eager_only=DATA_SHAPE)
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, or slices along ``dim``, in order; where each came to, and how often. Eager only."""
    array = input._array("unique()", FIXED.format("count with genesis.bincount of a fixed minlength"))
    axis = None if dim is None else normalize_axis(dim, input.ndim)
    values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    inverse = inverse.reshape(array.shape if axis is None else -1)
    return _chosen(values, inverse, counts, return_inverse, return_counts)


@api(eager_only=DATA_SHAPE)
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or slices along ``dim``, without those that equal the one before them. Eager only."""
    array = input._array("unique_consecutive()", FIXED.format("compare neighbours with genesis.ne"))
    axis = 0 if dim is None else normalize_axis(dim, input.ndim)
    line = np.moveaxis(array.reshape(-1) if dim is None else array, axis, 0)
    new = np.ones(len(line), bool)
    if len(line) > 1:
        new[1:] = (line[1:] != line[:-1]).reshape(len(line) - 1, -1).any(1)
    starts = np.flatnonzero(new)
    inverse = np.cumsum(new) - 1
    counts = np.diff(np.append(starts, len(line)))
    values = np.moveaxis(line[starts], 0, axis)
    return _chosen(values, inverse.reshape(array.shape if dim is None else -1), counts, return_inverse, return_counts)


def _chosen(values: np.ndarray, inverse: np.ndarray, counts: np.ndarray, with_inverse: bool, with_counts: bool) -> Any:
    results = [from_array(np.ascontiguousarray(values))]
    results += [from_array(np.ascontiguousarray(inverse, np.int64))] * with_inverse
    results += [from_array(np.ascontiguousarray(counts, np.int64))] * with_counts
    return results[0] if len(results) == 1 else tuple(results)


# Counts


@api(eager_only=DATA_SHAPE)
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on is an element of ``input``, or the sum of its ``weights``.

    Eager only: the result is as long as the largest element asks for, at least ``minlength``.
    """
    if input.ndim != 1 or input.dtype.kind != "int":
        raise OpError(f"bincount only supports 1-d non-negative integral inputs, not {input._type}")
    if minlength < 0:
        raise OpError("minlength should be >= 0")
    advice = "genesis.zeros(n).index_add(0, x, genesis.ones(len(x))) has a fixed size"
    array = input._array("bincount()", FIXED.format(advice))
    if array.size and array.min() < 0:
        raise OpError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise OpError(f"weights should be 1-d and have the same length as input, not {weights._type}")
    size = max(int(array.max(initial=-1)) + 1, minlength)
    if weights is None:
        return from_array(np.bincount(array, minlength=size).astype(np.int64))
    summed = weights.detach() if weights.dtype is f32 else cast(weights.detach(), f64)
    return wrap(o.scatter_rows(input.value, summed.value, rows=size))


@api()
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements are in each of ``bins`` equal intervals from ``min`` to ``max``, both included.

    If both are equal, they are the least and the largest element; elements outside do not count.
    """
    if as_index(bins) <= 0:
        raise OpError(f"bins must be > 0, but got {bins}")
    if min > max:
        raise OpError("max must be larger than min")
    x = o.reshape(o.detach(input.value), shape=(input.numel(),))
    if not input.numel():
        return wrap(o.cast(o.zeros(shape=(bins,), dtype=f32), to=input.dtype))
    low = o.constant(value=min, dtype=x.dtype) if min != max else o.amin(x, axes=(0,))
    high = o.constant(value=max, dtype=x.dtype) if min != max else o.amax(x, axes=(0,))
    same = o.eq(low, high)
    low, high = o.where(same, o.sub(low, 1), low), o.where(same, o.add(high, 1), high)
    inside = o.logical_and(o.ge(x, low), o.le(x, high))
    place = o.floor(o.mul(o.div(o.sub(x, low), o.sub(high, low)), float(bins)))
    place = o.minimum(o.cast(o.where(inside, place, 0), to=i64), bins - 1)
    place = o.bounded(place, size=bins, what="interval, as the range of histc is not finite: number")
    return wrap(o.scatter_rows(place, o.cast(inside, to=x.dtype), rows=bins))


class Histogram(NamedTuple):
    """Counts, and the edges of their intervals."""

    hist: Tensor
    bin_edges: Tensor


@api(eager_only=DATA_SHAPE)
def histogram(
    input: Tensor, bins: int | Tensor, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False
) -> Histogram:  # fmt: skip
    """How many elements (or the sum of their weights) are between the edges ``bins``, or in so many equal intervals."""
    array = input._array("histogram()", FIXED.format("genesis.histc has a fixed number of intervals"))
    edges = bins._array("histogram()") if isinstance(bins, Tensor) else as_index(bins)
    weights = None if weight is None else weight._array("histogram()").reshape(-1)
    ends = None if range is None else np.array(range, float)
    _check_histogram(array, edges, ends, weight)
    found, limits = np.histogram(
        array.reshape(-1), edges, None if ends is None else (ends[0], ends[1]), density, weights
    )
    return Histogram(*(tensor(x.astype(input.dtype.numpy)) for x in (found, limits)))


def _check_histogram(
    array: np.ndarray, edges: np.ndarray | int, ends: np.ndarray | None, weight: Tensor | None
) -> None:
    """Raise OpError for edges, ends or weights that make no histogram of ``array``."""
    if isinstance(edges, int):
        if edges <= 0:
            raise OpError(f"histogram: bins must be > 0, but got {edges}")
    elif edges.ndim != 1 or edges.size < 2 or (np.diff(edges) < 0).any():
        raise OpError(f"histogram: bins must be a vector of at least two edges in order, but they are {edges.tolist()}")
    if ends is not None and (ends.shape != (2,) or ends[0] > ends[1]):
        raise OpError(f"histogram: range must be a least and a largest value, not {ends.tolist()}")
    if isinstance(edges, int):
        found = ends if ends is not None else array if array.size else np.zeros(1)
        least, largest = found.min(), found.max()
        if not np.isfinite([least, largest]).all():
            raise OpError(f"histogram: range [{least}, {largest}] is not finite")
    if weight is not None and weight.shape != array.shape:
        raise OpError(f"histogram: the weights {weight._type} should have the shape {list(array.shape)} of the input")
