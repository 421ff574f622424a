"""Convolutions, their transposes, ``unfold`` and ``fold``: what ``genesis.nn.functional`` shows.

An image is ``[N, channels, *space]`` or, without a batch, ``[channels, *space]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ops.conv import window_span
from compiler.ops.window import fold as fold_windows
from compiler.ops.window import windows
from genesis.functions.formats import formatted
from genesis.functions.table import everywhere, functional_only
from genesis.tensor import Tensor, wrap

Size = int | Sequence[int]


def per_dimension(name: str, value: Size, rank: int) -> tuple[int, ...]:
    """``value`` for each of ``rank`` dimensions: one number stands for all."""
    given = (value,) if isinstance(value, int) else tuple(value)
    if len(given) not in (1, rank):
        raise OpError(
            f"expected {name} to be a single integer value or a list of {rank} values, but got {name}={value}"
        )
    return given * rank if len(given) == 1 else given


def batched(name: str, input: Tensor, rank: int) -> tuple[Value, bool]:
    """The value of ``input`` with a batch dimension, and whether it had one."""
    if input.ndim not in (rank + 1, rank + 2):
        raise OpError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.shape)}"
        )
    if input.ndim == rank + 2:
        return input.value, True
    return o.reshape(input.value, shape=(1, *input.shape)), False


def unbatched(result: Value, had_batch: bool) -> Tensor:
    """A tensor of ``result``, without its batch dimension where the input had none."""
    return wrap(result if had_batch else o.reshape(result, shape=result.shape[1:]))


def _padding(
    padding: Size | str, weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """``(before, after)`` of each dimension in turn."""
    rank = len(stride)
    if not isinstance(padding, str):
        return tuple(p for p in per_dimension("padding", padding, rank) for _ in range(2))
    if padding == "valid":
        return (0,) * (2 * rank)
    if padding != "same":
        raise OpError(f"Invalid padding string: '{padding}'; there are 'valid' and 'same'")
    if any(s != 1 for s in stride):
        raise OpError("padding='same' is not supported for strided convolutions")
    span = window_span(weight.shape[2:], dilation)
    return tuple(p for s in span for p in ((s - 1) // 2, s // 2))


def _check_weight(name: str, weight: Tensor, rank: int) -> None:
    """Raise OpError for a weight of another rank, or with windows of no elements."""
    if weight.ndim != rank + 2:
        raise OpError(f"{name} expects a weight of {rank + 2} dimensions, but got {weight._type}")
    if 0 in weight.shape[2:]:
        raise OpError(f"kernel size should be greater than zero, but got a weight {weight._type}")


def _formatted(result: Tensor, input: Tensor, rank: int) -> Tensor:
    """PyTorch first makes an image of one dimension contiguous, which one of one channel may be already."""
    return formatted(result, input, rank=rank) if rank > 1 or input.is_contiguous() else result


def _conv(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
) -> Tensor:
    steps, dilations = per_dimension("stride", stride, rank), per_dimension("dilation", dilation, rank)
    x, had_batch = batched(f"conv{rank}d", input, rank)
    _check_weight(f"conv{rank}d", weight, rank)
    operands = [x, weight.value] + ([] if bias is None else [bias.value])
    amounts = _padding(padding, weight, steps, dilations)
    result = o.conv(*operands, stride=steps, padding=amounts, dilation=dilations, groups=groups)
    return _formatted(unbatched(result, had_batch), input, rank)


@everywhere
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of ``[N, groups * C, L]`` with ``weight [M, C, W]``; ``padding`` may be ``"same"``."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@everywhere
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of ``[N, groups * C, H, W]`` with ``weight [M, C, h, w]``; ``padding`` may be ``"same"``."""
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@everywhere
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of ``[N, groups * C, D, H, W]`` with ``weight [M, C, d, h, w]``."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Tensor:
    steps, dilations = per_dimension("stride", stride, rank), per_dimension("dilation", dilation, rank)
    amounts, extra = per_dimension("padding", padding, rank), per_dimension("output_padding", output_padding, rank)
    for more, step, dilation_step in zip(extra, steps, dilations, strict=True):
        if more >= step and more >= dilation_step:
            raise OpError(
                "output padding must be smaller than either stride or dilation, but got output_padding: "
                f"{list(extra)}, stride: {list(steps)}, dilation: {list(dilations)}"
            )
    x, had_batch = batched(f"conv_transpose{rank}d", input, rank)
    _check_weight(f"conv_transpose{rank}d", weight, rank)
    span = window_span(weight.shape[2:], dilations)
    size = tuple(
        (n - 1) * s - 2 * p + w + e
        for n, s, p, w, e in zip(x.shape[2:], steps, amounts, span, extra, strict=True)
    )  # fmt: skip
    operands = [x, weight.value] + ([] if bias is None else [bias.value])
    result = o.conv_transpose(
        *operands,
        size=size,
        stride=steps,
        padding=tuple(p for p in amounts for _ in range(2)),
        dilation=dilations,
        groups=groups,
    )
    return _formatted(unbatched(result, had_batch), input, rank)


@everywhere
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv1d`: ``[N, M, L]`` with ``weight [M, C, W]`` gives ``[N, groups * C, L']``."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@everywhere
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv2d`: ``[N, M, H, W]`` with ``weight [M, C, h, w]``."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@everywhere
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv3d`: ``[N, M, D, H, W]`` with ``weight [M, C, d, h, w]``."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@functional_only
def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:  # fmt: skip
    """The windows of ``[N, C, H, W]`` as columns: ``[N, C * h * w, places]``."""
    window, steps = per_dimension("kernel_size", kernel_size, 2), per_dimension("stride", stride, 2)
    dilations, amounts = per_dimension("dilation", dilation, 2), per_dimension("padding", padding, 2)
    x, had_batch = batched("unfold", input, 2)
    size = _places("unfold", x.shape[2:], window, steps, amounts, dilations)
    seen = windows(o, x, window, size=size, stride=steps, dilation=dilations, padding=amounts, base=(1, 1))
    n, channels = x.shape[:2]
    return unbatched(o.reshape(seen, shape=(n, channels * prod(window), prod(size))), had_batch)


@functional_only
def fold(
    input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """The transpose of :func:`unfold`: columns ``[N, C * h * w, places]`` summed into ``[N, C, *output_size]``."""
    window, steps = per_dimension("kernel_size", kernel_size, 2), per_dimension("stride", stride, 2)
    dilations, amounts = per_dimension("dilation", dilation, 2), per_dimension("padding", padding, 2)
    image = per_dimension("output_size", output_size, 2)
    x, had_batch = batched("fold", input, 1)
    size = _places("fold", image, window, steps, amounts, dilations)
    n, depth, places = x.shape
    if depth % prod(window):
        raise OpError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={depth} and kernel_size={window}"
        )
    if places != prod(size):
        raise OpError(
            f"Given output_size={image}, kernel_size={window}, dilation={dilations}, padding={amounts}, "
            f"stride={steps}, expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{' * '.join(map(str, size))} = {prod(size)}, but got input.size(2)={places}."
        )
    columns = o.reshape(x, shape=(n, depth // prod(window), *window, *size))
    geometry = {"stride": steps, "dilation": dilations, "padding": amounts, "base": (1, 1)}
    return unbatched(fold_windows(o, columns, image, **geometry), had_batch)


def _places(
    name: str,
    image: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    if min((*window, *stride, *dilation)) < 1:
        raise OpError(
            f"{name}: kernel_size={window}, stride={stride} and dilation={dilation} must be greater than zero"
        )
    span = window_span(window, dilation)
    size = tuple((n + 2 * p - w) // s + 1 for n, p, w, s in zip(image, padding, span, stride, strict=True))
    if any(n < 1 for n in size):
        raise OpError(
            f"Given spatial size {image}, kernel_size={window}, dilation={dilation}, padding={padding}, {name} "
            f"calculated the shape of the array of sliding blocks as {size}, but its components must be at least one."
        )
    return size
