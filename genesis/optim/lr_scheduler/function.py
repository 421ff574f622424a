"""Schedules by functions of the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from compiler.errors import ArgumentError, ChoiceError
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable


class _FunctionLR(LRScheduler):
    """A schedule by functions of the user, one for all groups or one for each.

    A function is not saved; of a callable object the state dict holds its ``__dict__``.
    """

    def __init__(
        self,
        optimizer: Schedulable,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise ChoiceError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise ArgumentError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"lr_lambdas": [state_of(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"lr_lambdas": self.lr_lambdas})
        for function, state in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            restore(function, state)


class LambdaLR(_FunctionLR):
    """The base rate times ``lr_lambda(epoch)``."""

    def get_lr(self) -> list[float]:
        functions = self._per_group("lr_lambdas", self.lr_lambdas)
        bases = self._per_group("base_lrs", self.base_lrs)
        return [base * function(self.last_epoch) for base, function in zip(bases, functions, strict=True)]


class MultiplicativeLR(_FunctionLR):
    """Multiply by ``lr_lambda(epoch)`` every epoch."""

    def get_lr(self) -> list[float]:
        rates = self._current_lr()
        if self._is_initial:
            return rates
        functions = self._per_group("lr_lambdas", self.lr_lambdas)
        return [rate * function(self.last_epoch) for rate, function in zip(rates, functions, strict=True)]


def state_of(function: Callable[..., float] | None) -> dict[str, Any] | None:
    """The attributes of a callable object; a plain function has none that could be saved."""
    if function is None or isinstance(function, FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


def restore(function: Callable[..., float] | None, state: dict[str, Any] | None) -> None:
    if function is not None and state:
        function.__dict__.update(state)
