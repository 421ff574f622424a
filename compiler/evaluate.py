"""One op, evaluated by its NumPy reference: the definition of what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compiler.ir.op import Op, castable, o
from compiler.ir.types import TensorType, bf16, f16
from compiler.ops.elementwise import cast_array

Arrays = tuple[np.ndarray, ...]

_HALVES = frozenset((bf16.numpy, f16.numpy))


def evaluate(op: Op, arrays: Sequence[np.ndarray], types: Sequence[TensorType], attrs: dict[str, Any]) -> Arrays:
    """The results of a record's NumPy reference: 16-bit floats computed in f32 and rounded once."""
    assert op.reference is not None
    if op.kind == "view":  # nothing is computed that NumPy could warn of
        return (op.reference(*arrays, **attrs),)
    if not op.raw:
        arrays = widened(arrays)
    result = _quietly(op.reference, arrays, attrs)
    if isinstance(result, tuple):
        return tuple([stored(r, t) for r, t in zip(result, types, strict=True)])
    return (stored(result, types[0]),)


@np.errstate(all="ignore")  # as a decorator, a third of the price of a block
def _quietly(reference: Callable[..., Any], arrays: Sequence[np.ndarray], attrs: dict[str, Any]) -> Any:
    return reference(*arrays, **attrs)


def widened(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """16-bit floats as f32."""
    return [a.astype(np.float32) if a.dtype in _HALVES else a for a in arrays]


def stored(result: Any, type: TensorType) -> np.ndarray:
    """The result of a reference, as an array of the type that it is kept in."""
    array = result if isinstance(result, np.ndarray) else np.asarray(result)
    dtype = type.dtype
    return array if array.dtype is dtype.numpy or array.dtype == dtype.numpy else cast_array(array, dtype)


def uncast(inputs: Sequence[Any], attrs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Operands and attributes of a call after what autocast decided, which the attribute ``autocast`` says."""
    target = attrs.get("autocast")
    if target is None:
        return inputs, attrs
    casts = [o.cast(v, to=target) if castable(v.dtype) else v for v in inputs]
    return casts, {k: v for k, v in attrs.items() if k != "autocast"}
