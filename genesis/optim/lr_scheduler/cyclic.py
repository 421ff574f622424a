"""Schedules that go up and down, the momentum the other way: ``CyclicLR`` and ``OneCycleLR``."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Literal

from compiler.errors import ChoiceError
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, number, per_group, positive, set_number
from genesis.optim.lr_scheduler.function import restore, state_of


class CyclicLR(LRScheduler):
    """Up from ``base_lr`` to ``max_lr`` and down again, without end; the momentum runs the other way.

    ``mode``: ``"triangular"`` keeps the height, ``"triangular2"`` halves it each cycle, ``"exp_range"`` multiplies it
    by ``gamma ** step``; or ``scale_fn`` says the height, of the cycle or of the step (``scale_mode``).
    Source: Smith, https://arxiv.org/abs/1506.01186.
    """

    def __init__(
        self,
        optimizer: Schedulable,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ChoiceError("mode is invalid and scale_fn is None")
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = ("iterations" if mode == "exp_range" else "cycle") if scale_fn is None else scale_mode
        self._scale_fn_custom = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                set_number(group, "lr", rate)
                group["initial_lr"] = rate
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, as a share of ``max_lr - base_lr``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        match self.mode:
            case "triangular2":
                return 0.5 ** (x - 1)
            case "exp_range":
                return self.gamma**x
        return 1.0

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            lows = self._per_group("base_momentums", self.base_momentums)
            highs = self._per_group("max_momentums", self.max_momentums)
            for group, low, high in zip(self.optimizer.param_groups, lows, highs, strict=True):
                _set_momentum(group, high - (high - low) * height)
        bases = self._per_group("base_lrs", self.base_lrs)
        peaks = self._per_group("max_lrs", self.max_lrs)
        return [low + (high - low) * height for low, high in zip(bases, peaks, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"_scale_fn_custom": state_of(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"_scale_fn_custom": self._scale_fn_custom})
        restore(self._scale_fn_custom, state_dict["_scale_fn_custom"])


class OneCycleLR(LRScheduler):
    """One cycle over the whole run: up to ``max_lr``, then down to far below where it began.

    It begins at ``max_lr / div_factor``, rises for ``pct_start`` of the steps, and ends at
    ``max_lr / div_factor / final_div_factor``; with ``three_phase`` the way down first mirrors the way up. The
    momentum runs the other way. Source: Smith and Topin, https://arxiv.org/abs/1708.07120.
    """

    def __init__(
        self,
        optimizer: Schedulable,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is not None:
            self.total_steps = positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = positive("epochs", epochs) * positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ChoiceError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not 0 <= pct_start <= 1:
            raise ChoiceError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ChoiceError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy

        rise = pct_start * self.total_steps
        end = self.total_steps - 1
        self._schedule_phases = [_phase(rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            self._schedule_phases += [
                _phase(2 * rise - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(end, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._schedule_phases += [_phase(end, "max_lr", "min_lr", "base_momentum", "max_momentum")]

        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
            self.use_beta1 = "betas" in optimizer.param_groups[0]
        if last_epoch == -1:
            lows = per_group("base_momentum", optimizer, base_momentum)
            highs = per_group("max_momentum", optimizer, max_momentum)
            for i, (group, peak) in enumerate(zip(optimizer.param_groups, per_group("max_lr", optimizer, max_lr))):
                start = peak / div_factor
                group |= {"initial_lr": start, "max_lr": peak, "min_lr": start / final_div_factor}
                if cycle_momentum:
                    group |= {"base_momentum": lows[i], "max_momentum": highs[i]}
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ChoiceError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        ends = [phase["end_step"] for phase in self._schedule_phases]
        index = min(bisect_left(ends, step), len(ends) - 1)
        begin = ends[index - 1] if index else 0
        end, rate0, rate1, momentum0, momentum1 = self._schedule_phases[index].values()
        share = (step - begin) / (end - begin)
        groups = self.optimizer.param_groups
        self._per_group("optimizer.param_groups", [group for group in groups if "max_lr" in group])
        if self.cycle_momentum:
            for group in groups:
                _set_momentum(group, self._anneal(group[momentum0], group[momentum1], share))
        return [self._anneal(number(group, rate0), number(group, rate1), share) for group in groups]

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


def _phase(end: float, start_lr: str, end_lr: str, start_momentum: str, end_momentum: str) -> dict[str, Any]:
    """A part of the cycle up to step ``end``, as PyTorch saves it; the names are keys of a param group."""
    return {
        "end_step": end,
        "start_lr": start_lr,
        "end_lr": end_lr,
        "start_momentum": start_momentum,
        "end_momentum": end_momentum,
    }


def _check_momentum(optimizer: Schedulable) -> None:
    if not all("betas" in group or "momentum" in group for group in optimizer.param_groups):
        raise ChoiceError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")


def _set_momentum(group: dict[str, Any], value: float) -> None:
    """Set the momentum, which Adam and its kin call ``betas[0]``."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value
