"""Schedules along a cosine, without and with restarts."""

from __future__ import annotations

import math

from compiler.errors import ChoiceError
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, positive


class CosineAnnealingLR(LRScheduler):
    """``eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``: half a cosine down, then up again.

    Source: Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983, without the restarts.
    """

    def __init__(self, optimizer: Schedulable, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = positive("T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current_lr()
        if self._is_initial:
            return rates
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:  # at the lowest point a ratio would divide by zero
            rise = self._height(self.T_max - 1)
            return [
                rate + (base - self.eta_min) * rise
                for rate, base in zip(rates, self._per_group("base_lrs", self.base_lrs))
            ]
        ratio = self._height(self.last_epoch) / self._height(self.last_epoch - 1)
        return [self.eta_min + (rate - self.eta_min) * ratio for rate in rates]

    def _get_closed_form_lr(self) -> list[float]:
        height = self._height(self.last_epoch)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def _height(self, epoch: float) -> float:
        """How much of the way from ``eta_min`` up to the base rate, in 0 .. 1."""
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine down to ``eta_min`` over ``T_0`` epochs, again and again, each time ``T_mult`` times as long.

    ``step(epoch)`` takes fractions: ``step(epoch + batch / batches)``. Source: https://arxiv.org/abs/1608.03983.
    """

    def __init__(
        self, optimizer: Schedulable, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_mult < 1:
            raise ChoiceError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0 = self.T_i = positive("T_0", T_0)
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)
        self._step_count = 0  # as in PyTorch, where this schedule does not count

    def step(self, epoch: float | None = None) -> None:
        """Advance by one, or jump to ``epoch``, which may be a fraction."""
        self._update_lr(epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def _update_lr(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch += 1
            self.T_cur += 1
        elif epoch is not None and epoch < 0:
            raise ChoiceError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self.T_cur, self.T_i = epoch or 0, self.T_0
            self.last_epoch = math.floor(self.T_cur)
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._set_lr(self.get_lr())
