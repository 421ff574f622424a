"""Views, and tensors joined or cut."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.location import user_location
from compiler.ir.op import Op, o
from compiler.ir.types import boolean
from compiler.ops.reduce import normalize_axes, normalize_axis
from genesis.functions.pointwise import Dim
from genesis.tensor import Tensor, copied, wrap


def as_sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    return tuple(int(n) for n in shape)


def _inferred(input: Tensor, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """``shape`` with its -1, if there is one, replaced by the size that fits."""
    sizes = list(as_sizes(shape))
    if -1 in sizes:
        known = -prod(sizes)
        if sizes.count(-1) > 1:
            raise OpError(f"only one dimension can be inferred, but got shape {sizes}\n  at {user_location()}")
        if known == 0 or input.numel() % known:
            raise OpError(f"shape '{sizes}' is invalid for input of size {input.numel()}\n  at {user_location()}")
        sizes[sizes.index(-1)] = input.numel() // known
    return tuple(sizes)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1. A view where strides allow one, else a copy."""
    sizes = _inferred(input, shape)
    if sizes == input.shape:
        return input.view_as_op(o.reshape, shape=sizes) if input.requires_grad else input
    if prod(sizes) != input.numel() or input.shows_as(sizes):
        return input.view_as_op(o.reshape, shape=sizes)
    return wrap(o.reshape(copied(input), shape=sizes))


def view(input: Tensor, *shape: Any) -> Tensor:
    """:func:`reshape` that never copies; an error where it would have to."""
    sizes = _inferred(input, shape)
    if prod(sizes) == input.numel() and not input.shows_as(sizes):
        raise OpError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces): {list(input.shape)} with strides {list(input.stride())} as {list(sizes)}. "
            f"Use .reshape(...) instead.\n  at {user_location()}"
        )
    return reshape(input, *sizes)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` as one."""
    if not input.ndim:
        return reshape(input, 1)
    a, b = normalize_axis(start_dim, input.ndim), normalize_axis(end_dim, input.ndim)
    if a > b:
        raise OpError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(input, *input.shape[:a], prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension ``dim`` as several."""
    a = normalize_axis(dim, input.ndim)
    inner = list(sizes)
    if -1 in inner:
        inner[inner.index(-1)] = input.shape[a] // -prod(inner)
    return reshape(input, *input.shape[:a], *inner, *input.shape[a + 1 :])


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    return input.view_as_op(o.permute, dims=tuple(normalize_axis(d, input.ndim) for d in as_sizes(dims)))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    if not input.ndim:
        return input
    order = list(range(input.ndim))
    a, b = normalize_axis(dim0, input.ndim), normalize_axis(dim1, input.ndim)
    order[a], order[b] = order[b], order[a]
    return input.view_as_op(o.permute, dims=tuple(order))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors as they are."""
    if input.ndim > 2:
        raise OpError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated without copying; -1 keeps a size."""
    target = list(as_sizes(sizes))
    lead = len(target) - input.ndim
    for axis, n in enumerate(target):
        if n == -1 and axis >= lead:
            target[axis] = input.shape[axis - lead]
    return input.view_as_op(o.expand, shape=tuple(target))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at ``dim``."""
    axis = normalize_axis(dim, input.ndim + 1)
    return input.view_as_op(o.reshape, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without the dimensions of size 1 (those in ``dim``, or all)."""
    axes = normalize_axes(dim, input.ndim)
    return input.view_as_op(o.reshape, shape=tuple(n for a, n in enumerate(input.shape) if a not in axes or n != 1))


def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """``expand`` to ``shape``."""
    return expand(input, *shape)


def repeat(input: Tensor, *sizes: Any) -> Tensor:
    """The tensor tiled ``sizes`` times along each dimension."""
    counts = as_sizes(sizes)
    lead = len(counts) - input.ndim
    shape = (1,) * lead + tuple(input.shape)
    spaced = reshape(input, *(m for n in shape for m in (1, n)))
    tiled = expand(spaced, *(m for c, n in zip(counts, shape, strict=True) for m in (c, n)))
    return wrap(o.reshape(copied(tiled), shape=tuple(c * n for c, n in zip(counts, shape, strict=True))))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``."""
    axis = normalize_axis(dim, input.ndim)
    first = start + input.shape[axis] if start < 0 else start
    return _slice(input, axis, first, first + length, 1)


def _slice(input: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    return input.view_as_op(
        o.slice,
        start=tuple(start if a == axis else 0 for a in range(input.ndim)),
        stop=tuple(stop if a == axis else n for a, n in enumerate(input.shape)),
        step=tuple(step if a == axis else 1 for a in range(input.ndim)),
    )


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index``, without that dimension."""
    axis = normalize_axis(dim, input.ndim)
    n = input.shape[axis]
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of bounds for dimension {axis} with size {n}\n  at {user_location()}")
    return squeeze(narrow(input, axis, index % n, 1), axis)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy that is reversed along ``dims``."""
    axes = normalize_axes(as_sizes(dims), input.ndim)
    turned = input.view_as_op(
        o.slice,
        start=tuple(n - 1 if a in axes else 0 for a, n in enumerate(input.shape)),
        stop=tuple(-1 if a in axes else n for a, n in enumerate(input.shape)),
        step=tuple(-1 if a in axes else 1 for a in range(input.ndim)),
    )
    return wrap(copied(turned))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along ``dim``."""
    values = [x.value for x in tensors]
    if not values:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    return wrap(o.concat(*values, axis=normalize_axis(dim, values[0].type.rank)))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size (the last may be smaller), or of the sizes given."""
    axis = normalize_axis(dim, tensor.ndim)
    n = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        sizes = [step] * (n // step) + ([n % step] if n % step else [])
    else:
        sizes = list(split_size_or_sections)
        if np.sum(sizes) != n:
            raise OpError(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {sizes}")
    starts = np.cumsum([0, *sizes[:-1]])
    return tuple(narrow(tensor, axis, int(a), size) for a, size in zip(starts, sizes, strict=True))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size."""
    if chunks < 1:
        raise OpError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    return split(input, -(-input.shape[dim] // chunks), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``."""
    return tuple(select(input, dim, i) for i in range(input.shape[dim]))


def _triangle(input: Tensor, keep: Op, diagonal: int) -> Tensor:
    shape = tuple(input.shape[-2:])
    if len(shape) < 2:
        raise OpError("a triangle needs at least 2 dimensions")
    rows, columns = o.iota(shape=shape, axis=0), o.iota(shape=shape, axis=1)
    nothing = False if input.dtype is boolean else 0
    return wrap(o.where(keep(o.sub(columns, rows), diagonal), input.value, nothing))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.le, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.ge, diagonal)
