"""Differentiable maps with inverses, and which of them gives values within a constraint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt, log, prod
from typing import Any

import numpy as np

import genesis.distributions.constraints as constraints
import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError, UndefinedError
from genesis.distributions.constraints import Constraint, independent
from genesis.distributions.distribution import Distribution, sum_last
from genesis.distributions.transform import ComposeTransform as ComposeTransform
from genesis.distributions.transform import IndependentTransform as IndependentTransform
from genesis.distributions.transform import Transform as Transform
from genesis.distributions.transform import identity_transform as identity_transform
from genesis.distributions.triangles import cholesky
from genesis.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix
from genesis.tensor import Tensor


class _Rising(Transform):
    bijective = True

    @property
    def sign(self) -> Any:
        return 1


class ExpTransform(_Rising):
    """``exp(x)``."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """``x ** exponent`` of positive numbers."""

    domain = codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        return self.exponent.sign() if isinstance(self.exponent, Tensor) else int(np.sign(self.exponent))

    def _call(self, x: Tensor) -> Tensor:
        return x**self.exponent

    def _inverse(self, y: Tensor) -> Tensor:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()


class AffineTransform(Transform):
    """``loc + scale * x``; ``event_dim`` dimensions belong to one value."""

    bijective = True

    def __init__(self, loc: Tensor | float, scale: Tensor | float, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim
        self.domain = self.codomain = independent(constraints.real, event_dim) if event_dim else constraints.real

    @property
    def sign(self) -> Any:
        return self.scale.sign() if isinstance(self.scale, Tensor) else int(np.sign(self.scale))

    def _call(self, x: Tensor) -> Tensor:
        return x * self.scale + self.loc

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_last((fn.ones_like(x) * self.scale).abs().log(), self._event_dim)


class SigmoidTransform(_Rising):
    """``1 / (1 + exp(-x))``."""

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x) - F.softplus(x)


class TanhTransform(_Rising):
    """``tanh(x)``."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (log(2.0) - x - F.softplus(x * -2.0)) * 2.0


class SoftplusTransform(_Rising):
    """``log(1 + exp(x))``."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return F.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-fn.expm1(-y)).log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x)


class AbsTransform(Transform):
    """``|x|``; the inverse gives the positive number."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class CumulativeDistributionTransform(_Rising):
    """The distribution function of ``distribution``."""

    codomain = constraints.unit_interval

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution, self.domain = distribution, distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


class SoftmaxTransform(Transform):
    """Softmax of the last dimension; the inverse gives logarithms."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return fn.softmax(x, -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """``[*, K - 1]`` real numbers as ``[*, K]`` shares: each a part of what those before it left."""

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    @staticmethod
    def _offset(x: Tensor) -> Tensor:
        """The logarithm of how many shares follow."""
        return fn.arange(x.shape[-1], 0, -1, dtype=x.dtype).log()

    def _call(self, x: Tensor) -> Tensor:
        z = (x - self._offset(x)).sigmoid()
        left = (1 - z).cumprod(-1)
        return F.pad(z, (0, 1), value=1) * F.pad(left, (1, 0), value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        first = y[..., :-1]
        left = (1 - first.cumsum(-1)).clamp(min=float(np.finfo(y.dtype.numpy).tiny))
        return first.log() - left.log() + self._offset(first)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._offset(x)
        return (F.logsigmoid(x) - x + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """Square matrices as lower triangular ones with a positive diagonal."""

    domain = independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + fn.diag_embed(fn.diagonal(x, dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + fn.diag_embed(fn.diagonal(y, dim1=-2, dim2=-1).log())


class ReshapeTransform(Transform):
    """Values of shape ``in_shape`` in shape ``out_shape``."""

    bijective = True

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0) -> None:
        if prod(in_shape) != prod(out_shape):
            raise ChoiceError(f"in_shape {tuple(in_shape)} and out_shape {tuple(out_shape)} differ in numel")
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        self.domain = independent(constraints.real, len(in_shape))
        self.codomain = independent(constraints.real, len(out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return fn.zeros(*x.shape[: x.ndim - len(self.in_shape)], dtype=x.dtype)

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape[: len(shape) - len(self.in_shape)], *self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape[: len(shape) - len(self.out_shape)], *self.in_shape)


class PositiveDefiniteTransform(Transform):
    """Square matrices as positive definite ones: the product of :class:`LowerCholeskyTransform` with its transpose."""

    domain = independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        lower = LowerCholeskyTransform()(x)
        return fn.matmul(lower, fn.transpose(lower, -2, -1))

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().invert(cholesky(y))


class CorrCholeskyTransform(Transform):
    """``[*, D (D - 1) / 2]`` real numbers as the Cholesky factor ``[*, D, D]`` of a matrix of correlations.

    The rows below the diagonal are signed shares of a unit vector: each what ``tanh`` takes of the rest (Stan Reference
    Manual, "Cholesky factors of correlation matrices").
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        most = 1 - float(np.finfo(x.dtype.numpy).eps)
        r = vec_to_tril_matrix(x.tanh().clamp(-most, most), -1)
        left = (1 - r * r).sqrt().cumprod(-1)
        return (r + fn.eye(r.shape[-1], dtype=r.dtype)) * F.pad(left[..., :-1], (1, 0), value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = F.pad((1 - (y * y).cumsum(-1))[..., :-1], (1, 0), value=1)
        return (tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()).atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), -2)
        return 0.5 * left.log().sum(-1) - 2 * (x + F.softplus(x * -2.0) - log(2.0)).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        size = (1 + isqrt(1 + 8 * shape[-1])) // 2
        if size * (size - 1) // 2 != shape[-1]:
            raise ChoiceError(f"Input is not a flattened lower-diagonal number: {shape[-1]}")
        return (*shape[:-1], size, size)

    def inverse_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        if shape[-2] != shape[-1]:
            raise ChoiceError(f"Input is not square: {tuple(shape)}")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


class CatTransform(Transform):
    """The transforms ``tseq`` of parts along ``dim``, of ``lengths`` or 1 each."""

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise ChoiceError(f"{len(self.transforms)} transforms and {len(self.lengths)} lengths")
        self.domain = constraints.cat([t.domain for t in self.transforms], dim, self.lengths)
        self.codomain = constraints.cat([t.codomain for t in self.transforms], dim, self.lengths)
        self.bijective = all(t.bijective for t in self.transforms)

    def _parts(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        return list(zip(*(x.split(self.lengths, self.dim) for x in tensors), strict=True))

    def _call(self, x: Tensor) -> Tensor:
        return fn.cat([t(part) for t, (part,) in zip(self.transforms, self._parts(x), strict=True)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.cat([t.invert(part) for t, (part,) in zip(self.transforms, self._parts(y), strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        dims = max(t.domain.event_dim for t in self.transforms)
        terms = [
            sum_last(t.log_abs_det_jacobian(*pair), dims - t.domain.event_dim)
            for t, pair in zip(self.transforms, self._parts(x, y), strict=True)
        ]
        axis = (self.dim - x.ndim if self.dim >= 0 else self.dim) + dims
        return fn.cat(terms, axis) if axis < 0 else sum(terms[1:], terms[0])


class StackTransform(Transform):
    """The transforms of slices along ``dim``, one each."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.domain = constraints.stack([t.domain for t in self.transforms], dim)
        self.codomain = constraints.stack([t.codomain for t in self.transforms], dim)
        self.bijective = all(t.bijective for t in self.transforms)

    def _slices(self, x: Tensor) -> list[tuple[Transform, Tensor]]:
        return list(zip(self.transforms, x.unbind(self.dim), strict=True))

    def _call(self, x: Tensor) -> Tensor:
        return fn.stack([t(part) for t, part in self._slices(x)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        return fn.stack([t.invert(part) for t, part in self._slices(y)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self._slices(x), y.unbind(self.dim), strict=True)
        return fn.stack([t.log_abs_det_jacobian(a, b) for (t, a), b in pairs], self.dim)


def transform_to(constraint: Constraint) -> Transform:
    """A transform of real numbers to what meets ``constraint``; PyTorch's choice."""
    return _chosen(constraint, _TO, "transform_to", transform_to)


def biject_to(constraint: Constraint) -> Transform:
    """A bijective transform of real numbers to what meets ``constraint``; PyTorch's choice."""
    return _chosen(constraint, _BIJECTIVE, "biject_to", biject_to)


def _chosen(
    constraint: Constraint,
    known: dict[Constraint, Callable[[], Transform]],
    name: str,
    inner: Callable[[Constraint], Transform],
) -> Transform:
    if constraint in known:
        return known[constraint]()
    if constraint.base is not None:
        return IndependentTransform(inner(constraint.base), constraint.event_dim - constraint.base.event_dim)
    lower, upper = constraint.bounds
    if not constraint.is_discrete and lower is not None and upper is not None:
        unit = SigmoidTransform()
        is_unit = not isinstance(lower, Tensor) and (lower, upper) == (0, 1)
        return unit if is_unit else ComposeTransform([unit, AffineTransform(lower, upper - lower)])
    if not constraint.is_discrete and lower is not None:
        is_zero = not isinstance(lower, Tensor) and lower == 0
        return ExpTransform() if is_zero else ComposeTransform([ExpTransform(), AffineTransform(lower, 1)])
    if not constraint.is_discrete and upper is not None:
        return ComposeTransform([ExpTransform(), AffineTransform(upper, -1)])
    raise UndefinedError(f"{name}: no transform gives values of {constraint!r}")


def _identity() -> Transform:
    return identity_transform


_TO: dict[Constraint, Callable[[], Transform]] = {
    constraints.real: _identity,
    constraints.simplex: SoftmaxTransform,
    constraints.lower_cholesky: LowerCholeskyTransform,
    constraints.positive_definite: PositiveDefiniteTransform,
    constraints.positive_semidefinite: PositiveDefiniteTransform,
    constraints.corr_cholesky: CorrCholeskyTransform,
}
_BIJECTIVE: dict[Constraint, Callable[[], Transform]] = {
    **_TO,
    constraints.simplex: StickBreakingTransform,
}
