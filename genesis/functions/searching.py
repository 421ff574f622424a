"""Places in sorted sequences, and membership."""

from __future__ import annotations

from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import i32, i64
from genesis.functions.pointwise import value_of
from genesis.functions.table import api, function_only
from genesis.tensor import Tensor, tensor, wrap


@function_only
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Before which element of a sorted sequence each of ``input`` belongs: the first place, or the last (``right``).

    ``sorted_sequence`` is a vector, or has the same leading dimensions as ``input``. ``sorter`` are the places of its
    elements in order, where it is not sorted itself.
    """
    if side not in (None, "left", "right"):
        raise OpError(f"side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise OpError("side and right can't be set to opposites, got side of left while right was True")
    values = input if isinstance(input, Tensor) else tensor(input, dtype=sorted_sequence.dtype)
    line: Value = sorted_sequence.value
    x: Value = values.value
    if not sorted_sequence.ndim:
        raise OpError("boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries match")
    if sorted_sequence.ndim > 1 and sorted_sequence.shape[:-1] != values.shape[:-1]:
        raise OpError(
            "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value "
            f"tensor must match, but we got {list(sorted_sequence.shape)} and {list(values.shape)}"
        )
    if sorter is not None:
        line = o.gather(line, o.bounded(sorter.value, size=line.shape[-1]), axis=line.type.rank - 1)
    if sorted_sequence.ndim == 1:
        x = o.reshape(x, shape=(x.type.size,))
    found = _places(o.detach(line), o.detach(x), right or side == "right")
    return wrap(o.cast(o.reshape(found, shape=tuple(values.shape)), to=i32 if out_int32 else i64))


def _places(line: Value, x: Value, right: bool) -> Value:
    """A binary search along the last axis: from the largest power of two down, a step is taken where it fits."""
    n, axis = line.shape[-1], line.type.rank - 1
    place: Value = o.expand(o.constant(value=0, dtype=i64), shape=x.shape)
    for bit in reversed(range(n.bit_length())):
        step = o.add(place, 1 << bit)
        seen = o.gather(line, o.sub(o.minimum(step, n), 1), axis=axis)
        behind = o.gt(seen, x) if right else o.ge(seen, x)
        place = o.where(o.logical_or(behind, o.gt(step, n)), place, step)
    return place


@api()
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Which of the intervals between the sorted ``boundaries`` each element is in."""
    if boundaries.ndim != 1:
        raise OpError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@function_only
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is one of ``test_elements``; with ``invert``, whether it is none of them."""
    x, tests = value_of(elements), value_of(test_elements)
    if not isinstance(x, Value):
        x = tensor(x).value
    if not isinstance(tests, Value):
        return wrap(o.ne(x, tests) if invert else o.eq(x, tests))
    alike = o.eq(o.reshape(x, shape=(*x.shape, 1)), o.reshape(tests, shape=(tests.type.size,)))
    found = o.any(alike, axes=(x.type.rank,))
    return wrap(o.logical_not(found) if invert else found)
