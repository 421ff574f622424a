"""Means and softmaxes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, OpSet
from compiler.ir.types import Shape, TensorType
from compiler.ops.composite import composite, floating
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import FP32_ON_CUDA
from compiler.ops.reduce import normalize_axis


def count(shape: Shape, axes: Sequence[int]) -> int:
    return prod(shape[a] for a in axes)


def infer_mean(x: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    """The floating type of ``x`` without ``axes``, or with them of size 1."""
    return TensorType(
        floating(x).dtype, tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdim or a not in axes)
    )


def mean(o: OpSet, x: Value, axes: tuple[int, ...], keepdim: bool) -> Value:
    return o.div(o.sum(x, axes=axes, keepdim=keepdim), float(count(x.shape, axes)))


composite("mean", mean, infer_mean, attrs={"axes": REQUIRED, "keepdim": False}, spreads=True)


def _check_axis(x: TensorType, axis: int) -> TensorType:
    if normalize_axis(axis, x.rank) != axis:
        raise OpError(f"axis {axis} must be counted from the front")
    return floating(x)


def _along(axis: int, x: Value) -> tuple[int, ...]:
    return (axis,) if x.type.rank else ()


def _log_sum_exp(o: OpSet, x: Value, axes: tuple[int, ...]) -> Value:
    """With ``axes`` kept; an infinite maximum is not subtracted, so that all -inf gives -inf, not NaN."""
    top = o.amax(x, axes=axes, keepdim=True)
    safe = o.where(o.isinf(top), 0, top)
    return o.add(o.log(o.sum(o.exp(o.sub(x, safe)), axes=axes, keepdim=True)), safe)


def _softmax(o: OpSet, x: Value, axis: int) -> Value:
    axes = _along(axis, x)
    e = o.exp(o.sub(x, o.amax(x, axes=axes, keepdim=True)))
    return o.div(e, o.sum(e, axes=axes, keepdim=True))


def _softmax_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    y = node.output
    wide = accumulator(y.dtype)
    axes = _along(node.attrs["axis"], y)
    gy = o.mul(o.cast(g, to=wide), o.cast(y, to=wide))
    inner = o.sum(gy, axes=axes, keepdim=True)
    return (o.cast(o.sub(gy, o.mul(o.cast(y, to=wide), inner)), to=y.dtype),)


def _log_softmax(o: OpSet, x: Value, axis: int) -> Value:
    axes = _along(axis, x)
    shifted = o.sub(x, o.amax(x, axes=axes, keepdim=True))
    return o.sub(shifted, o.log(o.sum(o.exp(shifted), axes=axes, keepdim=True)))


def _log_softmax_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    y = node.output
    wide = accumulator(y.dtype)
    g = o.cast(g, to=wide)
    total = o.sum(g, axes=_along(node.attrs["axis"], y), keepdim=True)
    return (o.cast(o.sub(g, o.mul(o.exp(o.cast(y, to=wide)), total)), to=y.dtype),)


composite("softmax", _softmax, _check_axis, vjp=_softmax_vjp, attrs={"axis": REQUIRED}, autocast=FP32_ON_CUDA)
composite(
    "log_softmax", _log_softmax, _check_axis, vjp=_log_softmax_vjp, attrs={"axis": REQUIRED}, autocast=FP32_ON_CUDA
)


def _logsumexp(o: OpSet, x: Value, axes: tuple[int, ...], keepdim: bool) -> Value:
    return o.reshape(_log_sum_exp(o, x, axes), shape=infer_mean(x.type, axes, keepdim).shape)


composite("logsumexp", _logsumexp, infer_mean, attrs={"axes": REQUIRED, "keepdim": False}, autocast=FP32_ON_CUDA)
