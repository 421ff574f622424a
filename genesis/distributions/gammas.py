"""The gamma distribution and those that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi
from typing import Any, ClassVar

import numpy as np

import genesis.distributions.constraints as constraints
import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError
from genesis.distributions.distribution import Distribution, broadcast
from genesis.functions.conversion import to
from genesis.tensor import Tensor

_BOOST, _TRIALS, _TINY = 6, 4, 2.0**-25


def _standard_gamma(concentration: Tensor, sample_shape: Sequence[int]) -> Tensor:
    """Gamma numbers of rate 1, with gradients.

    Marsaglia & Tsang, "A simple method for generating gamma variables", 2000: of four trials the first that is
    accepted, at a concentration raised by six (all four fail once in 10^9). Uniform factors bring it down again, which
    also lets gradients go through the accepted draw with hardly any bias (Naesseth et al., "Reparameterization
    gradients through acceptance-rejection sampling algorithms", 2017).
    """
    shape = (*sample_shape, *concentration.shape)
    d = fn.add(concentration, _BOOST - 1 / 3)
    c = fn.reciprocal(fn.sqrt(fn.mul(d, 9.0)))
    noise = fn.randn(_TRIALS, *shape, dtype=concentration.dtype)
    drawn = fn.add(fn.rand(_TRIALS + _BOOST, *shape, dtype=concentration.dtype), _TINY)
    result = d.expand(*shape)
    for i in reversed(range(_TRIALS)):
        x = noise[i]
        root = fn.add(fn.mul(c, x), 1.0)
        v = fn.mul(fn.square(root), root)
        positive = fn.gt(v, 0.0)
        inside = fn.where(positive, v, 1.0)
        limit = fn.add(fn.mul(fn.square(x), 0.5), fn.mul(d, fn.add(fn.sub(1.0, inside), fn.log(inside))))
        accepted = fn.logical_and(positive, fn.lt(fn.log(drawn[i]), limit))
        result = fn.where(accepted, fn.mul(d, inside), result)
    logs = fn.zeros(*shape, dtype=concentration.dtype)
    for i in range(_BOOST):
        logs = fn.add(logs, fn.div(fn.log(drawn[_TRIALS + i]), fn.add(concentration, float(i))))
    return fn.mul(result, fn.exp(logs))


class Gamma(Distribution):
    """The gamma distribution; ``concentration`` is also called shape, ``rate`` is one over the scale."""

    has_rsample = True
    arg_constraints: ClassVar = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return fn.div(self.concentration, self.rate)

    @property
    def mode(self) -> Tensor:
        return fn.clamp(fn.div(fn.sub(self.concentration, 1.0), self.rate), min=0.0)

    @property
    def variance(self) -> Tensor:
        return fn.div(self.concentration, fn.square(self.rate))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return fn.div(_standard_gamma(self.concentration, sample_shape), self.rate)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        (value,) = broadcast(value)
        scaled = fn.add(fn.xlogy(self.concentration, self.rate), fn.xlogy(fn.sub(self.concentration, 1.0), value))
        return fn.sub(fn.sub(scaled, fn.mul(self.rate, value)), fn.lgamma(self.concentration))

    def entropy(self) -> Tensor:
        a = self.concentration
        rest = fn.add(fn.lgamma(a), fn.mul(fn.sub(1.0, a), fn.digamma(a)))
        return fn.add(fn.sub(a, fn.log(self.rate)), rest)


class Chi2(Gamma):
    """The sum of ``df`` squares of standard normal numbers."""

    arg_constraints: ClassVar = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (self.df,) = broadcast(df)
        super().__init__(fn.mul(self.df, 0.5), 0.5, validate_args)


class Dirichlet(Distribution):
    """Shares ``[*, K]`` that sum to 1, with ``concentration [*, K]``."""

    has_rsample = True
    arg_constraints: ClassVar = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ChoiceError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def _total(self) -> Tensor:
        return fn.sum(self.concentration, -1, keepdim=True)

    @property
    def mean(self) -> Tensor:
        return fn.div(self.concentration, self._total)

    @property
    def mode(self) -> Tensor:
        """For concentrations below 1, which have none inside: the corner of the largest."""
        above = (self.concentration - 1).clamp(min=0.0)
        inside = above / above.sum(-1, keepdim=True)
        corner = to(F.one_hot(self.concentration.argmax(-1), self._event_shape[0]), dtype=inside.dtype)
        return fn.where((self.concentration < 1).all(-1, keepdim=True), corner, inside)

    @property
    def variance(self) -> Tensor:
        total, a = self._total, self.concentration
        return fn.div(fn.mul(a, fn.sub(total, a)), fn.mul(fn.square(total), fn.add(total, 1.0)))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = _standard_gamma(self.concentration, sample_shape)
        return fn.div(drawn, fn.sum(drawn, -1, keepdim=True))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        powers = fn.sum(fn.xlogy(fn.sub(a, 1.0), value), -1)
        return fn.sub(fn.add(powers, fn.lgamma(fn.sum(a, -1))), fn.sum(fn.lgamma(a), -1))

    def entropy(self) -> Tensor:
        a, total = self.concentration, fn.sum(self.concentration, -1)
        size = a.shape[-1]
        ends = fn.sub(fn.sum(fn.lgamma(a), -1), fn.lgamma(total))
        middle = fn.mul(fn.sub(float(size), total), fn.digamma(total))
        return fn.sub(fn.sub(ends, middle), fn.sum(fn.mul(fn.sub(a, 1.0), fn.digamma(a)), -1))


class Beta(Distribution):
    """A share between 0 and 1: the first of a Dirichlet distribution with two concentrations."""

    has_rsample = True
    arg_constraints: ClassVar = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    @property
    def _dirichlet(self) -> Dirichlet:
        return Dirichlet(fn.stack([self.concentration1, self.concentration0], -1), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return fn.div(self.concentration1, fn.add(self.concentration1, self.concentration0))

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = fn.add(self.concentration1, self.concentration0)
        product = fn.mul(self.concentration1, self.concentration0)
        return fn.div(product, fn.mul(fn.square(total), fn.add(total, 1.0)))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return fn.select(self._dirichlet.rsample(sample_shape), -1, 0)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._dirichlet.log_prob(fn.stack([value, fn.sub(1.0, value)], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """``loc + scale * t`` with ``df`` degrees of freedom."""

    has_rsample = True
    arg_constraints: ClassVar = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast(df, loc, scale)
        super().__init__(self.df.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return fn.where(fn.gt(self.df, 1.0), self.loc, float("nan"))

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = fn.div(fn.mul(fn.square(self.scale), self.df), fn.sub(self.df, 2.0))
        below = fn.where(fn.gt(self.df, 1.0), fn.full_like(self.df, float("inf")), float("nan"))
        return fn.where(fn.gt(self.df, 2.0), finite, below)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        noise = fn.randn(*self._extended(sample_shape), dtype=self.loc.dtype)
        spread = Chi2(self.df, validate_args=False).rsample(sample_shape)
        drawn = fn.mul(noise, fn.rsqrt(fn.div(spread, self.df)))
        return fn.add(self.loc, fn.mul(self.scale, drawn))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = fn.div(fn.sub(value, self.loc), self.scale)
        half = fn.mul(self.df, 0.5)
        constant = fn.add(fn.add(fn.log(self.scale), fn.mul(fn.log(self.df), 0.5)), 0.5 * log(pi))
        constant = fn.add(constant, fn.sub(fn.lgamma(half), fn.lgamma(fn.add(half, 0.5))))
        return fn.sub(fn.neg(fn.mul(fn.add(half, 0.5), fn.log1p(fn.div(fn.square(y), self.df)))), constant)

    def entropy(self) -> Tensor:
        half = fn.mul(self.df, 0.5)
        more = fn.add(half, 0.5)
        beta = fn.sub(fn.add(fn.lgamma(half), 0.5 * log(pi)), fn.lgamma(more))
        bent = fn.mul(more, fn.sub(fn.digamma(more), fn.digamma(half)))
        return fn.add(fn.add(fn.log(self.scale), bent), fn.add(fn.mul(fn.log(self.df), 0.5), beta))


class InverseGamma(Distribution):
    """One over a :class:`Gamma` number."""

    has_rsample = True
    arg_constraints: ClassVar = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)

    @property
    def base_dist(self) -> Gamma:
        """The distribution of the reciprocal."""
        return Gamma(self.concentration, self.rate, validate_args=False)

    @property
    def mean(self) -> Tensor:
        a = self.concentration
        return fn.where(a > 1, self.rate / (a - 1), float("inf"))

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return fn.where(a > 2, fn.square(self.rate) / (fn.square(a - 1) * (a - 2)), float("inf"))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape).reciprocal()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.base_dist.log_prob(value.reciprocal()) - 2 * value.log()

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (a + 1) * a.digamma()


class FisherSnedecor(Distribution):
    """The ratio of the means of ``df1`` and ``df2`` squares of standard normal numbers."""

    has_rsample = True
    arg_constraints: ClassVar = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast(df1, df2)
        super().__init__(self.df1.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return fn.where(self.df2 > 2, self.df2 / (self.df2 - 2), float("nan"))

    @property
    def mode(self) -> Tensor:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return fn.where(self.df1 > 2, mode, float("nan"))

    @property
    def variance(self) -> Tensor:
        a, b = self.df1, self.df2
        found = 2 * fn.square(b) * (a + b - 2) / (a * fn.square(b - 2) * (b - 4))
        return fn.where(b > 4, found, float("nan"))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        above = _standard_gamma(self.df1 * 0.5, sample_shape) / self.df1
        below = _standard_gamma(self.df2 * 0.5, sample_shape) / self.df2
        return above / below.clamp(min=float(np.finfo(below.dtype.numpy).tiny))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        scale = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return scale + a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
