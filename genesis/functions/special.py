"""Special functions. They compute in float64, whatever the dtype of their operand.

Some of them have their names in ``genesis.special`` only.
"""

from __future__ import annotations

import math
from typing import Any

from compiler.errors import OpError
from compiler.ir.op import Op, o
from compiler.ir.types import defaults, f64
from compiler.ops.elementwise import promoted
from genesis.functions.calls import checked
from genesis.functions.pointwise import (
    Unary,
    add,
    eq,
    floor,
    gt,
    le,
    lgamma,
    logical_and,
    logical_not,
    logical_or,
    mul,
    neg,
    pow,
    sinc,
    sub,
    value_of,
    where,
)
from genesis.functions.table import api
from genesis.tensor import Tensor, wrap


@api(inplace=True)
def digamma(input: Tensor) -> Tensor:
    """The derivative of the logarithm of the gamma function."""
    return wrap(o.polygamma(value_of(input), n=0))


def _order(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise OpError(f"polygamma: n must be an integer, not {n!r}")
    return n


@api(method=False)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`; raises OpError for a negative ``n``."""
    return wrap(o.polygamma(value_of(input), n=_order(n)))


@api(function=False, inplace=True, name="polygamma")
def _polygamma_method(input: Tensor, n: int) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`; raises OpError for a negative ``n``."""
    return wrap(o.polygamma(value_of(input), n=_order(n)))


@api(inplace=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``, for elements above ``(p - 1) / 2``."""
    if p < 1:
        raise OpError(f"p has to be greater than or equal to 1, but got {p}")
    total = lgamma(input)
    for j in range(1, p):
        total = add(total, lgamma(sub(input, j / 2)))
    return add(total, p * (p - 1) / 4 * math.log(math.pi))


def _special_only(op: Op) -> Unary:
    def function(input: Any) -> Tensor:
        return wrap(op(value_of(input)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"``{op.name}`` of each element; integers count as float32."
    return checked(function)


erfcx = _special_only(o.erfcx)
ndtr = _special_only(o.ndtr)
ndtri = _special_only(o.ndtri)
log_ndtr = _special_only(o.log_ndtr)
i0e = _special_only(o.i0e)
i1 = _special_only(o.i1)
i1e = _special_only(o.i1e)
entr = _special_only(o.entr)


@checked
def xlog1py(input: Any, other: Any) -> Tensor:
    """``input * log(1 + other)``, 0 where ``input`` is 0 and ``other`` no NaN."""
    return wrap(o.xlog1py(value_of(input), value_of(other)))


@checked
def spherical_bessel_j0(input: Any) -> Tensor:
    """``sin(x) / x``, 1 at 0."""
    return sinc(mul(input, 1 / math.pi))


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_DIRECT = 9


@checked
def zeta(input: Any, other: Any) -> Tensor:
    """``sum((k + other) ** -input)`` over ``k = 0, 1, ...`` for ``input > 1``; the two broadcast.

    By the sum of nine terms and the Euler-Maclaurin formula for the others (NIST Digital Library of Mathematical
    Functions, 25.11.5). NaN for ``input < 1``, and inf at the poles: ``input = 1``, and ``other = 0, -1, ...``.
    """
    a, b = promoted([value_of(input), value_of(other)])
    kind = a.dtype if a.dtype.is_floating_point else defaults.float
    s, q = (wrap(o.cast(x, to=f64)) for x in (a, b))
    pole = logical_and(le(q, 0), eq(floor(q), q))
    inside = logical_and(gt(s, 1), logical_or(gt(q, 0), logical_and(eq(floor(s), s), logical_not(pole))))
    power, start = where(inside, s, 2.0), where(inside, q, 1.0)
    total = sum([pow(add(start, k), neg(power)) for k in range(1, _DIRECT)], pow(start, neg(power)))
    rest = add(start, _DIRECT)
    last = pow(rest, neg(power))
    total = total + last * (rest / (power - 1) + 0.5)
    factor, scale = power / rest, 2.0
    for j, number in enumerate(_BERNOULLI):
        total = total + last * factor * (number / scale)
        factor = factor * ((power + 2 * j + 1) / rest) * ((power + 2 * j + 2) / rest)
        scale *= (2 * j + 3) * (2 * j + 4)
    infinite = logical_or(eq(s, 1), logical_and(gt(s, 1), pole))
    found = where(inside, total, where(infinite, math.inf, math.nan))
    return wrap(o.cast(found.value, to=kind))
