"""Special functions. They compute in float64, whatever the dtype of their operand.

Some of them have their names in ``genesis.special`` only.
"""

from __future__ import annotations

import math
from typing import Any

from compiler.errors import OpError
from compiler.ir.op import Op, o
from genesis.functions.calls import checked
from genesis.functions.pointwise import Unary, add, lgamma, sub, value_of
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
