"""Several statistics at once, counts, and reductions that leave out NaN."""

from __future__ import annotations

from typing import Any, NamedTuple

from compiler.errors import OpError
from compiler.ir.types import dtype as to_dtype
from genesis.functions.pointwise import Dim, cast, isnan, masked_fill, ne
from genesis.functions.reductions import amax, amin, mean, std, sum, var
from genesis.functions.table import api
from genesis.tensor import Tensor


@api(method=False)
def var_mean(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """:func:`var` and the mean, with the arguments of ``var``."""
    if isinstance(dim, bool):
        unbiased, dim = dim, None
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@api(method=False)
def std_mean(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """:func:`std` and the mean, with the arguments of ``std``."""
    if isinstance(dim, bool):
        unbiased, dim = dim, None
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


class MinMax(NamedTuple):
    """The least and the largest."""

    min: Tensor
    max: Tensor


@api()
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The least and the largest of all elements, or of those along ``dim``."""
    if dim is None and keepdim:
        dim = tuple(range(input.ndim))  # type: ignore[assignment]
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@api()
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements, of all or along ``dim``, are not zero; int64."""
    return sum(ne(input, 0), dim)


@api()
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over ``dim``, a NaN counting as 0."""
    return sum(_or_zero(input), dim, keepdim, dtype=dtype)


@api()
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over ``dim`` of the elements that are no NaN; NaN if there is nothing else."""
    if not input.dtype.is_floating_point and dtype is None:
        raise OpError(f"nanmean(): expected input to have floating point dtype, but got {input._type}")
    input = input if dtype is None else cast(input, to_dtype(dtype))
    counted = sum(isnan(input).logical_not(), dim, keepdim)
    return nansum(input, dim, keepdim) / counted.to(input.dtype)


def _or_zero(input: Tensor) -> Tensor:
    return masked_fill(input, isnan(input), 0) if input.dtype.is_floating_point else input
