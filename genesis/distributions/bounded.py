"""Distributions of shares and angles, and of what is above a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi
from typing import Any, ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
import genesis.nn.functional as F
import genesis.special as special
from genesis.distributions.composed import TransformedDistribution
from genesis.distributions.constraints import Constraint
from genesis.distributions.continuous import LocationScale, Normal
from genesis.distributions.discrete import Odds, Probabilities
from genesis.distributions.distribution import Symmetric, broadcast
from genesis.distributions.tails import Inverted
from genesis.distributions.transforms import StickBreakingTransform
from genesis.tensor import Tensor


class LogisticNormal(TransformedDistribution):
    """``[K]`` shares: normal numbers ``[K - 1]`` by :class:`~genesis.distributions.StickBreakingTransform`."""

    arg_constraints: ClassVar = LocationScale.arg_constraints
    support = constraints.simplex

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base if base.batch_shape else base.expand((1,)), StickBreakingTransform())

    @property
    def _normal(self) -> Any:
        return getattr(self.base_dist, "base_dist", self.base_dist)

    @property
    def loc(self) -> Tensor:
        """The means of the normal numbers."""
        found: Tensor = self._normal.loc
        return found

    @property
    def scale(self) -> Tensor:
        """Their standard deviations."""
        found: Tensor = self._normal.scale
        return found


class ContinuousBernoulli(Odds, Inverted):
    """Shares with density in proportion to ``probs ** x * (1 - probs) ** (1 - x)``.

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019. Between the ``lims`` series of Taylor are used.
    """

    support = constraints.unit_interval

    def __init__(
        self,
        probs: Probabilities = None,
        logits: Probabilities = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._lims = lims
        super().__init__(probs, logits, validate_args)

    def _cut(self) -> tuple[Tensor, Tensor, Tensor]:
        """Whether the formulas hold, probabilities for which they do, and the distance to a half for the series."""
        inside = fn.logical_or(self.probs <= self._lims[0], self.probs > self._lims[1])
        return inside, fn.where(inside, self.probs, self._lims[0]), fn.where(inside, 0.0, self.probs - 0.5)

    @property
    def log_norm(self) -> Tensor:
        """The logarithm of the constant of the density."""
        inside, p, x = self._cut()
        low = p <= 0.5
        gap = ((-p).log1p() - p.log()).abs().log()
        width = fn.where(low, (-2 * fn.where(low, p, 0.0)).log1p(), (2 * fn.where(low, 1.0, p) - 1).log())
        return fn.where(inside, gap - width, log(2.0) + (4 / 3 + 104 / 45 * x * x) * x * x)

    @property
    def mean(self) -> Tensor:
        inside, p, x = self._cut()
        found = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        return fn.where(inside, found, 0.5 + (1 / 3 + 16 / 45 * x * x) * x)

    @property
    def variance(self) -> Tensor:
        inside, p, x = self._cut()
        found = p * (p - 1) / fn.square(1 - 2 * p) + 1 / fn.square((-p).log1p() - p.log())
        return fn.where(inside, found, 1 / 12 - (1 / 15 - 128 / 945 * x * x) * x * x)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = broadcast(self.logits, value)
        return self.log_norm - F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        inside, p, _ = self._cut()
        found = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        return fn.where(inside, found, value).clamp(0.0, 1.0)

    def icdf(self, value: Tensor) -> Tensor:
        inside, p, _ = self._cut()
        found = ((-p + value * (2 * p - 1)).log1p() - (-p).log1p()) / (p.log() - (-p).log1p())
        return fn.where(inside, found, value)

    def entropy(self) -> Tensor:
        rest = (-self.probs).log1p()
        return self.mean * (rest - self.probs.log()) - self.log_norm - rest


class GeneralizedPareto(Inverted):
    """What lies above a threshold ``loc``: tails that are heavy for ``concentration > 0`` and end for one below 0."""

    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast(loc, scale, concentration)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def support(self) -> Constraint:
        k = self.concentration
        end = self.loc - self.scale / fn.where(k < 0, k, -1.0)
        return constraints.interval(self.loc, fn.where(k < 0, end, float("inf")))

    def _safe(self) -> tuple[Tensor, Tensor]:
        """Whether the concentration is 0, and one that is not."""
        zero = fn.isclose(self.concentration, fn.zeros_like(self.concentration))
        return zero, fn.where(zero, 1.0, self.concentration)

    @property
    def mean(self) -> Tensor:
        k = self.concentration
        return fn.where(k < 1, self.loc + self.scale / (1 - fn.where(k < 1, k, 0.5)), float("nan"))

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        k = fn.where(self.concentration < 0.5, self.concentration, 0.25)
        found = fn.square(self.scale) / (fn.square(1 - k) * (1 - 2 * k))
        return fn.where(self.concentration < 0.5, found, float("nan"))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        zero, k = self._safe()
        z = (value - self.loc) / self.scale
        return -self.scale.log() - fn.where(zero, z, (1 / k + 1) * (k * z).log1p())

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        zero, k = self._safe()
        z = (value - self.loc) / self.scale
        return -fn.expm1(fn.where(zero, -z, -(k * z).log1p() / k))

    def icdf(self, value: Tensor) -> Tensor:
        zero, k = self._safe()
        logs = (-value).log1p()
        return self.loc + self.scale * fn.where(zero, -logs, fn.expm1(-k * logs) / k)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1


_TRIALS = 32


class VonMises(Symmetric):
    """Angles in ``[-pi, pi)`` around ``loc``, with density in proportion to ``exp(concentration * cos(x - loc))``.

    D. Best and N. Fisher, "Efficient simulation of the von Mises distribution", 1979: of 32 trials the first that is
    accepted; all fail once in 10^14.
    """

    arg_constraints: ClassVar = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast(loc, concentration)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def variance(self) -> Tensor:
        return 1 - special.i1e(self.concentration) / special.i0e(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - log(2 * pi) - special.i0e(k).log()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        loc, k = self.loc.detach(), self.concentration.detach()
        tau = 1 + (1 + 4 * k * k).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        r = fn.where(k < 1e-3, 1 / k + k, (1 + rho * rho) / (2 * rho))
        shape = self._extended(sample_shape)
        drawn = fn.rand(2, _TRIALS, *shape, dtype=loc.dtype)
        z = (pi * drawn[0]).cos()
        f = (1 + r * z) / (r + z)
        c = k * (r - f)
        accepted = fn.logical_or(c * (2 - c) > drawn[1], (c / drawn[1]).log() + 1 - c >= 0)
        first = accepted.long().argmax(0)
        angle = fn.gather(f, 0, first.unsqueeze(0))[0].clamp(-1.0, 1.0).acos()
        signed = fn.where(fn.rand(*shape, dtype=loc.dtype) < 0.5, -angle, angle)
        return fn.remainder(signed + loc + pi, 2 * pi) - pi
