"""Pooling: reductions over windows of images ``[*lead, *image]``."""

from __future__ import annotations

from functools import reduce
from math import inf, prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import DType, Shape, TensorType, i32, u8
from compiler.ops.composite import rounded
from compiler.ops.contract import accumulator
from compiler.ops.conv import window_span
from compiler.ops.window import UNROLLED, fold, slide_back, taps, total, windows


def _check_window(x: TensorType, window: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape) -> None:
    rank = len(window)
    if any(len(given) != rank for given in (stride, padding, dilation, size)) or x.rank < rank:
        raise OpError(
            f"pooling over {rank} dimensions needs as many of each attribute, and no image of {list(x.shape)}"
        )
    for p, w, d in zip(padding, window, dilation, strict=True):
        if not 0 <= 2 * p <= d * (w - 1) + 1:
            raise OpError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={w} and "
                f"dilation={d}"
            )
    if any(n < 1 for n in size):
        image = "x".join(map(str, x.shape[-rank - 1 :]))
        out = "x".join(map(str, (*x.shape[-rank - 1 : -rank], *size)))
        raise OpError(f"Given input size: ({image}). Calculated output size: ({out}). Output size is too small")


def pooled_size(
    image: Shape, window: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool = False
) -> Shape:
    """Places of a window. With ``ceil_mode`` the last one may reach beyond the end, if it does not begin there."""
    if any(n < 1 for n in (*window, *stride, *dilation)):
        raise OpError(f"window {list(window)}, stride {list(stride)} and dilation {list(dilation)} should be positive")
    size = []
    for n, span, s, p in zip(image, window_span(window, dilation), stride, padding, strict=True):
        places = (n + 2 * p - span + (s - 1) * ceil_mode) // s + 1
        size.append(places - (ceil_mode and (places - 1) * s >= n + p))
    return tuple(size)


def _tiles(image: Shape, window: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape) -> bool:
    """Whether each element of the image lies in exactly one window."""
    covered = all(n == o * w for n, o, w in zip(image, size, window, strict=True))
    return covered and stride == window and not any(padding) and all(d == 1 for d in dilation)


def _over_tiles(o: OpSet, x: Value, window: Shape) -> Value:
    """``[*lead, *size]`` as ``[*lead, size, window, size, window, ...]``, the same all over a window."""
    rank = len(window)
    lead, size = x.shape[: x.type.rank - rank], x.shape[x.type.rank - rank :]
    spaced = o.reshape(x, shape=(*lead, *(n for s in size for n in (s, 1))))
    return o.expand(spaced, shape=(*lead, *(n for pair in zip(size, window, strict=True) for n in pair)))


# Maximum


def place_type(window: Shape) -> DType:
    """The operand that counts the places of a window."""
    return u8 if prod(window) <= 256 else i32


def _infer_max_pool(
    x: TensorType, window: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape
) -> tuple[TensorType, TensorType]:
    _check_window(x, window, stride, padding, dilation, size)
    shape = (*x.shape[: x.rank - len(window)], *size)
    return TensorType(x.dtype, shape), TensorType(place_type(window), shape)


def lowest(of: DType) -> float:
    """The number below all others."""
    if of.kind == "float":
        return -inf
    return 0 if of.kind == "bool" or of is u8 else -(2 ** (of.bits - 1))


def _expand_max_pool(
    o: OpSet, x: Value, window: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape
) -> tuple[Value, Value]:
    rank, fill = len(window), lowest(x.dtype)
    geometry: dict[str, Any] = {
        "size": size, "stride": stride, "dilation": dilation, "padding": padding, "fill": fill
    }  # fmt: skip
    places = place_type(window)
    if prod(window) > UNROLLED:
        lead = x.type.rank - rank
        seen = windows(o, x, window, base=(1,) * rank, **geometry)
        order = (*range(lead), *range(lead + rank, lead + 2 * rank), *range(lead, lead + rank))
        rows = o.reshape(o.permute(seen, dims=order), shape=(*x.shape[:lead], *size, prod(window)))
        axes = (rows.type.rank - 1,)
        best, where = o.amax(rows, axes=axes), o.cast(o.argmax(rows, axes=axes), to=places)
        return best, _beside_padding(o, best, where, window, stride, padding, dilation, fill)
    best, *others = taps(o, x, window, **geometry)
    where = o.expand(o.constant(value=0, dtype=places), shape=best.shape)
    for k, seen in enumerate(others, 1):
        number = o.constant(value=k, dtype=places)
        larger = o.gt(seen, best)
        if x.dtype.kind == "float":
            larger = o.logical_or(larger, o.isnan(seen))
        best, where = o.where(larger, seen, best), o.where(larger, number, where)
    return best, _beside_padding(o, best, where, window, stride, padding, dilation, fill)


def _beside_padding(
    o: OpSet, best: Value, where: Value, window: Shape, stride: Shape, padding: Shape, dilation: Shape, fill: float
) -> Value:
    """``where``, but the first place inside the image in a window of nothing above ``fill``.

    There, padding would win against elements equal to it.
    """
    if not any(padding):
        return where
    rank, shape, places = len(window), best.shape, []
    for k, (s, p, d) in enumerate(zip(stride, padding, dilation, strict=True)):
        axis = len(shape) - rank + k
        line = tuple(n if a == axis else 1 for a, n in enumerate(shape))
        outside = o.maximum(o.sub(p, o.mul(o.iota(shape=line, axis=axis), s)), 0)
        places.append(o.mul(o.floor_divide(o.add(outside, d - 1), d), prod(window[k + 1 :])))
    return o.where(o.eq(best, fill), o.cast(total(o, places), to=where.dtype), where)


def _max_pool_vjp(o: OpSet, node: Any, g: Value | None, _: Value | None) -> tuple[Any, ...]:
    """Each element gathers the gradients of the windows whose maximum it is."""
    x, place = node.inputs[0], node.outputs[1]
    if g is None:
        return (None,)
    attrs = node.attrs
    window, rank = attrs["window"], len(attrs["window"])
    image, lead = x.shape[x.type.rank - rank :], x.shape[: x.type.rank - rank]
    if _tiles(image, window, attrs["stride"], attrs["padding"], attrs["dilation"], attrs["size"]):
        spread, where = _over_tiles(o, g, window), _over_tiles(o, place, window)
        own = _places(o, spread.shape, tuple(range(len(lead) + 1, spread.type.rank, 2)), window, place.dtype)
        return (o.reshape(o.where(o.eq(where, own), spread, 0), shape=x.shape),)
    geometry = {k: attrs[k] for k in ("stride", "dilation", "padding")} | {"base": (1,) * rank}
    axes = tuple(range(len(lead), len(lead) + rank))
    if prod(window) > UNROLLED:
        shape = (*lead, *window, *attrs["size"])
        shown = [o.expand(o.reshape(v, shape=(*lead, *(1,) * rank, *attrs["size"])), shape=shape) for v in (g, place)]
        spread, where = (slide_back(o, v, size=image, **geometry) for v in shown)
        own = _places(o, spread.shape, axes, window, place.dtype)
        wide = o.cast(o.where(o.eq(where, own), spread, 0), to=accumulator(g.dtype))
        return (o.cast(o.sum(wide, axes=axes), to=g.dtype),)
    pairs = zip(_back_taps(o, g, window, image, geometry), _back_taps(o, place, window, image, geometry), strict=True)
    parts = [o.cast(o.where(o.eq(where, k), part, 0), to=accumulator(g.dtype)) for k, (part, where) in enumerate(pairs)]
    return (o.cast(total(o, parts), to=g.dtype),)


def _places(o: OpSet, shape: Shape, axes: Shape, window: Shape, to: DType) -> Value:
    """The number, within its window, of each place of ``shape``, whose ``axes`` are the axes of the window."""
    lines = []
    for k, axis in enumerate(axes):
        step = prod(window[k + 1 :])
        lines.append(o.mul(o.iota(shape=[shape[a] if a == axis else 1 for a in range(len(shape))], axis=axis), step))
    return o.cast(total(o, lines), to=to)


def _back_taps(o: OpSet, g: Value, window: Shape, image: Shape, geometry: dict[str, Any]) -> list[Value]:
    """The part of each place of the window in each element of the image, ``[*lead, *image]`` each."""
    return list(
        taps(
            o, g, window, size=image, stride=geometry["base"], base=geometry["stride"],
            dilation=tuple(-d for d in geometry["dilation"]), padding=tuple(-p for p in geometry["padding"]),
        )
    )  # fmt: skip


register(
    Op(
        "max_pool",
        _infer_max_pool,
        "composite",
        vjp=_max_pool_vjp,
        expand=_expand_max_pool,
        attrs={"window": REQUIRED, "stride": REQUIRED, "padding": REQUIRED, "dilation": REQUIRED, "size": REQUIRED},
    )
)
"""The maximum of each window, and the number of its place in the window (of a later one only if larger, or NaN)."""


# Mean


def _infer_avg_pool(
    x: TensorType, window: Shape, stride: Shape, padding: Shape, size: Shape, include_pad: bool, divisor: int | None
) -> TensorType:
    if x.dtype.kind != "float":
        raise OpError(f"the op is not defined for {x.dtype.name} tensors; convert with .float()")
    if divisor == 0:
        raise OpError("divisor must be not zero")
    _check_window(x, window, stride, padding, (1,) * len(window), size)
    return TensorType(x.dtype, (*x.shape[: x.rank - len(window)], *size))


def _counted(
    image: Shape, window: Shape, stride: Shape, padding: Shape, size: Shape, include_pad: bool
) -> list[list[int]]:
    """How many elements each window counts in each dimension."""
    counts = []
    for n, w, s, p, places in zip(image, window, stride, padding, size, strict=True):
        line = []
        for place in range(places):
            start = place * s - p
            end = min(start + w, n + p)
            line.append(end - start if include_pad else min(end, n) - max(start, 0))
        counts.append(line)
    return counts


def _divided(
    o: OpSet,
    x: Value,
    image: Shape,
    window: Shape,
    stride: Shape,
    padding: Shape,
    size: Shape,
    include_pad: bool,
    divisor: int | None,
) -> Value:
    """Sums over windows, or what flows back to them, divided by what the windows count."""
    if divisor is not None:
        return o.div(x, divisor)
    counts = _counted(image, window, stride, padding, size, include_pad)
    if all(len(set(line)) == 1 for line in counts):
        return o.div(x, prod(line[0] for line in counts))
    sizes: list[Value] = []
    for d, (n, w, s, p) in enumerate(zip(image, window, stride, padding, strict=True)):
        start = o.sub(o.mul(o.iota(shape=(size[d], *(1 for _ in size[d + 1 :])), axis=0), s), p)
        end = o.minimum(o.add(start, w), n + p)
        if not include_pad:
            start, end = o.maximum(start, 0), o.minimum(end, n)
        sizes.append(o.sub(end, start))
    return o.div(x, o.cast(reduce(o.mul, sizes), to=x.dtype))


def _avg_pool(
    o: OpSet,
    x: Value,
    window: Shape,
    stride: Shape,
    padding: Shape,
    size: Shape,
    include_pad: bool,
    divisor: int | None,
) -> Value:
    rank = len(window)
    image = x.shape[x.type.rank - rank :]
    geometry: dict[str, Any] = {
        "size": size,
        "stride": stride,
        "dilation": (1,) * rank,
        "padding": padding,
        "base": (1,) * rank,
    }
    if prod(window) > UNROLLED:
        lead = x.type.rank - rank
        sums = o.sum(windows(o, x, window, **geometry), axes=tuple(range(lead, lead + rank)))
    else:
        sums = total(o, list(taps(o, x, window, **geometry)))
    return _divided(o, sums, image, window, stride, padding, size, include_pad, divisor)


def _avg_pool_vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    x, attrs = node.inputs[0], node.attrs
    window, stride, padding, size = (attrs[k] for k in ("window", "stride", "padding", "size"))
    rank = len(window)
    image, lead = x.shape[x.type.rank - rank :], x.shape[: x.type.rank - rank]
    ones = (1,) * rank
    wide = o.cast(g, to=accumulator(g.dtype))
    share = _divided(o, wide, image, window, stride, padding, size, attrs["include_pad"], attrs["divisor"])
    if _tiles(image, window, stride, padding, ones, size):
        result = o.reshape(_over_tiles(o, share, window), shape=x.shape)
    else:
        seen = o.expand(o.reshape(share, shape=(*lead, *ones, *size)), shape=(*lead, *window, *size))
        result = fold(o, seen, image, stride=stride, dilation=ones, padding=padding, base=ones)
    return (o.cast(result, to=g.dtype),)


register(
    Op(
        "avg_pool",
        _infer_avg_pool,
        "composite",
        vjp=_avg_pool_vjp,
        expand=rounded(_avg_pool),
        attrs={"window": REQUIRED, "stride": REQUIRED, "padding": REQUIRED, "size": REQUIRED, "include_pad": True,
               "divisor": None},
    )
)  # fmt: skip
