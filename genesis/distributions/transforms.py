"""Differentiable bijections."""

from __future__ import annotations

import genesis.functions as fn
import genesis.nn.functional as F
from genesis.distributions.constraints import Constraint, greater_than, interval, real
from genesis.tensor import Tensor


class Transform:
    """A differentiable bijection of each element."""

    codomain: Constraint = real

    def __call__(self, x: Tensor) -> Tensor:
        """``y``."""
        raise NotImplementedError

    def inv(self, y: Tensor) -> Tensor:
        """``x``."""
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """``log |dy / dx|``."""
        raise NotImplementedError


class ExpTransform(Transform):
    """``exp(x)``."""

    codomain = greater_than(0.0)

    def __call__(self, x: Tensor) -> Tensor:
        return fn.exp(x)

    def inv(self, y: Tensor) -> Tensor:
        return fn.log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class AffineTransform(Transform):
    """``loc + scale * x``."""

    def __init__(self, loc: Tensor | float, scale: Tensor | float) -> None:
        self.loc, self.scale = loc, scale

    def __call__(self, x: Tensor) -> Tensor:
        return fn.add(fn.mul(x, self.scale), self.loc)

    def inv(self, y: Tensor) -> Tensor:
        return fn.div(fn.sub(y, self.loc), self.scale)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return fn.log(fn.abs(fn.mul(fn.ones_like(x), self.scale)))


class SigmoidTransform(Transform):
    """``1 / (1 + exp(-x))``."""

    codomain = interval(0.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        return fn.sigmoid(x)

    def inv(self, y: Tensor) -> Tensor:
        return fn.sub(fn.log(y), fn.log1p(fn.neg(y)))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return fn.neg(fn.add(F.softplus(fn.neg(x)), F.softplus(x)))


class TanhTransform(Transform):
    """``tanh(x)``."""

    codomain = interval(-1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        return fn.tanh(x)

    def inv(self, y: Tensor) -> Tensor:
        return fn.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return fn.mul(fn.sub(fn.sub(0.6931471805599453, x), F.softplus(fn.mul(x, -2.0))), 2.0)
