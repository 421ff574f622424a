"""Samples of elementary and special functions."""

from __future__ import annotations

import numpy as np

from compiler.ir.types import bf16, f16, i8, i16, i32, u8
from tests.samples.pointwise import unary_rows
from tests.samples.table import Draw, Rows, entry, special

_RANGES = {
    "erfinv": (-0.95, 0.95),
    "ndtri": (0.05, 0.95),
    "logit": (0.1, 0.9),
    "lgamma": (0.2, 4.0),
    "entr": (0.1, 3.0),
    "tan": (-1.2, 1.2),
}


@entry("tan", "sinh", "cosh", "exp2", "sinc", "logit", "entr")
def _(op: str, d: Draw) -> Rows:
    low, high = _RANGES.get(op, (-3.0, 3.0))
    yield from unary_rows(d, lambda *shape: d.floats(*shape, low=low, high=high))
    yield "large", [np.array([-60.0, 60.0, 88.9, -89.2, 0.001, -1e-30], np.float32)], {}, False
    if op == "logit":
        yield "limited", [d.floats(9, low=-0.2, high=1.2)], {"eps": 0.1}, False


@entry("erfc", "erfcx", "erfinv", "ndtr", "ndtri", "log_ndtr", "lgamma", "i0", "i1", "i0e", "i1e")
def _(op: str, d: Draw) -> Rows:
    low, high = _RANGES.get(op, (-2.5, 2.5))
    yield "matrix", [d.floats(3, 5, low=low, high=high)]
    yield "rank0", [d.floats(low=low, high=high)]
    yield "empty", [d.floats(0, 4)]
    yield "special", [special()], {}, False
    yield "far", [np.array([-20.5, -3.25, 8.5, 30.0, 60.0, 0.999999, -0.999999, 1e-20], np.float32)], {}, False


@entry("polygamma")
def _(op: str, d: Draw) -> Rows:
    for n in range(3):
        yield f"order{n}", [d.floats(3, 5, low=0.5, high=5)], {"n": n}
    yield "negative", [d.floats(7, low=-3.8, high=-3.2)], {"n": 0}
    yield "negative1", [d.floats(7, low=-3.8, high=-3.2)], {"n": 1}
    yield "poles", [np.array([0.0, -1.0, -2.0], np.float32)], {"n": 1}, False
    yield "special", [special()], {"n": 0}, False


@entry("hypot", "atan2", "logaddexp", "logaddexp2", "xlogy", "xlog1py", "copysign")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.positive(3, 5), d.positive(3, 5)]
    yield "rows", [d.positive(3, 5), d.positive(5)]
    yield "number", [d.positive(3, 2), 1.5]
    yield "empty", [d.floats(0, 1), d.floats(1, 3)]
    yield "f16-f32", [d.positive(4).astype(f16.numpy), d.positive(4)]
    yield "special", [special()[:, None], special()], {}, False
    if op == "copysign":
        yield "signs", [d.positive(6), -d.positive(6)]
        yield "ints", [d.ints(5), d.floats(5)], {}, False


@entry("fmod")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5, low=1.1, high=1.9), d.floats(3, 5, low=0.6, high=0.9)]
    yield "negative", [d.floats(7), d.floats(7, low=-2, high=-0.5)], {}, False
    yield "special", [special()[:, None], special()], {}, False
    yield "ints", [np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])]
    yield "number", [d.floats(5), 0.7], {}, False


@entry("heaviside")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5), d.floats(5)]
    yield "special", [special(), special()[::-1].copy()]
    yield "ints", [d.ints(9, low=-1, high=2), d.ints(9)]
    yield "bools", [d.bools(6), d.bools(6)]


@entry("signbit")
def _(op: str, d: Draw) -> Rows:
    yield from unary_rows(d, d.floats)


@entry("high_half", "low_half", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5)], {}
    yield "special", [special()], {}
    yield "halfway", [np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 2**-134], np.float32)], {}


@entry("join_halves", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(3, 5, to=bf16), d.ints(3, 5, low=-(2**15), high=2**15, to=i16)], {}
    low = np.array([0, 0, 1, -1, 0, 0, 0, 5, -7, -1, -2, 3, -(2**15)], np.int16)  # large numbers, not more infinities
    yield "special", [special(bf16), low], {}


@entry("shift_left", "shift_right")
def _(op: str, d: Draw) -> Rows:
    yield "ints", [d.ints(3, 4), d.ints(4, low=0, high=9)]
    yield "i8", [d.ints(9, low=-128, high=128, to=i8), d.ints(9, low=0, high=8, to=i8)]
    yield "u8", [d.ints(9, low=0, high=256, to=u8), d.ints(9, low=0, high=8, to=u8)]
    yield "i32", [d.ints(9, to=i32), d.ints(9, low=0, high=32, to=i32)]
    yield "number", [d.ints(6), 3]
