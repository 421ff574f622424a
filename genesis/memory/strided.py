"""Elements at regular places as a view: how to show them, and how to write through it."""

from __future__ import annotations

from math import prod

from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import Shape, i64


def _places(shape: Shape, strides: Shape, offset: int) -> Value:
    """``offset + sum(i * stride)``, in row-major order of the elements."""
    found: Value = o.expand(o.constant(value=offset, dtype=i64), shape=shape)
    for axis, stride in enumerate(strides):
        found = o.add(found, o.mul(o.iota(shape=shape, axis=axis), stride))
    return found


def strided_of(value: Value, shape: Shape, strides: Shape, offset: int, memory: Shape) -> Value:
    """The elements at these places of ``value`` in row-major order; ``memory`` are their strides there."""
    flat = o.reshape(value, shape=(prod(value.shape),))
    result: Value = o.take(flat, _places(shape, strides, offset))
    return result


def put_strided(base: Value, part: Value, shape: Shape, strides: Shape, offset: int, memory: Shape) -> Value:
    """``base`` with other elements at these places."""
    flat = o.reshape(base, shape=(prod(base.shape),))
    result: Value = o.reshape(o.put_rows(flat, _places(shape, strides, offset), part), shape=base.shape)
    return result
