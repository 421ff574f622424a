"""The ops of a training step outside model and optimizer: loss scaling and clipping.

Hyper-parameters are rank-0 f64 operands, read at every call; the arithmetic on them runs once per step in f64.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import TensorType, f32, f64, i32, promote
from compiler.ops.contract import accumulator

SCALAR = TensorType(f64, ())


def training_op(name: str, infer: Any, expand: Any, updates: bool = False, **attrs: Any) -> Op:
    return register(Op(name, infer, "composite", expand=expand, attrs=attrs, differentiable=False, updates=updates))


def check_scalars(*scalars: TensorType) -> None:
    for s in scalars:
        if s != SCALAR:
            raise OpError(f"a hyper-parameter is a rank-0 f64 scalar, not {s}")


# Loss scaling (Micikevicius et al., "Mixed precision training", 2018)

register(
    Op(
        "scale_loss",
        lambda loss, scale: TensorType(f32 if loss.dtype.is_half and not loss.rank else loss.dtype, loss.shape),
        "composite",
        vjp=lambda o, node, g: (o.cast(o.mul(g, node.inputs[1]), to=node.inputs[0].dtype), None),
        expand=lambda o, loss, scale: o.mul(loss, scale),
        spreads=True,
    )
)


def _unscale(o: OpSet, *operands: Value) -> tuple[Value, ...]:
    """The inverse is taken in f64 and rounded once, as PyTorch's scaler does."""
    *grads, scale = operands
    inverse = o.cast(o.reciprocal(o.cast(scale, to=f64)), to=f32)

    def divided(g: Value) -> Value:
        wide = accumulator(g.dtype)
        return o.cast(o.mul(o.cast(g, to=wide), o.cast(inverse, to=wide)), to=g.dtype)

    found = None
    for g in grads:
        bad = o.any(o.logical_not(o.isfinite(g)), axes=tuple(range(g.type.rank)))
        found = bad if found is None else o.logical_or(found, bad)
    assert found is not None
    return (*map(divided, grads), o.cast(found, to=f32))


def _unscale_vjp(o: OpSet, node: Any, *cotangents: Value | None) -> tuple[Any, ...]:
    """For gradients of gradients; the overflow flag and the scale have none."""
    scale = node.inputs[-1]
    return (*(None if g is None else o.unscale(g, scale)[0] for g in cotangents[:-1]), None)


register(
    Op(
        "unscale",
        lambda *types: (*types[:-1], TensorType(f32, ())),
        "composite",
        vjp=_unscale_vjp,
        expand=_unscale,
    )
)


def _update_scale(
    o: OpSet, scale: Value, tracker: Value, found: Value, growth: Value, backoff: Value, interval: int
) -> tuple[Value, Value]:
    """Backoff on overflow; growth after ``interval`` good steps in a row, kept only if still finite."""
    overflow = o.ne(found, 0.0)
    good = o.add(tracker, 1)
    due = o.eq(good, interval)
    grown = o.cast(o.mul(scale, growth), to=f32)
    grown = o.where(o.logical_and(due, o.isfinite(grown)), grown, scale)
    new_scale = o.where(overflow, o.cast(o.mul(scale, backoff), to=f32), grown)
    new_tracker = o.where(o.logical_or(overflow, due), 0, good)
    return new_scale, o.cast(new_tracker, to=i32)


def _infer_update_scale(
    scale: TensorType, tracker: TensorType, found: TensorType, growth: TensorType, backoff: TensorType, interval: int
) -> tuple[TensorType, TensorType]:
    check_scalars(growth, backoff)
    if scale != TensorType(f32, ()) or tracker != TensorType(i32, ()):
        raise OpError(f"scale must be f32[] and the growth tracker i32[], not {scale} and {tracker}")
    return scale, tracker


training_op("update_scale", _infer_update_scale, _update_scale, interval=REQUIRED)


def _keep_if(o: OpSet, found: Value, old: Value, new: Value) -> Value:
    return o.where(o.ne(found, 0.0), old, new)


def _infer_skip(found: TensorType, old: TensorType, new: TensorType) -> TensorType:
    if found != TensorType(f32, ()) or old != new:
        raise OpError(f"skip_if chooses between two values of one type by an f32[] flag, not {found}, {old}, {new}")
    return new


training_op("skip_if", _infer_skip, _keep_if)

# Gradient clipping (Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", 2013)


def _norm_of(o: OpSet, g: Value, norm_type: float) -> Value:
    """Norm of one gradient to the power ``norm_type`` (or the extremum), in f32, as a rank-0 value."""
    wide = o.cast(g, to=f32) if g.dtype.is_half else g
    axes = tuple(range(g.type.rank))
    if norm_type == 2.0:
        return o.sum(o.mul(wide, wide), axes=axes)
    size = o.abs(wide)
    if norm_type == np.inf:
        return o.amax(size, axes=axes)
    if norm_type == -np.inf:
        return o.amin(size, axes=axes)
    if norm_type == 0.0:
        return o.cast(o.any(o.ne(wide, 0), axes=axes), to=wide.dtype)
    return o.sum(o.pow(size, norm_type), axes=axes)


def _root(o: OpSet, x: Value, norm_type: float) -> Value:
    if norm_type == 2.0:
        return o.sqrt(x)
    return x if norm_type in (0.0, np.inf, -np.inf) else o.pow(x, 1 / norm_type)


def _power(o: OpSet, x: Value, norm_type: float) -> Value:
    if norm_type == 2.0:
        return o.mul(x, x)
    return x if norm_type in (0.0, np.inf, -np.inf) else o.pow(x, norm_type)


def total_norm(o: OpSet, grads: tuple[Value, ...], norm_type: float) -> Value:
    """The norm of the norms of all gradients, in their common type.

    The norm of a 16-bit gradient is rounded to its type, where it may overflow, as in PyTorch.
    """
    parts = []
    for g in grads:
        part = _norm_of(o, g, norm_type)
        if g.dtype.is_half:
            rounded = o.cast(_root(o, part, norm_type), to=g.dtype)
            part = _power(o, o.cast(rounded, to=f32), norm_type)
        parts.append(part)
    combine = {np.inf: o.maximum, -np.inf: o.minimum}.get(norm_type, o.add)
    return o.cast(_root(o, reduce(combine, parts), norm_type), to=promote([(g.dtype, 1) for g in grads]))


def _clip_grad_norm(o: OpSet, *operands: Value, norm_type: float) -> tuple[Value, ...]:
    *grads, max_norm = operands
    norm = total_norm(o, tuple(grads), norm_type)
    factor = o.minimum(o.div(o.cast(max_norm, to=norm.dtype), o.add(norm, 1e-6)), 1.0)

    def clipped(g: Value) -> Value:
        wide = accumulator(g.dtype)
        return o.cast(o.mul(o.cast(g, to=wide), o.cast(factor, to=wide)), to=g.dtype)

    return (*map(clipped, grads), norm)


def _infer_clip_norm(*types: TensorType, norm_type: float) -> tuple[TensorType, ...]:
    check_scalars(types[-1])
    return (*types[:-1], TensorType(promote([(t.dtype, 1) for t in types[:-1]]), ()))


training_op("clip_grad_norm", _infer_clip_norm, _clip_grad_norm, norm_type=2.0)


def _clip_grad_value(o: OpSet, *operands: Value) -> tuple[Value, ...]:
    *grads, limit = operands

    def clipped(g: Value) -> Value:
        bound = o.cast(limit, to=g.dtype)
        return o.maximum(o.minimum(g, bound), o.neg(bound))

    return tuple(map(clipped, grads))


def _infer_clip_value(*types: TensorType) -> tuple[TensorType, ...]:
    check_scalars(types[-1])
    return types[:-1]


training_op("clip_grad_value", _infer_clip_value, _clip_grad_value)
