"""Learning-rate schedules with the names, meanings and values of ``torch.optim.lr_scheduler``.

A schedule sees its optimizer only through ``param_groups`` and writes ``group["lr"]`` (and, where a cycle says so,
the momentum). Most schedules compute a rate from the one before it, so that schedules can be chained and a rate
changed by hand is kept; ``step(epoch)`` jumps by the closed form instead.

In a compiled step ``scheduler.step()`` is no op of the graph: it runs on the host after each call.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, Literal, Protocol, SupportsFloat

from compiler.errors import GenesisWarning
from genesis.context import host_action

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


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
        raise NotImplementedError

    def _total_factor(self) -> float:
        raise NotImplementedError


class StepLR(_FactorLR):
    """Multiply by ``gamma`` every ``step_size`` epochs."""

    def __init__(self, optimizer: Schedulable, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = _positive("step_size", step_size)
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
            raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")
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
            raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        if not 0 <= end_factor <= 1:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
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
        self.total_iters = _positive("total_iters", total_iters)
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        now, before = (1.0 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1))
        return (now / before) ** self.power

    def _total_factor(self) -> float:
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """``eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``: half a cosine down, then up again.

    Source: Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983, without the restarts.
    """

    def __init__(self, optimizer: Schedulable, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = _positive("T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = self._current_lr()
        if self._is_initial:
            return rates
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:  # at the lowest point a ratio would divide by zero
            rise = self._height(self.T_max - 1)
            return [rate + (base - self.eta_min) * rise for rate, base in zip(rates, self.base_lrs)]
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
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0 = self.T_i = _positive("T_0", T_0)
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def _update_lr(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch += 1
            self.T_cur += 1
        elif epoch is not None and epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self.T_cur, self.T_i = epoch or 0, self.T_0
            self.last_epoch = math.floor(self.T_cur)
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._set_lr(self.get_lr())


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
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"lr_lambdas": [_state_of(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"lr_lambdas": self.lr_lambdas})
        for function, state in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            _restore(function, state)


class LambdaLR(_FunctionLR):
    """The base rate times ``lr_lambda(epoch)``."""

    def get_lr(self) -> list[float]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_FunctionLR):
    """Multiply by ``lr_lambda(epoch)`` every epoch."""

    def get_lr(self) -> list[float]:
        rates = self._current_lr()
        if self._is_initial:
            return rates
        return [rate * function(self.last_epoch) for rate, function in zip(rates, self.lr_lambdas, strict=True)]


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
            raise ValueError("mode is invalid and scale_fn is None")
        base_lrs = _per_group("base_lr", optimizer, base_lr)
        self.max_lrs = _per_group("max_lr", optimizer, max_lr)
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = ("iterations" if mode == "exp_range" else "cycle") if scale_fn is None else scale_mode
        self._scale_fn_custom = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
            self.base_momentums = _per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = _per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = group["initial_lr"] = rate
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
            for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                _set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"_scale_fn_custom": _state_of(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"_scale_fn_custom": self._scale_fn_custom})
        _restore(self._scale_fn_custom, state_dict["_scale_fn_custom"])


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
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.anneal_strategy = anneal_strategy

        # (last step, rate before and after, momentum before and after); the names are keys of a param group
        rise = pct_start * self.total_steps
        end = self.total_steps - 1
        self._phases: list[tuple[float, str, str, str, str]] = [
            (rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        ]
        if three_phase:
            self._phases += [
                (2 * rise - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (end, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._phases += [(end, "max_lr", "min_lr", "base_momentum", "max_momentum")]

        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
        if last_epoch == -1:
            lows = _per_group("base_momentum", optimizer, base_momentum)
            highs = _per_group("max_momentum", optimizer, max_momentum)
            for i, (group, peak) in enumerate(zip(optimizer.param_groups, _per_group("max_lr", optimizer, max_lr))):
                start = peak / div_factor
                group |= {"initial_lr": start, "max_lr": peak, "min_lr": start / final_div_factor}
                if cycle_momentum:
                    group |= {"base_momentum": lows[i], "max_momentum": highs[i]}
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        ends = [phase[0] for phase in self._phases]
        index = min(bisect_left(ends, step), len(ends) - 1)
        begin = ends[index - 1] if index else 0
        end, rate0, rate1, momentum0, momentum1 = self._phases[index]
        share = (step - begin) / (end - begin)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                _set_momentum(group, self._anneal(group[momentum0], group[momentum1], share))
        return [self._anneal(group[rate0], group[rate1], share) for group in self.optimizer.param_groups]

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


class _CompositeLR(LRScheduler):
    """A schedule made of other schedules of the same optimizer."""

    def __init__(self, optimizer: Schedulable | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        if not schedulers:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
        self.optimizer = optimizer or schedulers[0].optimizer
        self._schedulers = list(schedulers)
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} of another one."
                )

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"_schedulers": self._schedulers})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)

    def _restart(self) -> None:
        # Every schedule set its own first rate when it was made, on top of the others'.
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._forget()
        self._initial_step()

    def _forget(self) -> None:
        for scheduler in self._schedulers:
            scheduler._forget()


class SequentialLR(_CompositeLR):
    """One schedule after the other: ``schedulers[i + 1]`` begins at epoch ``milestones[i]``."""

    def __init__(
        self, optimizer: Schedulable, schedulers: Sequence[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"equal to {len(milestones)}"
            )
        self._milestones = milestones
        if last_epoch == -1:
            self._restart()
        else:
            self.last_epoch = last_epoch + 1
            self._last_lr = self._current_lr()

    def step(self) -> None:  # type: ignore[override]
        if host_action(self.step):
            return
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._last_lr = self._current_lr()

    def _initial_step(self) -> None:
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()
        self._last_lr = self._current_lr()


class ChainedScheduler(_CompositeLR):
    """Several schedules at once: each changes what the one before it has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Schedulable | None = None) -> None:
        super().__init__(optimizer, schedulers)
        self._last_lr = self._current_lr()

    def step(self) -> None:  # type: ignore[override]
        if host_action(self.step):
            return
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._current_lr()

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = self._current_lr()


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
            raise ValueError("Factor should be < 1.0.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = _per_group("min_lr", optimizer, min_lr)
        self.eps = eps
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._last_lr = self._current_lr()

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Take note of this epoch's metric, and lower the rates when it is time."""
        current = float(metrics)
        if host_action(partial(self.step, current)):
            return
        self.last_epoch += 1
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
        self._last_lr = self._current_lr()

    def _is_better(self, current: float) -> bool:
        margin = -self.threshold if self.mode == "min" else self.threshold
        goal = self.best * (1.0 + margin) if self.threshold_mode == "rel" else self.best + margin
        return current < goal if self.mode == "min" else current > goal

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            rate = max(group["lr"] * self.factor, least)
            if group["lr"] - rate > self.eps:
                group["lr"] = rate


def _positive(name: str, value: int) -> int:
    if value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _per_group(name: str, optimizer: Schedulable, value: float | Sequence[float]) -> list[float]:
    """``value`` for each param group: one for all, or a list of one each."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * count
    if len(values) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} values, "
            f"param_groups has {count}."
        )
    return values


def _check_momentum(optimizer: Schedulable) -> None:
    if not all("betas" in group or "momentum" in group for group in optimizer.param_groups):
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")


def _set_momentum(group: dict[str, Any], value: float) -> None:
    """Set the momentum, which Adam and its kin call ``betas[0]``."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def _state_of(function: Callable[..., float] | None) -> dict[str, Any] | None:
    """What a callable object remembers; a plain function remembers nothing that could be saved."""
    if function is None or isinstance(function, FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


def _restore(function: Callable[..., float] | None, state: dict[str, Any] | None) -> None:
    if function is not None and state:
        function.__dict__.update(state)
