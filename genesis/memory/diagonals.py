"""The diagonal of the last two dimensions as a view: how to show it, and how to write through it."""

from __future__ import annotations

from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import Shape


def place(shape: Shape, offset: int) -> tuple[int, int, int]:
    """Length, first row and first column of the diagonal ``offset`` above the main one."""
    rows, columns = shape[-2:]
    row, column = max(-offset, 0), max(offset, 0)
    return max(min(rows - row, columns - column), 0), row, column


def _flat(shape: Shape, offset: int) -> tuple[Shape, dict[str, Shape]]:
    """The shape with the last two dimensions as one, and the slice of this one that is the diagonal."""
    length, row, column = place(shape, offset)
    lead, columns = shape[:-2], shape[-1]
    first = row * columns + column if length else 0
    last = first + (length - 1) * (columns + 1) + 1 if length else 0
    ends = {"start": (*(0 for _ in lead), first), "stop": (*lead, last), "step": (*(1 for _ in lead), columns + 1)}
    return (*lead, shape[-2] * columns), ends


def diagonal_of(value: Value, offset: int) -> Value:
    """``[*, rows, columns]`` -> ``[*, length]``."""
    flat, ends = _flat(value.shape, offset)
    result: Value = o.slice(o.reshape(value, shape=flat), **ends)
    return result


def put_diagonal(base: Value, diagonal: Value, offset: int) -> Value:
    """``base`` with another diagonal."""
    flat, ends = _flat(base.shape, offset)
    result: Value = o.reshape(o.slice_scatter(o.reshape(base, shape=flat), diagonal, **ends), shape=base.shape)
    return result
