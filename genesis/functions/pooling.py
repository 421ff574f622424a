"""Pooling over windows of images: what ``genesis.nn.functional`` shows.

An image is ``[N, channels, *space]`` or, without a batch, ``[channels, *space]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import i64, u8
from compiler.ops.pool import lowest, pooled_size
from genesis.functions.calls import presetting
from genesis.functions.convolution import Size, batched, per_dimension, unbatched
from genesis.functions.formats import formatted
from genesis.functions.table import everywhere, functional_only
from genesis.tensor import Tensor


def _max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    window = per_dimension("kernel_size", kernel_size, rank)
    steps = window if stride is None or stride == () else per_dimension("stride", stride, rank)
    amounts, dilations = per_dimension("padding", padding, rank), per_dimension("dilation", dilation, rank)
    x, had_batch = batched(f"max_pool{rank}d", input, rank)
    size = pooled_size(x.shape[2:], window, steps, amounts, dilations, ceil_mode)
    best, place = o.max_pool(x, window=window, stride=steps, padding=amounts, dilation=dilations, size=size)
    result = unbatched(best, had_batch)
    if not return_indices:
        return result
    return result, unbatched(_flat_index(place, x.shape[2:], window, steps, amounts, dilations), had_batch)


def _flat_index(
    place: Value,
    image: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Value:
    """The row-major index in its image of a place in a window, i64."""
    index = None
    place = o.cast(place, to=i64)
    for d, n in enumerate(image):
        inner = prod(window[d + 1 :])
        own = o.remainder(o.floor_divide(place, inner), window[d])
        at = o.iota(shape=place.shape, axis=place.type.rank - len(image) + d)
        line = o.add(o.mul(at, stride[d]), o.sub(o.mul(own, dilation[d]), padding[d]))
        index = line if index is None else o.add(o.mul(index, n), line)
    assert index is not None
    return index


@everywhere
def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of ``[N, C, L]``; with ``return_indices`` also where it stands."""
    found = _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    alone = not return_indices and not input.requires_grad  # for PyTorch a function of its own
    return found if alone else formatted(found, input, rank=1)


@everywhere
def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of ``[N, C, H, W]``; with ``return_indices`` also where it stands."""
    found = _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return formatted(found, input)


@everywhere
def max_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of ``[N, C, D, H, W]``; with ``return_indices`` also where it stands."""
    found = _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return formatted(found, input)


def _formatted(result: Any, input: Tensor, rank: int) -> Any:
    """In three dimensions PyTorch's results are row-major, except the results of ``max_pool3d``."""
    return formatted(result, input, rank=rank) if rank < 3 else result


def _avg_pool(
    rank: int,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    window = per_dimension("kernel_size", kernel_size, rank)
    steps = window if stride is None or stride == () else per_dimension("stride", stride, rank)
    amounts = per_dimension("padding", padding, rank)
    x, had_batch = batched(f"avg_pool{rank}d", input, rank)
    size = pooled_size(x.shape[2:], window, steps, amounts, (1,) * rank, ceil_mode)
    result = o.avg_pool(
        x,
        window=window,
        stride=steps,
        padding=amounts,
        size=size,
        include_pad=count_include_pad,
        divisor=divisor_override,
    )
    return _formatted(unbatched(result, had_batch), input, rank)


@everywhere
def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of ``[N, C, L]``."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@functional_only
def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of ``[N, C, H, W]``."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@functional_only
def avg_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of ``[N, C, D, H, W]``."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# Adaptive: the number of windows is given, and their sizes follow


def _target(name: str, x: Value, output_size: int | Sequence[int | None] | None, rank: int) -> tuple[int, ...]:
    image = x.shape[2:]
    given = (output_size,) * rank if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(given) != rank:
        raise OpError(f"{name}: output_size must have {rank} values, but got {output_size}")
    size = tuple(n if s is None else s for n, s in zip(image, given, strict=True))
    if any(s < 1 for s in size) or any(n < 1 for n in image):
        raise OpError(f"{name}: expected positive sizes, but got input {list(x.shape)} and output_size {list(size)}")
    return size


def _members(image: tuple[int, ...], size: tuple[int, ...]) -> Value:
    """Which elements each window holds, bool ``[windows, elements]``.

    Window ``i`` of a dimension begins at ``floor(i * image / size)`` and ends at ``ceil((i + 1) * image / size)``.
    """
    rank = len(image)
    inside = []
    for d, (n, windows) in enumerate(zip(image, size, strict=True)):
        number = o.iota(shape=tuple(windows if a == d else 1 for a in range(2 * rank)), axis=d)
        element = o.iota(shape=tuple(n if a == rank + d else 1 for a in range(2 * rank)), axis=rank + d)
        start = o.floor_divide(o.mul(number, n), windows)
        end = o.floor_divide(o.add(o.mul(o.add(number, 1), n), windows - 1), windows)
        inside.append(o.logical_and(o.ge(element, start), o.lt(element, end)))
    return o.reshape(reduce(o.logical_and, inside), shape=(prod(size), prod(image)))


def _uniform(image: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The one window that all are, where the sizes divide."""
    if any(n % s for n, s in zip(image, size, strict=True)):
        return None
    return tuple(n // s for n, s in zip(image, size, strict=True))


def _adaptive_avg(rank: int, input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    name = f"adaptive_avg_pool{rank}d"
    x, had_batch = batched(name, input, rank)
    image, size = x.shape[2:], _target(name, x, output_size, rank)
    window = _uniform(image, size)
    if all(s == 1 for s in size):
        pooled = o.mean(x, axes=tuple(range(2, rank + 2)), keepdim=True)
    elif window is not None:
        pooled = o.avg_pool(x, window=window, stride=window, padding=(0,) * rank, size=size)
    else:
        inside = _members(image, size)
        rows = o.reshape(x, shape=(*x.shape[:2], 1, prod(image)))
        means = o.div(o.sum(o.where(inside, rows, 0), axes=(3,)), o.sum(inside, axes=(1,)))
        pooled = o.reshape(o.cast(means, to=x.dtype), shape=(*x.shape[:2], *size))
    return _formatted(unbatched(pooled, had_batch), input, rank)


def _adaptive_max(
    rank: int, input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool
) -> Any:
    name = f"adaptive_max_pool{rank}d"
    x, had_batch = batched(name, input, rank)
    image, size = x.shape[2:], _target(name, x, output_size, rank)
    window = _uniform(image, size)
    if window is not None:
        return _formatted(_max_pool(rank, input, window, window, 0, 1, False, return_indices), input, rank)
    lead = x.shape[:2]
    rows = o.reshape(x, shape=(*lead, 1, prod(image)))
    members, low = _members(image, size), lowest(x.dtype)
    seen = o.where(members, rows, low)
    first = o.argmax(o.cast(members, to=u8), axes=(1,))  # the one to name where all are as low as what lies outside
    index = o.where(o.eq(o.amax(seen, axes=(3,)), low), first, o.argmax(seen, axes=(3,)))
    best = o.gather(o.reshape(x, shape=(*lead, prod(image))), index, axis=2)
    result = _formatted(unbatched(o.reshape(best, shape=(*lead, *size)), had_batch), input, rank)
    if not return_indices:
        return result
    return result, _formatted(unbatched(o.reshape(index, shape=(*lead, *size)), had_batch), input, rank)


@everywhere
def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Means of ``output_size`` windows that cover ``[N, C, L]``."""
    return _adaptive_avg(1, input, output_size)


@functional_only
def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Means of ``output_size`` windows that cover ``[N, C, H, W]``; None keeps a dimension."""
    return _adaptive_avg(2, input, output_size)


@functional_only
def adaptive_avg_pool3d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """Means of ``output_size`` windows that cover ``[N, C, D, H, W]``; None keeps a dimension."""
    return _adaptive_avg(3, input, output_size)


@functional_only
def adaptive_max_pool1d(
    input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """Largest elements of ``output_size`` windows that cover ``[N, C, L]``."""
    return _adaptive_max(1, input, output_size, return_indices)


@functional_only
def adaptive_max_pool2d(
    input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """Largest elements of ``output_size`` windows that cover ``[N, C, H, W]``; None keeps a dimension."""
    return _adaptive_max(2, input, output_size, return_indices)


@functional_only
def adaptive_max_pool3d(
    input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """Largest elements of ``output_size`` windows that cover ``[N, C, D, H, W]``; None keeps a dimension."""
    return _adaptive_max(3, input, output_size, return_indices)


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    name, doc = f"{function.__name__}_with_indices", f":func:`{function.__name__}` and the places of what it returns."
    return functional_only(presetting(function, name, doc, return_indices=True))


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
