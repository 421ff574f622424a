"""Diagonals, triangles, products and distances of vectors and matrices, and what they are composed of."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from itertools import combinations as choices
from itertools import combinations_with_replacement
from math import prod
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.op import o
from compiler.ir.types import defaults, i64
from compiler.ir.types import dtype as to_dtype
from compiler.ops.reduce import normalize_axis
from genesis.functions.creation import zeros
from genesis.functions.gathering import index_select
from genesis.functions.pointwise import add, clamp, div, mul, sub, where
from genesis.functions.products import dot, matmul, outer
from genesis.functions.rearranging import diagonal, movedim
from genesis.functions.reductions import mean, norm, sum
from genesis.functions.shapes import cat, expand, permute, reshape, transpose, unsqueeze
from genesis.functions.table import api, function_only, method_only
from genesis.memory.strided import strided_of
from genesis.tensor import Tensor, from_array, tensor, wrap

# Diagonals and triangles


@api()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with this vector as the diagonal ``diagonal`` above the main one; or that diagonal of a matrix."""
    if input.ndim not in (1, 2):
        raise OpError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return diag_embed(input, diagonal) if input.ndim == 1 else _diagonal(input, diagonal, 0, 1).clone()


_diagonal = diagonal


@api()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements on the diagonal ``offset`` above the main one."""
    return diag_embed(reshape(input, -1), offset)


@api()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with the last dimension on the diagonal ``offset`` above the main one of new dimensions."""
    if not input.ndim:
        raise OpError("diag_embed expects at least one dimension")
    rank, n = input.ndim + 1, input.shape[-1]
    first, second = normalize_axis(dim1, rank), normalize_axis(dim2, rank)
    if first == second:
        raise OpError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if first > second:
        offset = -offset
    size = n + abs(offset)
    row, column = o.iota(shape=(size, 1), axis=0), o.iota(shape=(1, size), axis=1)
    hit = wrap(o.eq(column, o.add(row, offset)))
    place = wrap(o.maximum(o.minimum(o.sub(row, max(-offset, 0)), n - 1), 0)) if n else None
    if place is None:
        spread = zeros(*input.shape[:-1], size, size, dtype=input.dtype)
    else:
        spread = unsqueeze(index_select(input, input.ndim - 1, reshape(place, -1)), -1)
    made = where(hit, spread, tensor(0, dtype=input.dtype))
    return movedim(made, (-2, -1), (first, second) if first < second else (second, first))


@api()
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise OpError("trace: expected a matrix")
    return sum(diagonal(input))


def _triangle(keep: Callable[..., Any], row: int, col: int, offset: int, dtype: Any) -> Tensor:
    return from_array(np.stack(keep(row, offset, col)).astype(to_dtype(dtype or i64).numpy))


@function_only
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices, rows over columns, of the elements on and below a diagonal, int64."""
    return _triangle(np.tril_indices, row, col, offset, dtype)


@function_only
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices, rows over columns, of the elements on and above a diagonal, int64."""
    return _triangle(np.triu_indices, row, col, offset, dtype)


@api()
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged; there are no complex numbers to conjugate."""
    return transpose(input, -2, -1)


# Products


@api()
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The products of the last dimensions, added up: ``[*, n]`` and ``[+, n]`` give ``[*, +]``."""
    if not input.ndim or not other.ndim:
        return mul(input, other)
    return tensordot(input, other, ([-1], [-1]))


@api()
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The dot product of two vectors."""
    return dot(input, other)


@function_only
def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] | Tensor = 2) -> Tensor:
    """Sums of products over ``dims``: the last so many of ``a`` and first of ``b``, or two lists of dimensions."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, list | tuple) and len(dims) != 2:
        raise OpError(f"tensordot expects dims of two tensors, not {len(dims)} lists")
    if isinstance(dims, int):
        if dims < 0:
            raise OpError(f"tensordot expects dims >= 0, but got dims={dims}")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    over = [[normalize_axis(d, x.ndim) for d in list(given)] for x, given in zip((a, b), dims, strict=True)]
    if len(over[0]) != len(over[1]) or any(a.shape[i] != b.shape[j] for i, j in zip(*over, strict=True)):
        raise OpError(f"tensordot: contracted dimensions of {a._type} and {b._type} need to match, here {over}")
    free = [[d for d in range(x.ndim) if d not in along] for x, along in zip((a, b), over, strict=True)]
    n = prod(a.shape[d] for d in over[0])
    left = reshape(permute(a, *free[0], *over[0]), prod(a.shape[d] for d in free[0]), n)
    right = reshape(permute(b, *over[1], *free[1]), n, prod(b.shape[d] for d in free[1]))
    return reshape(matmul(left, right), [*(a.shape[d] for d in free[0]), *(b.shape[d] for d in free[1])])


@api(inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    return _plus(input, matmul(mat, vec), beta, alpha)


@api(inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _plus(input, outer(vec1, vec2), beta, alpha)


@api(inplace=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * sum(batch1 @ batch2)`` over the batch."""
    return _plus(input, sum(matmul(batch1, batch2), 0), beta, alpha)


def _plus(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """As in PyTorch, nothing of ``input`` counts if ``beta`` is 0."""
    scaled = product if alpha == 1 else mul(product, alpha)
    return add(input if beta == 1 else mul(input, beta), scaled) if beta else scaled


@api()
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times all of ``other``, as blocks."""
    rank = max(input.ndim, other.ndim)
    a, b = ((1,) * (rank - x.ndim) + tuple(x.shape) for x in (input, other))
    wide = mul(reshape(input, [n for m in a for n in (m, 1)]), reshape(other, [n for m in b for n in (1, m)]))
    return reshape(wide, [m * n for m, n in zip(a, b, strict=True)])


@api()
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product along ``dim``, or the first dimension of size 3; the others broadcast."""
    if input.ndim != other.ndim:
        raise OpError(f"linalg.cross: inputs must have the same number of dimensions, not {input._type}, {other._type}")
    if dim is None:
        dim = next((a for a, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise OpError("no dimension of size 3 in input")
    axis = normalize_axis(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise OpError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {input._type} and {other._type}")
    ahead, behind = tensor([1, 2, 0]), tensor([2, 0, 1])
    a1, a2, b1, b2 = (index_select(x, axis, places) for x in (input, other) for places in (ahead, behind))
    return sub(mul(a1, b2), mul(a2, b1))


@function_only
def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with these matrices (vectors as rows) along its diagonal, and zeros."""
    blocks = [reshape(x, (1,) * (2 - x.ndim) + tuple(x.shape)) for x in tensors]
    if not blocks:
        return zeros(1, 0)
    width, start, rows = np.sum([x.shape[1] for x in blocks]), 0, []
    for block in blocks:
        height, columns = block.shape
        left, right = (zeros(height, int(n), dtype=block.dtype) for n in (start, width - start - columns))
        rows.append(cat([left, block, right], 1))
        start += columns
    return cat(rows, 0)


@function_only
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, one in a row, in the order of :func:`itertools.combinations`."""
    if input.ndim != 1:
        raise OpError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise OpError(f"Expect a non-negative number, but got {r}")
    if not r:
        return input[:0]
    chosen = (combinations_with_replacement if with_replacement else choices)(range(input.numel()), r)
    places = np.array(list(chosen), np.int64).reshape(-1, r)
    return reshape(index_select(input, 0, from_array(places.reshape(-1))), *places.shape)


# Distances and statistics


@function_only
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """The distances of order ``p`` of all pairs of rows: ``[*, n, d]`` and ``[*, m, d]`` give ``[*, n, m]``."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise OpError(f"cdist needs matrices with rows of one length, not {x1._type} and {x2._type}")
    if p < 0:
        raise OpError("cdist only supports non-negative p values")
    return norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


@api()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of order ``p`` of the difference; the two broadcast."""
    return norm(sub(input, other), p)


@api(inplace=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along ``dim`` whose norm of order ``p`` exceeds ``maxnorm`` is scaled down to it."""
    if input.ndim < 2:
        raise OpError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    axis = normalize_axis(dim, input.ndim)
    sizes = norm(input, p, [a for a in range(input.ndim) if a != axis], True)
    scale = where(sizes > maxnorm, div(tensor(maxnorm, dtype=input.dtype), sizes + 1e-7), tensor(1, dtype=input.dtype))
    return mul(input, scale)


@api()
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of variables, in rows, over observations, in columns, which weights may count; () of one row."""
    if input.ndim > 2:
        raise OpError(f"cov(): expected input to have two or fewer dimensions but got {input._type}")
    rows = reshape(input, 1, -1) if input.ndim < 2 else input
    weights = fweights if aweights is None else aweights if fweights is None else mul(fweights, aweights)
    if weights is None:
        centred = sub(rows, mean(rows, 1, True))
        spread = div(matmul(centred, permute(centred, 1, 0)), max(rows.shape[1] - correction, 0))
    else:
        weights = weights.to(rows.dtype)
        count = sum(weights)
        centred = sub(rows, div(sum(mul(rows, weights), 1, True), count))
        lost = correction if aweights is None else div(sum(mul(weights, aweights)), count) * correction
        total = clamp(sub(count, lost), min=0)
        spread = div(matmul(centred, permute(mul(centred, weights), 1, 0)), total)
    return reshape(spread, ()) if rows.shape[0] == 1 else spread


@api()
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables, in rows, over observations, in columns."""
    spread = cov(input)
    if not spread.ndim:
        return div(spread, spread)
    deviation = diagonal(spread).sqrt()
    return clamp(div(div(spread, unsqueeze(deviation, 1)), unsqueeze(deviation, 0)), -1, 1)


# Views by strides, and small things


def _reach(size: Sequence[int], stride: Sequence[int]) -> int:
    """How far the last element is from the first; raises OpError for lengths that differ."""
    if len(size) != len(stride):
        raise OpError("mismatch in length of strides and shape")
    return builtins.sum((n - 1) * step for n, step in zip(size, stride, strict=True))


@api()
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0) -> Tensor:
    """A view of a contiguous tensor: element ``i`` is its element ``storage_offset + sum(i * stride)``."""
    last = storage_offset + _reach(size, stride)
    if not input.is_contiguous():
        raise OpError(f"as_strided of a {input._type} tensor with strides {input.stride()}; make it contiguous() first")
    if 0 not in size and (storage_offset < 0 or min(stride, default=0) < 0 or last >= input.numel()):
        raise OpError(
            f"setStorage: sizes {list(size)}, strides {list(stride)} and storage offset {storage_offset} are out of "
            f"bounds for a storage of {input.numel()} elements"
        )
    steps = tuple(stride)
    return input.view_as_op(strided_of, shape=tuple(size), strides=steps, offset=storage_offset, memory=steps)


@api()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0
) -> Tensor:
    """A copy of ``input`` in which :func:`as_strided` of the same arguments shows ``src``."""
    found = input.clone()
    as_strided(found, size, stride, storage_offset).copy_(src)
    return found


@function_only
def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of ``size`` with these strides."""
    count = _reach(size, stride) + 1 if 0 not in size else 0
    made = as_strided(zeros(count, dtype=dtype, device=device), size, stride)
    return made.requires_grad_() if requires_grad else made


@method_only
def new_empty_strided(
    input: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of ``size`` with these strides, of ``input``'s dtype unless ``dtype`` says otherwise."""
    return empty_strided(size, stride, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


@function_only
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``base`` to the power of ``steps`` evenly spaced numbers from ``start`` to ``end``."""
    if steps < 0:
        raise OpError(f"number of steps must be non-negative, not {steps}")
    first, last = (x.item() if isinstance(x, Tensor) else x for x in (start, end))
    line = np.logspace(first, last, steps, base=base)
    return tensor(line, dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@function_only
def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor without dimensions, of the default dtype unless ``dtype`` says otherwise."""
    return tensor(s, dtype=dtype or defaults.float, device=device, requires_grad=requires_grad)


@function_only
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of the shape and dtype of ``input`` that holds one number everywhere."""
    number = value.to(input.dtype) if isinstance(value, Tensor) else tensor(value, dtype=input.dtype)
    return expand(number, *input.shape).clone()
