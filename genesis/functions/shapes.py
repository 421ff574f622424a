"""Views, and tensors joined or cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import index as as_index
from typing import Any

from compiler.errors import ArgumentError, AxisError, ChoiceError, IndexingError, OpError
from compiler.ir.graph import Value
from compiler.ir.location import here, user_location
from compiler.ir.op import Op, o
from compiler.ir.types import boolean
from compiler.ops.elementwise import promoted
from compiler.ops.reduce import normalize_axes, normalize_axis
from genesis.functions.formats import formatted, is_image
from genesis.functions.pointwise import Dim
from genesis.functions.table import api, function_only, method_only
from genesis.memory.strides import Strides, channels_last, kept
from genesis.tensor import Tensor, copied, row_major, wrap


def as_sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    try:
        return tuple(map(as_index, shape))
    except TypeError:
        wrong = next((n for n in shape if not hasattr(n, "__index__")), shape[0])
        raise ArgumentError(f"a shape is a tuple of ints, but {wrong!r} is of type {type(wrong).__name__}") from None


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


@api()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1. A view where strides allow one, else a copy."""
    sizes = _inferred(input, shape)
    if input.shows_as(sizes):
        return input.view_as_op(o.reshape, shape=sizes)
    return wrap(o.reshape(copied(input), shape=sizes))


def view(input: Tensor, *shape: Any) -> Tensor:
    """:func:`reshape` that never copies; an error where it would have to."""
    sizes = _inferred(input, shape)
    if not input.shows_as(sizes):
        raise OpError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces): {list(input.shape)} with strides {list(input.stride())} as {list(sizes)}. "
            f"Use .reshape(...) instead.\n  at {user_location()}"
        )
    return input.view_as_op(o.reshape, shape=sizes)


@api()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` as one."""
    if not input.ndim:
        return reshape(input, 1)
    a, b = normalize_axis(start_dim, input.ndim), normalize_axis(end_dim, input.ndim)
    if a > b:
        raise OpError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(input, *input.shape[:a], prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


@api()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension ``dim`` as several."""
    a = normalize_axis(dim, input.ndim)
    inner = list(sizes)
    if -1 in inner:
        inner[inner.index(-1)] = input.shape[a] // -prod(inner)
    return reshape(input, *input.shape[:a], *inner, *input.shape[a + 1 :])


@api()
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    return input.view_as_op(o.permute, dims=tuple(normalize_axis(d, input.ndim) for d in as_sizes(dims)))


@api()
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    rank = input.ndim
    order = list(range(rank))
    if order:
        a, b = normalize_axis(dim0, rank), normalize_axis(dim1, rank)
        order[a], order[b] = order[b], order[a]
    return input.view_as_op(o.permute, dims=tuple(order))


@api()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors as they are."""
    if input.ndim > 2:
        raise OpError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, 1) if input.ndim == 2 else reshape(input, *input.shape)


@method_only
def expand(input: Tensor, *size: Any) -> Tensor:
    """Dimensions of size 1 repeated without copying; -1 keeps a size."""
    target = list(as_sizes(size))
    lead = len(target) - input.ndim
    if min(target[:lead] if lead > 0 else [], default=0) < 0:
        raise OpError(f"expand: the expanded size {target} has a negative new dimension, for {input._type}")
    for axis, n in enumerate(target):
        if n == -1 and axis >= lead:
            target[axis] = input.shape[axis - lead]
    return input.view_as_op(o.expand, shape=tuple(target))


@api()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at ``dim``."""
    axis = normalize_axis(dim, input.ndim + 1)
    return input.view_as_op(o.reshape, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


@api()
def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without the dimensions of size 1 (those in ``dim``, or all)."""
    axes = normalize_axes(dim, input.ndim)
    return input.view_as_op(o.reshape, shape=tuple(n for a, n in enumerate(input.shape) if a not in axes or n != 1))


@api()
def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """``expand`` to ``shape``."""
    return expand(input, *shape)


@method_only
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The tensor tiled ``repeats`` times along each dimension."""
    counts = as_sizes(repeats)
    if len(counts) < input.ndim:
        raise OpError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
            f"{list(counts)} for {input._type}"
        )
    lead = len(counts) - input.ndim
    shape = (1,) * lead + tuple(input.shape)
    spaced = reshape(input, *(m for n in shape for m in (1, n)))
    tiled = expand(spaced, *(m for c, n in zip(counts, shape, strict=True) for m in (c, n)))
    return wrap(o.reshape(copied(tiled), shape=tuple(c * n for c, n in zip(counts, shape, strict=True))))


@api()
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements from ``start`` along ``dim``."""
    axis, n = _cut("narrow", input, dim)
    if not -n <= start <= n:
        raise IndexingError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    first = start + input.shape[axis] if start < 0 else start
    return _slice(input, axis, first, first + length, 1)


def _slice(input: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    stops = list(input.shape)
    starts, steps = [0] * len(stops), [1] * len(stops)
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return input.view_as_op(o.slice, start=tuple(starts), stop=tuple(stops), step=tuple(steps))


@api()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index``, without that dimension."""
    if not input.ndim:
        raise IndexingError("select() cannot be applied to a 0-dim tensor.")
    axis = normalize_axis(dim, input.ndim)
    n = input.shape[axis]
    if not -n <= index < n:
        raise IndexingError(here(f"index {index} is out of bounds for dimension {axis} with size {n}"))
    return squeeze(narrow(input, axis, index % n, 1), axis)


@api()
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy that is reversed along ``dims``."""
    axes = normalize_axes(as_sizes(dims), input.ndim)
    turned = input.view_as_op(
        o.slice,
        start=tuple(n - 1 if a in axes else 0 for a, n in enumerate(input.shape)),
        stop=tuple(-1 if a in axes else n for a, n in enumerate(input.shape)),
        step=tuple(-1 if a in axes else 1 for a in range(input.ndim)),
    )
    result = wrap(copied(turned))
    result._cell.strides = kept(input.shape, input.value.strides)
    return result


@api(method=False, alias=("concat", "concatenate"))
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along ``dim``. One of shape ``[0]`` fits to all, as in PyTorch."""
    if isinstance(tensors, Tensor):
        raise ArgumentError(here("cat(): argument 'tensors' must be a sequence of Tensors, not a Tensor"))
    values: list[Value] = [x.value for x in _tensors(tensors)]
    if not values:
        raise ChoiceError(here("cat(): expected a non-empty list of Tensors"))
    for i, v in enumerate(values):
        if not v.type.rank:
            raise OpError(here(f"zero-dimensional tensor (at position {i}) cannot be concatenated", "use stack"))
    joined = tensors
    if any(v.type.shape == (0,) for v in values):
        joined = [x for x in tensors if x.shape != (0,)]
        values = [v for v in promoted(values) if v.shape != (0,)] or values
    result = wrap(o.concat(*values, axis=normalize_axis(dim, values[0].type.rank)))
    return formatted(result, *joined)


def _tensors(given: Sequence[Any]) -> Sequence[Tensor]:
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise ArgumentError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    return given


@function_only
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    if not len(tensors):
        raise OpError(here("stack expects a non-empty TensorList"))
    for i, x in enumerate(_tensors(tensors)):
        if x.shape != tensors[0].shape:
            raise OpError(
                here(
                    f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and "
                    f"{list(x.shape)} at entry {i}"
                )
            )
    axis = normalize_axis(dim, tensors[0].ndim + 1)
    result = cat([unsqueeze(x, axis) for x in tensors], axis)
    result._cell.strides = _stacked_strides(tensors, axis)
    return result


def _stacked_strides(tensors: Sequence[Tensor], axis: int) -> Strides | None:
    """In PyTorch a stack is a view of the tensors joined along ``axis``, if they have such a dimension."""
    if axis == tensors[0].ndim or not all(map(is_image, tensors)):
        return None
    shape = tuple(tensors[0].shape)
    strides = channels_last((*shape[:axis], len(tensors) * shape[axis], *shape[axis + 1 :]))
    return *strides[:axis], strides[axis] * shape[axis], *strides[axis:]


@api(function=False, name="split", alias=("unsafe_split",))
def _split_method(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size, or of the sizes given, along ``dim``."""
    return split(input, split_size, dim)


@api(method=False, alias=("unsafe_split",))
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size (the last may be smaller), or of the sizes given; views."""
    axis, n = _cut("split", tensor, dim)
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0:
            raise OpError(here(f"split expects split_size be non-negative, but got split_size={size}"))
        if not size and n:
            raise OpError(
                here(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n} ({tensor._type})")
            )
        sizes = [size] * (n // size) + ([n % size] if n % size else []) if n else [0]
    else:
        sizes = [as_index(size) for size in split_size_or_sections]
        if any(size < 0 for size in sizes):
            raise OpError(here(f"split_with_sizes expects split_sizes have only non-negative entries, but got {sizes}"))
        if sum(sizes) != n:
            raise OpError(here(f"split_with_sizes expects split_sizes to sum exactly to {n}, but got {sizes}"))
    starts = accumulate(sizes[:-1], initial=0) if sizes else ()
    return tuple([_slice(tensor, axis, start, start + size, 1) for start, size in zip(starts, sizes, strict=True)])


def _cut(name: str, input: Tensor, dim: int) -> tuple[int, int]:
    """The dimension that pieces are cut along, and its size."""
    if not input.ndim:
        raise OpError(here(f"{name} expects at least a 1-dimensional tensor"))
    axis = normalize_axis(dim, input.ndim)
    return axis, input.shape[axis]


@api(alias=("unsafe_chunk",))
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of equal size, the last may be smaller; of an empty tensor ``chunks`` empty ones."""
    axis, n = _cut("chunk", input, dim)
    if chunks < 1:
        raise OpError(here(f"chunk expects `chunks` to be greater than 0, got: {chunks}"))
    return split(input, -(-n // chunks) if n else [0] * chunks, axis)


@api()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``; views."""
    if not input.ndim:
        raise AxisError(here(f"Dimension specified as {dim} but tensor has no dimensions"))
    axis = normalize_axis(dim, input.ndim)
    return tuple(select(input, axis, i) for i in range(input.shape[axis]))


def _triangle(input: Tensor, keep: Op, diagonal: int) -> Tensor:
    shape = tuple(input.shape[-2:])
    if len(shape) < 2:
        raise OpError("a triangle needs at least 2 dimensions")
    rows, columns = o.iota(shape=shape, axis=0), o.iota(shape=shape, axis=1)
    nothing = False if input.dtype is boolean else 0
    return row_major(o.where(keep(o.sub(columns, rows), diagonal), input.value, nothing))


@api(inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.le, diagonal)


@api(inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dimensions; zero elsewhere."""
    return _triangle(input, o.ge, diagonal)
