"""Functions of each element beside arithmetic: angles, signs, remainders, limits, tests, bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ml_dtypes import finfo

from compiler.errors import OpError, UnsupportedError
from compiler.ir.op import Op, o
from compiler.ir.types import f64, i32, u8
from compiler.ops.elementwise import broadcast_shapes, promoted
from genesis.functions.pointwise import (
    Binary,
    abs,
    add,
    cast,
    clamp,
    eq,
    ge,
    isfinite,
    isnan,
    le,
    logical_and,
    logical_or,
    lt,
    mul,
    pow,
    sign,
    sub,
    trunc,
    value_of,
    where,
)
from genesis.functions.table import api, function_only
from genesis.scope import BY_NUMPY
from genesis.tensor import Tensor, from_array, wrap


@api(overwrites=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, of ``x`` limited to ``[eps, 1 - eps]`` where ``eps`` is given."""
    return wrap(o.logit(value_of(input), eps=eps))


@api(overwrites=True)
def frac(input: Tensor) -> Tensor:
    """The part behind the point, with the sign of ``input``."""
    return sub(input, trunc(input))


@api()
def positive(input: Tensor) -> Tensor:
    """``input`` itself; raises OpError for bools."""
    if input.dtype.kind == "bool":
        raise OpError("The `+` operator, on a bool tensor is not supported.")
    return input


@api(inplace=True)
def sgn(input: Tensor) -> Tensor:
    """The same as :func:`sign`."""
    return sign(input)


@api()
def angle(input: Tensor) -> Tensor:
    """Pi of negative numbers, 0 of others; NaN of NaN."""
    floats = mul(input, 1.0)
    return where(lt(floats, 0), math.pi, where(isnan(floats), floats, mul(sign(floats), 0.0)))


@api(overwrites=True)
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return mul(input, math.pi / 180)


@api(overwrites=True)
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return mul(input, 180 / math.pi)


@function_only
def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``other - alpha * input``."""
    return sub(other, mul(input, alpha) if alpha != 1 else input)


@api(overwrites=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Each element limited from below."""
    return clamp(input, min=min)


@api(overwrites=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Each element limited from above."""
    return clamp(input, max=max)


@api()
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger element of each pair, or the one that is not NaN; all gradient goes to ``input`` where they equal."""
    return where(logical_or(ge(input, other), isnan(other)), input, other)


@api()
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller element of each pair, or the one that is not NaN; all gradient goes to ``input`` where they equal."""
    return where(logical_or(le(input, other), isnan(other)), input, other)


@api(inplace=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, 1 above, ``values`` at zero."""
    if input.dtype is not values.dtype:
        raise OpError("heaviside is not yet implemented for tensors with different dtypes.")
    return wrap(o.heaviside(input.value, values.value))


@api(inplace=True)
def float_power(input: float | Tensor, exponent: float | Tensor) -> Tensor:
    """``input ** exponent`` in float64."""
    return pow(*(cast(x, f64) if isinstance(x, Tensor) else float(x) for x in (input, exponent)))


@api(overwrites=True)
def ldexp(input: Tensor, other: Any) -> Tensor:
    """``input * 2 ** other``."""
    return mul(input, pow(2.0, other))


@api()
def frexp(input: Tensor) -> tuple[Tensor, Tensor]:
    """``(mantissa, exponent)`` with ``input = mantissa * 2 ** exponent`` and a mantissa in [0.5, 1); exponents int32.

    Raises OpError for integers.
    """
    if not input.dtype.is_floating_point:
        raise OpError("torch.frexp() only supports floating-point dtypes")
    x = o.abs(o.cast(o.detach(input.value), to=f64))
    plain = o.logical_and(o.gt(x, 0), o.isfinite(x))
    exponent = o.add(o.floor(o.log2(o.where(plain, x, 1))), 1)
    mantissa = o.mul(x, o.pow(2.0, o.neg(exponent)))
    exponent = o.add(exponent, o.sub(o.cast(o.ge(mantissa, 1), to=f64), o.cast(o.lt(mantissa, 0.5), to=f64)))
    exponent = o.where(plain, exponent, 0)
    mantissa = o.mul(o.cast(input.value, to=f64), o.pow(2.0, o.neg(exponent)))
    return wrap(o.cast(mantissa, to=input.dtype)), wrap(o.cast(exponent, to=i32))


@api(overwrites=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """0 for NaN and the largest numbers for infinities, or the numbers that are given."""
    if not input.dtype.is_floating_point:
        return input.clone()
    largest = float(finfo(input.dtype.numpy).max)
    x = where(isnan(input), 0.0 if nan is None else nan, input)
    x = where(isposinf(input), largest if posinf is None else posinf, x)
    return where(isneginf(input), -largest if neginf is None else neginf, x)


@api()
def signbit(input: Tensor) -> Tensor:
    """Whether each element is negative; -0.0 is."""
    return wrap(o.signbit(input.value)) if input.dtype.is_floating_point else lt(input, 0)


@api()
def isposinf(input: Tensor) -> Tensor:
    """Whether each element is positive infinity."""
    return eq(input, math.inf) if input.dtype.is_floating_point else isnan(input)


@api()
def isneginf(input: Tensor) -> Tensor:
    """Whether each element is negative infinity."""
    return eq(input, -math.inf) if input.dtype.is_floating_point else isnan(input)


@api()
def isreal(input: Tensor) -> Tensor:
    """True everywhere: no tensor is complex."""
    return wrap(o.ones(shape=tuple(input.shape), dtype="bool"))


@api()
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|`` for each pair of elements.

    Raises OpError for different dtypes and for negative tolerances.
    """
    if input.dtype is not other.dtype:
        raise OpError(f"{input.dtype!r} did not match {other.dtype!r}")
    if rtol < 0 or atol < 0:
        raise OpError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    close = eq(input, other)
    if equal_nan:
        close = logical_or(close, logical_and(isnan(input), isnan(other)))
    if rtol == 0 and atol == 0:
        return close
    if not input.dtype.is_floating_point:
        input, other = cast(input, f64), cast(other, f64)
    difference = abs(sub(input, other))
    near = le(difference, add(abs(mul(other, rtol)), atol))
    return logical_or(close, logical_and(isfinite(difference), near))


def _shift(op: Op, name: str, beyond: bool) -> Binary:
    """A shift of bits; ``beyond`` the size of the type the sign fills all bits, else zeros do."""

    def function(input: Any, other: Any) -> Tensor:
        x, count = promoted([value_of(input), value_of(other)])
        if x.dtype.kind != "int":
            raise UnsupportedError(f"{name} is not defined for {x.dtype.name} tensors")
        bits = x.dtype.bits
        inside = o.logical_and(o.ge(count, 0), o.lt(count, bits))
        filled = o.cast(o.where(o.lt(x, 0), -1, 0), to=x.dtype) if beyond and x.dtype is not u8 else 0
        return wrap(o.where(inside, op(x, o.where(inside, count, 0)), filled))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``input {'>>' if beyond else '<<'} other`` of integers."
    return api(inplace=True)(function)


bitwise_left_shift = _shift(o.shift_left, "bitwise_left_shift", False)
bitwise_right_shift = _shift(o.shift_right, "bitwise_right_shift", True)


def _on_host(name: str, function: Any, doc: str, kind: str) -> Binary:
    """A function that NumPy computes, not in a compiled step."""

    def call(input: Tensor, other: Tensor) -> Tensor:
        a, b = promoted([input.value, other.value])
        if a.dtype.kind != kind:
            raise UnsupportedError(f"{name} is not defined for {a.dtype.name} tensors")
        broadcast_shapes(a.shape, b.shape)
        return from_array(np.asarray(function(wrap(a)._array(name), wrap(b)._array(name))))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return api(inplace=True, overwrites=kind == "int", eager_only=BY_NUMPY)(call)


gcd = _on_host("gcd", np.gcd, "The greatest common divisor of integers; not in a compiled step.", "int")
lcm = _on_host("lcm", np.lcm, "The least common multiple of integers; not in a compiled step.", "int")
nextafter = _on_host(
    "nextafter", np.nextafter, "The next number from ``input`` towards ``other``; not in a compiled step.", "float"
)
