"""Views (index maps that cost nothing inside a kernel), concatenation and padding."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType
from compiler.ops.elementwise import Gradient, broadcast_shapes, promoted


def _view(
    name: str, infer: Any, reference: Any, vjp: Gradient, keeps: Literal["", "elements", "order"] = "", **attrs: Any
) -> Op:
    return register(Op(name, infer, "view", reference, vjp, attrs=attrs, raw=True, keeps=keeps))


def _infer_reshape(x: TensorType, shape: Shape) -> TensorType:
    if prod(shape) != x.size:
        raise OpError(f"shape '{list(shape)}' is invalid for input of size {x.size} (shape {list(x.shape)})")
    return TensorType(x.dtype, tuple(shape))


_view(
    "reshape",
    _infer_reshape,
    lambda x, shape: x.reshape(shape),
    lambda o, node, g: (o.reshape(g, shape=node.inputs[0].shape),),
    "order",
    shape=REQUIRED,
)


def _infer_permute(x: TensorType, dims: tuple[int, ...]) -> TensorType:
    if sorted(dims) != list(range(x.rank)):
        raise OpError(f"dims {list(dims)} is not a permutation of the {x.rank} dimensions of shape {list(x.shape)}")
    return TensorType(x.dtype, tuple(x.shape[d] for d in dims))


def inverse_permutation(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


_view(
    "permute",
    _infer_permute,
    lambda x, dims: np.transpose(x, dims),
    lambda o, node, g: (o.permute(g, dims=inverse_permutation(node.attrs["dims"])),),
    "elements",
    dims=REQUIRED,
)


def _infer_expand(x: TensorType, shape: Shape) -> TensorType:
    if len(shape) < x.rank or broadcast_shapes(x.shape, shape) != tuple(shape):
        raise OpError(f"shape {list(x.shape)} does not expand to {list(shape)}")
    return TensorType(x.dtype, tuple(shape))


_view(
    "expand",
    _infer_expand,
    lambda x, shape: np.broadcast_to(x, shape),
    lambda o, node, g: (sum_to_shape(o, g, node.inputs[0].shape),),
    shape=REQUIRED,
)


def sum_to_shape(o: OpSet, x: Value, shape: Shape) -> Value:
    """``x`` summed over the axes along which ``shape`` was broadcast; the transpose of ``expand``."""
    if x.shape == shape:
        return x
    lead = x.type.rank - len(shape)
    axes = tuple(a for a in range(x.type.rank) if a < lead or (shape[a - lead] == 1 and x.shape[a] != 1))
    return o.reshape(o.sum(x, axes=axes), shape=shape) if axes else o.reshape(x, shape=shape)


def slice_length(start: int, stop: int, step: int) -> int:
    return len(range(start, stop, step))


def _infer_slice(x: TensorType, start: tuple[int, ...], stop: tuple[int, ...], step: tuple[int, ...]) -> TensorType:
    if not len(start) == len(stop) == len(step) == x.rank:
        raise OpError(f"slice needs start, stop and step for each of the {x.rank} dimensions")
    shape = []
    for n, a, b, s in zip(x.shape, start, stop, step, strict=True):
        count = slice_length(a, b, s) if s else -1
        if count < 0 or (count and not (0 <= a < n and 0 <= a + (count - 1) * s < n)):
            raise OpError(f"slice {a}:{b}:{s} leaves the dimension of size {n} (shape {list(x.shape)})")
        shape.append(count)
    return TensorType(x.dtype, tuple(shape))


@lru_cache(4096)
def slice_index(start: tuple[int, ...], stop: tuple[int, ...], step: tuple[int, ...]) -> tuple[slice, ...]:
    """The Python slices; a negative step that runs past index 0 stops at None."""
    return tuple(slice(a, b if b >= 0 else None, s) for a, b, s in zip(start, stop, step, strict=True))


def _slice_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    return (o.slice_scatter(o.zeros(shape=node.inputs[0].shape, dtype=g.dtype), g, **node.attrs),)


_view(
    "slice",
    _infer_slice,
    lambda x, start, stop, step: x[slice_index(start, stop, step)],
    _slice_vjp,
    start=REQUIRED,
    stop=REQUIRED,
    step=REQUIRED,
)


def _infer_slice_scatter(x: TensorType, y: TensorType, **attrs: Any) -> TensorType:
    inner = _infer_slice(x, **attrs)
    if inner != y:
        raise OpError(f"the slice is {inner}, the value {y}")
    return x


def _slice_scatter(x: np.ndarray, y: np.ndarray, **attrs: Any) -> np.ndarray:
    result = x.copy()
    result[slice_index(**attrs)] = y
    return result


def _slice_scatter_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    zeros = o.zeros(shape=node.inputs[1].shape, dtype=g.dtype)
    return (lambda: o.slice_scatter(g, zeros, **node.attrs)), (lambda: o.slice(g, **node.attrs))


register(
    Op(
        "slice_scatter",
        _infer_slice_scatter,
        "index",
        _slice_scatter,
        _slice_scatter_vjp,
        attrs={"start": REQUIRED, "stop": REQUIRED, "step": REQUIRED},
        raw=True,
        reads="slice",
        anchor="concat",
    )
)


def _infer_concat(first: TensorType, *rest: TensorType, axis: int) -> TensorType:
    if not 0 <= axis < first.rank:
        raise OpError(f"there is no dimension {axis} to concatenate along in {first}")
    for t in rest:
        fits = t.rank == first.rank and all(a == axis or t.shape[a] == first.shape[a] for a in range(first.rank))
        if not fits or t.dtype is not first.dtype:
            raise OpError(f"cannot concatenate {t} to {first} along dimension {axis}")
    shape = list(first.shape)
    shape[axis] = sum(t.shape[axis] for t in (first, *rest))
    return TensorType(first.dtype, tuple(shape))


def slice_along(o: OpSet, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """``x[..., start:stop:step, ...]`` at ``axis``."""
    rank = x.type.rank
    return o.slice(
        x,
        start=tuple(start if a == axis else 0 for a in range(rank)),
        stop=tuple(stop if a == axis else n for a, n in enumerate(x.shape)),
        step=tuple(step if a == axis else 1 for a in range(rank)),
    )


def reverse(o: OpSet, x: Value, axis: int) -> Value:
    """``x`` from the end to the start of ``axis``; a view."""
    return slice_along(o, x, axis, x.shape[axis] - 1, -1, -1)


def before(o: OpSet, x: Value, axis: int, first: float) -> Value:
    """The element before each one along ``axis``, ``first`` before the first one."""
    if not x.type.size:
        return x
    shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape))
    start = o.expand(o.constant(value=first, dtype=x.dtype), shape=shape)
    return o.concat(start, slice_along(o, x, axis, 0, x.shape[axis] - 1), axis=axis)


def _concat_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    axis, position, grads = node.attrs["axis"], 0, []
    for value in node.inputs:
        end = position + value.shape[axis]
        grads.append(slice_along(o, g, axis, position, end))
        position = end
    return tuple(grads)


register(
    Op(
        "concat",
        _infer_concat,
        "index",
        lambda *xs, axis: np.concatenate(xs, axis),
        _concat_vjp,
        attrs={"axis": REQUIRED},
        prepare=promoted,
        raw=True,
        reads="parts",
        anchor="concat",
    )
)


def _filled(name: str, value: int) -> Op:
    return register(
        Op(
            name,
            lambda shape, dtype: TensorType(dtype, tuple(shape)),
            "composite",
            lambda shape, dtype: np.full(shape, value, dtype.numpy),
            attrs={"shape": REQUIRED, "dtype": REQUIRED},
            expand=lambda o, shape, dtype: o.expand(o.constant(value=value, dtype=dtype), shape=shape),
            differentiable=False,
            raw=True,
        )
    )


_filled("zeros", 0)
_filled("ones", 1)
