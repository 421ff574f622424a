"""Distributions of real numbers that are drawn from one uniform or normal number."""

from __future__ import annotations

from collections.abc import Sequence
from math import e, log, pi, sqrt
from typing import Any, ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from compiler.errors import ChoiceError
from genesis.context import current_recording
from genesis.distributions.constraints import Constraint
from genesis.distributions.distribution import Distribution, Symmetric, broadcast, open_uniform
from genesis.tensor import Tensor


class LocationScale(Symmetric):
    """The base of distributions around ``loc`` with a ``scale``."""

    has_rsample = True
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)


class Normal(LocationScale):
    """The normal distribution with mean ``loc`` and standard deviation ``scale``."""

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return fn.square(self.scale)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        noise = fn.randn(*self._extended(sample_shape), dtype=self.loc.dtype)
        return fn.add(self.loc, fn.mul(noise, self.scale))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        apart = fn.div(fn.sub(value, self.loc), self.scale)
        return fn.sub(fn.mul(fn.square(apart), -0.5), fn.add(fn.log(self.scale), log(sqrt(2 * pi))))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        apart = fn.div(fn.sub(value, self.loc), fn.mul(self.scale, sqrt(2)))
        return fn.mul(fn.add(fn.erf(apart), 1.0), 0.5)

    def icdf(self, value: Tensor) -> Tensor:
        place = fn.erfinv(fn.sub(fn.mul(value, 2.0), 1.0))
        return fn.add(self.loc, fn.mul(fn.mul(self.scale, place), sqrt(2)))

    def entropy(self) -> Tensor:
        return fn.add(fn.log(self.scale), 0.5 + 0.5 * log(2 * pi))


class LogNormal(Distribution):
    """``exp`` of a normal number with mean ``loc`` and standard deviation ``scale``."""

    has_rsample = True
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def base_dist(self) -> Normal:
        """The distribution of the logarithm."""
        return Normal(self.loc, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return fn.exp(fn.add(self.loc, fn.mul(fn.square(self.scale), 0.5)))

    @property
    def mode(self) -> Tensor:
        return fn.exp(fn.sub(self.loc, fn.square(self.scale)))

    @property
    def variance(self) -> Tensor:
        square = fn.square(self.scale)
        return fn.mul(fn.expm1(square), fn.exp(fn.add(fn.mul(self.loc, 2.0), square)))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return fn.exp(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logs = fn.log(value)
        return fn.sub(self.base_dist.log_prob(logs), logs)

    def cdf(self, value: Tensor) -> Tensor:
        return self.base_dist.cdf(fn.log(value))

    def icdf(self, value: Tensor) -> Tensor:
        return fn.exp(self.base_dist.icdf(value))

    def entropy(self) -> Tensor:
        return fn.add(self.base_dist.entropy(), self.loc)


class Uniform(Distribution):
    """Evenly between ``low`` and ``high``."""

    has_rsample = True
    arg_constraints: ClassVar = {"low": constraints.real, "high": constraints.real}

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast(low, high)
        super().__init__(self.low.shape, (), validate_args)
        if self._validate_args and current_recording() is None and not bool(fn.all(fn.lt(self.low, self.high))):
            raise ChoiceError("Uniform is not defined when low>= high")

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return fn.mul(fn.add(self.low, self.high), 0.5)

    @property
    def stddev(self) -> Tensor:
        return fn.div(fn.sub(self.high, self.low), sqrt(12))

    @property
    def variance(self) -> Tensor:
        return fn.div(fn.square(fn.sub(self.high, self.low)), 12.0)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = fn.rand(*self._extended(sample_shape), dtype=self.low.dtype)
        return fn.add(self.low, fn.mul(drawn, fn.sub(self.high, self.low)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        inside = fn.logical_and(fn.le(self.low, value), fn.gt(self.high, value))
        return fn.where(inside, fn.neg(fn.log(fn.sub(self.high, self.low))), float("-inf"))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return fn.clamp(fn.div(fn.sub(value, self.low), fn.sub(self.high, self.low)), 0.0, 1.0)

    def icdf(self, value: Tensor) -> Tensor:
        return fn.add(fn.mul(value, fn.sub(self.high, self.low)), self.low)

    def entropy(self) -> Tensor:
        return fn.log(fn.sub(self.high, self.low))


class Exponential(Distribution):
    """The waiting time for events that come at ``rate``."""

    has_rsample = True
    arg_constraints: ClassVar = {"rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return fn.reciprocal(self.rate)

    @property
    def mode(self) -> Tensor:
        return fn.zeros_like(self.rate)

    @property
    def stddev(self) -> Tensor:
        return fn.reciprocal(self.rate)

    @property
    def variance(self) -> Tensor:
        return fn.reciprocal(fn.square(self.rate))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = fn.rand(*self._extended(sample_shape), dtype=self.rate.dtype)
        return fn.div(fn.neg(fn.log1p(fn.neg(drawn))), self.rate)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return fn.sub(fn.log(self.rate), fn.mul(self.rate, value))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return fn.neg(fn.expm1(fn.neg(fn.mul(self.rate, value))))

    def icdf(self, value: Tensor) -> Tensor:
        return fn.div(fn.neg(fn.log1p(fn.neg(value))), self.rate)

    def entropy(self) -> Tensor:
        return fn.sub(1.0, fn.log(self.rate))


class Laplace(LocationScale):
    """``exp(-|x - loc| / scale) / (2 scale)``."""

    @property
    def variance(self) -> Tensor:
        return fn.mul(fn.square(self.scale), 2.0)

    @property
    def stddev(self) -> Tensor:
        return fn.mul(self.scale, sqrt(2))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.icdf(open_uniform(self._extended(sample_shape), self.loc.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        apart = fn.div(fn.abs(fn.sub(value, self.loc)), self.scale)
        return fn.neg(fn.add(fn.log(fn.mul(self.scale, 2.0)), apart))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        apart = fn.sub(value, self.loc)
        tail = fn.expm1(fn.neg(fn.div(fn.abs(apart), self.scale)))
        return fn.sub(0.5, fn.mul(fn.mul(fn.sign(apart), tail), 0.5))

    def icdf(self, value: Tensor) -> Tensor:
        term = fn.sub(value, 0.5)
        return fn.sub(self.loc, fn.mul(fn.mul(self.scale, fn.sign(term)), fn.log1p(fn.mul(fn.abs(term), -2.0))))

    def entropy(self) -> Tensor:
        return fn.add(fn.log(self.scale), log(2 * e))
