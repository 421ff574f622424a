"""Distributions of matrices: of covariances, and of the Cholesky factors of correlations."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi
from typing import Any, ClassVar

import numpy as np

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from compiler.errors import ChoiceError
from compiler.ops.elementwise import broadcast_shapes
from genesis.context import current_recording
from genesis.distributions.distribution import Distribution, broadcast
from genesis.distributions.gammas import Beta, Chi2
from genesis.distributions.triangles import cholesky, solve_lower
from genesis.tensor import Tensor


def _log_diagonal(lower: Tensor) -> Tensor:
    """Half of the logarithm of the determinant of ``lower lowerᵀ``."""
    return fn.log(fn.diagonal(lower, dim1=-2, dim2=-1)).sum(-1)


class Wishart(Distribution):
    """Sums of ``df`` products ``x xᵀ`` of normal vectors ``[n]`` with a covariance, its inverse, or its factor.

    Samples by Bartlett's decomposition (Smith and Hocking, "Wishart variate generator", 1972), of any ``df > n - 1``.
    """

    has_rsample = True
    arg_constraints: ClassVar = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.positive,
    }
    support = constraints.positive_definite

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        found = [x for x in (covariance_matrix, precision_matrix, scale_tril) if x is not None]
        if len(found) != 1:
            raise ChoiceError("Expected only one of covariance_matrix or precision_matrix or scale_tril.")
        (matrix,) = found
        if matrix.ndim < 2:
            raise ChoiceError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        given = df if isinstance(df, Tensor) else fn.full((), df, dtype=matrix.dtype)
        batch, size = broadcast_shapes(matrix.shape[:-2], given.shape), matrix.shape[-1]
        self.df = given.expand(*batch)
        if current_recording() is None and bool((self.df.detach() <= size - 1).any()):
            raise ChoiceError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        if precision_matrix is not None:
            flipped = fn.flip(cholesky(fn.flip(precision_matrix, (-2, -1))), (-2, -1))
            one = fn.eye(size, dtype=matrix.dtype).expand(*matrix.shape)
            lower = solve_lower(fn.transpose(flipped, -2, -1), one)
        else:
            lower = matrix if covariance_matrix is None else cholesky(matrix)
        self.scale_tril = lower.expand(*batch, size, size)
        covariance = fn.matmul(lower, lower.mT) if covariance_matrix is None else covariance_matrix
        self.covariance_matrix = covariance.expand(*batch, size, size)
        super().__init__(batch, matrix.shape[-2:], validate_args)

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        one = fn.eye(self.event_shape[-1], dtype=self.df.dtype).expand(*self.scale_tril.shape)
        inverse = solve_lower(self.scale_tril, one)
        return fn.matmul(inverse.mT, inverse)

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.event_shape[-1] - 1
        return fn.where(factor <= 0, float("nan"), factor)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        own = fn.diagonal(v, dim1=-2, dim2=-1)
        return self.df[..., None, None] * (v * v + own.unsqueeze(-1) * own.unsqueeze(-2))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        size = self.event_shape[-1]
        each = self.df.unsqueeze(-1) - fn.arange(size, dtype=self.df.dtype)
        diagonal = Chi2(each, validate_args=False).rsample(sample_shape).sqrt()
        noise = fn.randn(*self._extended(sample_shape), dtype=self.df.dtype).tril(-1) + fn.diag_embed(diagonal)
        chol = fn.matmul(self.scale_tril, noise)
        return fn.matmul(chol, chol.mT)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        nu, p = self.df, self.event_shape[-1]
        factor = cholesky(value)
        apart = solve_lower(self.scale_tril, factor)
        ends = nu * (p * log(2) / 2 + _log_diagonal(self.scale_tril)) + fn.mvlgamma(nu / 2, p)
        return (nu - p - 1) * _log_diagonal(factor) - fn.square(apart).sum((-2, -1)) / 2 - ends

    def entropy(self) -> Tensor:
        nu, p = self.df, self.event_shape[-1]
        digammas = (nu.unsqueeze(-1) / 2 - fn.arange(p, dtype=nu.dtype) / 2).digamma().sum(-1)
        start = (p + 1) * (p * log(2) / 2 + _log_diagonal(self.scale_tril)) + fn.mvlgamma(nu / 2, p)
        return start - (nu - p - 1) / 2 * digammas + nu * p / 2


class LKJCholesky(Distribution):
    """Cholesky factors ``[dim, dim]`` of correlations; their determinants to the ``concentration - 1`` are the density.

    By the onion method: D. Lewandowski, D. Kurowicka and H. Joe, "Generating random correlation matrices based on vines
    and extended onion method", 2009. PyTorch 2.13 draws too long rows behind the second.
    """

    arg_constraints: ClassVar = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ChoiceError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        a = self.concentration.detach()
        before = fn.cat([fn.zeros(1, dtype=a.dtype), fn.arange(self.dim - 1, dtype=a.dtype)])
        rest = a.unsqueeze(-1) + 0.5 * (self.dim - 2) - 0.5 * before
        radius = Beta(0.5 * (before + 1), rest, validate_args=False).sample(sample_shape).unsqueeze(-1)
        noise = fn.randn(*self._extended(sample_shape), dtype=a.dtype).tril(-1)
        length = fn.norm(noise, 2, -1, True)
        row = radius.sqrt() * fn.where(length == 0, 0.0, noise / fn.where(length == 0, 1.0, length))
        least = float(np.finfo(a.dtype.numpy).tiny)
        return row + fn.diag_embed((1 - fn.square(row).sum(-1)).clamp(min=least).sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, others = self.concentration, self.dim - 1
        order = 2 * (a - 1).unsqueeze(-1) + self.dim - fn.arange(2, self.dim + 1, dtype=a.dtype)
        weighed = (order * fn.diagonal(value, dim1=-2, dim2=-1)[..., 1:].log()).sum(-1)
        alpha = a + 0.5 * others
        return weighed - (0.5 * others * log(pi) + fn.mvlgamma(alpha - 0.5, others) - alpha.lgamma() * others)
