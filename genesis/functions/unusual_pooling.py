"""Pooling of other kinds: by powers, over drawn windows, undone. Images are ``[N, C, *space]`` or ``[C, *space]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from compiler.errors import ChoiceError, OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import f32, i64
from genesis.functions.convolution import Size, batched, per_dimension, unbatched
from genesis.functions.creation import draw
from genesis.functions.pointwise import abs, mul, pow, relu, sign
from genesis.functions.pooling import avg_pool1d, avg_pool2d, avg_pool3d
from genesis.functions.table import functional_only
from genesis.tensor import Tensor

# Norms of windows


def _lp_pool(
    rank: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool
) -> Tensor:
    """The root of the sum of powers; the sum of odd powers may be negative, and its root then is."""
    if not norm_type:
        raise OpError(f"lp_pool{rank}d: norm_type must not be 0")
    average: Callable[..., Tensor] = (avg_pool1d, avg_pool2d, avg_pool3d)[rank - 1]
    mean = average(pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
    powers = mul(sign(mean), relu(abs(mean)))
    return pow(mul(powers, prod(per_dimension("kernel_size", kernel_size, rank))), 1.0 / norm_type)


@functional_only
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order ``norm_type`` of each window of ``[N, C, L]``."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@functional_only
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order ``norm_type`` of each window of ``[N, C, H, W]``."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@functional_only
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order ``norm_type`` of each window of ``[N, C, D, H, W]``."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# The inverse of max_pool


def _max_unpool(
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    name = f"max_unpool{rank}d"
    window = per_dimension("kernel_size", kernel_size, rank)
    steps = window if stride is None else per_dimension("stride", stride, rank)
    amounts = per_dimension("padding", padding, rank)
    x, had_batch = batched(name, input, rank)
    if input.shape != indices.shape:
        raise OpError(
            f"{name}: expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got "
            f"indices tensor with shape: {list(indices.shape)}"
        )
    if indices.dtype is not i64:
        raise OpError(f"{name}: elements in indices should be type int64 but got: {indices.dtype!r}")
    size = _unpooled(x.shape[2:], window, steps, amounts, output_size)
    lead, count = x.shape[:2], prod(x.shape[2:])
    values = o.reshape(x, shape=(*lead, count))
    index = o.bounded(o.reshape(indices.value, shape=(*lead, count)), size=prod(size), what="max_unpool index")
    blank = o.zeros(shape=(*lead, prod(size)), dtype=x.dtype)
    total = o.scatter_add(blank, index, values, axis=2)
    # windows that overlap may have one maximum, which counts once
    writers = o.scatter_add(blank, index, o.ones(shape=values.shape, dtype=x.dtype), axis=2)
    once = o.div(total, o.maximum(writers, 1.0))
    result = o.add(total, o.detach(o.sub(once, total)))
    return unbatched(o.reshape(result, shape=(*lead, *size)), had_batch)


def _unpooled(
    image: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output_size: Sequence[int] | None,
) -> tuple[int, ...]:
    """The size of what was pooled; a size that is given lies less than a step from the default one."""
    rank = len(window)
    default = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(image, stride, padding, window, strict=True))
    if output_size is None:
        return default
    given = tuple(output_size)[-rank:] if len(output_size) == rank + 2 else tuple(output_size)
    if len(given) != rank:
        raise ChoiceError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a length of "
            f"'{len(output_size)}'"
        )
    for n, usual, s in zip(given, default, stride, strict=True):
        if not usual - s < n < usual + s:
            raise ChoiceError(
                f"invalid output_size {list(given)} (each of {list(default)} may change by less than {list(stride)})"
            )
    return given


@functional_only
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """``input`` put back where :func:`max_pool1d` found it, zeros elsewhere."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@functional_only
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """``input`` put back where :func:`max_pool2d` found it, zeros elsewhere."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@functional_only
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """``input`` put back where :func:`max_pool3d` found it, zeros elsewhere."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# Windows whose places are drawn


def _starts(sample: Value, n: int, out: int, window: int) -> Value:
    """The beginnings of the windows of one dimension: ``sample [N, C]`` gives i64 ``[N, C, out]``."""
    shape = (*sample.shape, out)
    place = o.iota(shape=shape, axis=2)
    last = o.eq(place, out - 1)
    if out == 1:
        return o.where(last, n - window, place)
    alpha = (n - window) / (out - 1)
    u = o.reshape(sample, shape=(*sample.shape, 1))
    moved = o.mul(o.add(o.cast(place, to=sample.dtype), u), alpha)
    start = o.sub(o.cast(moved, to=i64), o.cast(o.mul(u, alpha), to=i64))
    return o.where(last, n - window, start)


def _fractional(
    rank: int,
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    name = f"fractional_max_pool{rank}d"
    if output_size is None and output_ratio is None:
        raise ChoiceError(f"{name} requires specifying either an output_size or an output_ratio")
    x, had_batch = batched(name, input, rank)
    image, window = x.shape[2:], per_dimension("kernel_size", kernel_size, rank)
    if output_size is None:
        ratios = (output_ratio,) * rank if isinstance(output_ratio, int | float) else tuple(output_ratio or ())
        if len(ratios) != rank:
            raise OpError(f"{name} requires output_ratio to be one number or {rank}, but got {output_ratio}")
        output_size = tuple(int(n * r) for n, r in zip(image, ratios, strict=True))
    size = per_dimension("output_size", output_size, rank)
    most = 1 if rank == 2 else 0  # as in PyTorch
    if any(out < 1 or out + w > n + most for n, out, w in zip(image, size, window, strict=True)):
        raise OpError(f"{name}: window {list(window)} and output size {list(size)} do not fit the input {list(image)}")
    n, channels = x.shape[:2]
    wide = f32 if x.dtype.is_half else x.dtype
    if samples is None:
        samples = draw("uniform", (n, channels, rank), None, wide)
    elif tuple(samples.shape) != (n, channels, rank):
        raise OpError(f"{name}: _random_samples must be {[n, channels, rank]}, not {list(samples.shape)}")
    index: Value | None = None
    for d in range(rank):
        at = d if rank == 3 else 1 - d  # in a plane, the first number is of the last dimension
        part = o.slice(samples.value, start=(0, 0, at), stop=(n, channels, at + 1), step=(1, 1, 1))
        starts = _starts(o.reshape(part, shape=(n, channels)), image[d], size[d], window[d])
        line = [1] * (2 * rank)
        line[d] = size[d]
        seen = o.reshape(starts, shape=(n, channels, *line))
        tap = [window[d] if a == rank + d else 1 for a in range(2 * rank)]
        place = o.add(seen, o.reshape(o.iota(shape=tuple(tap), axis=rank + d), shape=(1, 1, *tap)))
        index = place if index is None else o.add(o.mul(index, image[d]), place)
    assert index is not None
    spots = o.reshape(index, shape=(n, channels, prod(size) * prod(window)))
    found = o.gather(o.reshape(x, shape=(n, channels, prod(image))), spots, axis=2)
    rows = (n, channels, prod(size), prod(window))
    best = o.argmax(o.reshape(found, shape=rows), axes=(3,), keepdim=True)
    values = o.reshape(o.gather(o.reshape(found, shape=rows), best, axis=3), shape=(n, channels, *size))
    if not return_indices:
        return unbatched(values, had_batch)
    chosen = o.reshape(o.gather(o.reshape(spots, shape=rows), best, axis=3), shape=(n, channels, *size))
    return unbatched(values, had_batch), unbatched(chosen, had_batch)


@functional_only
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of windows of ``[N, C, H, W]`` whose distances are drawn.

    Graham, "Fractional max-pooling", 2014. ``output_ratio`` says the size of the result as a part of the image's.
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@functional_only
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of windows of ``[N, C, D, H, W]`` whose distances are drawn."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that always returns indices, too."""

    def both(
        input: Tensor,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return function(input, kernel_size, output_size, output_ratio, True, _random_samples)

    both.__name__ = both.__qualname__ = f"{function.__name__}_with_indices"
    both.__doc__ = f":func:`{function.__name__}` and the places of the elements."
    return functional_only(both)


fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)
