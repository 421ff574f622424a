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
from genesis.tensor import Tensor


def cholesky(matrix: Tensor) -> Tensor:
    """The lower triangular ``L [*, n, n]`` with ``L Lᵀ = matrix``, column by column; for a few dozen columns."""
    matrix = fn.mul(fn.add(matrix, fn.transpose(matrix, -2, -1)), 0.5)  # its gradient is symmetric
    size = matrix.shape[-1]
    columns: list[Tensor] = []
    for j in range(size):
        column = fn.narrow(fn.select(matrix, -1, j), -1, j, size - j)
        for i, before in enumerate(columns):
            own = fn.narrow(before, -1, j - i, size - j)
            column = fn.sub(column, fn.mul(own, fn.narrow(own, -1, 0, 1)))
        columns.append(fn.div(column, fn.sqrt(fn.narrow(column, -1, 0, 1))))
    padded = [
        fn.cat([fn.zeros(*c.shape[:-1], size - c.shape[-1], dtype=c.dtype), c], -1) if c.shape[-1] < size else c
        for c in columns
    ]
    return fn.stack(padded, -1)


def solve_lower(lower: Tensor, right: Tensor) -> Tensor:
    """``x`` with ``lower x = right``, row by row: ``lower [*, n, n]``, ``right [*, n, m]``; the batches broadcast."""
    rows: list[Tensor] = []
    for i in range(lower.shape[-1]):
        row = fn.select(right, -2, i)
        for j, x in enumerate(rows):
            row = fn.sub(row, fn.mul(fn.unsqueeze(lower[..., i, j], -1), x))
        rows.append(fn.div(row, fn.unsqueeze(lower[..., i, i], -1)))
    return fn.stack(rows, -2)


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
