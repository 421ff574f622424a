"""Inverse trigonometric and hyperbolic functions, and the decimal logarithm, as composites.

Each expansion avoids the cancellation of the textbook formula, and has the derivative of the function for its gradient,
since its own would be ``0 * inf`` where a branch that is not taken overflows.
"""

from __future__ import annotations

from math import log, log10, pi

from compiler.ir.graph import Value
from compiler.ir.op import OpSet
from compiler.ops.activation import with_slope
from compiler.ops.elementwise import FP32_ON_CUDA

_TERMS = 12
"""Terms of the series of atan up to 0.199: the first one left out is below 1e-18 of the sum."""


def arctangent(o: OpSet, x: Value) -> Value:
    """The argument is brought to [0, 1] by ``pi/2 - atan(1/x)``, and halved twice; the power series does the rest."""
    a = o.abs(x)
    large = o.gt(a, 1)
    t = o.where(large, o.reciprocal(a), a)
    for _ in range(2):
        t = o.div(t, o.add(o.sqrt(o.add(o.mul(t, t), 1)), 1))
    square = o.mul(t, t)
    series = o.mul(square, 0)
    for n in reversed(range(_TERMS)):
        series = o.add(o.mul(series, square), (-1) ** n / (2 * n + 1))
    angle = o.mul(o.mul(t, series), 4)
    angle = o.where(large, o.sub(pi / 2, angle), angle)
    return o.where(o.lt(x, 0), o.neg(angle), angle)


def _asin(o: OpSet, x: Value) -> Value:
    """``2 atan(x / (1 + sqrt(1 - x²)))``, which is accurate up to the ends of [-1, 1]."""
    root = o.sqrt(o.mul(o.sub(1, x), o.add(x, 1)))
    return o.mul(arctangent(o, o.div(x, o.add(root, 1))), 2)


def _acos(o: OpSet, x: Value) -> Value:
    """``2 atan(sqrt((1 - x) / (1 + x)))``."""
    return o.mul(arctangent(o, o.sqrt(o.div(o.sub(1, x), o.add(x, 1)))), 2)


def _one_minus_square(o: OpSet, x: Value) -> Value:
    return o.mul(o.sub(1, x), o.add(x, 1))


def _asinh(o: OpSet, x: Value) -> Value:
    """``log1p(a + a² / (1 + sqrt(1 + a²)))`` with the sign of ``x``; ``log(2a)`` where the square overflows."""
    a = o.abs(x)
    square = o.mul(a, a)
    small = o.log1p(o.add(a, o.div(square, o.add(o.sqrt(o.add(square, 1)), 1))))
    result = o.where(o.gt(a, 1e9), o.add(o.log(a), log(2)), small)
    return o.where(o.lt(x, 0), o.neg(result), result)


def _acosh(o: OpSet, x: Value) -> Value:
    """``log1p(t + sqrt(t) sqrt(t + 2))`` for ``t = x - 1``; ``log(2x)`` where the square overflows."""
    t = o.sub(x, 1)
    small = o.log1p(o.add(t, o.mul(o.sqrt(t), o.sqrt(o.add(t, 2)))))
    return o.where(o.gt(x, 1e9), o.add(o.log(x), log(2)), small)


def _acosh_slope(o: OpSet, x: Value) -> Value:
    a = o.abs(x)
    return o.rsqrt(o.mul(o.sub(a, 1), o.add(a, 1)))


def _atanh(o: OpSet, x: Value) -> Value:
    """``(log1p(x) - log1p(-x)) / 2``."""
    return o.mul(o.sub(o.log1p(x), o.log1p(o.neg(x))), 0.5)


with_slope("log10", lambda o, x: o.mul(o.log2(x), log10(2)), lambda o, x: o.div(1 / log(10), x), FP32_ON_CUDA)
with_slope("atan", arctangent, lambda o, x: o.reciprocal(o.add(o.mul(x, x), 1)))
with_slope("asin", _asin, lambda o, x: o.rsqrt(_one_minus_square(o, x)), FP32_ON_CUDA)
with_slope("acos", _acos, lambda o, x: o.neg(o.rsqrt(_one_minus_square(o, x))), FP32_ON_CUDA)
with_slope("asinh", _asinh, lambda o, x: o.reciprocal(o.sqrt(o.add(o.mul(x, x), 1))))
with_slope("acosh", _acosh, _acosh_slope)
with_slope("atanh", _atanh, lambda o, x: o.reciprocal(_one_minus_square(o, x)))
