"""Losses. Reductions are ``"none"``, ``"mean"`` or ``"sum"``."""

from __future__ import annotations

import warnings
from functools import wraps
from inspect import signature
from typing import Any

from compiler.errors import ChoiceError, GenesisWarning, OpError
from compiler.ir.op import o
from genesis.context import current_recording, session
from genesis.functions.calls import F
from genesis.functions.pointwise import add, div, ge, le, logical_and, mul, neg
from genesis.functions.precision import full_precision
from genesis.functions.products import linear
from genesis.functions.reductions import all, log_softmax, mean, sum
from genesis.functions.shapes import reshape
from genesis.functions.table import functional_only
from genesis.tensor import Tensor, wrap


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ChoiceError(f"{reduction} is not a valid value for reduction; there are none, mean and sum")


def old_reduction(f: F) -> F:
    """``f``, a loss or the constructor of one, that also takes PyTorch's older ``size_average`` and ``reduce``.

    ``reduce=False`` is ``reduction="none"``, ``size_average=False`` is ``"sum"``; a given ``reduction`` gives way.
    A function of a user that has one of them as a parameter stays as it is.
    """
    if {"size_average", "reduce"} & signature(f).parameters.keys():
        return f

    @wraps(f)
    def call(*args: Any, size_average: bool | None = None, reduce: bool | None = None, **kwargs: Any) -> Any:
        if size_average is not None or reduce is not None:
            meant = "none" if reduce is False else "sum" if size_average is False else "mean"
            warnings.warn(
                f"size_average and reduce are deprecated; write reduction={meant!r}", GenesisWarning, stacklevel=3
            )
            kwargs["reduction"] = meant
        return f(*args, **kwargs)

    return call  # type: ignore[return-value]


def reduced(loss: Tensor, reduction: str) -> Tensor:
    check_reduction(reduction)
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" else sum(loss)


@functional_only
@old_reduction
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy of logits ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``.

    ``target`` holds class indices (the shape without C) or class probabilities (the same shape as ``input``).
    ``weight [C]`` weighs the classes; the mean over indices is weighted and leaves ``ignore_index`` out.
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise OpError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    check_reduction(reduction)
    if not input.ndim:
        raise OpError(f"cross_entropy takes logits [C], [N, C] or [N, C, d1, ...], not {input._type}")
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    loss, _ = o.cross_entropy(
        *(x.value for x in (input, target, weight) if x is not None),
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=float(label_smoothing),
    )
    return wrap(loss)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    if input.shape != target.shape:
        raise OpError(
            f"a floating point target holds class probabilities and has the input's shape {list(input.shape)}, "
            f"not {list(target.shape)}; class numbers are integers: target.long()"
        )
    if ignore_index >= 0:
        raise OpError("ignore_index is not supported for floating point target")
    input, target = full_precision(input, target)
    axis = 0 if input.ndim == 1 else 1
    classes = input.shape[axis]
    if smoothing:
        target = add(mul(target, 1 - smoothing), smoothing / classes)
    if weight is not None:
        target = mul(target, reshape(weight, classes, *(1 for _ in input.shape[axis + 1 :])))
    losses = neg(sum(mul(log_softmax(input, axis), target), axis))
    return reduced(losses, reduction)


@functional_only
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """:func:`cross_entropy` of ``linear(input, linear_weight, linear_bias)``: ``[N, I]`` by ``[C, ..., I]``.

    ``options`` of PyTorch cut the logits in parts to save memory; nothing here depends on them.
    """
    if linear_weight.ndim < 2:
        raise OpError(f"linear_cross_entropy takes a weight [C, ..., I], not {linear_weight._type}")
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape(-1, linear_weight.shape[-1]), bias)
    return cross_entropy(
        logits.reshape(*input.shape[:-1], *linear_weight.shape[:-1]),
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


@functional_only
@old_reduction
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``-input`` at each target class, for log-probabilities ``[C]``, ``[N, C]`` or ``[N, C, d1, ...]``."""
    check_reduction(reduction)
    operands = (x.value for x in (input, target, weight) if x is not None)
    return wrap(o.nll_loss(*operands, reduction=reduction, ignore_index=ignore_index))


def _warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            GenesisWarning,
            stacklevel=3,
        )


def _weighed(losses: Tensor, weight: Tensor, input: Tensor) -> Tensor:
    if weight.shape != input.shape:
        raise OpError(f"Weights and input must have the same size: {list(weight.shape)} and {list(input.shape)}")
    return mul(losses, weight)


def _weighted_mean(losses: Tensor, weight: Tensor, input: Tensor, reduction: str) -> Tensor:
    found = _weighed(losses, weight, input)
    return div(sum(found), sum(weight)) if reduction == "mean" else reduced(found, reduction)


@functional_only
@old_reduction
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """``(input - target)²``; the mean with ``weight``, of the input's shape, is over the sum of the weights."""
    check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    if weight is not None:
        return _weighted_mean(mse_loss(input, target, reduction="none"), weight, input, reduction)
    return wrap(o.mse_loss(input.value, target.value, reduction=reduction))


@functional_only
@old_reduction
def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """``|input - target|``; ``weight`` as of :func:`mse_loss`."""
    check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    if weight is not None:
        return _weighted_mean(l1_loss(input, target, reduction="none"), weight, input, reduction)
    return wrap(o.l1_loss(input.value, target.value, reduction=reduction))


@functional_only
@old_reduction
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``d² / (2 beta)`` for ``d = |input - target| < beta``, else ``d - beta / 2``."""
    if beta < 0:
        raise OpError("smooth_l1_loss does not support negative values for beta.")
    check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    return wrap(o.smooth_l1_loss(input.value, target.value, reduction=reduction, beta=float(beta)))


@functional_only
def huber_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``d² / 2`` for ``d = |input - target| < delta``, else ``delta (d - delta / 2)``, times ``weight``."""
    if delta <= 0:
        raise OpError("huber_loss does not support non-positive values for delta.")
    check_reduction(reduction)
    _warn_of_broadcasting(input, target)
    if weight is not None:
        found = _weighed(huber_loss(input, target, reduction="none", delta=delta), weight, input)
        return reduced(found, reduction)
    return wrap(o.huber_loss(input.value, target.value, reduction=reduction, delta=float(delta)))


@functional_only
@old_reduction
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of logits; ``pos_weight`` weighs the positive class, ``weight`` the elements."""
    if target.shape != input.shape:
        raise ChoiceError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    check_reduction(reduction)
    operands = (x.value for x in (input, target, weight, pos_weight) if x is not None)
    return wrap(
        o.binary_cross_entropy_with_logits(
            *operands, reduction=reduction, weight=weight is not None, pos_weight=pos_weight is not None
        )
    )


_UNSAFE_TO_AUTOCAST = (
    "binary_cross_entropy and BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using binary_cross_entropy_with_logits\n"
    "or BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
    "safe to autocast."
)


@functional_only
@old_reduction
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of probabilities; logarithms below -100 count as -100.

    Raises RuntimeError in a CUDA autocast region, where 16-bit probabilities lose what the logarithm needs.
    """
    region = session().autocast
    if region is not None and region[1] == "cuda":
        raise OpError(_UNSAFE_TO_AUTOCAST)
    if target.shape != input.shape:
        raise ChoiceError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    check_reduction(reduction)
    if current_recording() is None and not bool(all(logical_and(ge(input, 0), le(input, 1)))):
        raise OpError("all elements of input should be between 0 and 1")
    operands = (x.value for x in (input, target, weight) if x is not None)
    return wrap(o.binary_cross_entropy(*operands, reduction=reduction, weight=weight is not None))


@functional_only
@old_reduction
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """``target (log target - input)`` for log-probabilities ``input``; ``"batchmean"`` divides by the first size."""
    batchmean = reduction == "batchmean"
    reduction = "sum" if batchmean else reduction
    check_reduction(reduction)
    loss = wrap(o.kl_div(input.value, target.value, reduction=reduction, log_target=log_target))
    return div(loss, input.shape[0] if input.ndim else 1) if batchmean else loss
