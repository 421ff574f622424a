"""Samples between 0 and 1 in place of outcomes, so that gradients reach the probabilities.

Maddison, Mnih & Teh, "The concrete distribution", 2017; Jang, Gu & Poole, "Categorical reparameterization with
Gumbel-softmax", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma
from typing import Any, ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
from genesis.distributions.composed import TransformedDistribution
from genesis.distributions.discrete import Odds, OverOutcomes, Probabilities
from genesis.distributions.distribution import Distribution, broadcast, open_uniform
from genesis.distributions.transforms import ExpTransform, SigmoidTransform
from genesis.tensor import Tensor


class _Tempered(Distribution):
    """A distribution with a ``temperature`` that stays as it is in a larger batch."""

    temperature: Any

    def expand(self, batch_shape: Sequence[int]) -> Distribution:
        made = super().expand(batch_shape)
        made.__dict__["temperature"] = self.temperature
        return made


class LogitRelaxedBernoulli(_Tempered, Odds):
    """The logit of a :class:`RelaxedBernoulli` number."""

    has_rsample = True
    support = constraints.real

    def __init__(
        self,
        temperature: Any,
        probs: Probabilities = None,
        logits: Probabilities = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = open_uniform(self._extended(sample_shape), self._param.dtype)
        return (u.log() - (-u).log1p() + self.logits) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        (temperature,) = broadcast(self.temperature)
        apart = self.logits - value * temperature
        return temperature.log() + apart - 2 * fn.logaddexp(apart, fn.zeros_like(apart))


class ExpRelaxedCategorical(_Tempered, OverOutcomes):
    """The logarithm of a :class:`RelaxedOneHotCategorical` vector."""

    has_rsample = True
    support = constraints.real_vector

    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = open_uniform(self._extended(sample_shape), self.logits.dtype)
        return fn.log_softmax((self.logits - (-u.log()).log()) / self.temperature, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        (temperature,) = broadcast(self.temperature)
        size = self._event_shape[0]
        scores = fn.log_softmax(self.logits - value * temperature, -1).sum(-1)
        return scores + lgamma(size) + temperature.log() * (size - 1)


class _Relaxed(TransformedDistribution):
    """The image of a distribution with a temperature."""

    base_dist: LogitRelaxedBernoulli | ExpRelaxedCategorical

    @property
    def temperature(self) -> Any:
        """A number or a tensor, above 0."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The logits that were given, or belong to ``probs``."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities of numbers near 1."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """Numbers from 0 to 1 that are near one of both ends at a low ``temperature``."""

    arg_constraints: ClassVar = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(
        self,
        temperature: Any,
        probs: Probabilities = None,
        logits: Probabilities = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        super().__init__(base, SigmoidTransform(), validate_args)


class RelaxedOneHotCategorical(_Relaxed):
    """Shares ``[*, K]`` that are near one of the ``K`` ends at a low ``temperature``."""

    arg_constraints: ClassVar = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)
