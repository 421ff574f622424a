"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence

import genesis.functions as fn
from compiler.errors import ChoiceError
from genesis.distributions.constraints import Constraint
from genesis.distributions.discrete import Categorical
from genesis.distributions.distribution import Distribution
from genesis.tensor import Tensor


class MixtureSameFamily(Distribution):
    """One of ``K`` components, chosen by ``mixture_distribution``; ``component_distribution`` has batch ``[*, K]``."""

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ChoiceError("The Mixture distribution needs to be an instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ChoiceError("The Component distribution need to be an instance of torch.distributions.Distribution")
        batch, components = component_distribution.batch_shape[:-1], component_distribution.batch_shape[-1:]
        for size, other in zip(reversed(mixture_distribution.batch_shape), reversed(batch), strict=False):
            if size != 1 and other != 1 and size != other:
                raise ChoiceError(
                    f"`mixture_distribution.batch_shape` ({tuple(mixture_distribution.batch_shape)}) is not compatible "
                    f"with `component_distribution.batch_shape[:-1]` ({tuple(batch)})"
                )
        if mixture_distribution.param_shape[-1:] != components:
            raise ChoiceError(
                f"`mixture_distribution` has {tuple(mixture_distribution.param_shape[-1:])} components, "
                f"`component_distribution` {tuple(components)}"
            )
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        super().__init__(batch, component_distribution.event_shape, validate_args)

    @property
    def _place(self) -> int:
        """The dimension of the components."""
        return -1 - len(self._event_shape)

    def _weighed(self, x: Tensor) -> Tensor:
        probs = self.mixture_distribution.probs
        return (probs.reshape(*probs.shape, *[1] * len(self._event_shape)) * x).sum(self._place)

    @property
    def support(self) -> Constraint:
        return self.component_distribution.support

    @property
    def mean(self) -> Tensor:
        return self._weighed(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        apart = self.component_distribution.mean - self.mean.unsqueeze(self._place)
        return self._weighed(self.component_distribution.variance) + self._weighed(fn.square(apart))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        chosen = self.mixture_distribution.expand(self._batch_shape).sample(sample_shape)
        drawn = self.component_distribution.sample(sample_shape)
        rank = len(self._event_shape)
        index = chosen.reshape(*chosen.shape, *[1] * (rank + 1)).expand(*chosen.shape, 1, *self._event_shape)
        return fn.squeeze(fn.gather(drawn, self._place, index), self._place)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logs = self.component_distribution.log_prob(value.unsqueeze(self._place))
        return fn.logsumexp(logs + fn.log_softmax(self.mixture_distribution.logits, -1), -1)

    def cdf(self, value: Tensor) -> Tensor:
        return (self.component_distribution.cdf(value.unsqueeze(self._place)) * self.mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution!r},\n  {self.component_distribution!r})"
