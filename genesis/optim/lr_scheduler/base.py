"""The base of all schedules: how rates are written, steps counted, state saved."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol

from compiler.errors import ArgumentError, ChoiceError, GenesisWarning, KeyedError, ScheduleError, UndefinedError
from genesis.context import grad_mode
from genesis.functions.conversion import fill_
from genesis.host import Undo, take_back
from genesis.host_object import HostObject
from genesis.live import LiveDict, saved
from genesis.replaced import Watched
from genesis.tensor import Tensor, from_array


class Schedulable(Protocol):
    """The part of an optimizer that a schedule needs."""

    param_groups: list[dict[str, Any]]
    _step_count: int


class LRScheduler(HostObject, metaclass=Watched):
    """Base of all schedules. A subclass defines :meth:`get_lr`, or :meth:`step` itself.

    ``last_epoch`` counts the calls of :meth:`step`; give it to resume a schedule without a state dict. Rates that are
    tensors are filled in place, numbers are replaced.
    """

    _is_initial = False

    def __init__(self, optimizer: Schedulable, last_epoch: int = -1) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise ArgumentError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyedError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    f"last_epoch >= 0; load the optimizer's state dict first, or leave out last_epoch"
                )
        self.base_lrs: list[float] = [number(group, "initial_lr") for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The rate of each group at ``last_epoch``, from the rates the groups have now."""
        raise UndefinedError(f"{type(self).__name__} has to define get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The rate of each group, as last set by this schedule: a number, or a copy of a tensor."""
        return list(self._last_lr)

    def holders(self) -> list[Any]:
        return [self, *(group for group in self.optimizer.param_groups if isinstance(group, LiveDict))]

    def save(self) -> Undo:
        undo = [self._saved(), *map(saved, self.optimizer.param_groups)]

        def restore() -> None:
            take_back(undo)

        return restore

    def _saved(self) -> Undo:
        """How to bring the attributes back to what they are now."""
        before = {key: copy(value) if isinstance(value, list | dict) else value for key, value in vars(self).items()}

        def restore() -> None:
            vars(self).clear()
            vars(self).update(before)

        return restore

    def step(self, epoch: float | None = None) -> None:
        """Advance by one, or jump to ``epoch``. Call it after ``optimizer.step()``."""
        if self._step_count == 1 and self.optimizer._step_count == 0:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
                "`optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the learning rate "
                "schedule is skipped.",
                GenesisWarning,
                stacklevel=3,
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
        self._get_lr_called_within_step = False  # a key of PyTorch's state dicts
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
        for group, rate in zip(self.optimizer.param_groups, self._per_group("base_lrs", rates), strict=True):
            set_number(group, "lr", rate)
        self._note_lr()

    def _note_lr(self) -> None:
        self._last_lr = [copied(group["lr"]) for group in self.optimizer.param_groups]

    def _current_lr(self) -> list[float]:
        return [number(group, "lr") for group in self.optimizer.param_groups]

    def _per_group(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """``values`` of the attribute ``name``. Raises ScheduleError where groups were added since they were made."""
        count = len(self.optimizer.param_groups)
        if len(values) != count:
            raise ScheduleError(
                f"the optimizer has {count} parameter groups, and {type(self).__name__}.{name} has {len(values)} "
                f"entries: a group was added after the schedule was made; append to {name} what it is for the group"
            )
        return values


def positive(name: str, value: int) -> int:
    if value <= 0:
        raise ChoiceError(f"Expected positive integer {name}, but got {value}")
    return value


def per_group(name: str, optimizer: Schedulable, value: float | Sequence[float]) -> list[float]:
    """``value`` for each param group: one for all, or a list of one each."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * count
    if len(values) != count:
        raise ChoiceError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} values, "
            f"param_groups has {count}."
        )
    return values


def number(group: dict[str, Any], key: str) -> float:
    """A hyper-parameter, a number of any kind or a tensor of one element, as a float."""
    return float(group[key])


def copied(value: Any) -> Any:
    """``value``, or a copy of a tensor, so that nobody writes into it through the other."""
    return from_array(value.detach().numpy().copy()) if isinstance(value, Tensor) else value


def set_number(group: dict[str, Any], key: str, value: float) -> None:
    """Replace a hyper-parameter that is a number, or fill the tensor that it is."""
    old = group.get(key)
    if isinstance(old, Tensor):
        with grad_mode(False):
            fill_(old, value)
    else:
        group[key] = value
