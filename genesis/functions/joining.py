"""Tensors stacked side by side, cut in parts, and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from compiler.errors import OpError
from compiler.ops.elementwise import broadcast_shapes
from compiler.ops.reduce import normalize_axis
from genesis.functions.reductions import sum
from genesis.functions.shapes import as_sizes, cat, expand, flip, narrow, reshape, split, stack, transpose
from genesis.functions.table import api
from genesis.tensor import Tensor


def _several(tensors: tuple[Any, ...]) -> list[Tensor]:
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else list(tensors)


def _at_least(count: int, tensors: tuple[Any, ...]) -> Any:
    shapes = {1: lambda s: s or (1,), 2: lambda s: (1,) * (2 - len(s)) + s, 3: _as_depth}
    given = _several(tensors)
    found = [reshape(x, shapes[count](tuple(x.shape))) if x.ndim < count else x for x in given]
    alone = len(tensors) == 1 and isinstance(tensors[0], Tensor)
    return found[0] if alone else tuple(found)


def _as_depth(shape: tuple[int, ...]) -> tuple[int, ...]:
    return {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]


@api(method=False)
def atleast_1d(*tensors: Tensor | Sequence[Tensor]) -> Any:
    """Tensors with a dimension at least; one alone is no tuple."""
    return _at_least(1, tensors)


@api(method=False)
def atleast_2d(*tensors: Tensor | Sequence[Tensor]) -> Any:
    """Tensors with two dimensions at least, new ones in front; one alone is no tuple."""
    return _at_least(2, tensors)


@api(method=False)
def atleast_3d(*tensors: Tensor | Sequence[Tensor]) -> Any:
    """Tensors with three dimensions at least, as images with one channel behind; one alone is no tuple."""
    return _at_least(3, tensors)


@api(method=False)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors beside each other: joined along the second dimension, vectors along the first."""
    rows = [atleast_1d(x) for x in tensors]
    return cat(rows, 0 if rows and rows[0].ndim == 1 else 1)


@api(method=False, alias=("row_stack",))
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors under each other: joined along the first dimension, vectors as rows."""
    return cat([atleast_2d(x) for x in tensors], 0)


@api(method=False)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors behind each other: joined along the third dimension."""
    return cat([atleast_3d(x) for x in tensors], 2)


@api(method=False)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as columns beside each other; matrices as :func:`hstack` joins them."""
    return cat([x if x.ndim > 1 else reshape(x, -1, 1) for x in tensors], 1)


@api(method=False)
def broadcast_tensors(*tensors: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Views in the shape that all broadcast to."""
    given = _several(tensors)
    shape = broadcast_shapes(*(tuple(x.shape) for x in given))
    return tuple(expand(x, *shape) for x in given)


@api()
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of so many parts, the first ones longer by one where it does not divide; or of parts cut at indices."""
    if not input.ndim:
        raise OpError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = normalize_axis(dim, input.ndim)
    n = input.shape[axis]
    given: Any = indices_or_sections
    if isinstance(given, Tensor):
        if given.dtype.kind != "int":
            raise OpError(f"tensor_split expected indices_or_sections to be integers, but they are {given._type}")
        given = given.tolist()
    if isinstance(given, int):
        if given < 1:
            raise OpError(f"number of sections must be larger than 0, got {given}")
        size, longer = divmod(n, given)
        return split(input, [size + (i < longer) for i in range(given)], axis)
    cuts = [0, *(slice(None, i).indices(n)[1] for i in given), n]
    return tuple(narrow(input, axis, min(start, n), max(stop - start, 0)) for start, stop in pairwise(cuts))


def _cut(name: str, input: Tensor, given: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise OpError(f"{name} requires a tensor with at least {least} dimension, but got {input.ndim} dimensions")
    if isinstance(given, int) and (given < 1 or input.shape[dim] % given):
        raise OpError(f"{name}: dimension {dim} of {input._type} is not divisible by {given}")
    return tensor_split(input, given, dim)


@api()
def hsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal parts, or parts cut at indices, along the second dimension; of a vector along the first."""
    return _cut("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


@api()
def vsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal parts, or parts cut at indices, along the first dimension."""
    return _cut("vsplit", input, indices_or_sections, 0, 2)


@api()
def dsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal parts, or parts cut at indices, along the third dimension."""
    return _cut("dsplit", input, indices_or_sections, 2, 3)


@api(alias=("unsafe_split_with_sizes",))
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of parts of these sizes."""
    return split(input, list(split_sizes), dim)


@api()
def fliplr(input: Tensor) -> Tensor:
    """The second dimension reversed; a copy."""
    if input.ndim < 2:
        raise OpError("Input must be >= 2-d.")
    return flip(input, 1)


@api()
def flipud(input: Tensor) -> Tensor:
    """The first dimension reversed; a copy."""
    if input.ndim < 1:
        raise OpError("Input must be >= 1-d.")
    return flip(input, 0)


@api()
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned ``k`` times by 90 degrees, from the first of ``dims`` towards the second."""
    if len(dims) != 2 or input.ndim < 2:
        raise OpError(f"expected total rotation dims == 2, and at least 2 dimensions, not {list(dims)}, {input._type}")
    first, second = (normalize_axis(d, input.ndim) for d in dims)
    if first == second:
        raise OpError(f"expected rotation dims to be different, but got dim0 = {first} and dim1 = {second}")
    turns = k % 4
    if turns == 1:
        return transpose(flip(input, second), first, second)
    if turns == 3:
        return flip(transpose(input, first, second), second)
    return flip(input, first, second) if turns else input.clone()


@api()
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions along which ``size`` broadcasts to the shape."""
    shape = as_sizes(size)
    lead = input.ndim - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, input.shape[lead:], strict=True)):
        raise OpError(f"size {list(shape)} is not expandable to size {list(input.shape)}.")
    along = [*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 != input.shape[lead + i])]
    return reshape(sum(input, along, True), shape) if along else input


@api(method=False)
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of elements of vectors, one in a row."""
    from_each = _several(tensors)
    if any(x.ndim != 1 for x in from_each):
        raise OpError("Expect a 1D vector for each of the tensors of cartesian_prod")
    if len(from_each) == 1:
        return from_each[0]
    sizes = [x.numel() for x in from_each]
    grids = [
        reshape(expand(reshape(x, [-1 if a == i else 1 for a in range(len(sizes))]), *sizes), -1)
        for i, x in enumerate(from_each)
    ]
    return stack(grids, 1)
