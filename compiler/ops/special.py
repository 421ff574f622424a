"""Special functions: errors of the normal distribution, gamma and its derivatives, Bessel functions of order 0 and 1.

All are composites that compute in f64 and round once. Approximations by Chebyshev polynomials have coefficients that
are computed when first used, from series and continued fractions; see Trefethen, "Approximation theory and
approximation practice", chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import comb, factorial, inf, log, nan, pi, sqrt
from typing import Any

import numpy as np

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import Op, OpSet, register
from compiler.ir.types import TensorType, f64
from compiler.ops.activation import wide_gradient
from compiler.ops.composite import floating
from compiler.ops.elementwise import FP32_ON_CUDA, promoted_float

Curve = Callable[[np.ndarray], np.ndarray]
Rule = Callable[..., Value]


def _special(
    name: str,
    expansion: Rule,
    slope: Rule,
    attrs: dict[str, Any] | None = None,
    infer: Callable[..., TensorType] = floating,
    autocast: dict[str, str] | None = None,
) -> None:
    """Register a function of one operand that computes in f64, with its derivative ``slope(o, x, **attrs)``."""

    def expand(o: OpSet, x: Value, **given: Any) -> Value:
        return o.cast(expansion(o, o.cast(x, to=f64), **given), to=x.dtype)

    vjp = wide_gradient(lambda o, x, g, **given: o.mul(g, slope(o, x, **given)))
    options: dict[str, Any] = {"attrs": attrs or {}, "autocast": autocast or {}}
    register(Op(name, infer, "composite", vjp=vjp, expand=expand, prepare=promoted_float, **options))


def _fitted(curve: Curve, terms: int) -> list[float]:
    """The Chebyshev coefficients of a smooth function on [-1, 1]."""
    angles = pi * (np.arange(terms) + 0.5) / terms
    values = curve(np.cos(angles))
    found = [2 / terms * float(np.sum(values * np.cos(k * angles))) for k in range(terms)]
    return [found[0] / 2, *found[1:]]


def _polynomial(o: OpSet, z: Value, coefficients: list[float]) -> Value:
    """The sum of Chebyshev polynomials at ``z``, by Clenshaw's recurrence."""
    later, last = o.mul(z, 0), o.add(o.mul(z, 0), coefficients[-1])
    twice = o.mul(z, 2)
    for c in reversed(coefficients[1:-1]):
        later, last = last, o.add(o.sub(o.mul(twice, last), later), c)
    return o.add(o.sub(o.mul(z, last), later), coefficients[0])


# Errors of the normal distribution

_CENTRE = 3.75


def _scaled_tail(x: np.ndarray) -> np.ndarray:
    """``exp(x²) erfc(x)`` for ``x >= 0`` by its continued fraction, and near 0 by the series of Dawson's kind."""
    large = np.maximum(x, 1.5)
    fraction = np.zeros_like(large)
    for n in range(400, 0, -1):
        fraction = (n / 2) / (large + fraction)
    tail = 1 / (sqrt(pi) * (large + fraction))
    small = np.minimum(x, 1.5)
    term, total = small.copy(), small.copy()
    for n in range(1, 80):
        term = term * (2 * small * small) / (2 * n + 1)
        total = total + term
    return np.where(x > 1.5, tail, np.exp(small * small) - total * (2 / sqrt(pi)))


@cache
def _tail_coefficients() -> list[float]:
    def curve(z: np.ndarray) -> np.ndarray:
        x = _CENTRE * (1 + z) / (1 - z)
        return (1 + 2 * x) * _scaled_tail(x)

    return _fitted(curve, 32)


def _positive_erfcx(o: OpSet, a: Value) -> Value:
    """``exp(a²) erfc(a)`` for ``a >= 0``: ``1 / (1 + 2a)`` times a smooth function of ``(a - 3.75) / (a + 3.75)``."""
    z = o.sub(1, o.div(2 * _CENTRE, o.add(a, _CENTRE)))
    return o.div(_polynomial(o, z, _tail_coefficients()), o.add(o.mul(a, 2), 1))


def _erfc(o: OpSet, x: Value) -> Value:
    a = o.abs(x)
    tail = o.mul(o.exp(o.neg(o.mul(a, a))), _positive_erfcx(o, a))
    return o.where(o.lt(x, 0), o.sub(2, tail), tail)


def _erfcx(o: OpSet, x: Value) -> Value:
    tail = _positive_erfcx(o, o.abs(x))
    return o.where(o.lt(x, 0), o.sub(o.mul(o.exp(o.mul(x, x)), 2), tail), tail)


def _erfcx_slope(o: OpSet, x: Value) -> Value:
    return o.sub(o.mul(o.mul(x, 2), o.erfcx(x)), 2 / sqrt(pi))


def _inverse_error(o: OpSet, a: Value, rest: Value) -> Value:
    """The ``x >= 0`` with ``erf(x) = a`` and ``erfc(x) = rest``: Winitzki's guess (2008), and three steps of Halley."""
    shape = 0.147
    logarithm = o.log(o.mul(rest, o.add(a, 1)))
    middle = o.add(o.mul(logarithm, 0.5), 2 / (pi * shape))
    ratio = o.div(logarithm, -shape)
    x = o.sqrt(o.div(ratio, o.add(o.sqrt(o.add(o.mul(middle, middle), ratio)), middle)))
    near = o.lt(a, 0.5)
    for _ in range(3):
        missing = o.where(near, o.sub(o.erf(x), a), o.sub(rest, _erfc(o, x)))
        step = o.mul(missing, o.mul(o.exp(o.mul(x, x)), sqrt(pi) / 2))
        x = o.sub(x, o.div(step, o.add(o.mul(x, step), 1)))
    return o.where(o.eq(a, 0), 0, o.where(o.eq(rest, 0), inf, x))


def _erfinv(o: OpSet, y: Value) -> Value:
    a = o.abs(y)
    x = _inverse_error(o, a, o.sub(1, a))
    x = o.where(o.gt(a, 1), nan, x)
    return o.where(o.lt(y, 0), o.neg(x), x)


def _erfinv_slope(o: OpSet, y: Value) -> Value:
    x = o.erfinv(y)
    return o.mul(o.exp(o.mul(x, x)), sqrt(pi) / 2)


def _ndtri(o: OpSet, p: Value) -> Value:
    near = o.minimum(p, o.sub(1, p))
    x = o.mul(_inverse_error(o, o.sub(1, o.mul(near, 2)), o.mul(near, 2)), sqrt(2))
    x = o.where(o.lt(near, 0), nan, x)
    return o.where(o.lt(p, 0.5), o.neg(x), x)


def _ndtri_slope(o: OpSet, p: Value) -> Value:
    x = o.ndtri(p)
    return o.mul(o.exp(o.mul(o.mul(x, x), 0.5)), sqrt(2 * pi))


def _log_ndtr(o: OpSet, x: Value) -> Value:
    low = o.sub(o.log(o.mul(_erfcx(o, o.mul(o.minimum(x, -1), -sqrt(0.5))), 0.5)), o.mul(o.mul(x, x), 0.5))
    high = o.log1p(o.mul(_erfc(o, o.mul(o.maximum(x, -1), sqrt(0.5))), -0.5))
    return o.where(o.lt(x, -1), low, high)


def _log_ndtr_slope(o: OpSet, x: Value) -> Value:
    return o.div(sqrt(2 / pi), o.erfcx(o.mul(x, -sqrt(0.5))))


_special("erfc", _erfc, lambda o, x: o.mul(o.exp(o.neg(o.mul(x, x))), -2 / sqrt(pi)))
_special("erfcx", _erfcx, _erfcx_slope)
_special("erfinv", _erfinv, _erfinv_slope, autocast=FP32_ON_CUDA)
_special("ndtri", _ndtri, _ndtri_slope)
_special("log_ndtr", _log_ndtr, _log_ndtr_slope)
_special(
    "ndtr",
    lambda o, x: o.mul(_erfc(o, o.mul(x, -sqrt(0.5))), 0.5),
    lambda o, x: o.mul(o.exp(o.mul(o.mul(x, x), -0.5)), sqrt(0.5 / pi)),
)


# Gamma and its derivatives: Stirling's series from 8 on, recurrence below, reflection for negative numbers

_SHIFT = 8


@cache
def _bernoulli() -> list[float]:
    """The Bernoulli numbers B2, B4, ..., B20."""
    numbers = [Fraction(1)]
    for n in range(1, 21):
        numbers.append(-sum((comb(n + 1, k) * numbers[k] for k in range(n)), Fraction(0)) / (n + 1))
    return [float(b) for b in numbers[2::2]]


def _series(o: OpSet, x: Value, coefficients: list[float]) -> Value:
    """``c0 + c1 x + c2 x² + ...``."""
    total = o.add(o.mul(x, 0), coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = o.add(o.mul(total, x), c)
    return total


def _positive_lgamma(o: OpSet, x: Value) -> Value:
    low = o.lt(x, _SHIFT)
    start = o.where(low, x, 1)
    product = start
    for k in range(1, _SHIFT):
        product = o.mul(product, o.add(start, k))
    w = o.where(low, o.add(x, _SHIFT), x)
    r = o.reciprocal(w)
    terms = [b / ((2 * k) * (2 * k - 1)) for k, b in enumerate(_bernoulli()[:9], 1)]
    stirling = o.add(
        o.sub(o.mul(o.sub(w, 0.5), o.log(w)), w), o.add(o.mul(r, _series(o, o.mul(r, r), terms)), 0.5 * log(2 * pi))
    )
    value = o.where(low, o.sub(stirling, o.log(product)), stirling)
    return o.where(o.isinf(x), inf, value)


def _turned(o: OpSet, x: Value) -> tuple[Value, Value, Value]:
    """Whether ``x`` is below 1/2, there ``1 - x`` and else ``x``, and ``pi x`` without its whole turns."""
    below = o.lt(x, 0.5)
    return below, o.where(below, o.sub(1, x), x), o.mul(o.sub(x, o.round(x)), pi)


def _lgamma(o: OpSet, x: Value) -> Value:
    """``log |gamma(x)|``; below 1/2 by ``gamma(x) gamma(1 - x) = pi / sin(pi x)``."""
    below, a, angle = _turned(o, x)
    value = _positive_lgamma(o, a)
    reflected = o.sub(o.sub(log(pi), o.log(o.abs(o.sin(angle)))), value)
    return o.where(o.isinf(x), inf, o.where(below, reflected, value))


def _positive_digamma(o: OpSet, x: Value) -> Value:
    low = o.lt(x, _SHIFT)
    start = o.where(low, x, 1)
    fractions = o.reciprocal(start)
    for k in range(1, _SHIFT):
        fractions = o.add(fractions, o.reciprocal(o.add(start, k)))
    w = o.where(low, o.add(x, _SHIFT), x)
    r = o.reciprocal(w)
    square = o.mul(r, r)
    terms = [b / (2 * k) for k, b in enumerate(_bernoulli()[:9], 1)]
    smooth = o.sub(o.sub(o.log(w), o.mul(r, 0.5)), o.mul(square, _series(o, square, terms)))
    return o.where(low, o.sub(smooth, fractions), smooth)


def _positive_polygamma(o: OpSet, x: Value, n: int) -> Value:
    """``(-1)^(n+1) n!`` times Hurwitz's zeta function of ``n + 1``, by the summation formula of Euler and Maclaurin."""
    s, start = n + 1, 12
    total: Value | None = None
    for k in range(start):
        term = _power(o, o.reciprocal(o.add(x, k)), s)
        total = term if total is None else o.add(total, term)
    assert total is not None
    r = o.reciprocal(o.add(x, start))
    terms, rising = [1 / (s - 1), 0.5], float(s)
    for j, b in enumerate(_bernoulli()[:9], 1):
        terms += [b / factorial(2 * j) * rising, 0.0]
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    total = o.add(total, o.mul(_power(o, r, s - 1), _series(o, r, terms[:-1])))
    return o.mul(total, float((-1) ** (n + 1) * factorial(n)))


def _power(o: OpSet, x: Value, n: int) -> Value:
    result = x
    for _ in range(n - 1):
        result = o.mul(result, x)
    return result


def _cotangent_derivative(n: int) -> list[float]:
    """The coefficients of the n-th derivative of the cotangent, a polynomial in it: ``c' = -1 - c²``."""
    p = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        p = p.deriv() * np.polynomial.Polynomial([-1.0, 0.0, -1.0])
    return [float(c) for c in p.coef]


def _polygamma(o: OpSet, x: Value, n: int) -> Value:
    """The n-th derivative of digamma; below 1/2 by the derivatives of ``pi cot(pi x)``."""
    below, a, angle = _turned(o, x)
    value = _positive_digamma(o, a) if n == 0 else _positive_polygamma(o, a, n)
    cotangent = _series(o, o.div(o.cos(angle), o.sin(angle)), _cotangent_derivative(n))
    reflected = o.sub(o.mul(value, float((-1) ** n)), o.mul(cotangent, pi ** (n + 1)))
    if n == 0:  # a pole has another sign on either side; on the pole only a zero's sign is known
        whole = o.logical_and(o.eq(x, o.floor(x)), o.lt(x, 0))
        reflected = o.where(o.eq(x, 0), o.neg(o.reciprocal(x)), o.where(whole, nan, reflected))
    else:
        reflected = o.where(o.eq(angle, 0), inf if n % 2 else -inf, reflected)
    return o.where(below, reflected, value)


def _check_polygamma(x: TensorType, n: int) -> TensorType:
    if n < 0:
        raise OpError(f"polygamma(n, x) does not support negative n, here {n}")
    return floating(x)


_special("lgamma", _lgamma, lambda o, x: o.polygamma(x, n=0))
_special("polygamma", _polygamma, lambda o, x, n: o.polygamma(x, n=n + 1), {"n": 0}, _check_polygamma)


# Bessel functions I of order 0 and 1, divided by exp(|x|)

_MIDDLE = 8.0


def _scaled_bessel(x: np.ndarray, order: int) -> np.ndarray:
    """``exp(-x) I(x)`` for ``x >= 0``: the power series up to 30, the asymptotic one beyond."""
    small, large = np.minimum(x, 30.0), np.maximum(x, 30.0)
    term = np.exp(-small) * (small / 2) ** order
    total = term.copy()
    for k in range(1, 120):
        term = term * (small / 2) ** 2 / (k * (k + order))
        total = total + term
    part = np.ones_like(large)
    far = part.copy()
    for k in range(1, 40):
        part = part * ((2 * k - 1) ** 2 - 4 * order * order) / (k * 8 * large)
        far = far + part
    return np.where(x <= 30, total, far / np.sqrt(2 * pi * large))


@cache
def _bessel_coefficients(order: int) -> tuple[list[float], list[float]]:
    def near(z: np.ndarray) -> np.ndarray:
        x = _MIDDLE * (1 + z) / 2
        return _scaled_bessel(x, order) / x**order

    def far(z: np.ndarray) -> np.ndarray:
        x = 2 * _MIDDLE / (1 + z)
        return np.sqrt(x) * _scaled_bessel(x, order)

    return _fitted(near, 32), _fitted(far, 32)


def _positive_bessel(o: OpSet, a: Value, order: int) -> Value:
    near, far = _bessel_coefficients(order)
    small, large = o.minimum(a, _MIDDLE), o.maximum(a, _MIDDLE)
    low = _polynomial(o, o.sub(o.mul(small, 2 / _MIDDLE), 1), near)
    low = o.mul(low, small) if order else low
    high = o.div(_polynomial(o, o.sub(o.div(2 * _MIDDLE, large), 1), far), o.sqrt(large))
    return o.where(o.gt(a, _MIDDLE), high, low)


def _i0e(o: OpSet, x: Value) -> Value:
    return _positive_bessel(o, o.abs(x), 0)


def _i1e(o: OpSet, x: Value) -> Value:
    value = _positive_bessel(o, o.abs(x), 1)
    return o.where(o.lt(x, 0), o.neg(value), value)


def _unscaled(o: OpSet, x: Value, scaled: Value) -> Value:
    """Twice by half the factor, which overflows where the result does."""
    half = o.exp(o.mul(o.abs(x), 0.5))
    return o.mul(o.mul(scaled, half), half)


def _over_x(o: OpSet, x: Value, y: Value) -> Value:
    """``y / x``, and its limit 1/2 at 0."""
    zero = o.eq(x, 0)
    return o.where(zero, 0.5, o.div(y, o.where(zero, 1, x)))


def _i1e_slope(o: OpSet, x: Value) -> Value:
    y = o.i1e(x)
    return o.sub(o.i0e(x), o.add(o.mul(o.sign(x), y), _over_x(o, x, y)))


_special("i0e", _i0e, lambda o, x: o.sub(o.i1e(x), o.mul(o.sign(x), o.i0e(x))))
_special("i1e", _i1e, _i1e_slope)
_special("i0", lambda o, x: _unscaled(o, x, _i0e(o, x)), lambda o, x: o.i1(x))
_special("i1", lambda o, x: _unscaled(o, x, _i1e(o, x)), lambda o, x: o.sub(o.i0(x), _over_x(o, x, o.i1(x))))
