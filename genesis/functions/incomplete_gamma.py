"""The regularized incomplete gamma functions, by NumPy: their sums are as long as the numbers ask for.

Source: NIST Digital Library of Mathematical Functions, 8.7.1 (the series) and 8.9.2 (the continued fraction).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from compiler.errors import UnsupportedError
from compiler.ops.elementwise import broadcast_shapes, promoted
from genesis.custom import Function
from genesis.functions.pointwise import exp, lgamma, log, mul, sub
from genesis.functions.table import api
from genesis.scope import BY_NUMPY
from genesis.tensor import Tensor, from_array, wrap

_MOST = 10000
_lgamma = np.vectorize(math.lgamma, [float])


def _lower(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both functions of positive numbers in float64: the lower and the upper one."""
    with np.errstate(all="ignore"):
        front = np.exp(a * np.log(x) - x - _lgamma(a))
        term = total = 1 / a
        for n in range(1, _MOST):
            term = term * x / (a + n)
            total = total + term
            if not (term > total * 1e-17)[x < a + 1].any():
                break
        series = front * total
        b = x + 1 - a
        c, d = np.full_like(x, 1e300), 1 / b
        fraction = d
        for n in range(1, _MOST):
            weight, b = n * (a - n), b + 2
            d, c = 1 / (weight * d + b), b + weight / c
            fraction = fraction * d * c
            if not (np.abs(d * c - 1) > 1e-16)[x >= a + 1].any():
                break
    low = np.where(x < a + 1, series, 1 - front * fraction)
    high = np.where(x < a + 1, 1 - series, front * fraction)
    return low, high


def _regularized(a: np.ndarray, x: np.ndarray, upper: bool) -> np.ndarray:
    """With the limits: 0 and 1 at the ends, NaN outside of ``a >= 0, x >= 0`` and of both 0 or both infinite."""
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    found = np.full(a.shape, np.nan)
    full = ((a == 0) & (x > 0)) | ((a > 0) & np.isfinite(a) & np.isposinf(x))
    nothing = ((x == 0) & (a > 0)) | (np.isposinf(a) & (x >= 0) & np.isfinite(x))
    found[full], found[nothing] = (0, 1) if upper else (1, 0)
    found[inside] = _lower(a[inside], x[inside])[int(upper)]
    return found


class _Regularized(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor, upper: bool) -> Tensor:
        ctx.save_for_backward(a, x)
        ctx.sign = -1.0 if upper else 1.0
        shapes, places = np.broadcast_arrays(a._array("igamma"), x._array("igamma"))
        found = _regularized(shapes.astype(np.float64), places.astype(np.float64), upper)
        return from_array(found.astype(x.dtype.numpy))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor, None]:
        a, x = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            raise UnsupportedError("the derivative of igamma and igammac by their first argument is not implemented")
        slope = exp(sub(mul(a - 1, log(x)), x) - lgamma(a))
        return None, (g * slope * ctx.sign).sum_to_size(tuple(x.shape)), None


def _of(input: Tensor, other: Tensor, upper: bool, name: str) -> Tensor:
    a, x = promoted([input.value, other.value])
    if not a.dtype.is_floating_point:
        raise UnsupportedError(f"{name} is not defined for {a.dtype.name} tensors")
    broadcast_shapes(a.shape, x.shape)
    result: Tensor = _Regularized.apply(wrap(a), wrap(x), upper)
    return result


@api(inplace=True, eager_only=BY_NUMPY)
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The share of the gamma function of ``input`` that lies below ``other``; a gradient for ``other``. Eager only."""
    return _of(input, other, False, "igamma")


@api(inplace=True, eager_only=BY_NUMPY)
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """``1 - igamma(input, other)``, as exact for small values. Eager only."""
    return _of(input, other, True, "igammac")
