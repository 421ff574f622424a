"""Hyperbolic functions, powers of two, lengths and angles of pairs, remainders, signs and shifts of bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, pi
from typing import Any

import numpy as np

from compiler.ir.graph import Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import boolean
from compiler.ops.activation import with_slope
from compiler.ops.composite import rounded
from compiler.ops.contract import accumulator
from compiler.ops.elementwise import FP32_ON_CUDA, NOT_FLOAT, pointwise, promoted, promoted_float, type_rule
from compiler.ops.inverse import arctangent

pointwise("signbit", np.signbit, arity=1, result=boolean, refuses=NOT_FLOAT)
"""Whether the sign is a minus: of -0.0 and of some NaN, too."""

pointwise("shift_left", np.left_shift, refuses=("float", "bool"))
pointwise("shift_right", np.right_shift, refuses=("float", "bool"))
"""Shifts by fewer bits than the type has."""


def _sinh(o: OpSet, x: Value) -> Value:
    """By ``expm1`` near zero; ``exp(a / 2)`` twice where ``exp(a)`` may overflow before the result does."""
    a = o.abs(x)
    e = o.expm1(o.minimum(a, 20))
    near = o.mul(o.add(e, o.div(e, o.add(e, 1))), 0.5)
    half = o.exp(o.mul(a, 0.5))
    result = o.where(o.gt(a, 20), o.mul(o.mul(half, 0.5), half), near)
    return o.where(o.lt(x, 0), o.neg(result), o.where(o.eq(x, 0), x, result))


def _cosh(o: OpSet, x: Value) -> Value:
    a = o.abs(x)
    e, half = o.exp(o.minimum(a, 20)), o.exp(o.mul(a, 0.5))
    return o.where(o.gt(a, 20), o.mul(o.mul(half, 0.5), half), o.mul(o.add(e, o.reciprocal(e)), 0.5))


def _tan(o: OpSet, x: Value) -> Value:
    return o.div(o.sin(x), o.cos(x))


def _tan_slope(o: OpSet, x: Value) -> Value:
    y = _tan(o, x)
    return o.add(o.mul(y, y), 1)


def _sinc(o: OpSet, x: Value) -> Value:
    scaled = o.mul(x, pi)
    zero = o.eq(x, 0)
    return o.where(zero, 1, o.div(o.sin(scaled), o.where(zero, 1, scaled)))


def _sinc_slope(o: OpSet, x: Value) -> Value:
    """``(cos(pi x) - sinc(x)) / x``, by the series near zero, where that cancels."""
    near, scaled = o.lt(o.abs(x), 0.01), o.mul(x, pi)
    series = o.mul(o.mul(x, -(pi**2) / 3), o.sub(1, o.mul(o.mul(scaled, scaled), 0.1)))
    return o.where(near, series, o.div(o.sub(o.cos(scaled), _sinc(o, x)), o.where(near, 1, x)))


def _logit(o: OpSet, x: Value, eps: float | None) -> Value:
    if eps is not None:
        x = o.minimum(o.maximum(x, eps), 1 - eps)
    return o.log(o.div(x, o.sub(1, x)))


def _logit_slope(o: OpSet, x: Value, eps: float | None) -> Value:
    """NaN outside [0, 1]; 0 where ``eps`` limits."""
    inside = o.logical_and(o.ge(x, eps or 0.0), o.le(x, 1 - (eps or 0.0)))
    return o.where(inside, o.reciprocal(o.mul(x, o.sub(1, x))), float("nan") if eps is None else 0.0)


with_slope("sinh", _sinh, lambda o, x: _cosh(o, x), FP32_ON_CUDA)
with_slope("cosh", _cosh, lambda o, x: _sinh(o, x), FP32_ON_CUDA)
with_slope("tan", _tan, _tan_slope, FP32_ON_CUDA)
with_slope("exp2", lambda o, x: o.pow(2.0, x), lambda o, x: o.mul(o.pow(2.0, x), log(2)))
with_slope("sinc", _sinc, _sinc_slope)
with_slope("logit", _logit, _logit_slope, attrs={"eps": None})


Slopes = Callable[..., Sequence[Callable[[], Value]]]


def _of_two(name: str, expansion: Callable[..., Value], slopes: Slopes, prepare: Any = promoted_float) -> None:
    """Register a function of two floats; ``slopes(o, g, x, y)`` gives a function per operand for its gradient."""

    def vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
        to = node.output.dtype
        x, y, g = (o.cast(v, to=accumulator(to)) for v in (*node.inputs, g))
        return tuple((lambda rule=rule: o.cast(rule(), to=to)) for rule in slopes(o, g, x, y))

    infer = type_rule(2, None, refuses=("bool",))
    register(Op(name, infer, "composite", vjp=vjp, expand=rounded(expansion), prepare=prepare))


def _ratio(o: OpSet, x: Value, y: Value) -> tuple[Value, Value]:
    """The larger of two magnitudes, and the smaller one divided by it: 0 for two zeros, 1 for two infinities."""
    a, b = o.abs(x), o.abs(y)
    large, small = o.maximum(a, b), o.minimum(a, b)
    ratio = o.div(small, o.where(o.eq(large, 0), 1, large))
    return large, o.where(o.logical_and(o.isinf(a), o.isinf(b)), 1, ratio)


def _hypot(o: OpSet, x: Value, y: Value) -> Value:
    """``sqrt(x² + y²)`` without overflow on the way; infinite beside a NaN, as IEEE 754 says."""
    large, ratio = _ratio(o, x, y)
    length = o.mul(large, o.sqrt(o.add(o.mul(ratio, ratio), 1)))
    return o.where(o.logical_or(o.isinf(x), o.isinf(y)), float("inf"), length)


def _hypot_slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
    length = _hypot(o, x, y)
    return (lambda: o.mul(g, o.div(x, length))), (lambda: o.mul(g, o.div(y, length)))


def _atan2(o: OpSet, y: Value, x: Value) -> Value:
    """The angle of the point ``(x, y)``, with the sign of ``y``."""
    _, ratio = _ratio(o, x, y)
    angle = arctangent(o, ratio)
    angle = o.where(o.gt(o.abs(y), o.abs(x)), o.sub(pi / 2, angle), angle)
    angle = o.where(o.signbit(x), o.sub(pi, angle), angle)
    return o.where(o.signbit(y), o.neg(angle), angle)


def _atan2_slopes(o: OpSet, g: Value, y: Value, x: Value) -> Sequence[Callable[[], Value]]:
    """None at the origin."""
    square = o.add(o.mul(x, x), o.mul(y, y))
    zero = o.eq(square, 0)
    weight = o.where(zero, 0, o.div(g, o.where(zero, 1, square)))
    return (lambda: o.mul(weight, x)), (lambda: o.neg(o.mul(weight, y)))


def _logaddexp(o: OpSet, x: Value, y: Value) -> Value:
    equal = o.logical_and(o.isinf(x), o.eq(x, y))
    difference = o.neg(o.abs(o.where(equal, 0, o.sub(x, y))))
    return o.where(equal, x, o.add(o.maximum(x, y), o.log1p(o.exp(difference))))


def _logaddexp_slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
    return (
        lambda: o.div(g, o.add(o.exp(o.sub(y, x)), 1)),
        lambda: o.div(g, o.add(o.exp(o.sub(x, y)), 1)),
    )


def _logaddexp2(o: OpSet, x: Value, y: Value) -> Value:
    equal = o.logical_and(o.isinf(x), o.eq(x, y))
    difference = o.neg(o.abs(o.where(equal, 0, o.sub(x, y))))
    return o.where(equal, x, o.add(o.maximum(x, y), o.mul(o.log1p(o.pow(2.0, difference)), 1 / log(2))))


def _logaddexp2_slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
    return (
        lambda: o.div(g, o.add(o.pow(2.0, o.sub(y, x)), 1)),
        lambda: o.div(g, o.add(o.pow(2.0, o.sub(x, y)), 1)),
    )


def _times_log(shift: float) -> tuple[Callable[..., Value], Slopes]:
    """``x log(y + shift)``, which is 0 for ``x = 0`` unless ``y`` is NaN, and its gradients."""

    def logarithm(o: OpSet, y: Value) -> Value:
        return o.log1p(y) if shift else o.log(y)

    def value(o: OpSet, x: Value, y: Value) -> Value:
        zero = o.logical_and(o.eq(x, 0), o.logical_not(o.isnan(y)))
        return o.where(zero, 0, o.mul(x, logarithm(o, o.where(zero, 1, y))))

    def slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
        flat = o.logical_and(o.eq(x, 0), o.le(y, -shift))
        return (
            lambda: o.where(flat, 0, value(o, g, y)),
            lambda: o.div(o.mul(g, x), o.add(y, shift) if shift else y),  # -0.0 + 0.0 is 0.0
        )

    return value, slopes


def _fmod(o: OpSet, x: Value, y: Value) -> Value:
    """The remainder with the sign of ``x``."""
    rest = o.remainder(o.abs(x), o.abs(y))
    negative = o.signbit(x) if x.dtype.kind == "float" else o.lt(x, 0)
    return o.where(negative, o.neg(rest), rest)


def _fmod_slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
    return (lambda: g), (lambda: o.neg(o.mul(g, o.trunc(o.div(x, y)))))


def _copysign(o: OpSet, x: Value, y: Value) -> Value:
    a = o.abs(x)
    return o.where(o.signbit(y), o.neg(a), a)


def _copysign_slopes(o: OpSet, g: Value, x: Value, y: Value) -> Sequence[Callable[[], Value]]:
    """None for a zero, whose sign has no slope."""
    turned = o.ne(o.signbit(x), o.signbit(y))
    slope = o.where(turned, o.neg(g), g)
    return (lambda: o.where(o.eq(x, 0), 0, slope)), (lambda: o.zeros(shape=g.shape, dtype=g.dtype))


_of_two("hypot", _hypot, _hypot_slopes)
_of_two("atan2", _atan2, _atan2_slopes)
_of_two("logaddexp", _logaddexp, _logaddexp_slopes)
_of_two("logaddexp2", _logaddexp2, _logaddexp2_slopes)
_of_two("xlogy", *_times_log(0.0))
_of_two("xlog1py", *_times_log(1.0))
_of_two("fmod", _fmod, _fmod_slopes, promoted)
_of_two("copysign", _copysign, _copysign_slopes)


register(
    Op(
        "heaviside",
        type_rule(2, None, refuses=()),
        "composite",
        expand=lambda o, x, values: o.where(o.eq(x, 0), values, o.cast(o.gt(x, 0), to=x.dtype)),
        prepare=promoted,
        differentiable=False,
    )
)
"""The step function, 0 for NaN; its value at zero is the second operand."""


def _entropy(o: OpSet, x: Value) -> Value:
    """``-x log x``, 0 at 0 and -inf below."""
    inside = o.gt(x, 0)
    value = o.neg(o.mul(x, o.log(o.where(inside, x, 1))))
    return o.where(inside, value, o.where(o.eq(x, 0), 0, o.where(o.isnan(x), x, float("-inf"))))


with_slope("entr", _entropy, lambda o, x: o.where(o.lt(x, 0), float("nan"), o.sub(-1, o.log(x))))
