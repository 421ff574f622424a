"""Filling parameters with their first values, in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from compiler.errors import ChoiceError
from genesis.context import grad_mode
from genesis.functions.conversion import copy_, fill_
from genesis.functions.conversion import normal_ as fill_normal
from genesis.functions.conversion import uniform_ as fill_uniform
from genesis.functions.creation import rand, randn
from genesis.random import Generator, fork_rng
from genesis.scope import AROUND
from genesis.tensor import Tensor

__eager_only__ = AROUND

_GAINS = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "selu": 3 / 4}
_GAINS.update(conv_transpose1d=1.0, conv_transpose2d=1.0, conv_transpose3d=1.0, relu=sqrt(2))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through ``nonlinearity``; ``param`` is the slope of ``"leaky_relu"``."""
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ChoiceError(f"Unsupported nonlinearity {nonlinearity}")
    if param is not None and (isinstance(param, bool) or not isinstance(param, int | float)):
        raise ChoiceError(f"negative_slope {param} not a valid number")
    return sqrt(2 / (1 + (0.01 if param is None else param) ** 2))


_left_empty = ContextVar("left_empty", default=False)


@contextmanager
def left_empty() -> Iterator[None]:
    """A context in which the functions here leave tensors as they are, and the default generator where it is."""
    token = _left_empty.set(True)
    try:
        with fork_rng():
            yield
    finally:
        _left_empty.reset(token)


def _fill(filler: Callable[..., Tensor], tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if _left_empty.get():
        return tensor
    with grad_mode(False):
        return filler(tensor, *args, **kwargs)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform on ``[a, b)``."""
    return _fill(fill_uniform, tensor, a, b, generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with ``mean`` and ``std``."""
    return _fill(fill_normal, tensor, mean, std, generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal with ``mean`` and ``std`` restricted to ``[a, b]``, by inverting the distribution function."""
    normal = NormalDist(mean, std)
    low, high = normal.cdf(a), normal.cdf(b)
    uniform = rand(*tensor.shape, generator=generator).numpy().astype(np.float64)
    levels = np.clip(low + (high - low) * uniform, 1e-300, 1 - 1e-16)
    drawn = np.vectorize(normal.inv_cdf, otypes=[np.float64])(levels)
    return _fill(copy_, tensor, np.clip(drawn, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element ``val``."""
    return _fill(fill_, tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ChoiceError("Only tensors with 2 dimensions are supported")
    return _fill(copy_, tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Convolution weights ``[out, in, *kernel]`` that pass the channels of each group through."""
    if tensor.ndim not in (3, 4, 5):
        raise ChoiceError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups:
        raise ChoiceError("dim 0 must be divisible by groups")
    weights = np.zeros(tensor.shape)
    out = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(out, tensor.shape[1])):
            weights[(group * out + channel, channel, *centre)] = 1
    return _fill(copy_, tensor, weights)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(fan in, fan out) of a weight ``[out, in, *kernel]``."""
    if tensor.ndim < 2:
        raise ChoiceError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform with variance ``2 gain² / (fan in + fan out)`` (Glorot & Bengio, 2010)."""
    bound = gain * sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with variance ``2 gain² / (fan in + fan out)`` (Glorot & Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ChoiceError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / sqrt(_calculate_correct_fan(tensor, mode))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform with variance ``gain² / fan`` (He et al., 2015); ``a`` is the slope of ``"leaky_relu"``."""
    if not tensor.numel():
        return tensor
    bound = sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with variance ``gain² / fan`` (He et al., 2015); ``a`` is the slope of ``"leaky_relu"``."""
    if not tensor.numel():
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A (semi-)orthogonal matrix ``[first, rest]`` times ``gain`` (Saxe et al., 2013)."""
    if tensor.ndim < 2:
        raise ChoiceError("Only tensors with 2 or more dimensions are supported")
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    drawn = _standard_normal((rows, columns), generator)
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diag(r))
    return _fill(copy_, tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal columns with the share ``sparsity`` of each column zero (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ChoiceError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    drawn = _standard_normal((rows, columns), generator) * std
    order = np.argsort(rand(rows, columns, generator=generator).numpy(), axis=0)
    drawn[order < int(np.ceil(sparsity * rows))] = 0
    return _fill(copy_, tensor, drawn)


def _standard_normal(shape: tuple[int, int], generator: Generator | None) -> np.ndarray:
    return randn(*shape, generator=generator).numpy().astype(np.float64)


for _name in (
    "constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal xavier_uniform"
).split():
    globals()[_name] = globals()[f"{_name}_"]  # the old names
