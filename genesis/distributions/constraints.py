"""Which values a parameter or a sample may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import genesis.functions as fn
from genesis.tensor import Tensor


class Constraint:
    """A set of values. ``event_dim``: how many of the last dimensions belong to one value."""

    def __init__(
        self, text: str, check: Callable[[Tensor], Tensor], event_dim: int = 0, discrete: bool = False
    ) -> None:
        self._text, self._check = text, check
        self.event_dim, self.is_discrete = event_dim, discrete

    def check(self, value: Tensor) -> Tensor:
        """Where ``value`` is in the set, bool; without the last ``event_dim`` dimensions."""
        return self._check(value)

    def __repr__(self) -> str:
        return self._text


def interval(lower: Any, upper: Any) -> Constraint:
    """From ``lower`` to ``upper``, with both."""
    return Constraint(
        f"Interval(lower_bound={_shown(lower)}, upper_bound={_shown(upper)})",
        lambda x: fn.logical_and(fn.ge(x, lower), fn.le(x, upper)),
    )


def greater_than(lower: Any) -> Constraint:
    """Above ``lower``."""
    return Constraint(f"GreaterThan(lower_bound={_shown(lower)})", lambda x: fn.gt(x, lower))


def greater_than_eq(lower: Any) -> Constraint:
    """``lower`` and above."""
    return Constraint(f"GreaterThanEq(lower_bound={_shown(lower)})", lambda x: fn.ge(x, lower))


def integer_interval(lower: int, upper: int) -> Constraint:
    """The integers from ``lower`` to ``upper``, with both."""
    return Constraint(
        f"IntegerInterval(lower_bound={lower}, upper_bound={upper})",
        lambda x: fn.logical_and(fn.eq(fn.floor(x), x), fn.logical_and(fn.ge(x, lower), fn.le(x, upper))),
        discrete=True,
    )


def independent(base: Constraint, dims: int) -> Constraint:
    """``base`` in all elements of the last ``dims`` dimensions."""

    def check(x: Tensor) -> Tensor:
        found = base.check(x)
        for _ in range(dims):
            found = fn.all(found, -1)
        return found

    return Constraint(f"IndependentConstraint({base!r}, {dims})", check, base.event_dim + dims, base.is_discrete)


def _shown(bound: Any) -> str:
    return f"{bound}" if not isinstance(bound, Tensor) or bound.ndim else f"{bound.item()}"


def _is_simplex(x: Tensor) -> Tensor:
    near = fn.lt(fn.abs(fn.sub(fn.sum(x, -1), 1.0)), 1e-6)
    return fn.logical_and(fn.all(fn.ge(x, 0.0), -1), near)


def _is_lower_cholesky(x: Tensor) -> Tensor:
    lower = fn.all(fn.all(fn.eq(fn.tril(x), x), -1), -1)
    return fn.logical_and(lower, fn.all(fn.gt(fn.diagonal(x, dim1=-2, dim2=-1), 0.0), -1))


def _is_symmetric(x: Tensor) -> Tensor:
    """That it is positive too, its decomposition shows."""
    apart = fn.abs(fn.sub(x, fn.transpose(x, -2, -1)))
    return fn.all(fn.all(fn.le(apart, fn.add(fn.mul(fn.abs(x), 1e-5), 1e-6)), -1), -1)


real = Constraint("Real()", lambda x: fn.eq(x, x))
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("Boolean()", lambda x: fn.logical_or(fn.eq(x, 0), fn.eq(x, 1)), discrete=True)
simplex = Constraint("Simplex()", _is_simplex, 1)
lower_cholesky = Constraint("LowerCholesky()", _is_lower_cholesky, 2)
positive_definite = Constraint("PositiveDefinite()", _is_symmetric, 2)
one_hot = Constraint(
    "OneHot()",
    lambda x: fn.logical_and(fn.all(boolean.check(x), -1), fn.eq(fn.sum(x, -1), 1)),
    1,
    True,
)
