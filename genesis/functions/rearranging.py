"""Dimensions in another order, diagonals, grids, repeated and rolled elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, ChoiceError, OpError
from compiler.ir.op import o
from compiler.ops.reduce import normalize_axis
from genesis.functions.gathering import index_select
from genesis.functions.shapes import as_sizes, cat, expand, narrow, permute, repeat, reshape, transpose
from genesis.functions.table import api, function_only
from genesis.memory.diagonals import diagonal_of
from genesis.tensor import Tensor, copied, from_array, wrap

Dims = int | Sequence[int]


@api()
def ravel(input: Tensor) -> Tensor:
    """The elements as a vector: a view where strides allow one, else a copy."""
    return reshape(input, -1)


@api(alias=("moveaxis",))
def movedim(input: Tensor, source: Dims, destination: Dims) -> Tensor:
    """The dimensions ``source`` at the places ``destination``; the others keep their order."""
    old, new = (_dims(d, input.ndim) for d in (source, destination))
    if len(old) != len(new):
        raise OpError(
            "invalid source or destination dims: source should have the same number of elements as "
            f"destination, but got {list(old)} and {list(new)}"
        )
    rest = iter([a for a in range(input.ndim) if a not in old])
    places = dict(zip(new, old, strict=True))
    return permute(input, *[places[a] if a in places else next(rest) for a in range(input.ndim)])


def _dims(dims: Dims, rank: int) -> tuple[int, ...]:
    found = tuple(normalize_axis(d, rank) for d in as_sizes((dims,)))
    if len(set(found)) != len(found):
        raise OpError(f"repeated dim in {list(found)}")
    return found


@api(alias=("swapdims",))
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions exchanged."""
    return transpose(input, axis0, axis1)


@api()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal ``offset`` above the main one of ``dim1`` and ``dim2``, as the last dimension; a view."""
    first, second = normalize_axis(dim1, input.ndim), normalize_axis(dim2, input.ndim)
    if first == second:
        raise OpError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return movedim(input, (first, second), (-2, -1)).view_as_op(diagonal_of, offset=offset)


@api()
def roll(input: Tensor, shifts: Dims, dims: Dims | None = None) -> Tensor:
    """The elements moved on by ``shifts`` along ``dims`` (None: as one vector), the last ones to the front."""
    steps = as_sizes((shifts,))
    if dims is None or dims in ((), []):
        if len(steps) != 1:
            raise OpError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:0")
        return reshape(_rolled(reshape(input, -1), steps[0], 0), *input.shape)
    axes = [normalize_axis(d, input.ndim) for d in as_sizes((dims,))]
    if len(steps) != len(axes):
        raise OpError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    for step, axis in zip(steps, axes, strict=True):
        input = _rolled(input, step, axis)
    return input


def _rolled(input: Tensor, step: int, axis: int) -> Tensor:
    n = input.shape[axis]
    step = step % n if n else 0
    if not step:
        return cat([input], axis)
    return cat([narrow(input, axis, n - step, step), narrow(input, axis, 0, n - step)], axis)


@api()
def tile(input: Tensor, *dims: Any) -> Tensor:
    """The tensor repeated ``dims`` times along its last dimensions, or along new ones in front."""
    counts = as_sizes(dims)
    return repeat(input, *(1 for _ in range(input.ndim - len(counts))), *counts)


@api()
def repeat_interleave(
    input: Tensor, repeats: int | Tensor, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along ``dim`` (each element, for None) ``repeats`` times in a row.

    ``repeats`` is a number or, at once only, a tensor with a number for each slice. ``output_size`` must be the sum of
    the numbers.
    """
    if dim is None:
        input, dim = reshape(input, -1), 0
    if not input.ndim:
        input = reshape(input, 1)
    axis = normalize_axis(dim, input.ndim)
    counts = repeats._array("repeat_interleave by a tensor") if isinstance(repeats, Tensor) else np.array(repeats)
    if counts.dtype.kind != "i" or counts.ndim > 1:
        raise ArgumentError(f"repeats must be an int or a vector of ints, not {repeats!r}")
    if counts.size != 1 and counts.size != input.shape[axis]:
        raise OpError(f"repeats must have the same size as input along dim, {input.shape[axis]}, not {counts.size}")
    if (counts < 0).any():
        raise OpError("repeats can not be negative")
    total = int(counts.sum() if counts.size != 1 else counts.item() * input.shape[axis])
    if output_size not in (None, total):
        raise OpError(f"allocated size {output_size} does not match required size {total}")
    if counts.size == 1:
        n = int(counts.item())
        spread = expand(reshape(input, *input.shape[: axis + 1], 1, *input.shape[axis + 1 :]),
                        *input.shape[: axis + 1], n, *input.shape[axis + 1 :])  # fmt: skip
        return wrap(o.reshape(copied(spread), shape=(*input.shape[:axis], total, *input.shape[axis + 1 :])))
    return index_select(input, axis, from_array(np.repeat(np.arange(counts.size), counts)))


@function_only
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: vector ``i`` along dimension ``i`` of the shape of all sizes; views.

    ``indexing="xy"`` exchanges the first two dimensions; ``"ij"``, the default, does not.
    """
    given: list[Tensor] = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else [*tensors]
    if not given:
        raise OpError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise ChoiceError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in given:
        if not isinstance(x, Tensor) or x.ndim > 1:
            shown = x._type if isinstance(x, Tensor) else type(x).__name__
            raise OpError(f"meshgrid: Expected scalar or 1D tensor in the tensor list but got: {shown}")
    swap = indexing == "xy" and len(given) > 1
    if swap:
        given[:2] = given[1::-1]
    shape = tuple(x.numel() for x in given)
    grids = [
        expand(reshape(x, *(shape[i] if a == i else 1 for a in range(len(shape)))), *shape) for i, x in enumerate(given)
    ]
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)
