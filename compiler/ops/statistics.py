"""Variance, standard deviation and vector norms over axes.

Their gradient rules are PyTorch's: a root has no slope at 0, and there the gradient is 0, not NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isinf
from typing import Any

from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, OpSet
from compiler.ir.types import TensorType
from compiler.ops.composite import composite
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import FP32_ON_CUDA
from compiler.ops.reduce import refuse_empty, spread
from compiler.ops.softmax import count, infer_mean, mean


def _infer(x: TensorType, axes: tuple[int, ...], keepdim: bool, **_: Any) -> TensorType:
    return infer_mean(x, axes, keepdim)


def _reduction_vjp(gradient: Callable[..., Value]) -> Callable[..., tuple[Value]]:
    """The VJP of a reduction that computes 16-bit floats in f32 and rounds once.

    ``gradient(o, x, y, g, **attrs)`` gets the result ``y`` and its gradient ``g`` with the reduced axes kept.
    """

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
        x = node.inputs[0]
        wide = accumulator(x.dtype)
        kept = (o.cast(spread(o, node, v), to=wide) for v in (node.output, g))
        attrs = {name: node.attrs[name] for name in node.op.attrs if name != "keepdim"}
        return (o.cast(gradient(o, o.cast(x, to=wide), *kept, **attrs), to=x.dtype),)

    return vjp


def _or_one(o: OpSet, x: Value) -> Value:
    """``x``, and 1 where it is 0."""
    return o.where(o.eq(x, 0), 1, x)


# Variance and standard deviation


def var(o: OpSet, x: Value, axes: tuple[int, ...], keepdim: bool, correction: float) -> Value:
    centred = o.sub(x, mean(o, x, axes, True))
    degrees = max(count(x.shape, axes) - correction, 0.0)
    return o.div(o.sum(o.mul(centred, centred), axes=axes, keepdim=keepdim), degrees)


def _std(o: OpSet, x: Value, axes: tuple[int, ...], keepdim: bool, correction: float) -> Value:
    return o.sqrt(var(o, x, axes, keepdim, correction))


def _var_gradient(o: OpSet, x: Value, y: Value, g: Value, axes: tuple[int, ...], correction: float) -> Value:
    degrees = max(count(x.shape, axes) - correction, 0.0)
    return o.mul(o.mul(g, 2 / degrees if degrees else inf), o.sub(x, mean(o, x, axes, True)))


def _std_gradient(o: OpSet, x: Value, y: Value, g: Value, axes: tuple[int, ...], correction: float) -> Value:
    to_var = o.where(o.eq(y, 0), 0, o.div(g, o.mul(_or_one(o, y), 2)))
    return _var_gradient(o, x, y, to_var, axes, correction)


for _name, _expansion, _gradient in (("var", var, _var_gradient), ("std", _std, _std_gradient)):
    composite(
        _name,
        _expansion,
        _infer,
        vjp=_reduction_vjp(_gradient),
        attrs={"axes": REQUIRED, "keepdim": False, "correction": 1.0},
    )

# Norms


def _infer_norm(x: TensorType, p: float, axes: Sequence[int], keepdim: bool) -> TensorType:
    if p < 0 or isinf(p):
        refuse_empty(x, axes)
    return infer_mean(x, tuple(axes), keepdim)


def _vector_norm(o: OpSet, x: Value, p: float, axes: Sequence[int], keepdim: bool) -> Value:
    """``sum(|x|**p) ** (1 / p)``; the number of elements that are not 0 for 0, an extremum for the infinities.

    The norm of one element is its size, so that no power overflows.
    """
    options: dict[str, Any] = {"axes": axes, "keepdim": keepdim}
    if p and count(x.shape, axes) == 1:
        p = 1
    if p == 0:
        return o.sum(o.cast(o.ne(x, 0), to=x.dtype), **options)
    if p == 2:
        return o.sqrt(o.sum(o.mul(x, x), **options))
    size = o.abs(x)
    if isinf(p):
        return (o.amax if p > 0 else o.amin)(size, **options)
    return o.sum(size, **options) if p == 1 else o.pow(o.sum(o.pow(size, p), **options), 1 / p)


def _vector_norm_gradient(o: OpSet, x: Value, y: Value, g: Value, p: float, axes: Sequence[int]) -> Value:
    """0 where the norm is 0; the infinite norms share the gradient evenly among the elements that attain them."""
    size = o.abs(x)
    if p == 0:
        return o.zeros(shape=x.shape, dtype=x.dtype)
    if p == 1:
        return o.mul(o.sign(x), g)
    if p == 2:
        return o.mul(g, o.div(x, _or_one(o, y)))
    if isinf(p):
        hit = o.cast(o.logical_or(o.eq(size, y), o.logical_and(o.isnan(x), o.isnan(y))), to=x.dtype)
        return o.mul(o.mul(o.sign(x), hit), o.div(g, o.sum(hit, axes=axes, keepdim=True)))
    if p < 1:
        slopes = o.mul(o.sign(x), o.pow(_or_one(o, size), p - 1))
    else:
        slopes = o.mul(o.sign(x), o.pow(size, p - 1)) if p < 2 else o.mul(x, o.pow(size, p - 2))
    return o.mul(slopes, o.where(o.eq(y, 0), 0, o.div(g, o.pow(_or_one(o, y), p - 1))))


composite(
    "vector_norm",
    _vector_norm,
    _infer_norm,
    vjp=_reduction_vjp(_vector_norm_gradient),
    attrs={"p": 2.0, "axes": REQUIRED, "keepdim": False},
    autocast=FP32_ON_CUDA,
)
