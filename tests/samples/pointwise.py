"""Samples of pointwise ops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import inf, nan

import numpy as np

from compiler.ir.types import DTYPES, bf16, boolean, f16, f32, f64, i8, i16, i32, i64, u8
from tests.samples.table import Draw, Rows, entry, special


def unary_rows(d: Draw, floats: Callable[..., np.ndarray]) -> Rows:
    """Operands that every function of one operand is tried on."""
    yield "matrix", [floats(3, 5)]
    yield "rank0", [floats()]
    yield "ones", [floats(1, 1, 1)]
    yield "empty", [floats(0, 4)]
    yield "special", [special()], {}, False
    yield "special-f16", [special(f16)], {}, False
    yield "special-bf16", [special(bf16)], {}, False


@entry("exp", "expm1", "sin", "cos", "tanh", "erf")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)
    yield "ints", [d.ints(4, to=i32)]
    yield "bools", [d.bools(4)]
    yield "large", [np.linspace(-30, 30, 9, dtype=np.float32)], {}, False


@entry("log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.positive)
    yield "ints", [d.ints(4, low=1, high=9)]
    yield "negative", [d.floats(6)], {}, False


@entry("atan", "asinh", "log10", "acosh", "asin", "acos", "atanh")
def _(op: str, d: Draw) -> Rows:
    low, high = {"log10": (0.1, 9), "acosh": (1.1, 9), "atan": (-9, 9), "asinh": (-9, 9)}.get(op, (-0.9, 0.9))
    yield from unary_rows(d, lambda *shape: d.floats(*shape, low=low, high=high))
    yield "near-zero", [d.floats(5, low=-1e-4, high=1e-4)], {}, op in ("atan", "asinh", "asin", "acos", "atanh")
    yield "ends", [np.array([-1, 1, -0.999999, 0.999999, 1.000001], np.float32)], {}, False
    yield "large", [np.array([-1e30, 1e30, 1e10, -3e9, 100.0], np.float32)], {}, False
    if op in ("atan", "asinh"):
        yield "ints", [d.ints(4)]


@entry("neg", "abs", "sign", "floor", "ceil", "trunc", "round")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)
    yield "halfway", [np.arange(-7, 8, dtype=np.float32) / 2], {}, False
    for to in (i8, i32, i64):
        yield to.short, [d.ints(2, 3, to=to)]


@entry("isnan", "isinf", "isfinite")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)
    yield "ints", [d.ints(3)]


@entry("logical_not")
def _(op: str, d: Draw) -> Rows:
    yield "bools", [d.bools(2, 3)]
    yield "rank0", [d.bools()]
    yield "ints", [d.ints(6, low=-1, high=2)]
    yield "special", [special()]


def _pairs(d: Draw, left: Callable[..., np.ndarray], right: Callable[..., np.ndarray]) -> Rows:
    yield "matrix", [left(3, 5), right(3, 5)]
    yield "rows", [left(3, 5), right(5)]
    yield "columns", [left(3, 1), right(3, 5)]
    yield "outer", [left(2, 1, 4), right(3, 1)]
    yield "rank0", [left(), right()]
    yield "rank0-right", [left(4), right()]
    yield "empty", [left(0, 1), right(1, 3)]
    yield "number-right", [left(2, 3), 1.5]
    yield "number-left", [2, right(2, 3)]


def _mixed(d: Draw, low: float = -2.0) -> Rows:
    """Operands of different types, promoted."""
    yield "f16-f32", [d.floats(4, low=low, to=f16), d.floats(4, low=low)]
    yield "f16-bf16", [d.floats(4, low=low, to=f16), d.floats(4, low=low, to=bf16)]
    yield "i64-f16", [d.ints(4, low=1, high=4), d.floats(4, low=low, to=f16)]
    yield "bool-f32", [d.bools(4), d.floats(4, low=low)]
    yield "f16-rank0", [d.floats(4, low=low, to=f16), d.floats(low=low)]


@entry("add", "sub", "mul", "maximum", "minimum")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.floats)
    yield from _mixed(d)
    yield "special", [special()[:, None], special()], {}, False
    yield "equal", [np.ones(3, np.float32), np.array([1, 2, 1], np.float32)], {}, False
    yield "i8", [d.ints(5, to=i8), d.ints(5, to=i8)]
    yield "u8-i8", [d.ints(5, low=0, to=u8), d.ints(5, to=i8)]
    yield "i32-number", [d.ints(5, to=i32), 3]
    yield "i32-float-number", [d.ints(5, to=i32), 0.5]
    if op != "sub":
        yield "bools", [d.bools(5), d.bools(5)]


@entry("div")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.positive)
    yield from _mixed(d, low=0.5)
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [d.ints(5), d.ints(5, low=1)]


@entry("pow")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.positive, d.floats)
    yield from _mixed(d, low=0.5)
    yield "square", [d.floats(2, 3), 2]
    yield "cube", [d.floats(2, 3), 3.0]
    yield "zero", [d.floats(3), 0]
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [d.ints(5), d.ints(5, low=0, high=4)]


@entry("floor_divide", "remainder", "trunc_divide")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.positive)
    yield "negative", [d.floats(7), d.floats(7, low=-2, high=-0.5)]
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])]
    yield "u8", [d.ints(5, low=0, high=200, to=u8), d.ints(5, low=1, to=u8)]


@entry("clamp")
def _(op: str, d: Draw) -> Rows:
    both = {"low": True, "high": True}
    yield "both", [d.floats(3, 5), d.floats(3, 5, high=-1), d.floats(5, low=1)], both
    yield "low", [d.floats(3, 5), d.floats(3, 1)], {"low": True}
    yield "high", [d.floats(3, 5), d.floats()], {"high": True}
    yield "numbers", [d.floats(3, 5), -1, 0.5], both
    yield "crossed", [d.floats(3, 5), 1.0, -1.0], both, False
    yield "special", [special()[:, None], -2.5, 1.0], both, False
    yield "ints", [d.ints(6), -2, 3], both


@entry("lerp")
def _(op: str, d: Draw) -> Rows:
    yield "tensors", [d.floats(3, 5), d.floats(3, 5), d.floats(5)]
    yield "near", [d.floats(3, 5), d.floats(3, 5), 0.25]
    yield "far", [d.floats(3, 5), d.floats(3, 1), 1.0]


@entry("bitwise_and", "bitwise_or", "bitwise_xor")
def _(op: str, d: Draw) -> Rows:
    yield "bools", [d.bools(2, 3), d.bools(3)]
    yield "ints", [d.ints(4), d.ints(4)]
    yield "number", [d.ints(4, to=u8, low=0), 3]
    yield "empty", [d.bools(0), d.bools(1)]


@entry("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
def _(op: str, d: Draw) -> Rows:
    yield from _pairs(d, d.floats, d.floats)
    yield "special", [special()[:, None], special()]
    yield "ints", [d.ints(3, 4, low=-1, high=2), d.ints(4, low=-1, high=2)]
    yield "bools", [d.bools(8), d.bools(8)]
    yield "i64-f32", [d.ints(6, low=-1, high=2), np.round(d.floats(6))]


@entry("where")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.bools(3, 5), d.floats(3, 5), d.floats(3, 5)]
    yield "outer", [d.bools(2, 1, 4), d.floats(3, 1), d.floats(1)]
    yield "rank0", [d.bools(), d.floats(), d.floats()]
    yield "empty", [d.bools(1), d.floats(0), d.floats(0)]
    yield "numbers", [d.bools(4), 1, 0.0]
    yield "masked", [d.bools(4), d.floats(4, to=bf16), -inf]
    yield "float-condition", [special(), d.floats(1), 0]
    yield "ints", [d.bools(4), d.ints(4), d.ints(to=i32)]
    yield (
        "unused-nan",
        [np.array([True, False]), np.array([1, nan], np.float32), np.array([nan, 2], np.float32)],
        {},
        False,
    )


@entry("cast", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "empty", [d.floats(0, 3)], {"to": bf16}
    yield "rank0", [d.floats()], {"to": f64}
    values = d.floats(7, low=0, high=5)
    for source, target in product(DTYPES.values(), DTYPES.values()):
        yield f"{source.short}-{target.short}", [values.astype(source.numpy)], {"to": target}, target in (f32, f64)
    wide = np.array([0, -0.0, inf, -inf, nan, 65504, 65519.99, 65520, 3.4e38, 1e-45, 6e-8, 2.9e-8, 1.0039, 1.00390625])
    for target in (f16, bf16, f64, boolean):
        yield f"special-{target.short}", [wide.astype(np.float32)], {"to": target}, False
    yield "special-f64-f32", [np.array([1e300, 1e-300, nan, 1 + 2**-24, 1 + 2**-23])], {"to": f32}, False
    yield "large-i64-f16", [np.array([70000, -70000, 2049, 2**40])], {"to": f16}


@entry("detach", "reload")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(2, 3)]
    yield "rank0", [d.ints()]


@entry("constant", halves=False)
def _(op: str, d: Draw) -> Rows:
    for name, value, to in (
        ("float", 0.1, f32),
        ("f64", 0.1, f64),
        ("f16", 0.1, f16),
        ("bf16", 0.1, bf16),
        ("int", -3, i64),
        ("bool", True, boolean),
        ("infinite", -inf, f32),
        ("nan", nan, f16),
    ):
        yield name, [], {"value": value, "dtype": to}


@entry("zeros", "ones", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [], {"shape": (2, 3), "dtype": f32}
    yield "rank0", [], {"shape": (), "dtype": f64}
    yield "empty", [], {"shape": (0, 2), "dtype": bf16}
    yield "ints", [], {"shape": (4,), "dtype": i16}
    yield "bools", [], {"shape": (1, 2), "dtype": boolean}


@entry("iota", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "line", [], {"shape": (7,), "axis": 0}
    yield "middle", [], {"shape": (2, 3, 4), "axis": 1}
    yield "empty", [], {"shape": (0, 3), "axis": 0}
    yield "ones", [], {"shape": (1, 1), "axis": 1}
