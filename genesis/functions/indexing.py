"""Gathering, and what stands in square brackets."""

from __future__ import annotations

import builtins
from math import prod
from typing import Any

import numpy as np

from compiler.errors import TraceError
from compiler.ir.graph import Value
from compiler.ir.location import user_location
from compiler.ir.op import o
from compiler.ir.types import DType, boolean, i64
from compiler.ops.reduce import normalize_axis
from genesis.context import current_recording
from genesis.functions.pointwise import value_of
from genesis.functions.shapes import permute, reshape, transpose, unsqueeze
from genesis.tensor import Tensor, from_array, tensor, wrap


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``input`` along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    return wrap(o.gather(input.value, _checked(index.value, input.shape[axis]), axis=axis))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``input`` with ``src`` added along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    return wrap(o.scatter_add(input.value, _checked(index.value, input.shape[axis]), src.value, axis=axis))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along ``dim`` at ``index``."""
    axis = normalize_axis(dim, input.ndim)
    moved = input if axis == 0 else transpose(input, 0, axis)
    rows = wrap(o.take(moved.value, _checked(index.value, input.shape[axis])))
    return rows if axis == 0 else transpose(rows, 0, axis)


def _checked(index: Value, size: int) -> Value:
    return o.bounded(index, size=size)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows that are 1 at each class."""
    if num_classes == -1:
        num_classes = int(tensor._array("one_hot without num_classes").max()) + 1
    classes = o.iota(shape=(num_classes,), axis=0)
    label = o.bounded(unsqueeze(tensor, -1).value, size=num_classes, what="class value")
    return wrap(o.cast(o.eq(label, classes), to=i64))


def getitem(x: Tensor, index: Any) -> Tensor:
    """``x[index]`` with ints, slices, None, Ellipsis (views), long tensors and, at once only, bool ones (copies)."""
    items = _places_of_masks(x, _full_index(x, index if isinstance(index, tuple) else (index,)))
    arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
    view = _basic(x, [slice(None) if isinstance(item, Tensor) else item for item in items])
    if not arrays:
        return view
    return _advanced(view, _positions(items, arrays))


def _full_index(x: Tensor, items: tuple[Any, ...]) -> list[Any]:
    """The index with Ellipsis and missing dimensions written out, sequences and arrays as tensors."""
    result: list[Any] = []
    used = np.sum([0 if i is None or i is Ellipsis else _dims_of(i) for i in items], dtype=int)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}\n  at {user_location()}")
    for item in items:
        if item is Ellipsis:
            result.extend([slice(None)] * (x.ndim - used))
        elif isinstance(item, list | np.ndarray):
            result.append(tensor(item))
        else:
            result.append(item)
    if not builtins.any(i is Ellipsis for i in items):
        result.extend([slice(None)] * (x.ndim - used))
    return result


def _dims_of(item: Any) -> int:
    return item.ndim if isinstance(item, Tensor) and item.dtype is boolean else 1


def _basic(x: Tensor, items: list[Any]) -> Tensor:
    start, stop, step, shape, axis = [], [], [], [], 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, slice):
            a, b, s = item.indices(n)
            if s < 1:
                raise ValueError("step must be greater than zero")
            b = a if b < a else b
            shape.append(len(range(a, b, s)))
        else:
            i = int(item)
            if not -n <= i < n:
                raise IndexError(
                    f"index {i} is out of bounds for dimension {axis} with size {n}\n  at {user_location()}"
                )
            a, b, s = i % n, i % n + 1, 1
        start.append(a)
        stop.append(b)
        step.append(s)
        axis += 1
    if stop != list(x.shape) or builtins.any(start) or builtins.any(s != 1 for s in step):
        x = x.view_as_op(o.slice, start=tuple(start), stop=tuple(stop), step=tuple(step))
    return x if tuple(shape) == x.shape else x.view_as_op(o.reshape, shape=tuple(shape))


def _positions(items: list[Any], arrays: list[tuple[int, Tensor]]) -> list[tuple[int, Tensor]]:
    """Index tensors with the dimension each stands at once the basic items are applied."""
    gone = 0
    result = []
    for i, item in enumerate(items):
        if isinstance(item, Tensor):
            result.append((i - gone, item))
        elif item is not None and not isinstance(item, slice):
            gone += 1
    return result


def _advanced(x: Tensor, arrays: list[tuple[int, Tensor]]) -> Tensor:
    """Index tensors as one gather of rows; unless they stand at neighbouring dimensions, their shape comes first."""
    table, flat, dims = _rows_of(x, arrays)
    taken = wrap(o.take(table.value, flat))
    first, rank = dims[0], len(flat.shape)
    if not first or dims != list(range(first, first + len(dims))):
        return taken
    return permute(taken, *range(rank, rank + first), *range(rank), *range(rank + first, taken.ndim))


def _rows_of(x: Tensor, arrays: list[tuple[int, Tensor]]) -> tuple[Tensor, Value, list[int]]:
    """``x`` as a table with the indexed dimensions as its rows, the rows that are meant, and those dimensions."""
    dims = [d for d, _ in arrays]
    flat: Any = 0
    for d, index in arrays:
        n, v = x.shape[d], index.value
        if v.dtype.kind != "int":
            raise IndexError(f"tensors used as indices must be integer or bool tensors, not {v.dtype!r}")
        inside = o.bounded(o.where(o.lt(v, 0), o.add(v, n), v), size=n)
        flat = o.add(o.mul(flat, n), inside) if isinstance(flat, Value) else inside
    others = [d for d in range(x.ndim) if d not in dims]
    table = reshape(permute(x, *dims, *others), prod(x.shape[d] for d in dims), *(x.shape[d] for d in others))
    return table, flat, dims


def _put(x: Tensor, arrays: list[tuple[int, Tensor]], value: Any) -> None:
    """Write rows; of several for one place the last stays, as in NumPy."""
    table, flat, dims = _rows_of(x, arrays)
    first, rank, others = dims[0], len(flat.shape), table.ndim - 1
    shape = [*table.shape[1:]]
    front = bool(first) and dims == list(range(first, first + len(dims)))
    place = first if front else 0
    spread = o.expand(as_operand(value, x.dtype), shape=(*shape[:place], *flat.shape, *shape[place:]))
    if place:
        spread = o.permute(
            spread, dims=(*range(place, place + rank), *range(place), *range(place + rank, rank + others))
        )
    written = o.put_rows(table.value, flat, spread)
    order = [*dims, *(d for d in range(x.ndim) if d not in dims)]
    whole = o.reshape(written, shape=tuple(x.shape[d] for d in order))
    x.write(o.permute(whole, dims=tuple(sorted(range(x.ndim), key=order.__getitem__))))


def _places_of_masks(x: Tensor, items: list[Any]) -> list[Any]:
    """The index with each bool tensor replaced by the places where it is true, one tensor a dimension."""
    result: list[Any] = []
    axis = 0
    for item in items:
        if not (isinstance(item, Tensor) and item.dtype is boolean):
            result.append(item)
            axis += item is not None
            continue
        shape = x.shape[axis : axis + item.ndim]
        if item.shape != shape:
            raise IndexError(
                f"The shape of the mask {list(item.shape)} at index {axis} does not match the shape of the indexed "
                f"tensor {list(x.shape)} at index {axis}"
            )
        if current_recording() is not None:
            raise TraceError(
                "indexing with a bool tensor gives a shape that depends on the data\n"
                f"  at {user_location()}\n  use genesis.where or masked_fill, which keep the shape"
            )
        result.extend(from_array(places.astype(np.int64)) for places in np.nonzero(item.numpy()))
        axis += item.ndim
    return result


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value`` for ints, slices, None, Ellipsis, integer tensors, a bool mask over leading dimensions."""
    items = _full_index(x, index if isinstance(index, tuple) else (index,))
    arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
    if builtins.any(item.dtype is not boolean for _, item in arrays):
        items = _places_of_masks(x, items)
        arrays = [(i, item) for i, item in enumerate(items) if isinstance(item, Tensor)]
        view = _basic(x, [slice(None) if isinstance(item, Tensor) else item for item in items])
        _put(view, _positions(items, arrays), value)
        return
    if isinstance(items[0] if items else None, Tensor):
        mask = items[0]
        spread = reshape(mask, *mask.shape, *([1] * (x.ndim - mask.ndim)))
        x.write(o.where(spread.value, as_operand(value, x.dtype), x.value))
        return
    view = _basic(x, items)
    view.write(o.expand(as_operand(value, x.dtype), shape=tuple(view.shape)))


def as_operand(value: Any, to: DType) -> Value:
    v = value_of(value)
    return o.cast(v, to=to) if isinstance(v, Value) else o.constant(value=v, dtype=to)
