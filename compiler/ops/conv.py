"""Convolutions as products of weights with windows of images: ``slide`` and ``dot``, or one kernel of the target.

``N`` images of ``G`` groups of ``C`` channels meet weights ``[G * M, C, *window]`` and give ``G`` groups of ``M``
channels. As in PyTorch, "convolution" is cross-correlation.
"""

from __future__ import annotations

from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Node, Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import DType, Shape, TensorType
from compiler.ops.contract import LOWER, accumulator, transposed
from compiler.ops.window import fold, taps, total, windows

_GEOMETRY: dict[str, Any] = {"stride": REQUIRED, "dilation": REQUIRED, "padding": REQUIRED, "base": REQUIRED}


def window_span(window: Shape, dilation: Shape) -> Shape:
    """How far a window reaches in each dimension."""
    return tuple(d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True))


def flipped(o: OpSet, weight: Value, groups: int) -> Value:
    """``[G * M, C, *window]`` as ``[G * C, M, *window]``, each window read backwards."""
    rank = weight.type.rank
    window = weight.shape[2:]
    backward = o.slice(
        weight,
        start=(0, 0, *(n - 1 for n in window)),
        stop=(*weight.shape[:2], *(-1 for _ in window)),
        step=(1, 1, *(-1 for _ in window)),
    )
    grouped = o.reshape(backward, shape=(groups, weight.shape[0] // groups, *weight.shape[1:]))
    swapped = o.permute(grouped, dims=(0, 2, 1, *range(3, rank + 1)))
    return o.reshape(swapped, shape=(groups * weight.shape[1], weight.shape[0] // groups, *window))


# The two products, which a target may have kernels for


def _infer_convolve(
    x: TensorType, weight: TensorType, size: Shape, groups: int, dtype: DType | None, **geometry: Any
) -> TensorType:
    if x.dtype is not weight.dtype:
        raise OpError(
            f"expected image and weight to have the same dtype, but got: {x.dtype.name} != {weight.dtype.name}"
        )
    if x.rank != weight.rank or x.rank != 2 + len(size) or x.shape[1] != groups * weight.shape[1]:
        raise OpError(
            f"convolve takes [N, G * C, *image] and [G * M, C, *window], not {list(x.shape)} and {list(weight.shape)} "
            f"with {groups} groups"
        )
    if weight.shape[0] % groups:
        raise OpError(f"{weight.shape[0]} channels of weight {list(weight.shape)} do not divide into {groups} groups")
    return TensorType(dtype or x.dtype, (x.shape[0], weight.shape[0], *size))


def is_depthwise(x: Value, weight: Value, groups: int) -> bool:
    """Whether every channel is filtered by itself."""
    return groups > 1 and weight.shape[1] == 1 and weight.shape[0] == groups == x.shape[1]


def _expand_convolve(
    o: OpSet, x: Value, weight: Value, size: Shape, groups: int, dtype: DType | None, **geometry: Any
) -> Value:
    n, window = x.shape[0], weight.shape[2:]
    m, c = weight.shape[0] // groups, weight.shape[1]
    if all(s == 1 for s in geometry["stride"]) and any(b > 1 for b in geometry["base"]):
        return _folded(o, x, weight, size, groups, dtype, **geometry)
    if is_depthwise(x, weight, groups):
        return o.cast(_filtered(o, x, weight, size, **geometry), to=dtype or x.dtype)
    seen = windows(o, o.reshape(x, shape=(n, groups, c, *x.shape[2:])), window, size=size, **geometry)
    depth = c * prod(window)
    y = o.dot(
        o.expand(o.reshape(weight, shape=(1, groups, m, depth)), shape=(n, groups, m, depth)),
        o.reshape(seen, shape=(n, groups, depth, prod(size))),
        dtype=dtype,
    )
    return o.reshape(y, shape=(n, groups * m, *size))


def _folded(o: OpSet, x: Value, weight: Value, size: Shape, groups: int, dtype: DType | None, **geometry: Any) -> Value:
    """A convolution of an image with zeros between its elements: each element's contributions, summed where they fall.

    Windows would see a zero at most of their places.
    """
    n, window, places = x.shape[0], weight.shape[2:], prod(x.shape[2:])
    spread = flipped(o, weight, groups)
    m, c = x.shape[1] // groups, spread.shape[1]
    depth = c * prod(window)
    parts = o.dot(
        o.expand(transposed(o, o.reshape(spread, shape=(1, groups, m, depth))), shape=(n, groups, depth, m)),
        o.reshape(x, shape=(n, groups, m, places)),
        dtype=accumulator(x.dtype),
    )
    parts = o.reshape(parts, shape=(n, groups * c, *window, *x.shape[2:]))
    dilation, ones = geometry["dilation"], (1,) * len(size)
    reach = zip(window_span(window, dilation), geometry["padding"], strict=True)
    padding = tuple(s - 1 - p for s, p in reach)
    image = fold(o, parts, size, stride=geometry["base"], dilation=dilation, padding=padding, base=ones)
    return o.cast(image, to=dtype or x.dtype)


def _filtered(o: OpSet, x: Value, weight: Value, size: Shape, **geometry: Any) -> Value:
    """One filter for each channel, in the wide type."""
    window = weight.shape[2:]
    channels = weight.shape[0]
    wide = accumulator(x.dtype)
    parts = []
    flat = o.reshape(weight, shape=(channels, prod(window)))
    for k, tap in enumerate(taps(o, x, window, size=size, **geometry)):
        factor = o.slice(flat, start=(0, k), stop=(channels, k + 1), step=(1, 1))
        factor = o.cast(o.reshape(factor, shape=(channels, *(1 for _ in size))), to=wide)
        parts.append(o.mul(o.cast(tap, to=wide), factor))
    return total(o, parts)


def _products(node: Node) -> int:
    """Multiplications and additions, where the image has no zeros between its elements."""
    weight = node.inputs[1]
    return 2 * node.output.type.size * (weight.type.size // weight.shape[0]) // prod(node.attrs["base"])


register(
    Op(
        "convolve",
        _infer_convolve,
        "composite",
        expand=_expand_convolve,
        attrs={"size": REQUIRED, **_GEOMETRY, "groups": 1, "dtype": None},
        work=_products,
        anchor="convolution",
    )
)


def _infer_convolve_weight(
    x: TensorType, g: TensorType, window: Shape, groups: int, dtype: DType | None, **geometry: Any
) -> TensorType:
    if x.dtype is not g.dtype or x.rank != g.rank or x.rank != 2 + len(window) or x.shape[0] != g.shape[0]:
        raise OpError(f"convolve_weight takes [N, G * C, *image] and [N, G * M, *size], not {x} and {g}")
    if x.shape[1] % groups or g.shape[1] % groups:
        raise OpError(f"{x.shape[1]} and {g.shape[1]} channels do not divide into {groups} groups")
    return TensorType(dtype or x.dtype, (g.shape[1], x.shape[1] // groups, *window))


def _expand_convolve_weight(
    o: OpSet, x: Value, g: Value, window: Shape, groups: int, dtype: DType | None, **geometry: Any
) -> Value:
    n, size, rank = x.shape[0], g.shape[2:], len(window)
    m, c = g.shape[1] // groups, x.shape[1] // groups
    depth, places = c * prod(window), n * prod(size)
    seen = windows(o, o.reshape(x, shape=(n, groups, c, *x.shape[2:])), window, size=size, **geometry)
    last = 3 + rank
    seen = o.permute(seen, dims=(1, 0, *range(last, last + rank), *range(2, last)))
    out = o.permute(o.reshape(g, shape=(n, groups, m, prod(size))), dims=(1, 2, 0, 3))
    y = o.dot(
        o.reshape(out, shape=(groups, m, places)),
        o.reshape(seen, shape=(groups, places, depth)),
        dtype=dtype,
    )
    return o.reshape(y, shape=(groups * m, c, *window))


register(
    Op(
        "convolve_weight",
        _infer_convolve_weight,
        "composite",
        expand=_expand_convolve_weight,
        attrs={"window": REQUIRED, **_GEOMETRY, "groups": 1, "dtype": None},
        work=lambda node: 2 * node.inputs[1].type.size * (node.output.type.size // node.output.shape[0]),
        anchor="convolution",
        gradient=True,
    )
)


def _spread(
    o: OpSet,
    x: Value,
    weight: Value,
    size: Shape,
    stride: Shape,
    dilation: Shape,
    padding: Shape,
    groups: int,
    dtype: DType | None,
) -> Value:
    """The transpose of a convolution: ``[N, G * M, *out]`` with its weights gives ``[N, G * C, *size]``.

    It is a convolution with the windows read backwards, of an image with zeros between its elements where steps are
    longer than one.
    """
    reach = tuple(s - 1 - p for s, p in zip(window_span(weight.shape[2:], dilation), padding, strict=True))
    return o.convolve(
        x, flipped(o, weight, groups), size=size, stride=(1,) * len(size), dilation=dilation, padding=reach,
        base=stride, groups=groups, dtype=dtype,
    )  # fmt: skip


# Functions for users


def _pairs(padding: Shape) -> tuple[Shape, Shape]:
    """The padding before and after the image in each dimension, from ``(before, after, before, after, ...)``."""
    return padding[::2], padding[1::2]


def convolved_size(image: Shape, window: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    """Places of a window; ``padding`` is ``(before, after)`` of each dimension in turn."""
    before, after = _pairs(padding)
    span = window_span(window, dilation)
    return tuple(
        (n + a + b - w) // s + 1 for n, a, b, w, s in zip(image, before, after, span, stride, strict=True)
    )  # fmt: skip


def _check_bias(bias: tuple[TensorType, ...], channels: int, weight: TensorType, x: TensorType) -> None:
    if bias and bias[0].shape != (channels,):
        raise OpError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {channels} elements, "
            f"but got bias of size {list(bias[0].shape)} instead"
        )
    if bias and bias[0].dtype is not x.dtype:
        raise OpError(f"Input type ({x.dtype.name}) and bias type ({bias[0].dtype.name}) should be the same")


def _check_images(x: TensorType, weight: TensorType, rank: int, groups: int) -> None:
    if x.dtype is not weight.dtype:
        raise OpError(f"Input type ({x.dtype.name}) and weight type ({weight.dtype.name}) should be the same")
    if x.dtype.kind != "float":
        raise OpError(f"the op is not defined for {x.dtype.name} tensors; convert with .float()")
    if weight.rank != rank + 2:
        raise OpError(
            f"weight should have {rank + 2} dimensions (channels, channels / groups and {rank} of the window), "
            f"but it is {list(weight.shape)}"
        )
    if x.rank != rank + 2:
        raise OpError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to conv{rank}d, but got input of size: "
            f"{list(x.shape)}"
        )
    if groups < 1:
        raise OpError(f"non-positive groups is not supported: {groups}")
    if weight.shape[0] < groups:
        raise OpError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(weight.shape)} instead"
        )
    if weight.shape[0] % groups:
        raise OpError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size {list(weight.shape)} instead"
        )


def _check_steps(rank: int, stride: Shape, padding: Shape, dilation: Shape) -> None:
    if not len(stride) == len(dilation) == rank or len(padding) != 2 * rank:
        raise OpError(f"stride, padding and dilation need one entry for each of the {rank} dimensions of an image")
    if any(s < 1 for s in stride):
        raise OpError(f"non-positive stride is not supported: {list(stride)}")
    if any(d < 1 for d in dilation):
        raise OpError(f"dilation should be greater than zero: {list(dilation)}")
    if any(p < 0 for p in padding):
        raise OpError(f"negative padding is not supported: {list(padding)}")


def _infer_conv(
    x: TensorType, weight: TensorType, *bias: TensorType, stride: Shape, padding: Shape, dilation: Shape, groups: int
) -> TensorType:
    rank = len(stride)
    _check_images(x, weight, rank, groups)
    _check_steps(rank, stride, padding, dilation)
    if x.shape[1] != weight.shape[1] * groups:
        raise OpError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
            f"{weight.shape[1] * groups} channels, but got {x.shape[1]} channels instead"
        )
    _check_bias(bias, weight.shape[0], weight, x)
    padded = [n + a + b for n, a, b in zip(x.shape[2:], *_pairs(padding), strict=True)]
    span = window_span(weight.shape[2:], dilation)
    if any(n < w for n, w in zip(padded, span, strict=True)):
        raise OpError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, span))}). Kernel size can't be greater than actual input size"
        )
    size = convolved_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return TensorType(x.dtype, (x.shape[0], weight.shape[0], *size))


def _with_bias(o: OpSet, y: Value, bias: tuple[Value, ...], dtype: DType) -> Value:
    """A result in the wide type with its bias, rounded once."""
    if bias:
        column = o.reshape(bias[0], shape=(bias[0].shape[0], *(1 for _ in y.shape[2:])))
        y = o.add(y, o.cast(column, to=y.dtype))
    return o.cast(y, to=dtype)


def _bias_gradient(o: OpSet, g: Value) -> Value:
    axes = (0, *range(2, g.type.rank))
    return o.cast(o.sum(o.cast(g, to=accumulator(g.dtype)), axes=axes), to=g.dtype)


def _expand_conv(
    o: OpSet, x: Value, weight: Value, *bias: Value, stride: Shape, padding: Shape, dilation: Shape, groups: int
) -> Value:
    size = convolved_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    ones = (1,) * len(stride)
    y = o.convolve(
        x, weight, size=size, stride=stride, dilation=dilation, padding=_pairs(padding)[0], base=ones, groups=groups,
        dtype=accumulator(x.dtype),
    )  # fmt: skip
    return _with_bias(o, y, bias, x.dtype)


def _conv_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    x, weight, *bias = node.inputs
    attrs = node.attrs
    before, ones = _pairs(attrs["padding"])[0], (1,) * len(attrs["stride"])
    stride, dilation, groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    return (
        lambda: _spread(o, g, weight, x.shape[2:], stride, dilation, before, groups, None),
        lambda: o.convolve_weight(
            x, g, window=weight.shape[2:], stride=stride, dilation=dilation, padding=before, base=ones, groups=groups
        ),
        *(lambda: _bias_gradient(o, g) for _ in bias),
    )


_CONV_ATTRS: dict[str, Any] = {"stride": REQUIRED, "padding": REQUIRED, "dilation": REQUIRED, "groups": 1}

register(
    Op(
        "conv",
        _infer_conv,
        "composite",
        vjp=_conv_vjp,
        expand=_expand_conv,
        attrs=_CONV_ATTRS,
        autocast=LOWER,
    )
)


def _infer_conv_transpose(
    x: TensorType,
    weight: TensorType,
    *bias: TensorType,
    size: Shape,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> TensorType:
    rank = len(stride)
    _check_images(x, weight, rank, groups)
    _check_steps(rank, stride, padding, dilation)
    if x.shape[1] != weight.shape[0]:
        raise OpError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
            f"{weight.shape[0]} channels, but got {x.shape[1]} channels instead"
        )
    channels = weight.shape[1] * groups
    _check_bias(bias, channels, weight, x)
    if any(n < 1 for n in size):
        raise OpError(f"Given input size per channel: {list(x.shape[2:])}. Calculated output size per channel: "
                      f"{list(size)}. Output size is too small")  # fmt: skip
    return TensorType(x.dtype, (x.shape[0], channels, *size))


def _expand_conv_transpose(
    o: OpSet,
    x: Value,
    weight: Value,
    *bias: Value,
    size: Shape,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Value:
    y = _spread(o, x, weight, size, stride, dilation, _pairs(padding)[0], groups, accumulator(x.dtype))
    return _with_bias(o, y, bias, x.dtype)


def _conv_transpose_vjp(o: OpSet, node: Any, g: Value) -> tuple[Any, ...]:
    x, weight, *bias = node.inputs
    attrs = node.attrs
    geometry = {
        "stride": attrs["stride"],
        "dilation": attrs["dilation"],
        "padding": _pairs(attrs["padding"])[0],
        "base": (1,) * len(attrs["stride"]),
        "groups": attrs["groups"],
    }
    return (
        lambda: o.convolve(g, weight, size=x.shape[2:], **geometry),
        lambda: o.convolve_weight(g, x, window=weight.shape[2:], **geometry),
        *(lambda: _bias_gradient(o, g) for _ in bias),
    )


register(
    Op(
        "conv_transpose",
        _infer_conv_transpose,
        "composite",
        vjp=_conv_transpose_vjp,
        expand=_expand_conv_transpose,
        attrs={"size": REQUIRED, **_CONV_ATTRS},
        autocast=LOWER,
    )
)
