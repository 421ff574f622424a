"""Losses that are negative log-likelihoods of counts, of numbers with a variance, of labels.

Reductions are ``"none"``, ``"mean"`` or ``"sum"``.
"""

from __future__ import annotations

import math

from compiler.errors import ChoiceError
from genesis.context import current_recording
from genesis.functions.activations import logsigmoid, softplus
from genesis.functions.conversion import detach
from genesis.functions.creation import full_like
from genesis.functions.losses import check_reduction, old_reduction, reduced
from genesis.functions.pointwise import add, clamp, div, exp, gt, log, lt, mul, neg, square, sub, where
from genesis.functions.precision import full_precision
from genesis.functions.reductions import any, mean
from genesis.functions.shapes import unsqueeze
from genesis.functions.table import functional_only
from genesis.tensor import Tensor


@functional_only
@old_reduction
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """``exp(input) - target * input`` (without ``log_input``: ``input - target * log(input + eps)``).

    ``full`` adds Stirling's approximation of ``log(target!)`` where ``target > 1``.
    """
    input, target = full_precision(input, target)
    if log_input:
        loss = sub(exp(input), mul(target, input))
    else:
        loss = sub(input, mul(target, log(add(input, eps))))
    if full:
        above = gt(target, 1)
        count = where(above, target, 1.0)
        stirling = add(sub(mul(count, log(count)), count), mul(log(mul(count, 2 * math.pi)), 0.5))
        loss = add(loss, where(above, stirling, 0.0))
    return reduced(loss, reduction)


@functional_only
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    *,
    reduction: str = "mean",
) -> Tensor:
    """``(log(var) + (input - target)² / var) / 2``; ``full`` adds ``log(2 pi) / 2``.

    ``var`` has the shape of ``input``, or 1 in place of the last dimension, or lacks it. A variance below ``eps`` is
    ``eps``; its gradient passes. Raises ValueError for a negative one, outside compiled steps.
    """
    if isinstance(var, int | float):
        if var < 0:
            raise ChoiceError("var has negative entry/entries")
        var = full_like(input, float(var))
    elif current_recording() is None and bool(any(lt(var, 0))):
        raise ChoiceError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = unsqueeze(var, -1)
        elif not (input.shape[:-1] == var.shape[:-1] and var.shape[-1] == 1):
            raise ChoiceError(f"var is of incorrect size: {list(var.shape)} for input of size {list(input.shape)}")
    check_reduction(reduction)
    var = add(var, detach(sub(clamp(var, min=eps), var)))
    loss = mul(add(log(var), div(square(sub(input, target)), var)), 0.5)
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


@functional_only
@old_reduction
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""
    input, target = full_precision(input, target)
    return reduced(softplus(mul(neg(target), input)), reduction)


@functional_only
@old_reduction
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over the classes, the last dimension, of the binary cross-entropy of logits."""
    loss = neg(add(mul(target, logsigmoid(input)), mul(sub(1, target), logsigmoid(neg(input)))))
    if weight is not None:
        loss = mul(loss, weight)
    return reduced(mean(loss, -1), reduction)
