"""The schedule that waits for a metric to stop improving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, SupportsFloat

from compiler.errors import ChoiceError
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, number, per_group, set_number


class ReduceLROnPlateau(LRScheduler):
    """Multiply by ``factor`` when ``step(metric)`` has seen no improvement for more than ``patience`` epochs.

    An improvement is larger than ``threshold``, relative to the best so far (``"rel"``) or not (``"abs"``). After a
    change ``cooldown`` epochs pass uncounted; a change smaller than ``eps`` is left out.
    """

    def __init__(
        self,
        optimizer: Schedulable,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ChoiceError("Factor should be < 1.0.")
        if mode not in ("min", "max"):
            raise ChoiceError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ChoiceError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.default_min_lr = None if isinstance(min_lr, Sequence) else min_lr
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.eps = eps
        self.last_epoch = 0
        self.best = self.mode_worse = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._note_lr()

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of the metric of an epoch, by default the next, and lower the rates when it is time.

        In a compiled step a metric that the step computes is known after the call: then the rates change, and what
        stands behind in the step cannot read them.
        """
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note_lr()

    def _is_better(self, current: float) -> bool:
        margin = -self.threshold if self.mode == "min" else self.threshold
        goal = self.best * (1.0 + margin) if self.threshold_mode == "rel" else self.best + margin
        return current < goal if self.mode == "min" else current > goal

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if self.default_min_lr is not None:
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self._per_group("min_lrs", self.min_lrs), strict=True):
            old = number(group, "lr")
            rate = max(old * self.factor, least)
            if old - rate > self.eps:
                set_number(group, "lr", rate)
