"""Distributions with one-sided or long tails, drawn by the inverse of their distribution functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi, sqrt
from typing import Any, ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from genesis.distributions.constraints import Constraint
from genesis.distributions.continuous import LocationScale, Normal
from genesis.distributions.distribution import Distribution, broadcast, open_uniform
from genesis.tensor import Tensor

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""


class Inverted(Distribution):
    """A distribution whose :meth:`icdf` makes its values of uniform numbers."""

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        like = next(v for v in self.__dict__.values() if isinstance(v, Tensor))
        return self.icdf(open_uniform(self._extended(sample_shape), like.dtype))


class Cauchy(Inverted, LocationScale):
    """The Cauchy distribution around ``loc``, with half width ``scale`` at half height; it has no mean."""

    @property
    def mean(self) -> Tensor:
        return fn.full_like(self.loc, float("nan"))

    @property
    def variance(self) -> Tensor:
        return fn.full_like(self.loc, float("inf"))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -log(pi) - self.scale.log() - fn.square((value - self.loc) / self.scale).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return fn.atan((value - self.loc) / self.scale) / pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return fn.tan((value - 0.5) * pi) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return self.scale.log() + log(4 * pi)


class _Half(Inverted):
    """The absolute value of a symmetric number around 0, with ``scale``."""

    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.nonnegative
    scale: Tensor

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        (self.scale,) = broadcast(scale)
        super().__init__(self.scale.shape, (), validate_args)

    @property
    def base_dist(self) -> Normal | Cauchy:
        """The distribution of the number with its sign."""
        raise self._lacks("base_dist")

    @property
    def mode(self) -> Tensor:
        return fn.zeros_like(self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        (value,) = broadcast(value)
        return fn.where(value >= 0, self.base_dist.log_prob(value) + log(2), float("-inf"))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.base_dist.cdf(value) * 2 - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - log(2)


class HalfNormal(_Half):
    """The absolute value of a normal number with mean 0 and standard deviation ``scale``."""

    @property
    def base_dist(self) -> Normal:
        return Normal(fn.zeros_like(self.scale), self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.scale * sqrt(2 / pi)

    @property
    def variance(self) -> Tensor:
        return fn.square(self.scale) * (1 - 2 / pi)


class HalfCauchy(_Half):
    """The absolute value of a Cauchy number around 0 with half width ``scale``; its mean is infinite."""

    @property
    def base_dist(self) -> Cauchy:
        return Cauchy(fn.zeros_like(self.scale), self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return fn.full_like(self.scale, float("inf"))

    @property
    def variance(self) -> Tensor:
        return fn.full_like(self.scale, float("inf"))


class Gumbel(Inverted, LocationScale):
    """The largest of many numbers: ``exp(-exp(-(x - loc) / scale))`` is the probability of values up to ``x``."""

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def stddev(self) -> Tensor:
        return self.scale * (pi / sqrt(6))

    @property
    def variance(self) -> Tensor:
        return fn.square(self.stddev)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)


class Weibull(Inverted):
    """Lifetimes: ``1 - exp(-(x / scale) ** concentration)`` is the probability of values up to ``x``."""

    arg_constraints: ClassVar = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast(scale, concentration)
        super().__init__(self.scale.shape, (), validate_args)

    def _moment(self, n: int) -> Tensor:
        return self.scale**n * (1 + n / self.concentration).lgamma().exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        return self.scale * ((self.concentration - 1) / self.concentration) ** self.concentration.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - fn.square(self._moment(1))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logs = value.log() - self.scale.log()
        k = self.concentration
        return k.log() - self.scale.log() + (k - 1) * logs - (k * logs).exp()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -fn.expm1(-((value / self.scale) ** self.concentration))

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * (-(-value).log1p()) ** self.concentration.reciprocal()

    def entropy(self) -> Tensor:
        k = self.concentration
        return EULER * (1 - k.reciprocal()) + (self.scale / k).log() + 1


class Pareto(Inverted):
    """Values from ``scale`` on, with density in proportion to ``x ** -(alpha + 1)``."""

    arg_constraints: ClassVar = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast(scale, alpha)
        super().__init__(self.scale.shape, (), validate_args)

    @property
    def support(self) -> Constraint:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return fn.square(self.scale) * a / (fn.square(a - 1) * (a - 2))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.alpha.log() - value.log() + self.alpha * (self.scale.log() - value.log())

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return 1 - (self.scale / value) ** self.alpha

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * (-(-value).log1p() / self.alpha).exp()

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + 1 + self.alpha.reciprocal()


class Kumaraswamy(Inverted):
    """Shares ``x`` of which ``1 - (1 - x ** concentration1) ** concentration0`` lie below."""

    arg_constraints: ClassVar = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    def _moment(self, n: int) -> Tensor:
        b, first = self.concentration0, 1 + n / self.concentration1
        return (b.log() + first.lgamma() + b.lgamma() - (first + b).lgamma()).exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        mode = ((a - 1) / (a * b - 1)) ** a.reciprocal()
        return fn.where((a < 1).logical_or(b < 1), float("nan"), mode)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - fn.square(self._moment(1))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return a.log() + b.log() + fn.xlogy(a - 1, value) + (b - 1) * (-(value**a)).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return 1 - (1 - value**self.concentration1) ** self.concentration0

    def icdf(self, value: Tensor) -> Tensor:
        rest = fn.expm1((-value).log1p() / self.concentration0)
        return (-rest) ** self.concentration1.reciprocal()

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + EULER
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - a.log() - b.log()
