"""Strides of views, in elements: they decide whether ``reshape`` shows memory or copies it, as in PyTorch.

Storage is contiguous, or dense in another order of its dimensions: a result of elementwise ops on ``x.t()`` lies in
memory as ``x.t()`` does. A view is a chain of view ops on it. Arrays may lie elsewhere in memory: strides here are a
rule about meaning, not about addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from operator import mul
from typing import Any

from compiler.ir.ambient import using
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Value
from compiler.ir.op import Op, as_cast, o
from compiler.ir.types import Shape, TensorType
from compiler.ops.layout import slice_length
from genesis.memory.bits import BITS
from genesis.memory.diagonals import diagonal_of, place
from genesis.memory.strided import strided_of
from genesis.memory.values import TensorValue, held
from genesis.memory.windows import laid_out, windows_of

Strides = tuple[int, ...]
Layout = tuple[Shape, Strides]
"""A shape and its strides."""


@cache
def contiguous_strides(shape: Shape) -> Strides:
    """Row-major strides; a dimension without elements counts as one of size 1."""
    sizes = [max(n, 1) for n in shape[:0:-1]]
    return tuple(accumulate(sizes, mul, initial=1))[::-1] if shape else ()


def is_contiguous(shape: Shape, strides: Strides) -> bool:
    """Whether the elements stand in row-major order without gaps; a dimension of size 1 may have any stride."""
    if 0 in shape:
        return True
    wanted = contiguous_strides(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


@lru_cache(4096)
def reshaped(shape: Shape, strides: Strides, new: Shape) -> Strides | None:
    """The strides that show the same elements in shape ``new``; None where no strides do.

    Dimensions that follow each other without a gap form a block. A new dimension must lie within one block.
    """
    if 0 in shape:
        return contiguous_strides(new)
    if shape[len(shape) - len(new) :] == new and set(shape[: len(shape) - len(new)]) <= {1}:
        return strides[len(shape) - len(new) :]  # such as ``x[0]``: dimensions of size 1 keep their strides as well
    blocks = _blocks(shape, strides)
    left, step = blocks.pop() if blocks else (1, 1)
    result = []
    for n in reversed(new):
        if n != 1 and left == 1 and blocks:
            left, step = blocks.pop()
        if left % n:
            return None
        result.append(step)
        left, step = left // n, step * n
    return tuple(reversed(result))


def _blocks(shape: Shape, strides: Strides) -> list[tuple[int, int]]:
    """``(elements, stride)`` of each run of dimensions without a gap."""
    blocks: list[tuple[int, int]] = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if blocks and blocks[-1][1] == n * s:
            blocks[-1] = blocks[-1][0] * n, s
        else:
            blocks.append((n, s))
    return blocks


def after(op: Callable[..., Any], attrs: dict[str, Any], shape: Shape, strides: Strides) -> Layout:
    """The layout of one more view op on a layout."""
    if op is o.reshape:
        new = attrs["shape"]
        found = reshaped(shape, strides, new)
        assert found is not None, "a reshape that has to copy is no view"
        return new, found
    if op is o.permute:
        dims: Sequence[int] = attrs["dims"]
        return tuple(shape[d] for d in dims), tuple(strides[d] for d in dims)
    if op is o.expand:
        new = attrs["shape"]
        lead = len(new) - len(shape)
        spread = [s if n == m else 0 for n, m, s in zip(shape, new[lead:], strides, strict=True)]
        return new, (*[0] * lead, *spread)
    if op is o.slice:
        start, stop, step = attrs["start"], attrs["stop"], attrs["step"]
        return tuple(map(slice_length, start, stop, step)), tuple(map(mul, strides, step))
    if op is BITS and attrs.get("last") is not None:
        last, before = attrs["last"], shape[-1]
        return (*shape[:-1], last), (*(s * last // before for s in strides[:-1]), 1)
    if op is diagonal_of:
        return (*shape[:-2], place(shape, attrs["offset"])[0]), (*strides[:-2], strides[-2] + strides[-1])
    if op is strided_of:
        return attrs["shape"], attrs["memory"]
    if op is windows_of:
        return laid_out(shape, strides, **attrs)
    if op is o.take:  # one row
        return shape[1:], strides[1:]
    return shape, strides


def show(op: Callable[..., Any], operands: Sequence[Any], attrs: dict[str, Any], value: TensorValue) -> TensorValue:
    """The result of one more view op on ``value``, with its operands besides; the strides are set."""
    shown = held(op(value, *operands, **attrs))
    shape, strides = after(op, attrs, value.shape, value.strides or contiguous_strides(value.shape))
    shown.strides = _unless_contiguous(shape, strides)
    return shown


def first(
    op: Callable[..., Any], operands: Sequence[Any], attrs: dict[str, Any], shape: Shape, strides: Strides, before: int
) -> int:
    """The place in memory of the first element after one more view op on a layout; it was ``before``."""
    if op is o.slice:
        return before + sum(map(mul, attrs["start"], strides))
    if op is diagonal_of:
        _, row, column = place(shape, attrs["offset"])
        return before + row * strides[-2] + column * strides[-1]
    if op is strided_of:
        return before + int(attrs["offset"])
    if op is o.take:
        return before + int(operands[0]) * strides[0]
    if op is BITS and attrs.get("last") is not None:
        return before * int(attrs["last"]) // shape[-1]
    return before


# Images


def channels_last(shape: Shape) -> Strides:
    """The strides of ``[N, channels, *space]`` with the channels innermost in memory."""
    n, channels, *space = shape
    outer, *inner, innermost = contiguous_strides((n, *space, channels))
    return outer, innermost, *inner


def is_channels_last(shape: Shape, strides: Strides) -> bool:
    """Whether PyTorch takes an image ``[N, channels, *space]`` with these strides for channels-last.

    Source: PyTorch's ``is_channels_last_strides_2d``; strides that may mean both are row-major.
    """
    if 0 in shape or strides[1] == 0:
        return False
    least = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if strides[d] < least or (d == 0 and least == strides[1]):
            return False
        least = strides[d] * shape[d]
    return True


# Results of elementwise ops


def dense(shapes: Sequence[Shape], strides: Sequence[Strides], shape: Shape) -> Strides:
    """The strides of an elementwise result of ``shape``, from its operands, which broadcast.

    The dimensions are sorted by the strides of the first operand that tells two of them apart; the result is dense in
    this order. Source: PyTorch's ``TensorIteratorBase::reorder_dimensions``.
    """
    rank = len(shape)
    operands = [_broadcast(*layout, shape) for layout in zip(shapes, strides, strict=True)]
    if all(found == shape for found in shapes):
        if all(map(is_contiguous, shapes, strides)):
            return contiguous_strides(shape)
        if len(set(strides)) == 1 and _is_dense(shape, strides[0]):
            return strides[0]
    order = list(reversed(range(rank)))  # from the innermost dimension
    for i in range(1, rank):
        last = i
        for k in reversed(range(i)):
            comparison = _compared(operands, shape, order[k], order[last])
            if comparison > 0:
                order[k], order[last] = order[last], order[k]
                last = k
            elif comparison < 0:
                break
    result, step = [0] * rank, 1
    for d in order:
        result[d] = step
        step *= max(shape[d], 1)
    return tuple(result)


def _broadcasts(shape: Shape, to: Shape) -> bool:
    """False for an operand of which an op needs the shape only."""
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape[::-1], to[::-1]))


def _broadcast(shape: Shape, strides: Strides, to: Shape) -> Strides:
    """The strides of an operand that is broadcast: 0 along dimensions that repeat it."""
    lead = len(to) - len(shape)
    return (*[0] * lead, *[0 if n == 1 and m != 1 else s for n, m, s in zip(shape, to[lead:], strides, strict=True)])


def _compared(operands: Sequence[Strides], shape: Shape, a: int, b: int) -> int:
    """1 where dimension ``a`` goes outside of ``b``, -1 inside, 0 where no operand tells."""
    for strides in operands:
        if strides[a] and strides[b]:
            if strides[a] != strides[b]:
                return 1 if strides[a] > strides[b] else -1
            if shape[a] > shape[b]:
                return 1
    return 0


def _is_dense(shape: Shape, strides: Strides) -> bool:
    """Whether the elements fill memory without gaps or overlaps, in some order of the dimensions."""
    step = 1
    for s, n in sorted((s, n) for n, s in zip(shape, strides, strict=True) if n != 1):
        if s != step:
            return False
        step *= n
    return True


def kept(shape: Shape, strides: Strides | None) -> Strides | None:
    """The strides of a copy, or of zeros, like a tensor: its own where they are dense, else in the same order."""
    return None if strides is None else _unless_contiguous(shape, dense([shape], [strides], shape))


def _unless_contiguous(shape: Shape, strides: Strides) -> Strides | None:
    return None if strides == contiguous_strides(shape) else strides


def lay_out(call: Call, outputs: Sequence[TensorValue]) -> None:
    """Give the results of an elementwise op the strides that its operands ask for; others are row-major."""
    inputs: tuple[Any, ...] = call.inputs  # of TensorValues
    for value in inputs:
        if value.strides is not None:
            break
    else:
        return
    types = tuple([v.type for v in inputs])
    elementwise = _is_elementwise(call.op, types, call.types, tuple(call.attrs.items()))
    shapes = [v.shape for v in inputs]
    strides = [v.strides or contiguous_strides(v.shape) for v in inputs]
    for value in outputs:
        if value not in inputs:
            fits = elementwise and all(_broadcasts(shape, value.shape) for shape in shapes)
            found = dense(shapes, strides, value.shape) if fits else None
            value.strides = found and _unless_contiguous(value.shape, found)


@cache
def _is_elementwise(
    op: Op, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...], attrs: tuple[tuple[str, Any], ...]
) -> bool:
    """Whether an op is elementwise; a composite is if all ops are that it expands to."""
    if op.kind != "composite" or op.expand is None:
        return op.kind == "pointwise" or op is o.detach
    builder = GraphBuilder()
    types, given = as_cast(inputs, dict(attrs))
    with using(builder):
        op.expand(o, *map(Value, types), **given)
    return all(
        node.op in (o.constant, o.uniform)
        or _is_elementwise(
            node.op,
            tuple([v.type for v in node.inputs]),
            tuple([v.type for v in node.outputs]),
            tuple(node.attrs.items()),
        )
        for node in builder.nodes
    )
