"""Schedules that begin with a linear rise, under the names that the library ``transformers`` gives them."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

from genesis.optim.lr_scheduler.base import Schedulable
from genesis.optim.lr_scheduler.function import LambdaLR


def _rising(warmup: int, then: Callable[[int], float]) -> Callable[[int], float]:
    return lambda step: step / max(1, warmup) if step < warmup else then(step - warmup)


def get_constant_schedule_with_warmup(optimizer: Schedulable, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """From zero to the base rate in ``num_warmup_steps``; there it stays."""
    return LambdaLR(optimizer, _rising(num_warmup_steps, lambda step: 1.0), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Schedulable, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """From zero to the base rate in ``num_warmup_steps``, then on a line to zero at ``num_training_steps``."""
    rest = max(1, num_training_steps - num_warmup_steps)
    return LambdaLR(optimizer, _rising(num_warmup_steps, lambda step: max(0.0, 1 - step / rest)), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Schedulable,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """From zero to the base rate in ``num_warmup_steps``, then along ``num_cycles`` waves of a cosine.

    Half a wave ends at zero, at ``num_training_steps``. Source: Loshchilov & Hutter, "SGDR", 2017.
    """
    rest = max(1, num_training_steps - num_warmup_steps)
    wave = _rising(num_warmup_steps, lambda step: max(0.0, 0.5 * (1 + cos(2 * pi * num_cycles * step / rest))))
    return LambdaLR(optimizer, wave, last_epoch)
