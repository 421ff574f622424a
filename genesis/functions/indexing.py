"""The meaning of square brackets, read and written.

Ints, slices, None and Ellipsis make views. Index tensors, lists and masks pick places and make copies. Rules, order of
the resulting dimensions and errors are PyTorch's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from operator import index as as_index
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import ArgumentError, ChoiceError, GenesisWarning, IndexingError, OpError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import o
from compiler.ir.types import DType, Shape, boolean, i32, i64, u8
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.layout import slice_length
from genesis.functions.gathering import from_the_front
from genesis.functions.pointwise import value_of
from genesis.functions.shapes import permute
from genesis.functions.table import method_only
from genesis.memory.strides import Strides, contiguous_strides, dense
from genesis.memory.values import held
from genesis.memory.views import View
from genesis.tensor import Tensor, from_array, tensor, wrap

Mask = Tensor | np.ndarray
"""A bool tensor; an array where its contents are known while a step is recorded."""
Places = list[tuple[int, Tensor | Mask]]
"""Index tensors (int64 or int32) and masks, which span several dimensions, and the dimension each begins at."""


def getitem(x: Tensor, index: Any) -> Tensor:
    """``x[index]``. A mask, whose result has a shape that depends on its contents, only at once, not in a step."""
    view, places = _picked(x, index)
    if places:
        return _gathered(view, _without_masks(view, places))
    return view.view_as_op(o.reshape, shape=tuple(x.shape)) if view is x else view


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``; ``value`` broadcasts to what ``index`` picks, leading dimensions of size 1 do not count."""
    if index is False:  # nothing is picked
        return
    view, places = _picked(x, index)
    written = _without_leading_ones(as_operand(value, x.dtype))
    if not places:
        view.write(o.expand(written, shape=tuple(view.shape)))
        return
    if len(places) == 1 and _is_mask(places[0][1]) and _write_masked(view, *places[0], written):
        return
    _put(view, _without_masks(view, places), written)


def put_places(x: Tensor, index: tuple[Any, ...], values: Tensor, accumulate: bool) -> Value:
    """``x`` after ``x[index] = values``, or ``+=`` where each of several values for one place counts."""
    copy = wrap(x.value)
    if values.dtype is not x.dtype:
        raise OpError(here(f"index_put needs values of the tensor's dtype, not {values._type} for {x._type}"))
    if not accumulate:
        setitem(copy, index, values)
        return copy.value
    view, places = _picked(copy, index)
    _put(view, _without_masks(view, places), _without_leading_ones(values.value), accumulate=True)
    return copy.value


def as_operand(value: Any, to: DType) -> Value:
    """``value``, a tensor or a number, in dtype ``to``."""
    v = value_of(value)
    return o.cast(v, to=to) if isinstance(v, Value) else o.constant(value=v, dtype=to)


# Reading an index


def _picked(x: Tensor, index: Any) -> tuple[Tensor, Places]:
    """The view that ints, slices, None and Ellipsis make, and where in it index tensors and masks stand."""
    items = [_normal(item) for item in _items(index)]
    views, dims = _cuts(x._type.shape, tuple(map(_part, items)))
    view = x._view_through(*views) if views else x
    tensors = [item for item in items if isinstance(item, Tensor | np.ndarray)]
    rows: list[tuple[int, Tensor]] = []  # tensors of one number, which drop their dimension
    places: Places = []
    for dim, item in zip(dims, tensors, strict=True):
        if isinstance(item, Tensor) and _is_number(item):
            rows.append((dim, item))
        else:
            places.append((dim, item))
    for dim, number in reversed(rows):
        view = _row(view, dim, number)
    return view, [(d - sum(row < d for row, _ in rows), t) for d, t in places]


class _Tensors(NamedTuple):
    """An index tensor or a mask, as far as the shape of the view depends on it: the dimensions it stands for."""

    dims: int
    number: bool
    """It drops its dimension."""
    scalar: bool
    """It has no dimension, and stands for one."""


_Part = int | tuple[int | None, ...] | _Tensors | EllipsisType | None
"""An item of an index, a slice as its three numbers."""


def _part(item: Any) -> _Part:
    if isinstance(item, slice):
        try:
            return tuple([n if n is None else as_index(n) for n in (item.start, item.stop, item.step)])
        except TypeError:
            return _bounds(item, 1)  # which tells the error
    if isinstance(item, Tensor | np.ndarray):
        number = _is_number(item)
        return _Tensors(item.ndim if _is_mask(item) else 1, number, not number and not item.ndim)
    found: _Part = item
    return found


@lru_cache(4096)
def _cuts(full: Shape, items: tuple[_Part, ...]) -> tuple[tuple[View, ...], tuple[int, ...]]:
    """The views that the parts of an index make of a tensor with the shape ``full``.

    Also returns the dimension of the view at which each index tensor and mask stands.
    """
    rank = len(full)
    used = sum(_dims_of_part(item) for item in items)
    if not rank and any(isinstance(i, int) or (isinstance(i, _Tensors) and i.number) for i in items):
        raise IndexingError(here("invalid index of a 0-dim tensor", "use `tensor.item()` for its number"))
    if used > rank:
        raise IndexingError(here(f"too many indices for tensor of dimension {rank}"))
    dims: list[int] = []
    start: list[int] = []
    stop: list[int] = []
    step: list[int] = []
    shape: list[int] = []

    def keep(part: slice, kept: bool = True) -> None:
        n = full[len(start)]
        a, b, s = _bounds(part, n)
        start.append(a)
        stop.append(max(a, b))
        step.append(s)
        if kept:
            shape.append(len(range(a, b, s)))

    for item in items:
        if item is Ellipsis:
            for _ in range(rank - used):
                keep(slice(None))
            used = rank
        elif item is None:
            shape.append(1)
        elif isinstance(item, _Tensors):
            dims.append(len(shape))
            if item.scalar:
                shape.append(1)
            for _ in range(item.dims):
                keep(slice(None))
        elif isinstance(item, int):
            i = _within(item, len(start), full)
            keep(slice(i, i + 1), kept=False)
        else:
            assert isinstance(item, tuple)
            keep(slice(*item))
    while len(start) < rank:
        keep(slice(None))
    views: list[View] = []
    if stop != list(full) or any(start) or any(s != 1 for s in step):
        views.append((o.slice, (), {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}))
        full = tuple(map(slice_length, start, stop, step))
    if tuple(shape) != full:
        views.append((o.reshape, (), {"shape": tuple(shape)}))
    return tuple(views), tuple(dims)


def _dims_of_part(item: _Part) -> int:
    """How many dimensions of the tensor an item stands for."""
    if isinstance(item, _Tensors):
        return item.dims
    return 0 if item is None or item is Ellipsis else 1


def _items(index: Any) -> Sequence[Any]:
    """The items of an index. A list that holds sequences, tensors, slices or None counts as a tuple, as in PyTorch."""
    if isinstance(index, tuple):
        return index
    several = (Tensor, list, tuple, range, np.ndarray, slice)
    if isinstance(index, list) and any(isinstance(i, several) or i is None or i is Ellipsis for i in index):
        warnings.warn(
            here(
                "x[[...]] with sequences, tensors, slices or None in the list means x[tuple(list)]; "
                "PyTorch will change that",
                "write x[tuple(list)], or x[genesis.tensor(list)] for one index tensor",
            ),
            GenesisWarning,
            stacklevel=2,
        )
        return index
    return (index,)


def _normal(item: Any) -> Any:
    """An item as None, Ellipsis, a slice, an int, an index tensor or a mask."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, list | tuple | range):
        item = tensor(list(item)) if _has_tensors(item) else _array(item)
    if isinstance(item, bool):
        item = np.array(item)
    if isinstance(item, np.ndarray):
        if item.dtype == bool:
            return item
        item = tensor(item)
    if isinstance(item, Tensor):
        return _index_tensor(item)
    try:
        return as_index(item)
    except TypeError:
        raise IndexingError(
            here(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte tensors are valid indices "
                f"(got {type(item).__name__})"
            )
        ) from None


def _has_tensors(items: Sequence[Any]) -> bool:
    return any(_has_tensors(i) if isinstance(i, list | tuple) else isinstance(i, Tensor) for i in items)


def _array(items: Sequence[Any]) -> np.ndarray:
    try:
        array = np.array(items)
    except ValueError:
        raise IndexingError(here(f"the sequences in an index differ in length: {items}")) from None
    return array if array.size else array.astype(np.int64)


def _index_tensor(item: Tensor) -> Any:
    """A bool or integer tensor; a single number that is known already as an int; uint8 is a mask."""
    if item.dtype is u8:
        if item.ndim:
            warnings.warn(
                here("indexing with dtype uint8 is deprecated", "use a bool tensor: mask.bool()"),
                GenesisWarning,
                stacklevel=2,
            )
        return item.bool()
    if item.dtype not in (boolean, i32, i64):
        raise IndexingError(here(f"tensors used as indices must be long, int, byte or bool tensors, not {item._type}"))
    if _is_number(item) and item.value.data is not None:
        return int(item.value.data)
    return item


def _is_number(item: Any) -> bool:
    return isinstance(item, int) or (isinstance(item, Tensor) and not item.ndim and not _is_mask(item))


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) or (isinstance(item, Tensor) and item.dtype is boolean)


def _bounds(part: slice, n: int) -> tuple[int, int, int]:
    try:
        a, b, s = part.indices(n)
    except TypeError as error:
        raise ArgumentError(here(str(error))) from None
    except ValueError as error:
        raise ChoiceError(here(str(error))) from None
    if s < 1:
        raise ChoiceError(here("step must be greater than zero", "genesis.flip(x, [dim]) reverses a dimension"))
    return a, b, s


def _within(i: int, axis: int, shape: Shape) -> int:
    n = shape[axis]
    if not -n <= i < n:
        raise IndexingError(
            here(f"index {i} is out of bounds for dimension {axis} with size {n} (shape {list(shape)})")
        )
    return i % n


def _row(x: Tensor, dim: int, number: Tensor) -> Tensor:
    """``x`` without dimension ``dim``, at a number that is known only when the step runs; a view."""
    fixed = wrap(from_the_front(number.value, x.shape[dim]))
    first = x if dim == 0 else permute(x, dim, *(d for d in range(x.ndim) if d != dim))
    return first.view_as_op(o.take, fixed)


# Masks


def _without_masks(x: Tensor, places: Places) -> list[tuple[int, Tensor]]:
    """``places`` with each mask replaced by the places where it is true, one index tensor for each dimension."""
    result: list[tuple[int, Tensor]] = []
    for dim, item in places:
        if not _is_mask(item):
            assert isinstance(item, Tensor)
            result.append((dim, item))
            continue
        _check_mask(x, dim, item)
        contents = item if isinstance(item, np.ndarray) else item.value.data
        if contents is None:
            raise TraceError(
                here(
                    "indexing with a bool tensor gives a shape that depends on the data",
                    "use genesis.where or masked_fill, which keep the shape",
                )
            )
        true = np.nonzero(contents.reshape(contents.shape or (1,)))
        result.extend((dim + a, from_array(where.astype(np.int64))) for a, where in enumerate(true))
    return result


def _check_mask(x: Tensor, dim: int, mask: Mask) -> None:
    spans = x.shape[dim : dim + mask.ndim]
    if tuple(mask.shape) != spans:
        raise IndexingError(
            here(
                f"The shape of the mask {list(mask.shape)} at index {dim} does not match the shape of the indexed "
                f"tensor {list(x.shape)} at index {dim}"
            )
        )


def _write_masked(x: Tensor, dim: int, mask: Mask, value: Value) -> bool:
    """Write ``value`` where ``mask`` is true, if it has the same for all places that the mask picks; else False."""
    _check_mask(x, dim, mask)
    spans = max(mask.ndim, 1)
    trailing = x.ndim - dim - spans
    if value.type.rank > trailing:
        *lead, count = value.shape[: value.type.rank - trailing]
        if count != 1:
            return _write_vector(x, dim, mask, value)
        value = o.reshape(value, shape=(*lead, *[1] * spans, *value.shape[value.type.rank - trailing :]))
    flags = mask if isinstance(mask, Tensor) else from_array(mask)
    spread = o.reshape(flags.value, shape=(*(mask.shape or (1,)), *[1] * trailing))
    x.write(o.where(spread, o.expand(value, shape=tuple(x.shape)), x.value))
    return True


def _write_vector(x: Tensor, dim: int, mask: Mask, value: Value) -> bool:
    """Write the rows of ``value`` where ``mask`` is true, if its contents are not known yet; False for other shapes."""
    if not isinstance(mask, Tensor) or mask.value.data is not None:
        return False
    row = x.shape[dim + max(mask.ndim, 1) :]
    if dim or value.type.rank != 1 + len(row):
        return False
    flags = o.reshape(mask.value, shape=(mask.numel(),))
    rows = o.expand(value, shape=(value.shape[0], *row))
    table = o.reshape(x.value, shape=(mask.numel(), *row))
    x.write(o.reshape(scattered_by_mask(table, flags, rows, exact=True), shape=tuple(x.shape)))
    return True


def scattered_by_mask(x: Value, mask: Value, rows: Value, exact: bool) -> Value:
    """``x`` with ``rows``, in order, where ``mask`` is true: its running sum counts them.

    There must be as many rows as true elements, or (not ``exact``) more: a bad number is reported when the step runs.
    """
    if not mask.type.size:
        return x
    flat, count = o.reshape(mask, shape=(mask.type.size,)), rows.shape[0]
    running = o.cumsum(flat, axis=0)
    found = o.sum(flat, axes=(0,))
    size, what = (
        (1, "the difference between the true elements of a mask and the values,")
        if exact
        else (
            count + 1,
            "the number of true elements of a mask that takes its values in order,",
        )
    )
    checked = o.bounded(o.abs(o.sub(found, count)) if exact else found, size=size, what=what)
    if not count:
        return o.where(o.ne(checked, 0), x, x)
    place = o.minimum(o.maximum(o.sub(running, 1), 0), count - 1)
    place = o.add(place, o.mul(checked, 0))
    taken = o.reshape(o.take(rows, place), shape=(*mask.shape, *rows.shape[1:]))
    spread = o.reshape(mask, shape=(*mask.shape, *(1 for _ in rows.shape[1:])))
    return o.where(spread, taken, x)


# Places


def _table(x: Tensor, places: Sequence[tuple[int, Tensor]]) -> tuple[Value, Value, list[int]]:
    """``x`` with the indexed dimensions as its rows, the number of each row that is meant, and those dimensions."""
    dims = [d for d, _ in places]
    _check_broadcast([t for _, t in places])
    flat: Any = 0
    for d, index in places:
        n = x.shape[d]
        inside = from_the_front(index.value, n)
        flat = o.add(o.mul(flat, n), inside) if isinstance(flat, Value) else inside
    others = [d for d in range(x.ndim) if d not in dims]
    order, rows = (*dims, *others), prod(x.shape[d] for d in dims)
    value = x.value if order == tuple(range(x.ndim)) else o.permute(x.value, dims=order)
    return o.reshape(value, shape=(rows, *(x.shape[d] for d in others))), flat, dims


def _check_broadcast(indices: Sequence[Tensor]) -> None:
    try:
        broadcast_shapes(*(t.shape for t in indices))
    except OpError:
        shapes = ", ".join(str(list(t.shape)) for t in indices)
        raise IndexingError(
            here(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}")
        ) from None


def _front(dims: Sequence[int]) -> int:
    """Before which dimension the shape of index tensors comes: where they stood if they are neighbours, else first."""
    return dims[0] if list(dims) == list(range(dims[0], dims[0] + len(dims))) else 0


def _gathered(x: Tensor, places: Sequence[tuple[int, Tensor]]) -> Tensor:
    table, flat, dims = _table(x, places)
    taken = o.take(table, flat)
    rank, first = flat.type.rank, _front(dims)
    if first:
        order = (*range(rank, rank + first), *range(rank), *range(rank + first, taken.type.rank))
        taken = o.permute(taken, dims=order)
    held(taken).strides = _gathered_strides(x, places, taken.shape)
    return wrap(taken)


def _gathered_strides(x: Tensor, places: Sequence[tuple[int, Tensor]], shape: Shape) -> Strides | None:
    """The strides of what index tensors pick: PyTorch takes it for elementwise in the tensor and the indices."""
    if x.value.strides is None:
        return None
    dims = [d for d, _ in places]
    first, others = _front(dims), [s for d, s in enumerate(x.stride()) if d not in dims]
    rank = len(shape) - len(others)
    places_of = [1] * first, [1] * (len(others) - first)
    strides: list[Strides] = [(*others[:first], *[0] * rank, *others[first:])]
    shapes: list[Shape] = [shape]
    for _, index in places:
        padded = (*[1] * (rank - index.ndim), *index.shape)
        spread = contiguous_strides(padded)
        shapes.append((*places_of[0], *padded, *places_of[1]))
        strides.append((*[0] * first, *spread, *[0] * (len(others) - first)))
    found = dense(shapes, strides, shape)
    return None if found == contiguous_strides(shape) else found


def _put(x: Tensor, places: Sequence[tuple[int, Tensor]], value: Value, accumulate: bool = False) -> None:
    """Write rows, of several for one place the last stays, as in NumPy; or add all of them."""
    table, flat, dims = _table(x, places)
    rank, row = flat.type.rank, table.shape[1:]
    first = _front(dims)
    picked = (*row[:first], *flat.shape, *row[first:])
    try:
        fits = broadcast_shapes(value.shape, picked) == picked
    except OpError:
        fits = False
    if not fits:
        raise OpError(
            here(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of "
                f"shape {list(picked)}"
            )
        )
    spread = o.expand(value, shape=picked)
    if first:
        order = (*range(first, first + rank), *range(first), *range(first + rank, len(picked)))
        spread = o.permute(spread, dims=order)
    if accumulate:
        written = o.add(table, o.scatter_rows(flat, spread, rows=table.shape[0]))
    else:
        written = o.put_rows(table, flat, spread)
    order = (*dims, *(d for d in range(x.ndim) if d not in dims))
    whole = o.reshape(written, shape=tuple(x.shape[d] for d in order))
    x.write(o.permute(whole, dims=tuple(sorted(range(x.ndim), key=order.__getitem__))))


def _without_leading_ones(value: Value) -> Value:
    shape = value.shape
    ones = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return o.reshape(value, shape=shape[ones:]) if ones else value


@method_only
def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Set the elements whose indices are all equal; ``wrap`` starts again below them in a tall matrix."""
    if input.ndim < 2:
        raise OpError(f"dimensions must larger than 1, not {input._type}")
    if input.ndim > 2 and len(set(input.shape)) > 1:
        raise OpError(f"all dimensions of input must be of equal length, not {list(input.shape)}")
    rows, columns = input.shape[:2]
    row = np.arange(rows if wrap and input.ndim == 2 else min(input.shape))
    column = row % (columns + 1) if input.ndim == 2 else row
    places = [from_array(x[column < columns]) for x in (row, column)]
    setitem(input, (places[0], *places[1:] * (input.ndim - 1)), fill_value)
    return input
