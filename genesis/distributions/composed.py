"""Distributions made of others."""

from __future__ import annotations

from collections.abc import Sequence

import genesis.functions as fn
from compiler.errors import ChoiceError
from genesis.distributions.constraints import Constraint, independent
from genesis.distributions.distribution import Distribution
from genesis.distributions.transforms import Transform
from genesis.tensor import Tensor


class Independent(Distribution):
    """``base_distribution`` with the last dimensions of its batch as a part of its events."""

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        if reinterpreted_batch_ndims > len(base_distribution.batch_shape):
            raise ChoiceError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(base_distribution.batch_shape)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        shape = (*base_distribution.batch_shape, *base_distribution.event_shape)
        kept = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        super().__init__(shape[:kept], shape[kept:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:
        return independent(self.base_dist.support, self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_last(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_last(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"


def sum_last(x: Tensor, dims: int) -> Tensor:
    """The sum over the last ``dims`` dimensions."""
    return fn.sum(x, tuple(range(-dims, 0))) if dims else x


class TransformedDistribution(Distribution):
    """What ``transforms``, one after the other, make of ``base_distribution``."""

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.base_dist = base_distribution
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        super().__init__(base_distribution.batch_shape, base_distribution.event_shape, validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:
        last = self.transforms[-1].codomain if self.transforms else self.base_dist.support
        return independent(last, len(self._event_shape)) if self._event_shape else last

    def _transformed(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._transformed(self.base_dist.sample(sample_shape)).detach()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        rank = len(self._event_shape)
        total: Tensor | None = None
        y = value
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            term = sum_last(transform.log_abs_det_jacobian(x, y), rank)
            total, y = term if total is None else fn.add(total, term), x
        found = self.base_dist.log_prob(y)
        return found if total is None else fn.sub(found, total)
