"""Distributions of outcomes that can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import genesis.distributions.constraints as constraints
import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ChoiceError
from compiler.ir.types import i64
from compiler.ops.elementwise import broadcast_shapes
from genesis.distributions.constraints import Constraint
from genesis.distributions.distribution import Distribution, broadcast
from genesis.functions.conversion import to
from genesis.size import Size
from genesis.tensor import Tensor

Probabilities = Tensor | float | None


def _one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ChoiceError("Either `probs` or `logits` must be specified, but not both.")


def _inside(probs: Tensor) -> Tensor:
    """Probabilities away from 0 and 1, whose logarithms are finite."""
    eps = float(np.finfo(probs.dtype.numpy).eps)
    return fn.clamp(probs, eps, 1 - eps)


class Odds(Distribution):
    """A distribution with the probability of success ``probs``; ``logits`` are ``log(probs / (1 - probs))``."""

    arg_constraints: ClassVar = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(
        self, probs: Probabilities = None, logits: Probabilities = None, validate_args: bool | None = None
    ) -> None:
        self._given(probs, logits)
        super().__init__(self._param.shape, (), validate_args)

    def _given(self, probs: Probabilities, logits: Probabilities, *others: Any) -> list[Tensor]:
        """Take the one that is given; ``others`` in its shape."""
        _one_of(probs, logits)
        given, *counts = broadcast(logits if probs is None else probs, *others)
        self.__dict__["logits" if probs is None else "probs"] = given
        return [to(x, dtype=given.dtype) for x in counts]

    @property
    def _param(self) -> Tensor:
        """The one that was given."""
        found: Tensor = self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]
        return found

    def __getattr__(self, name: str) -> Tensor:
        if name == "probs":
            return fn.sigmoid(self.__dict__["logits"])
        if name == "logits":
            inside = _inside(self.__dict__["probs"])
            return fn.sub(fn.log(inside), fn.log1p(fn.neg(inside)))
        raise AttributeError(name)

    @property
    def param_shape(self) -> Size:
        return self._param.shape


class Bernoulli(Odds):
    """1 with probability ``probs``, else 0."""

    has_enumerate_support = True
    support = constraints.boolean

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        ones = to(fn.ge(self.probs, 0.5), dtype=self.probs.dtype)
        return fn.where(fn.eq(self.probs, 0.5), float("nan"), ones)

    @property
    def variance(self) -> Tensor:
        return fn.mul(self.probs, fn.sub(1.0, self.probs))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        probs = self.probs.detach()
        return to(fn.lt(fn.rand(*self._extended(sample_shape), dtype=probs.dtype), probs), dtype=probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = broadcast(self.logits, value)
        return fn.neg(F.binary_cross_entropy_with_logits(logits, value, reduction="none"))

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = fn.arange(2.0, dtype=self.probs.dtype).reshape(2, *[1] * len(self._batch_shape))
        return values.expand(2, *self._batch_shape) if expand else values


class Categorical(Distribution):
    """One of ``K`` numbers 0 .. K-1; ``probs [*, K]`` are scaled to sum to 1, ``logits [*, K]`` are shifted.

    Drawn as the largest of ``logits`` with Gumbel noise (Gumbel, "Statistical theory of extreme values", 1954).
    """

    has_enumerate_support = True
    arg_constraints: ClassVar = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        _one_of(probs, logits)
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        assert given is not None
        if given.ndim < 1:
            raise ChoiceError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is None:
            self.__dict__[name] = fn.sub(given, fn.logsumexp(given, -1, keepdim=True))
        else:
            self.__dict__[name] = fn.div(given, fn.sum(given, -1, keepdim=True))
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], (), validate_args)

    def __getattr__(self, name: str) -> Tensor:
        if name == "probs":
            return fn.softmax(self.__dict__["logits"], -1)
        if name == "logits":
            return fn.log(_inside(self.__dict__["probs"]))
        raise AttributeError(name)

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        return Size((*self._batch_shape, self._num_events))

    @property
    def mean(self) -> Tensor:
        return fn.full(self._extended(), float("nan"), dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        return fn.argmax(self.probs, -1)

    @property
    def variance(self) -> Tensor:
        return self.mean

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        probs = self.probs.detach()
        drawn = fn.rand(*sample_shape, *self.param_shape, dtype=probs.dtype)
        return fn.argmax(fn.sub(fn.log(probs), fn.log(fn.neg(fn.log(drawn)))), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        shape = broadcast_shapes(value.shape, self._batch_shape)
        index = fn.unsqueeze(to(value, dtype=i64).expand(*shape), -1)
        return fn.squeeze(fn.gather(self.logits.expand(*shape, self._num_events), -1, index), -1)

    def entropy(self) -> Tensor:
        logits = fn.clamp(self.logits, min=float(np.finfo(self.logits.dtype.numpy).min))
        return fn.neg(fn.sum(fn.mul(logits, self.probs), -1))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = fn.arange(self._num_events).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(self._num_events, *self._batch_shape) if expand else values


class OverOutcomes(Distribution):
    """A distribution of vectors ``[K]`` that has the parameters of a :class:`Categorical`."""

    arg_constraints: ClassVar = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the outcomes, ``[*, K]``."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of ``probs``."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        return self._categorical.param_shape


class OneHotCategorical(OverOutcomes):
    """As :class:`Categorical`, with vectors ``[K]`` of zeros and a one as values."""

    has_enumerate_support = True
    support = constraints.one_hot

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return to(F.one_hot(self._categorical.mode, self._event_shape[0]), dtype=self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        return fn.mul(self.probs, fn.sub(1.0, self.probs))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._categorical.sample(sample_shape)
        return to(F.one_hot(drawn, self._event_shape[0]), dtype=self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._categorical.log_prob(fn.argmax(value, -1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """As :class:`OneHotCategorical`; gradients of samples reach the probabilities as if these were the samples.

    Bengio, Léonard & Courville, "Estimating or propagating gradients through stochastic neurons", 2013.
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
