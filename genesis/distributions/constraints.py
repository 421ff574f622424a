"""Which values a parameter or a sample may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import genesis.functions as fn
from genesis.tensor import Tensor


class Constraint:
    """A set of values.

    Attributes:
        event_dim: how many of the last dimensions belong to one value.
        is_discrete: whether the values can be counted.
        bounds: the least and the greatest number, as far as there are such.
        base: the constraint of the elements, for vectors and matrices of independent ones.
    """

    def __init__(
        self,
        text: str,
        check: Callable[[Tensor], Tensor],
        event_dim: int = 0,
        discrete: bool = False,
        bounds: tuple[Any, Any] = (None, None),
        base: Constraint | None = None,
    ) -> None:
        self._text, self._check = text, check
        self.event_dim, self.is_discrete = event_dim, discrete
        self.bounds, self.base = bounds, base

    def check(self, value: Tensor) -> Tensor:
        """Whether ``value`` is in the set, bool; without the last ``event_dim`` dimensions."""
        return self._check(value)

    def __repr__(self) -> str:
        return self._text


def interval(lower: Any, upper: Any) -> Constraint:
    """From ``lower`` to ``upper``, with both."""
    return Constraint(
        f"Interval(lower_bound={_shown(lower)}, upper_bound={_shown(upper)})",
        lambda x: fn.logical_and(fn.ge(x, lower), fn.le(x, upper)),
        bounds=(lower, upper),
    )


def half_open_interval(lower: Any, upper: Any) -> Constraint:
    """From ``lower``, with it, to below ``upper``."""
    return Constraint(
        f"HalfOpenInterval(lower_bound={_shown(lower)}, upper_bound={_shown(upper)})",
        lambda x: fn.logical_and(fn.ge(x, lower), fn.lt(x, upper)),
        bounds=(lower, upper),
    )


def less_than(upper: Any) -> Constraint:
    """Below ``upper``."""
    return Constraint(f"LessThan(upper_bound={_shown(upper)})", lambda x: fn.lt(x, upper), bounds=(None, upper))


def greater_than(lower: Any) -> Constraint:
    """Above ``lower``."""
    return Constraint(f"GreaterThan(lower_bound={_shown(lower)})", lambda x: fn.gt(x, lower), bounds=(lower, None))


def greater_than_eq(lower: Any) -> Constraint:
    """``lower`` and above."""
    return Constraint(f"GreaterThanEq(lower_bound={_shown(lower)})", lambda x: fn.ge(x, lower), bounds=(lower, None))


def integer_interval(lower: int, upper: Any) -> Constraint:
    """The integers from ``lower`` to ``upper``, with both."""
    return Constraint(
        f"IntegerInterval(lower_bound={lower}, upper_bound={_shown(upper)})",
        lambda x: fn.logical_and(fn.eq(fn.floor(x), x), fn.logical_and(fn.ge(x, lower), fn.le(x, upper))),
        discrete=True,
        bounds=(lower, upper),
    )


def multinomial(upper: int) -> Constraint:
    """Counts ``[*, K]`` that sum to ``upper`` at most."""

    def check(x: Tensor) -> Tensor:
        return fn.logical_and(fn.all(fn.ge(x, 0), -1), fn.le(fn.sum(x, -1), upper))

    return Constraint(f"Multinomial(upper_bound={upper})", check, 1, True)


def independent(base: Constraint, dims: int) -> Constraint:
    """``base`` in all elements of the last ``dims`` dimensions."""

    def check(x: Tensor) -> Tensor:
        found = base.check(x)
        for _ in range(dims):
            found = fn.all(found, -1)
        return found

    text = f"IndependentConstraint({base!r}, {dims})"
    return Constraint(text, check, base.event_dim + dims, base.is_discrete, base=base)


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


def _is_whole(x: Tensor, lower: int) -> Tensor:
    return fn.logical_and(fn.eq(fn.floor(x), x), fn.ge(x, lower))


def _is_corr_cholesky(x: Tensor) -> Tensor:
    near = float(np.finfo(x.dtype.numpy).eps) * x.shape[-1] * 10
    unit = fn.le(fn.abs(fn.sub(fn.norm(x, 2, -1), 1.0)), near)
    return fn.logical_and(_is_lower_cholesky(x), fn.all(unit, -1))


def cat(cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> Constraint:
    """The constraints ``cseq`` of parts along ``dim``, of ``lengths`` or 1 each."""
    sizes = [1] * len(cseq) if lengths is None else list(lengths)

    def check(x: Tensor) -> Tensor:
        return fn.cat([c.check(part) for c, part in zip(cseq, x.split(sizes, dim), strict=True)], dim)

    return _several("cat", cseq, check)


def stack(cseq: Sequence[Constraint], dim: int = 0) -> Constraint:
    """The constraints ``cseq`` of slices along ``dim``."""

    def check(x: Tensor) -> Tensor:
        return fn.stack([c.check(part) for c, part in zip(cseq, x.unbind(dim), strict=True)], dim)

    return _several("stack", cseq, check, int(dim + max(c.event_dim for c in cseq) >= 0 > dim))


def _several(name: str, cseq: Sequence[Constraint], check: Callable[[Tensor], Tensor], more: int = 0) -> Constraint:
    dims = max(c.event_dim for c in cseq) + more
    return Constraint(f"{name}({list(cseq)})", check, dims, any(c.is_discrete for c in cseq))


def is_dependent(constraint: Constraint) -> bool:
    """Whether the constraint depends on other parameters, and so is not checked."""
    return constraint is dependent


def _everywhere(x: Tensor) -> Tensor:
    return fn.ones_like(x, dtype="bool")


dependent = Constraint("Dependent()", _everywhere)
real = Constraint("Real()", lambda x: fn.eq(x, x))
nonnegative_integer = Constraint("IntegerGreaterThan(lower_bound=0)", lambda x: _is_whole(x, 0), discrete=True)
positive_integer = Constraint("IntegerGreaterThan(lower_bound=1)", lambda x: _is_whole(x, 1), discrete=True)
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("Boolean()", lambda x: fn.logical_or(fn.eq(x, 0), fn.eq(x, 1)), discrete=True)
simplex = Constraint("Simplex()", _is_simplex, 1)
lower_cholesky = Constraint("LowerCholesky()", _is_lower_cholesky, 2)
lower_triangular = Constraint("LowerTriangular()", lambda x: fn.all(fn.all(fn.eq(fn.tril(x), x), -1), -1), 2)
symmetric = Constraint("Symmetric()", _is_symmetric, 2)
positive_definite = Constraint("PositiveDefinite()", _is_symmetric, 2)
one_hot = Constraint(
    "OneHot()",
    lambda x: fn.logical_and(fn.all(boolean.check(x), -1), fn.eq(fn.sum(x, -1), 1)),
    1,
    True,
)

corr_cholesky = Constraint("CorrCholesky()", _is_corr_cholesky, 2)
square = Constraint("Square()", lambda x: fn.ones(x.shape[:-2], dtype="bool"), 2)
positive_semidefinite = Constraint("PositiveSemidefinite()", _is_symmetric, 2)


class dependent_property(property):
    """A property of a distribution that gives its constraint; used as ``@dependent_property`` or with arguments."""

    def __init__(self, fn: Any = None, *, is_discrete: Any = None, event_dim: Any = None) -> None:
        super().__init__(fn)

    def __call__(self, fn: Callable[[Any], Any]) -> dependent_property:
        return type(self)(fn)
