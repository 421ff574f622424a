"""Windows along a dimension as a view: how to show them, and how to write through it."""

from __future__ import annotations

from compiler.errors import AutogradError
from compiler.index import strides_of
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import Shape
from genesis.memory.strided import put_strided


def laid_out(shape: Shape, strides: Shape, axis: int, size: int, step: int) -> tuple[Shape, Shape]:
    """The shape and the strides of the windows of a tensor with this shape and these strides."""
    places = (shape[axis] - size) // step + 1
    return (
        (*shape[:axis], places, *shape[axis + 1 :], size),
        (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis]),
    )


def windows_of(value: Value, axis: int, size: int, step: int) -> Value:
    """``[*, n, *]`` -> ``[*, places, *, size]``: the windows along ``axis`` that are ``step`` apart."""
    rank, n = value.type.rank, value.shape[axis]
    moved = o.permute(value, dims=(*(a for a in range(rank) if a != axis), axis))
    lead = moved.shape[:-1]
    spread = o.expand(o.reshape(moved, shape=(*lead, 1, n)), shape=(*lead, size, n))
    seen = o.slide(spread, size=((n - size) // step + 1,), stride=(step,), dilation=(1,), padding=(0,), base=(1,))
    kept = list(range(rank - 1))
    result: Value = o.permute(seen, dims=(*kept[:axis], rank, *kept[axis:], rank - 1))
    return result


def put_windows(base: Value, windows: Value, axis: int, size: int, step: int) -> Value:
    """``base`` with other elements in its windows. Raises AutogradError where windows overlap."""
    if windows.shape[axis] > 1 and size > step:
        raise AutogradError(
            f"unsupported operation: windows of {size} elements that are {step} apart overlap, so that more than one "
            "element of the written-to tensor refers to a single memory location. Please clone() the tensor before "
            "performing the operation."
        )
    shape, places = laid_out(base.shape, strides_of(base.shape), axis, size, step)
    return put_strided(base, windows, shape, places, 0, places)
