"""``genesis.masked``: functions of the elements where a mask, of bools, is true; a mask broadcasts.

Another element counts as the one that changes no result: 0 in a sum, 1 in a product, -inf in a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import genesis.functions as fn
import genesis.nn.functional as F
from compiler.ir.types import dtype as to_dtype
from genesis.functions.calls import checked
from genesis.functions.queries import iinfo
from genesis.tensor import Tensor

__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]

Dims = int | Sequence[int] | None
_LEAST, _MOST = -float("inf"), float("inf")


def _filled(input: Tensor, mask: Tensor | None, number: float, dtype: Any = None) -> Tensor:
    x = input if dtype is None else input.to(to_dtype(dtype))
    if mask is None:
        return x
    if abs(number) == _MOST and not x.dtype.is_floating_point:
        limits = iinfo(x.dtype) if x.dtype.kind == "int" else None
        number = (limits.max if number > 0 else limits.min) if limits else number > 0
    return fn.where(mask, x, fn.full((), number, dtype=x.dtype))


def _reduction(name: str, function: Callable[..., Tensor], number: float) -> Callable[..., Tensor]:
    def reduce(
        input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
    ) -> Tensor:
        return function(_filled(input, mask, number, dtype), dim, keepdim)

    reduce.__doc__ = f"``genesis.{name}`` of the elements in ``mask``."
    return _named(reduce, name)


def _along(name: str, function: Callable[..., Tensor], number: float) -> Callable[..., Tensor]:
    def along(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
        return function(_filled(input, mask, number, dtype), dim)

    along.__doc__ = f"``{name}`` along ``dim`` of the elements in ``mask``."
    return _named(along, name)


def _named(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    return checked(function, f"masked.{name}")


def _product(x: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    """Over several dimensions, the last first."""
    axes = [dim] if isinstance(dim, int) else dim or range(x.ndim)
    for axis in sorted((d % x.ndim for d in axes), reverse=True):
        x = fn.prod(x, axis, keepdim)
    return x


sum = _reduction("sum", fn.sum, 0)
prod = _reduction("prod", _product, 1)
amax = _reduction("amax", fn.amax, _LEAST)
amin = _reduction("amin", fn.amin, _MOST)
argmax = _reduction("argmax", fn.argmax, _LEAST)
argmin = _reduction("argmin", fn.argmin, _MOST)
logsumexp = _reduction("logsumexp", fn.logsumexp, _LEAST)
softmax = _along("softmax", fn.softmax, _LEAST)
log_softmax = _along("log_softmax", fn.log_softmax, _LEAST)
softmin = _along("softmin", F.softmin, _MOST)
cumsum = _along("cumsum", fn.cumsum, 0)
cumprod = _along("cumprod", fn.cumprod, 1)


def _count(input: Tensor, dim: Dims, mask: Tensor | None) -> Tensor:
    ones = fn.ones(input.shape, dtype="int64")
    return fn.sum(ones if mask is None else fn.where(mask, ones, 0), dim, True)


@checked
def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of the elements in ``mask``, NaN where there is none."""
    total = fn.sum(_filled(input, mask, 0, dtype), dim, keepdim)
    return total / _count(input, dim, mask).reshape(total.shape)


@checked
def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of the elements in ``mask``, of which there are ``correction`` less: 1 unless told otherwise."""
    fewer = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    apart = input - mean(input, dim, keepdim=True, dtype=dtype, mask=mask)
    squares = fn.sum(_filled(apart * apart, mask, 0), dim, keepdim)
    return squares / (_count(input, dim, mask) - fewer).clamp(min=0).reshape(squares.shape)


@checked
def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The root of :func:`var`."""
    return fn.sqrt(var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask))


@checked
def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The lower median along ``dim`` of the elements in ``mask``, NaN where there is none."""
    return fn.nanmedian(_filled(input, mask, float("nan"), dtype), dim, keepdim).values


@checked
def norm(
    input: Tensor,
    ord: float = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The norm of order ``ord`` of the elements in ``mask``."""
    return fn.norm(_filled(input, mask, 0 if ord >= 0 else _MOST, dtype), ord, dim, keepdim)


@checked
def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The elements in ``mask`` divided by their norm along ``dim``, or by ``eps``; 0 elsewhere."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0, dtype) / length.clamp(min=eps)


@checked
def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """``log(exp(input) + exp(other))`` of the elements in their masks."""
    return fn.logaddexp(_filled(input, input_mask, _LEAST, dtype), _filled(other, other_mask, _LEAST, dtype))
