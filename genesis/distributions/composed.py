"""Distributions made of others."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.errors import ChoiceError
from genesis.context import grad_mode
from genesis.distributions.constraints import Constraint, independent
from genesis.distributions.distribution import Distribution, sum_last
from genesis.distributions.transform import ComposeTransform, Transform
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


class TransformedDistribution(Distribution):
    """The distribution of a sample of ``base_distribution`` after ``transforms``, one after the other."""

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(part, Transform) for part in self.transforms):
            raise ChoiceError(f"transforms must be a Transform or list, but was {transforms}")
        whole = ComposeTransform(self.transforms)
        base = base_distribution
        shape = (*base.batch_shape, *base.event_shape)
        dims = whole.domain.event_dim
        if len(shape) < dims:
            raise ChoiceError(
                f"base_distribution needs to have shape with size at least {dims}, but got {tuple(shape)}."
            )
        wider = whole.inverse_shape(whole.forward_shape(shape))
        missing = max(dims - len(base.event_shape), 0)
        if wider != shape:
            base = base.expand(wider[: len(wider) - len(base.event_shape)])
        self.base_dist = Independent(base, missing) if missing else base
        events = whole.codomain.event_dim + max(len(self.base_dist.event_shape) - dims, 0)
        shape = whole.forward_shape((*self.base_dist.batch_shape, *self.base_dist.event_shape))
        cut = len(shape) - events
        super().__init__(shape[:cut], shape[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:
        last = self.transforms[-1].codomain if self.transforms else self.base_dist.support
        missing = len(self._event_shape) - last.event_dim
        return independent(last, missing) if missing > 0 else last

    def _transformed(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with grad_mode(False):
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        rank = len(self._event_shape)
        total: Tensor | None = None
        y = value
        for transform in reversed(self.transforms):
            x = transform.invert(y)
            rank += transform.domain.event_dim - transform.codomain.event_dim
            term = sum_last(transform.log_abs_det_jacobian(x, y), rank - transform.domain.event_dim)
            total, y = term if total is None else total + term, x
        found = sum_last(self.base_dist.log_prob(y), rank - len(self.base_dist.event_shape))
        return found if total is None else found - total

    def _monotone(self, x: Tensor) -> Tensor:
        """``x`` for rising transforms, ``1 - x`` for falling ones."""
        sign = ComposeTransform(self.transforms).sign
        return x if isinstance(sign, int) and sign == 1 else sign * (x - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.invert(value)
        return self._monotone(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._transformed(self.base_dist.icdf(self._monotone(value)))
