"""Differentiable maps with inverses: what they have in common, and those made of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from compiler.errors import ChoiceError, UndefinedError
from genesis.distributions.constraints import Constraint, independent
from genesis.distributions.distribution import sum_last
from genesis.tensor import Tensor


class Transform:
    """A differentiable map. A subclass has ``_call``, ``_inverse`` and ``log_abs_det_jacobian``.

    Attributes:
        domain: the values that it takes, with the number of dimensions that belong to one.
        codomain: the values that it gives.
        bijective: whether each of these is the image of one value.
        sign: 1 for a rising map of numbers, -1 for a falling one.

    ``cache_size=1`` keeps the last pair, so that the inverse of what was just computed is exactly where it came from.
    """

    domain: Constraint = constraints.real
    codomain: Constraint = constraints.real
    bijective: bool = False

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ChoiceError(f"cache_size must be 0 or 1, not {cache_size}")
        self._cache_size = cache_size
        self._pair: tuple[Tensor | None, Tensor | None] = None, None

    @property
    def sign(self) -> Any:
        """1 for a rising map of numbers, -1 for a falling one."""
        raise self._lacks("sign")

    @property
    def inv(self) -> Transform:
        """The inverse."""
        return _Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        """``y``."""
        known, y = self._pair
        if y is None or x is not known:
            y = self._keep(x, self._call(x))[1]
        return y

    def invert(self, y: Tensor) -> Tensor:
        """``x``."""
        x, known = self._pair
        if x is None or y is not known:
            x = self._keep(self._inverse(y), y)[0]
        return x

    def _keep(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if self._cache_size:
            self._pair = x, y
        return x, y

    def _lacks(self, what: str) -> UndefinedError:
        return UndefinedError(f"{type(self).__name__} does not implement {what}")

    def _call(self, x: Tensor) -> Tensor:
        raise self._lacks("_call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise self._lacks("_inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log |dy / dx|``, without the dimensions of one value."""
        raise self._lacks("log_abs_det_jacobian")

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of ``y`` for an ``x`` of ``shape``."""
        return tuple(shape)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of ``x`` for a ``y`` of ``shape``."""
        return tuple(shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """A transform the other way."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform
        self.domain, self.codomain = transform.codomain, transform.domain
        self.bijective = transform.bijective

    @property
    def sign(self) -> Any:
        return self._inv.sign

    @property
    def inv(self) -> Transform:
        return self._inv

    def _call(self, x: Tensor) -> Tensor:
        return self._inv.invert(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self._inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return self._inv.forward_shape(shape)


class IndependentTransform(Transform):
    """``base_transform`` with ``reinterpreted_batch_ndims`` more dimensions that belong to one value."""

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.domain = independent(base_transform.domain, reinterpreted_batch_ndims)
        self.codomain = independent(base_transform.codomain, reinterpreted_batch_ndims)
        self.bijective = base_transform.bijective

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.invert(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_last(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return self.base_transform.inverse_shape(shape)


class ComposeTransform(Transform):
    """``parts``, one after the other."""

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        if self.parts:
            self.domain = _with_dims(self.parts[0].domain, _dims(self.parts))
            self.codomain = _with_dims(self.parts[-1].codomain, _dims([p.inv for p in reversed(self.parts)]))
        self.bijective = all(p.bijective for p in self.parts)

    @property
    def sign(self) -> Any:
        sign: Any = 1
        for part in self.parts:
            sign = sign * part.sign
        return sign

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.invert(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        total: Tensor | None = None
        dims = self.domain.event_dim
        for part in self.parts:
            after = part(x)
            term = sum_last(part.log_abs_det_jacobian(x, after), dims - part.domain.event_dim)
            dims += part.codomain.event_dim - part.domain.event_dim
            total, x = term if total is None else total + term, after
        return fn.zeros_like(x) if total is None else total

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return tuple(shape)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return tuple(shape)

    def __repr__(self) -> str:
        return f"ComposeTransform([{', '.join(map(repr, self.parts))}])"


def _dims(parts: Sequence[Transform]) -> int:
    """How many dimensions belong to one value that goes through ``parts``."""
    dims = parts[-1].codomain.event_dim
    for part in reversed(parts):
        dims = max(dims + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
    return dims


def _with_dims(constraint: Constraint, dims: int) -> Constraint:
    return independent(constraint, dims - constraint.event_dim) if dims > constraint.event_dim else constraint


identity_transform = ComposeTransform([])
