"""The base of all distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import genesis.functions as fn
from compiler.errors import ChoiceError, UndefinedError
from compiler.ir.types import DType, defaults
from compiler.ops.elementwise import broadcast_shapes
from genesis.context import current_recording, grad_mode
from genesis.distributions.constraints import Constraint
from genesis.size import Size
from genesis.tensor import Tensor, tensor


class Distribution:
    """A distribution over events of ``event_shape``, one for each element of ``batch_shape``.

    Unless ``validate_args`` is False, parameters and values outside their constraints raise ValueError. In a step that
    is being compiled they are not looked at, because they have no contents there.

    Attributes:
        has_rsample: whether :meth:`rsample` has gradients.
    """

    has_rsample: ClassVar[bool] = False
    has_enumerate_support: ClassVar[bool] = False
    arg_constraints: ClassVar[Mapping[str, Constraint]] = {}
    _validates: ClassVar[bool] = True

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = type(self)._validates if validate_args is None else validate_args
        if not self._validate_args or current_recording() is not None:
            return
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor) and not bool(fn.all(constraint.check(value.detach()))):
                raise ChoiceError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions validate that do not say so themselves."""
        if value not in (True, False):
            raise ChoiceError("the default is True or False")
        Distribution._validates = value

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def support(self) -> Constraint:
        """The set that values lie in."""
        raise self._lacks("support")

    @property
    def mean(self) -> Tensor:
        """The expectation."""
        raise self._lacks("mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value."""
        raise self._lacks("mode")

    @property
    def variance(self) -> Tensor:
        """The expected square of the distance to the mean."""
        raise self._lacks("variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return fn.sqrt(self.variance)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values ``[*sample_shape, *batch_shape, *event_shape]``, without gradients."""
        with grad_mode(False):
            return self.rsample(sample_shape).detach()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values whose gradients reach the parameters."""
        raise self._lacks("rsample")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density or probability of ``value``, without the dimensions of events."""
        raise self._lacks("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of values up to ``value``."""
        raise self._lacks("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of :meth:`cdf`."""
        raise self._lacks("icdf")

    def entropy(self) -> Tensor:
        """The expectation of ``-log_prob``, ``[*batch_shape]``."""
        raise self._lacks("entropy")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dimension."""
        raise self._lacks("enumerate_support")

    def perplexity(self) -> Tensor:
        """``exp`` of the entropy."""
        return fn.exp(self.entropy())

    def expand(self, batch_shape: Sequence[int]) -> Distribution:
        """The same distribution with a larger ``batch_shape``."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        old = len(self._batch_shape)
        for name, value in self.__dict__.items():
            if isinstance(value, Tensor):
                made.__dict__[name] = value.expand(*batch_shape, *value.shape[old:])
            elif isinstance(value, Distribution):
                made.__dict__[name] = value.expand((*batch_shape, *value.batch_shape[old:]))
        made._batch_shape = Size(batch_shape)
        return made

    def _lacks(self, what: str) -> UndefinedError:
        return UndefinedError(f"{type(self).__name__} does not implement {what}")

    def _extended(self, sample_shape: Sequence[int] = ()) -> tuple[int, ...]:
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _validate_sample(self, value: Any) -> None:
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ChoiceError("The value argument to log_prob must be a Tensor")
        rank = len(self._event_shape)
        if rank and tuple(value.shape[-rank:]) != tuple(self._event_shape):
            raise ChoiceError(
                "The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}."
            )
        for i, j in zip(reversed(tuple(value.shape)), reversed(self._extended()), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ChoiceError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {self._extended()}."
                )
        if current_recording() is None and not bool(fn.all(self.support.check(value.detach()))):
            raise ChoiceError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                shown.append(f"{name}: {value if value.numel() == 1 else tuple(value.shape)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def broadcast(*values: Any) -> list[Tensor]:
    """Numbers and tensors as tensors of one shape; numbers get the dtype of the first tensor, else float32.

    Raises ValueError for anything else.
    """
    dtype = next((v.dtype for v in values if isinstance(v, Tensor)), defaults.float)
    if not all(isinstance(v, int | float | Tensor) for v in values):
        raise ChoiceError("Input arguments must all be instances of Number or Tensor.")
    tensors = [v if isinstance(v, Tensor) else tensor(v, dtype=dtype) for v in values]
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return [t if t.shape == shape else t.expand(*shape) for t in tensors]


_TINY = 2.0**-25
"""Half of the smallest uniform number above zero, which is drawn as zero."""


def open_uniform(shape: Sequence[int], dtype: DType) -> Tensor:
    """Uniform numbers between 0 and 1, without both."""
    return fn.rand(*shape, dtype=dtype) * (1 - _TINY) + _TINY / 2


def sum_last(x: Tensor, dims: int) -> Tensor:
    """The sum over the last ``dims`` dimensions."""
    return fn.sum(x, tuple(range(-dims, 0))) if dims else x


class Symmetric(Distribution):
    """A distribution around ``loc``, which is its mean and its mode."""

    loc: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc
