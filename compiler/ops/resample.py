"""Images read between their pixels: each axis of the result sees a few neighbours on the same axis of the image."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from compiler.errors import OpError
from compiler.ir.graph import Value
from compiler.ir.op import REQUIRED, Op, OpSet, register
from compiler.ir.types import Shape, TensorType, f32, i64
from compiler.ops.composite import floating, rounded
from compiler.ops.contract import accumulator

Taps = list[tuple[Value, Value]]
"""Per neighbour its index and its weight, each ``[out]``."""

MODES = ("nearest", "nearest-exact", "linear", "cubic")


def _infer(
    x: TensorType, size: Shape, scale: tuple[float, ...], mode: str, aligned: bool, antialias: bool
) -> TensorType:
    if mode not in MODES or len(size) != len(scale) or x.rank < len(size):
        raise OpError(f"resample needs a mode of {', '.join(MODES)} and one scale per axis, not {mode!r} and {scale}")
    if any(n < 1 for n in size) or any(n < 1 for n in x.shape[x.rank - len(size) :]):
        raise OpError(
            "Input and output sizes should be greater than 0, but got "
            f"input {list(x.shape[x.rank - len(size) :])} output {list(size)}"
        )
    return TensorType(x.dtype if mode in MODES[:2] else floating(x).dtype, (*x.shape[: x.rank - len(size)], *size))


def cubic_weights(o: OpSet, t: Value, a: float = -0.75) -> list[Value]:
    """The weights of the four neighbours of a place ``t`` behind the second one.

    Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    return [_cubic(o, d, a) for d in (o.add(t, 1), t, o.sub(1, t), o.sub(2, t))]


def _cubic(o: OpSet, d: Value, a: float) -> Value:
    """The weight of a neighbour at distance ``d >= 0``."""
    near = o.add(o.mul(o.mul(o.sub(o.mul(d, a + 2), a + 3), d), d), 1)
    far = o.sub(o.mul(o.add(o.mul(o.sub(o.mul(d, a), 5 * a), d), 8 * a), d), 4 * a)
    return o.where(o.le(d, 1), near, o.where(o.lt(d, 2), far, 0))


def _taps(o: OpSet, n: int, out: int, scale: float, mode: str, aligned: bool, number: Value) -> Taps:
    """The neighbours of each place of the result; ``number`` counts these places in floats."""
    last = n - 1
    if mode in ("nearest", "nearest-exact"):
        place = o.mul(o.add(number, 0.5) if mode == "nearest-exact" else number, scale)
        one = o.constant(value=1, dtype=number.dtype)
        return [(o.minimum(o.cast(o.floor(place), to=i64), last), one)]
    place = o.mul(number, scale) if aligned else o.sub(o.mul(o.add(number, 0.5), scale), 0.5)
    if mode == "cubic":
        floor = o.floor(place)
        first = o.sub(o.cast(floor, to=i64), 1)
        weights = cubic_weights(o, o.sub(place, floor))
        return [(o.minimum(o.maximum(o.add(first, k), 0), last), w) for k, w in enumerate(weights)]
    place = o.maximum(place, 0)
    low = o.minimum(o.cast(place, to=i64), last)
    rest = o.minimum(o.maximum(o.sub(place, o.cast(low, to=place.dtype)), 0), 1)
    return [(low, o.sub(1, rest)), (o.minimum(o.add(low, 1), last), rest)]


def _matrix(o: OpSet, n: int, out: int, scale: float, mode: str, aligned: bool, antialias: bool, like: Value) -> Value:
    """The weights of all pixels for each place of the result, ``[out, n]``."""
    number = o.cast(o.iota(shape=(out, 1), axis=0), to=like.dtype)
    pixel = o.iota(shape=(1, n), axis=1)
    if not antialias:
        parts = [o.where(o.eq(index, pixel), w, 0) for index, w in _taps(o, n, out, scale, mode, aligned, number)]
        total = parts[0]
        for part in parts[1:]:
            total = o.add(total, part)
        return total
    centre = o.mul(o.add(number, 0.5), scale)
    way = o.sub(o.add(o.cast(pixel, to=like.dtype), 0.5), centre)
    distance = o.abs(o.mul(way, 1 / max(scale, 1.0)))
    weights = o.maximum(o.sub(1, distance), 0) if mode == "linear" else _cubic(o, distance, -0.5)
    return o.div(weights, o.sum(weights, axes=(1,), keepdim=True))


def _product(o: OpSet, x: Value, axis: int, matrix: Value) -> Value:
    """``x`` with ``axis`` multiplied by ``matrix [m, n]``, which leaves m."""
    m, n = matrix.shape
    lead, rest = x.shape[:axis], x.shape[axis + 1 :]
    if not rest:
        flat = o.dot(o.reshape(x, shape=(prod(lead), n)), o.permute(matrix, dims=(1, 0)))
    else:
        slices = o.reshape(x, shape=(prod(lead), n, prod(rest)))
        flat = o.dot(o.expand(o.reshape(matrix, shape=(1, m, n)), shape=(prod(lead), m, n)), slices)
    return o.reshape(flat, shape=(*lead, m, *rest))


def _look(o: OpSet, x: Value, axis: int, out: int, taps: Taps) -> Value:
    """The weighted sum of the neighbours along ``axis``."""
    shape = (*x.shape[:axis], out, *x.shape[axis + 1 :])
    total: Value | None = None
    for index, weight in taps:
        seen = o.gather(x, o.expand(index, shape=shape), axis=axis)
        term = seen if len(taps) == 1 else o.mul(seen, weight)
        total = term if total is None else o.add(total, term)
    assert total is not None
    return total


def _axes(x_rank: int, size: Shape, scale: Sequence[float]) -> list[tuple[int, int, float]]:
    """Axis, size and scale, the last axis first."""
    return [(x_rank - 1 - k, size[-1 - k], scale[-1 - k]) for k in range(len(size))]


def _resample(
    o: OpSet, x: Value, size: Shape, scale: tuple[float, ...], mode: str, aligned: bool, antialias: bool
) -> Value:
    floats = f32 if mode in MODES[:2] else accumulator(x.dtype)
    for axis, out, step in _axes(x.type.rank, size, scale):
        n = x.shape[axis]
        if out == n and step == 1.0:
            continue
        if antialias:
            x = _product(o, x, axis, _matrix(o, n, out, step, mode, aligned, True, x))
        else:
            line = tuple(out if a == axis else 1 for a in range(x.type.rank))
            number = o.cast(o.iota(shape=line, axis=axis), to=floats)
            x = _look(o, x, axis, out, _taps(o, n, out, step, mode, aligned, number))
    return x


def _expand(o: OpSet, x: Value, **attrs: Any) -> Value:
    return _resample(o, x, **attrs) if attrs["mode"] in MODES[:2] else rounded(_resample)(o, x, **attrs)


def _vjp(o: OpSet, node: Any, g: Value) -> tuple[Value]:
    """Products with the weights, transposed: no sum depends on an order."""
    x, attrs = node.inputs[0], node.attrs
    g = o.cast(g, to=accumulator(x.dtype))
    mode, aligned, antialias = attrs["mode"], attrs["aligned"], attrs["antialias"]
    for axis, out, step in reversed(_axes(x.type.rank, attrs["size"], attrs["scale"])):
        n = x.shape[axis]
        if out != n or step != 1.0:
            weights = _matrix(o, n, out, step, mode, aligned, antialias, g)
            g = _product(o, g, axis, o.permute(weights, dims=(1, 0)))
    return (o.cast(g, to=x.dtype),)


register(
    Op(
        "resample",
        _infer,
        "composite",
        vjp=_vjp,
        expand=_expand,
        attrs={"size": REQUIRED, "scale": REQUIRED, "mode": "linear", "aligned": False, "antialias": False},
    )
)
"""The last axes of ``[..., *image]`` brought to ``size``; ``scale`` is the distance of two places in pixels.

A place stands at ``(i + 1/2) * scale - 1/2`` (``aligned``: at ``i * scale``). ``antialias`` widens the neighbourhood
where the image gets smaller.
"""
