"""Schedules that multiply the rates of all groups by one number."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any

from compiler.errors import ChoiceError, UndefinedError
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, positive


class _FactorLR(LRScheduler):
    """A schedule that is one number for all groups: each step multiplies every rate by :meth:`_factor`.

    ``_total_factor`` is the product of all factors up to ``last_epoch``.
    """

    def get_lr(self) -> list[float]:
        factor = self._factor()
        return [rate * factor for rate in self._current_lr()]

    def _get_closed_form_lr(self) -> list[float]:
        factor = self._total_factor()
        return [base * factor for base in self.base_lrs]

    def _factor(self) -> float:
        raise UndefinedError(f"{type(self).__name__} has to define _factor()")

    def _total_factor(self) -> float:
        raise UndefinedError(f"{type(self).__name__} has to define _total_factor()")


class StepLR(_FactorLR):
    """Multiply by ``gamma`` every ``step_size`` epochs."""

    def __init__(self, optimizer: Schedulable, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = positive("step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return self.gamma if self.last_epoch > 0 and self.last_epoch % self.step_size == 0 else 1.0

    def _total_factor(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_FactorLR):
    """Multiply by ``gamma`` at each of ``milestones``; at one that is named n times, by ``gamma ** n``."""

    def __init__(
        self, optimizer: Schedulable, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.milestones = Counter(self.milestones)

    def _factor(self) -> float:
        return self.gamma ** self.milestones[self.last_epoch]

    def _total_factor(self) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ExponentialLR(_FactorLR):
    """Multiply by ``gamma`` every epoch."""

    def __init__(self, optimizer: Schedulable, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return 1.0 if self._is_initial else self.gamma

    def _total_factor(self) -> float:
        return self.gamma**self.last_epoch


class ConstantLR(_FactorLR):
    """``factor`` times the rate, until epoch ``total_iters`` gives it back in full."""

    def __init__(
        self, optimizer: Schedulable, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ChoiceError("Constant multiplicative factor expected to be between 0 and 1.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def _total_factor(self) -> float:
        return 1.0 if self.last_epoch >= self.total_iters else self.factor


class LinearLR(_FactorLR):
    """From ``start_factor`` to ``end_factor`` times the rate, on a straight line over ``total_iters`` epochs."""

    def __init__(
        self,
        optimizer: Schedulable,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ChoiceError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        if not 0 <= end_factor <= 1:
            raise ChoiceError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _total_factor(self) -> float:
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class PolynomialLR(_FactorLR):
    """``(1 - epoch / total_iters) ** power`` times the rate; 0 from ``total_iters`` on."""

    def __init__(self, optimizer: Schedulable, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = positive("total_iters", total_iters)
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        now, before = (1.0 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return (now / before) ** self.power

    def _total_factor(self) -> float:
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
