"""Learning-rate schedules with the names, meanings and values of ``torch.optim.lr_scheduler``.

A schedule sees its optimizer only through ``param_groups`` and writes ``group["lr"]`` (and, where a cycle says so,
the momentum). Most schedules compute a rate from the one before it, so that schedules can be chained and a rate
changed by hand is kept; ``step(epoch)`` jumps by the closed form instead.

In a compiled step ``scheduler.step()`` is no op of the graph: every call repeats it on the host, in program order.
"""

from genesis.optim.lr_scheduler.base import LRScheduler
from genesis.optim.lr_scheduler.compose import ChainedScheduler, SequentialLR
from genesis.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from genesis.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from genesis.optim.lr_scheduler.factor import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from genesis.optim.lr_scheduler.function import LambdaLR, MultiplicativeLR
from genesis.optim.lr_scheduler.plateau import ReduceLROnPlateau
from genesis.optim.lr_scheduler.warmup import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)
from genesis.scope import AROUND

__eager_only__ = AROUND

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
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_linear_schedule_with_warmup",
]

_LRScheduler = LRScheduler  # its old name, from which programs derive their schedules
