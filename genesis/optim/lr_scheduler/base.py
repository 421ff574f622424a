"""What all schedules share: how rates are written, steps counted, state saved."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from compiler.errors import GenesisWarning
from genesis.context import host_action


class Schedulable(Protocol):
    """What a schedule needs of an optimizer."""

    param_groups: list[dict[str, Any]]
    _step_count: int


class LRScheduler:
    """Base of all schedules. A subclass defines :meth:`get_lr`.

    ``last_epoch`` counts the calls of :meth:`step`; give it to resume a schedule without a state dict.
    """

    _is_initial = False

    def __init__(self, optimizer: Schedulable, last_epoch: int = -1) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    f"last_epoch >= 0; load the optimizer's state dict first, or leave out last_epoch"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The rate of each group at ``last_epoch``, from the rates the groups have now."""
        raise NotImplementedError(f"{type(self).__name__}.get_lr")

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as last set by this schedule."""
        return self._last_lr

    def step(self, epoch: float | None = None) -> None:
        """Advance by one, or jump to ``epoch``. Call it after ``optimizer.step()``."""
        if host_action(partial(self.step, epoch)):
            return
        if self._step_count == 1 and self.optimizer._step_count == 0:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
                "`optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the learning rate "
                "schedule is skipped.",
                GenesisWarning,
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as plain values."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned. The rates themselves are part of the optimizer's state."""
        self.__dict__.update(state_dict)

    def _initial_step(self) -> None:
        """Set the rates of epoch 0, or of the epoch to resume at."""
        self._step_count = 1
        self._is_initial = True
        self._update_lr()
        self._is_initial = False

    def _restart(self) -> None:
        """Begin at epoch 0 with the base rates, as the next schedule of a sequence does."""
        self._update_lr(0)

    def _forget(self) -> None:
        """Back to before the initial step."""
        self.last_epoch = -1

    def _update_lr(self, epoch: float | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch  # type: ignore[assignment]
        self._set_lr(self.get_lr() if epoch is None else self._get_closed_form_lr())

    def _get_closed_form_lr(self) -> list[float]:
        """The rate of each group at ``last_epoch``, from the base rates; by default what :meth:`get_lr` says."""
        return self.get_lr()

    def _set_lr(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = self._current_lr()

    def _current_lr(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]


def positive(name: str, value: int) -> int:
    if value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def per_group(name: str, optimizer: Schedulable, value: float | Sequence[float]) -> list[float]:
    """``value`` for each param group: one for all, or a list of one each."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * count
    if len(values) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} values, "
            f"param_groups has {count}."
        )
    return values
