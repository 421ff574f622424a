"""Normalisations: over the last dimensions, over the batch, over groups of channels, by a norm."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from compiler.errors import ArgumentError, AxisError, ChoiceError, OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.context import grad_mode
from genesis.functions.creation import ones_like
from genesis.functions.formats import formatted
from genesis.functions.pointwise import add, cast, clamp, div, mul, sub
from genesis.functions.reductions import mean, norm
from genesis.functions.table import everywhere, functional_only
from genesis.tensor import Tensor, wrap


def _check_normalized(
    input: Tensor, normalized_shape: Sequence[int], affine: Sequence[Tensor | None]
) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        raise ArgumentError(f"normalized_shape must be a tuple of ints, not the int {normalized_shape}")
    shape = tuple(normalized_shape)
    if not shape:
        raise OpError("Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element")
    for name, parameter in zip(("weight", "bias"), affine):
        if parameter is not None and parameter.shape != shape:
            raise OpError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(parameter.shape)} and normalized_shape = {list(shape)}"
            )
    if input.shape[-len(shape) :] != shape:
        wanted = ", ".join(["*", *map(str, shape)])
        raise OpError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{wanted}], "
            f"but got input of size{list(input.shape)}"
        )
    return shape


@everywhere
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance over the last dimensions, then ``* weight + bias``."""
    shape = _check_normalized(input, normalized_shape, (weight, bias))
    if weight is None and bias is not None:
        weight = ones_like(bias)
    affine = [p.value for p in (weight, bias) if p is not None]
    return wrap(o.layer_norm(input.value, *affine, ndim=len(shape), eps=float(eps))[0])


@everywhere
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """``x / sqrt(mean(x²) + eps) * weight`` over the last dimensions; ``eps`` is the dtype's by default."""
    shape = _check_normalized(input, normalized_shape, (weight,))
    if eps is None:
        eps = float(np.finfo(np.float64 if input.dtype.itemsize == 8 else np.float32).eps)
    affine = () if weight is None else (weight.value,)
    return formatted(wrap(o.rms_norm(input.value, *affine, ndim=len(shape), eps=float(eps))[0]), input)


@functional_only
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance for each channel of ``[N, C, *]``, then ``* weight + bias``.

    In training the statistics are the batch's, and the running ones move towards them by ``momentum`` (towards the
    unbiased variance); else they are the running ones.
    """
    if training:
        _check_elements_per_channel(input, (0, *range(2, input.ndim)), "value per channel")
    if eps < 0 or (training and eps == 0):
        wanted = "positive during training" if training else "non-negative"
        raise ChoiceError(f"batch_norm eps must be {wanted}, but got {eps}")
    affine = _per_channel(input, weight, bias)
    _per_channel(input, running_mean, running_var, ("running_mean", "running_var"))
    if not training:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise OpError(f"{missing} must be defined in evaluation mode")
        statistics = running_mean.value, running_var.value
        return formatted(wrap(o.batch_norm_inference(input.value, *statistics, *affine, eps=float(eps))), input)
    y, centre, var = o.batch_norm(input.value, *affine, eps=float(eps))
    _move(running_mean, wrap(centre), momentum)
    _move(running_var, wrap(o.unbiased(var, input.value)), momentum)
    return formatted(wrap(y), input)


@everywhere
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Zero mean and unit variance in each of ``num_groups`` groups of channels of ``[N, C, *]``, an example at a time.

    Then ``* weight + bias``, which have one element for each channel.
    """
    if input.ndim < 2:
        raise OpError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    if input.numel() == num_groups:
        raise ChoiceError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    affine = _per_channel(input, weight, bias)
    return formatted(wrap(o.group_norm(input.value, *affine, groups=num_groups, eps=float(eps))[0]), input)


@functional_only
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance for each channel of each example of ``[N, C, *]``, then ``* weight + bias``.

    Running statistics, if given, move towards the mean of the examples' by ``momentum``; without ``use_input_stats``
    they are what is normalised by.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_elements_per_channel(input, tuple(range(2, input.ndim)), "spatial element")
    affine = _per_channel(input, weight, bias)
    _per_channel(input, running_mean, running_var, ("running_mean", "running_var"))
    y, centre, var = o.group_norm(input.value, *affine, groups=input.shape[1], eps=float(eps))
    _move(running_mean, mean(wrap(centre), 0), momentum)
    elements = prod(input.shape[2:])
    _move(running_var, mean(mul(wrap(var), elements / max(elements - 1, 1)), 0), momentum)
    return wrap(y)


def _check_elements_per_channel(input: Tensor, dims: Sequence[int], what: str) -> None:
    if prod(input.shape[d] for d in dims) == 1:
        raise ChoiceError(f"Expected more than 1 {what} when training, got input size {input.shape}")


def _per_channel(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    names: tuple[str, str] = ("weight", "bias"),
) -> list[Value]:
    """``weight`` and ``bias`` as operands, which have one element for each channel of ``input``."""
    if input.ndim < 2:
        raise AxisError(f"expected an input [N, C, *] with channels, not {input._type}")
    channels = input.shape[1]
    for name, parameter in zip(names, (weight, bias)):
        if parameter is not None and parameter.shape != (channels,):
            raise OpError(f"{name} should contain {channels} elements not {parameter.numel()}")
    if weight is None and bias is not None:
        weight = ones_like(bias)
    return [p.value for p in (weight, bias) if p is not None]


def _move(running: Tensor | None, statistic: Tensor, momentum: float | Tensor) -> None:
    """Move running statistics, if they are kept, by ``momentum`` of the way to a batch's statistics."""
    if running is not None:
        with grad_mode(False):
            rest = mul(running, sub(1, momentum) if isinstance(momentum, Tensor) else 1 - momentum)
            running.write(cast(add(rest, mul(statistic, momentum)), running.dtype).value)


@functional_only
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``x / max(norm(x), eps)`` along ``dim``."""
    return div(input, clamp(norm(input, p, dim, True), min=eps))


@functional_only
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * mean(x² of size channels around)) ** beta`` for ``[N, C, *]``; outside are zeros.

    Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012.
    """
    if input.ndim < 3:
        raise ChoiceError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if size < 1:
        raise OpError(f"local_response_norm: size must be at least 1, but got {size}")
    if not input.numel():
        return input
    n, channels, *space = input.shape
    squares = o.reshape(o.mul(input.value, input.value), shape=(n, 1, channels, prod(space)))
    before, after = size // 2, (size - 1) // 2
    padded = o.slide(
        o.reshape(squares, shape=(n, 1, 1, 1, channels, prod(space))),
        size=(channels + before + after, prod(space)),
        stride=(1, 1),
        dilation=(1, 1),
        padding=(before, 0),
        base=(1, 1),
    )
    around = o.reshape(padded, shape=(n, 1, channels + before + after, prod(space)))
    mean = o.avg_pool(around, window=(size, 1), stride=(1, 1), padding=(0, 0), size=(channels, prod(space)))
    divisor = o.pow(o.add(o.mul(o.reshape(mean, shape=tuple(input.shape)), alpha), k), beta)
    return wrap(o.div(input.value, divisor))
