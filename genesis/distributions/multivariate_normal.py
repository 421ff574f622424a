"""The normal distribution of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi
from typing import ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from compiler.errors import ChoiceError
from compiler.ops.elementwise import broadcast_shapes
from genesis.distributions.distribution import Symmetric
from genesis.distributions.triangles import cholesky, solve_lower
from genesis.tensor import Tensor


class MultivariateNormal(Symmetric):
    """Vectors ``[n]`` with mean ``loc`` and one of covariance, its inverse, or the covariance's Cholesky factor.

    The factor is computed column by column, in ops that compile and have gradients.
    """

    has_rsample = True
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ChoiceError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        found = [(k, v) for k, v in given.items() if v is not None]
        if len(found) != 1:
            raise ChoiceError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = found
        if matrix.ndim < 2:
            raise ChoiceError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(*batch, loc.shape[-1])
        self.__dict__[name] = matrix.expand(*batch, *matrix.shape[-2:])
        super().__init__(batch, loc.shape[-1:], validate_args)

    @property
    def _lower(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        found = self.__dict__
        if "scale_tril" in found:
            return found["scale_tril"]
        if "covariance_matrix" in found:
            return cholesky(found["covariance_matrix"])
        precision = found["precision_matrix"]
        flipped = fn.flip(cholesky(fn.flip(precision, (-2, -1))), (-2, -1))
        identity = fn.eye(precision.shape[-1], dtype=precision.dtype)
        return solve_lower(fn.transpose(flipped, -2, -1), identity.expand(*precision.shape))

    def __getattr__(self, name: str) -> Tensor:
        if name == "scale_tril":
            return self._lower
        if name == "covariance_matrix":
            lower = self._lower
            return fn.matmul(lower, fn.transpose(lower, -2, -1))
        if name == "precision_matrix":
            lower = self._lower
            inverse = solve_lower(lower, fn.eye(lower.shape[-1], dtype=lower.dtype).expand(*lower.shape))
            return fn.matmul(fn.transpose(inverse, -2, -1), inverse)
        raise AttributeError(name)

    @property
    def variance(self) -> Tensor:
        return fn.sum(fn.square(self._lower), -1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        noise = fn.randn(*self._extended(sample_shape), 1, dtype=self.loc.dtype)
        return fn.add(self.loc, fn.squeeze(fn.matmul(self._lower, noise), -1))

    @property
    def columns(self) -> Tensor:
        """A matrix whose product with its transpose is the covariance."""
        return self._lower

    def square_of(self, apart: Tensor) -> Tensor:
        """``apartᵀ precision apart`` of columns ``[*, n, m]``, added up over these."""
        return fn.sum(fn.square(solve_lower(self._lower, apart)), (-2, -1))

    @property
    def log_det(self) -> Tensor:
        """The logarithm of the determinant of the covariance."""
        return fn.mul(self._half_log_det(self._lower), 2.0)

    def _half_log_det(self, lower: Tensor) -> Tensor:
        return fn.sum(fn.log(fn.diagonal(lower, dim1=-2, dim2=-1)), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        lower = self._lower
        apart = solve_lower(lower, fn.unsqueeze(fn.sub(value, self.loc), -1))
        square = fn.sum(fn.square(fn.squeeze(apart, -1)), -1)
        return fn.sub(fn.mul(fn.add(square, self._event_shape[0] * log(2 * pi)), -0.5), self._half_log_det(lower))

    def entropy(self) -> Tensor:
        half = self._half_log_det(self._lower)
        return fn.add(half, 0.5 * self._event_shape[0] * (1 + log(2 * pi)))


class LowRankMultivariateNormal(Symmetric):
    """Vectors ``[n]`` with mean ``loc`` and covariance ``cov_factor cov_factorᵀ + diag(cov_diag)``.

    The factor is ``[n, r]``. By the formulas of Woodbury and of Sylvester only matrices ``[r, r]`` are decomposed.
    """

    has_rsample = True
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.ndim < 1:
            raise ChoiceError("loc must be at least one-dimensional.")
        size = loc.shape[-1]
        if cov_factor.ndim < 2 or cov_factor.shape[-2] != size:
            raise ChoiceError(f"cov_factor must be a batch of matrices with shape {size} x m")
        if cov_diag.shape[-1:] != (size,):
            raise ChoiceError(f"cov_diag must be a batch of vectors with shape {(size,)}")
        batch = broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        self.loc = loc.expand(*batch, size)
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(*batch, size)
        super().__init__(batch, (size,), validate_args)

    @property
    def _scaled(self) -> Tensor:
        """The factor divided by the variances of the diagonal."""
        return fn.div(self.cov_factor, fn.unsqueeze(self.cov_diag, -1))

    @property
    def _capacitance(self) -> Tensor:
        """The Cholesky factor of ``1 + cov_factorᵀ diag(1 / cov_diag) cov_factor``."""
        one = fn.eye(self.cov_factor.shape[-1], dtype=self.loc.dtype)
        return cholesky(fn.add(fn.matmul(self.cov_factor.mT, self._scaled), one))

    @property
    def variance(self) -> Tensor:
        return fn.add(fn.sum(fn.square(self.cov_factor), -1), self.cov_diag)

    @property
    def columns(self) -> Tensor:
        """A matrix whose product with its transpose is the covariance."""
        return fn.cat([self.cov_factor, fn.diag_embed(fn.sqrt(self.cov_diag))], -1)

    @property
    def covariance_matrix(self) -> Tensor:
        """``[*, n, n]``."""
        return fn.add(fn.matmul(self.cov_factor, self.cov_factor.mT), fn.diag_embed(self.cov_diag))

    @property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of :attr:`covariance_matrix`."""
        return cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of :attr:`covariance_matrix`."""
        inner = solve_lower(self._capacitance, self._scaled.mT)
        return fn.sub(fn.diag_embed(fn.reciprocal(self.cov_diag)), fn.matmul(inner.mT, inner))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended(sample_shape)
        few = fn.randn(*shape[:-1], self.cov_factor.shape[-1], 1, dtype=self.loc.dtype)
        own = fn.mul(fn.sqrt(self.cov_diag), fn.randn(*shape, dtype=self.loc.dtype))
        return fn.add(fn.add(self.loc, fn.squeeze(fn.matmul(self.cov_factor, few), -1)), own)

    def square_of(self, apart: Tensor) -> Tensor:
        """``apartᵀ precision apart`` of columns ``[*, n, m]``, added up over these."""
        inner = solve_lower(self._capacitance, fn.matmul(self._scaled.mT, apart))
        plain = fn.div(fn.square(apart), fn.unsqueeze(self.cov_diag, -1))
        return fn.sub(fn.sum(plain, (-2, -1)), fn.sum(fn.square(inner), (-2, -1)))

    @property
    def log_det(self) -> Tensor:
        """The logarithm of the determinant of the covariance."""
        diagonal = fn.diagonal(self._capacitance, dim1=-2, dim2=-1)
        return fn.add(fn.mul(fn.sum(fn.log(diagonal), -1), 2.0), fn.sum(fn.log(self.cov_diag), -1))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        square = self.square_of(fn.unsqueeze(fn.sub(value, self.loc), -1))
        return fn.mul(fn.add(fn.add(square, self.log_det), self._event_shape[0] * log(2 * pi)), -0.5)

    def entropy(self) -> Tensor:
        return fn.mul(fn.add(self.log_det, self._event_shape[0] * (1 + log(2 * pi))), 0.5)
