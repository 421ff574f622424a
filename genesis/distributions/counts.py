"""Distributions of how often something happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import genesis.distributions.constraints as constraints
import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError, UndefinedError
from genesis.distributions.constraints import Constraint
from genesis.distributions.discrete import Odds, OverOutcomes, Probabilities
from genesis.distributions.distribution import Distribution, broadcast, open_uniform
from genesis.distributions.gammas import Gamma
from genesis.functions.conversion import to
from genesis.functions.draws import successes
from genesis.tensor import Tensor


class Poisson(Distribution):
    """How many events come in a time in which ``rate`` come on average."""

    arg_constraints: ClassVar = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return fn.poisson(self.rate.detach().expand(*self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        rate, value = broadcast(self.rate, value)
        return fn.xlogy(value, rate) - rate - (value + 1).lgamma()


class Geometric(Odds):
    """How many trials fail before one, of probability ``probs``, succeeds."""

    support = constraints.nonnegative_integer

    @property
    def mean(self) -> Tensor:
        return self.probs.reciprocal() - 1

    @property
    def mode(self) -> Tensor:
        return fn.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (self.probs.reciprocal() - 1) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        probs = self.probs.detach()
        return (open_uniform(self._extended(sample_shape), probs.dtype).log() / (-probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        value, probs = broadcast(value, self.probs)
        return fn.where(value == 0, 0.0, value * (-probs).log1p()) + self.probs.log()

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(Odds):
    """How many of ``total_count`` trials, each of probability ``probs``, succeed.

    Drawn trial by trial, in ``[*, total_count]`` numbers.
    """

    has_enumerate_support = True
    arg_constraints: ClassVar = {**Odds.arg_constraints, "total_count": constraints.nonnegative_integer}

    def __init__(
        self,
        total_count: Any = 1,
        probs: Probabilities = None,
        logits: Probabilities = None,
        validate_args: bool | None = None,
    ) -> None:
        (self.total_count,) = self._given(probs, logits, total_count)
        self._most = total_count if isinstance(total_count, int) else None
        Distribution.__init__(self, self._param.shape, (), validate_args)

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return fn.minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended(sample_shape)
        counts, probs = self.total_count.detach().expand(*shape), self.probs.detach().expand(*shape)
        return fn.binomial(counts, probs) if self._most is None else successes(counts, probs, self._most)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return value * logits + ways - n * F.softplus(logits)

    def _count(self) -> int:
        """The one number of trials of all elements."""
        if self._most is not None:
            return self._most
        counts = self.total_count.detach()
        most = int(counts.max().item())
        if int(counts.min().item()) != most:
            raise UndefinedError("Inhomogeneous total count not supported by `entropy` and `enumerate_support`.")
        return most

    def entropy(self) -> Tensor:
        logs = self.log_prob(self.enumerate_support(False))
        return -(logs.exp() * logs).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        n = self._count()
        values = fn.arange(n + 1, dtype=self._param.dtype).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(n + 1, *self._batch_shape) if expand else values


class NegativeBinomial(Odds):
    """How many trials, each of probability ``probs``, succeed before ``total_count`` fail."""

    arg_constraints: ClassVar = {
        "total_count": constraints.nonnegative,
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Any,
        probs: Probabilities = None,
        logits: Probabilities = None,
        validate_args: bool | None = None,
    ) -> None:
        (self.total_count,) = self._given(probs, logits, total_count)
        Distribution.__init__(self, self._param.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.mean / fn.sigmoid(-self.logits)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        rates = Gamma(self.total_count.detach(), (-self.logits.detach()).exp(), validate_args=False)
        return fn.poisson(rates.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        shares = n * F.logsigmoid(-logits) + value * F.logsigmoid(logits)
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        return shares + fn.where(n + value == 0, 0.0, ways)


class Multinomial(OverOutcomes):
    """How often each of ``K`` outcomes comes in ``total_count`` draws, ``[*, K]``."""

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise UndefinedError("inhomogeneous total_count is not supported")
        if total_count < 0:
            raise ChoiceError(f"Multinomial: total_count must be 0 or more, not {total_count}")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)

    @property
    def support(self) -> Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs) * self.total_count

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        return to(F.one_hot(drawn, self._event_shape[0]), dtype=self.probs.dtype).sum(0)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = broadcast(self.logits, value)
        shares = fn.where((value == 0).logical_and(logits == float("-inf")), 0.0, logits * value)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + shares.sum(-1)

    def entropy(self) -> Tensor:
        n = self.total_count
        each = Binomial(n, self.probs, validate_args=False)
        counts = each.enumerate_support(False)[1:]
        ways = (each.log_prob(counts).exp() * (counts + 1).lgamma()).sum((0, -1))
        return self._categorical.entropy() * n - fn.full((), n + 1.0, dtype=self.probs.dtype).lgamma() + ways
