"""Strides of views, in elements: they decide whether ``reshape`` shows memory or copies it, as in PyTorch.

Storage is contiguous; a view is a chain of view ops on it. Arrays may lie elsewhere in memory: strides here are a rule
about meaning, not about addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import mul
from typing import Any

from compiler.ir.op import o
from compiler.ir.types import Shape
from compiler.ops.layout import slice_length
from genesis.bits import BITS

Strides = tuple[int, ...]
Layout = tuple[Shape, Strides]
"""A shape and its strides."""


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


def reshaped(shape: Shape, strides: Strides, new: Shape) -> Strides | None:
    """The strides that show the same elements in shape ``new``; None where no strides do.

    Dimensions that follow each other without a gap form a block. A new dimension must lie within one block.
    """
    if 0 in shape:
        return contiguous_strides(new)
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
    if op is o.take:  # one row
        return shape[1:], strides[1:]
    return shape, strides
