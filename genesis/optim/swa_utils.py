"""Averages of weights over a training: by equal weights (SWA) or fading ones (EMA).

Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from compiler.errors import ChoiceError, InvariantError
from compiler.ir.types import i64
from genesis.context import current_recording, grad_mode
from genesis.functions.creation import zeros
from genesis.functions.pointwise import where
from genesis.nn.batchnorm import _BatchNorm
from genesis.nn.module import Module
from genesis.optim.lr_scheduler.base import LRScheduler, Schedulable, number, per_group
from genesis.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
"""The new average, from the old one, the parameter, and how many were averaged before."""

MultiAverage = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]
"""As :data:`Average` for lists of tensors of one dtype; the averages are changed in place."""


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * average + (1 - decay) * parameter``. Raises ValueError unless ``decay`` is in [0, 1]."""
    _check_decay(decay)

    def ema_update(average: Tensor, parameter: Tensor, count: Any) -> Tensor:
        with grad_mode(False):
            return decay * average + (1 - decay) * parameter

    return ema_update


def get_swa_avg_fn() -> Average:
    """The mean of all parameters so far."""

    def swa_update(average: Tensor, parameter: Tensor, count: Any) -> Tensor:
        with grad_mode(False):
            return average + (parameter - average) / (count + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """:func:`get_ema_avg_fn` for lists of tensors."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """:func:`get_swa_avg_fn` for lists of tensors."""
    return _in_place(get_swa_avg_fn())


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ChoiceError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _in_place(average: Average) -> MultiAverage:
    def update(averages: Sequence[Tensor], parameters: Sequence[Tensor], count: Any) -> None:
        with grad_mode(False):
            for mean, parameter in zip(averages, parameters, strict=True):
                mean.copy_(average(mean, parameter, count))

    return update


class AveragedModel(Module):
    """A copy of ``model`` whose parameters are averages of the parameters of ``model``.

    The first :meth:`update_parameters` copies them; each later one calls ``avg_fn`` for each parameter, or
    ``multi_avg_fn`` for all of one dtype; by default the average is the mean. With ``use_buffers`` the buffers are
    averaged as well, else copied. ``n_averaged`` (int64[]) counts the updates. In a compiled step the first update and
    the later ones are one program.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise InvariantError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", zeros(dtype=i64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters of ``model`` into the averages, once."""
        with grad_mode(False):
            pairs = list(zip(self._averaged(self.module), self._averaged(model)))
            is_first = self.n_averaged == 0
            if current_recording() is not None:
                self._move(pairs)
                for mean, value in pairs:
                    mean.copy_(where(is_first, value, mean))
            elif is_first:
                for mean, value in pairs:
                    mean.copy_(value)
            else:
                self._move(pairs)
            if not self.use_buffers:
                for mine, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                    mine.copy_(buffer)
            self.n_averaged.add_(1)

    def _averaged(self, model: Module) -> list[Tensor]:
        """The tensors of ``model`` that are averaged, without gradients."""
        return [t.detach() for t in chain(model.parameters(), model.buffers() if self.use_buffers else ())]

    def _move(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Average ``pairs`` of average and parameter, in place."""
        move = self.multi_avg_fn or _in_place(self.avg_fn or get_swa_avg_fn())
        for dtype in dict.fromkeys(mean.dtype for mean, _ in pairs):
            alike = [(mean, value) for mean, value in pairs if mean.dtype is dtype]
            move([mean for mean, _ in alike], [value for _, value in alike], self.n_averaged)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of the batch norms of ``model`` from all batches of ``loader``.

    A batch is a tensor, or a list or tuple whose first element is the input.
    """
    norms = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with grad_mode(False):
            for batch in loader:
                input = batch[0] if isinstance(batch, list | tuple) else batch
                model(input if device is None else input.to(device))
    finally:
        for norm, momentum in norms.items():
            norm.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Go from the present rate to ``swa_lr`` (one, or one for each group) in ``anneal_epochs``, and stay there.

    ``anneal_strategy``: along half a ``"cos"`` or ``"linear"``.
    """

    def __init__(
        self,
        optimizer: Schedulable,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = per_group("swa_lr", optimizer, swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ChoiceError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ChoiceError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = number(group, "swa_lr")
            start = goal if before == 1 else (number(group, "lr") - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        """How much of the way is behind after ``step`` epochs, in 0 .. 1."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2
