"""Samples of windows of images: convolution and pooling."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from compiler.ir.types import bf16, f32
from tests.samples.table import Draw, Rows, entry, special

_SLIDES = {
    "patches": ((2, 3, 3, 5, 6), (5, 6), (1, 1), (1, 1), (1, 1), (1, 1)),
    "inside": ((2, 2, 5, 6), (4, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
    "strided": ((3, 2, 3, 7, 6), (3, 4), (3, 2), (2, 1), (2, 1), (1, 1)),
    "back": ((2, 2, 3, 4, 3), (7, 6), (1, 1), (-2, -1), (-1, -1), (2, 2)),
    "line": ((3, 4, 5), (9,), (1,), (1,), (2,), (1,)),
    "volume": ((2, 1, 2, 3, 2, 3), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 0, 1), (1, 1, 1)),
    "nothing": ((2, 0, 5), (3,), (1,), (1,), (0,), (1,)),
    "outside": ((2, 3), (4,), (1,), (1,), (9,), (1,)),
}


@entry("slide")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *attrs) in _SLIDES.items():
        names = ("size", "stride", "dilation", "padding", "base")
        yield name, [d.floats(*shape)], dict(zip(names, attrs, strict=True))
    line = {"size": (5,), "stride": (1,), "dilation": (1,), "padding": (1,), "base": (1,)}
    yield "filled", [d.floats(3, 5)], {**line, "fill": -3.5}
    yield "infinite", [d.floats(3, 5)], {**line, "fill": -inf}, False
    yield "ints", [d.ints(3, 5)], {**line, "fill": -7}


def _steps(rank: int, stride: int = 1, dilation: int = 1, padding: int = 0, base: int = 1) -> dict[str, Any]:
    given = {"stride": stride, "dilation": dilation, "padding": padding, "base": base}
    return {name: (value,) * rank for name, value in given.items()}


@entry("convolve")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3)], {"size": (5, 6), **_steps(2, padding=1)}
    yield "one", [d.floats(1, 3, 2, 2), d.floats(2, 3, 1, 1)], {"size": (2, 2), **_steps(2)}
    yield "strided", [d.floats(2, 2, 7, 6), d.floats(3, 2, 3, 2)], {"size": (4, 3), **_steps(2, 2, 1, 1)}
    yield "dilated", [d.floats(1, 2, 7, 7), d.floats(3, 2, 3, 3)], {"size": (3, 3), **_steps(2, dilation=2)}
    yield "based", [d.floats(1, 2, 4, 4), d.floats(3, 2, 3, 3)], {"size": (7, 7), **_steps(2, padding=1, base=2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(6, 2, 3)], {"size": (5,), "groups": 2, **_steps(1, padding=1)}
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(3, 1, 3, 3)], {"size": (3, 3), "groups": 3, **_steps(2)}
    yield "wide", [d.floats(2, 4, 9, 20), d.floats(17, 4, 3, 3)], {"size": (9, 20), **_steps(2, padding=1)}
    yield "volume", [d.floats(1, 2, 3, 4, 4), d.floats(2, 2, 2, 2, 2)], {"size": (2, 3, 3), **_steps(3)}
    half = [d.floats(2, 3, 5, to=bf16), d.floats(4, 3, 3, to=bf16)]
    yield "bf16-f32", half, {"size": (3,), "dtype": f32, **_steps(1)}


@entry("convolve_weight")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(3, 3, 5, 6), d.floats(3, 4, 5, 6)], {"window": (3, 3), **_steps(2, padding=1)}
    yield "one", [d.floats(2, 3, 2, 2), d.floats(2, 2, 2, 2)], {"window": (1, 1), **_steps(2)}
    yield "strided", [d.floats(2, 2, 7, 6), d.floats(2, 3, 4, 3)], {"window": (3, 2), **_steps(2, 2, 1, 1)}
    yield "dilated", [d.floats(1, 2, 7, 7), d.floats(1, 3, 3, 3)], {"window": (3, 3), **_steps(2, dilation=2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(2, 6, 5)], {"window": (3,), "groups": 2, **_steps(1, padding=1)}
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(2, 3, 3, 3)], {"window": (3, 3), "groups": 3, **_steps(2)}
    yield "wide", [d.floats(5, 7, 9, 20), d.floats(5, 17, 9, 20)], {"window": (3, 3), **_steps(2, padding=1)}
    half = [d.floats(2, 3, 5, to=bf16), d.floats(2, 4, 3, to=bf16)]
    yield "bf16-f32", half, {"window": (3,), "dtype": f32, **_steps(1)}


def _conv_steps(rank: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> dict[str, Any]:
    steps = {"stride": (stride,) * rank, "padding": (padding,) * (2 * rank), "dilation": (dilation,) * rank}
    return {**steps, "groups": groups}


@entry("conv")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3), d.floats(4)], _conv_steps(2, padding=1)
    yield "plain", [d.floats(2, 3, 5, 6), d.floats(4, 3, 3, 3)], _conv_steps(2)
    yield "pointwise", [d.floats(2, 3, 4, 4), d.floats(5, 3, 1, 1), d.floats(5)], _conv_steps(2)
    yield "strided", [d.floats(2, 3, 7, 6), d.floats(4, 3, 3, 3)], _conv_steps(2, 2, 1)
    yield "dilated", [d.floats(1, 2, 8, 7), d.floats(2, 2, 3, 3)], _conv_steps(2, 1, 2, 2)
    yield "uneven", [d.floats(1, 2, 5), d.floats(2, 2, 4)], {**_conv_steps(1), "padding": (1, 2)}
    yield "line", [d.floats(2, 3, 9), d.floats(4, 3, 3), d.floats(4)], _conv_steps(1, 3)
    yield "volume", [d.floats(1, 2, 4, 3, 4), d.floats(3, 2, 2, 3, 2)], _conv_steps(3, padding=1)
    yield "groups", [d.floats(2, 4, 5, 5), d.floats(6, 2, 3, 3), d.floats(6)], _conv_steps(2, 1, 1, groups=2)
    yield "depthwise", [d.floats(2, 3, 5, 5), d.floats(3, 1, 3, 3)], _conv_steps(2, 2, 1, groups=3)
    yield "no-images", [d.floats(0, 2, 4), d.floats(3, 2, 3)], _conv_steps(1)


@entry("conv_transpose")
def _(op: str, d: Draw) -> Rows:
    yield "image", [d.floats(2, 3, 4, 5), d.floats(3, 4, 3, 3), d.floats(4)], {"size": (4, 5), **_conv_steps(2, 1, 1)}
    yield "strided", [d.floats(2, 3, 3, 4), d.floats(3, 2, 3, 3)], {"size": (6, 8), **_conv_steps(2, 2, 1)}
    yield "cropped", [d.floats(1, 2, 4), d.floats(2, 3, 3)], {"size": (2,), **_conv_steps(1, 1, 2)}
    yield "dilated", [d.floats(1, 2, 4), d.floats(2, 3, 3)], {"size": (11,), **_conv_steps(1, 2, 0, 2)}
    yield "groups", [d.floats(2, 4, 5), d.floats(4, 3, 2), d.floats(6)], {"size": (6,), **_conv_steps(1, groups=2)}


def _pool_steps(rank: int, window: int, stride: int, padding: int = 0) -> dict[str, Any]:
    given = {"window": window, "stride": stride, "padding": padding}
    return {name: (value,) * rank for name, value in given.items()}


@entry("max_pool")
def _(op: str, d: Draw) -> Rows:
    plain, line = {"dilation": (1, 1)}, {"dilation": (1,)}
    yield "tiles", [d.distinct(2, 3, 4, 6)], {"size": (2, 3), **_pool_steps(2, 2, 2), **plain}
    yield "overlapping", [d.distinct(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1), **plain}
    yield "rest", [d.distinct(2, 7, 5)], {"size": (3, 2), **_pool_steps(2, 2, 2), **plain}
    yield "dilated", [d.distinct(2, 9)], {"size": (5,), **_pool_steps(1, 3, 1), "dilation": (2,)}
    yield "large", [d.distinct(1, 9, 9)], {"size": (2, 2), **_pool_steps(2, 7, 2), **plain}
    yield "volume", [d.distinct(2, 2, 4, 2)], {"size": (1, 2, 1), **_pool_steps(3, 2, 2), "dilation": (1, 1, 1)}
    yield (
        "ties",
        [np.array([[1, 1, 0, 2], [3, 3, 3, 3]], np.float32)],
        {"size": (2,), **_pool_steps(1, 2, 2), **line},
        False,
    )
    yield "special", [special()[None]], {"size": (6,), **_pool_steps(1, 2, 2), **line}, False
    yield "ints", [d.ints(2, 6)], {"size": (4,), **_pool_steps(1, 2, 2, 1), **line}


@entry("avg_pool")
def _(op: str, d: Draw) -> Rows:
    yield "tiles", [d.floats(2, 3, 4, 6)], {"size": (2, 3), **_pool_steps(2, 2, 2)}
    yield "overlapping", [d.floats(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1)}
    yield "counted", [d.floats(2, 7, 6)], {"size": (4, 3), **_pool_steps(2, 3, 2, 1), "include_pad": False}
    yield "beyond", [d.floats(2, 6)], {"size": (3,), **_pool_steps(1, 3, 2)}
    yield "divisor", [d.floats(2, 6)], {"size": (3,), **_pool_steps(1, 2, 2), "divisor": 3}
    yield "large", [d.floats(1, 9, 9)], {"size": (2, 2), **_pool_steps(2, 7, 2)}
