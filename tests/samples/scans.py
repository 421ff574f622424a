"""Samples of scans along an axis, and of sorts."""

from __future__ import annotations

from math import inf, nan

import numpy as np

from compiler.ir.types import i32
from tests.samples.table import Draw, Rows, entry, special


@entry("cumsum", "cumprod", "cummax", "cummin")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.distinct(3, 5)], {"axis": 1}
    yield "first", [d.distinct(3, 5)], {"axis": 0}
    yield "middle", [d.distinct(2, 3, 4)], {"axis": 1}
    yield "zeros", [np.array([[2, 0, 3, 4], [0, 1, 0, 2]], np.float32)], {"axis": 1}, op != "cummax"
    yield "wide", [d.floats(3, 70, low=0.9, high=1.1)], {"axis": 0}
    yield "long", [d.floats(2, 1500, low=-1.01, high=1.01)], {"axis": 1}, False
    yield "single", [d.distinct(3, 1)], {"axis": 1}
    yield "special", [special().reshape(1, -1)], {"axis": 1}, False
    yield "ints", [d.ints(3, 4, to=i32)], {"axis": 1}
    yield "empty", [d.distinct(0, 3)], {"axis": 0}
    yield "no-rows", [d.distinct(0, 3)], {"axis": 1}


@entry("recurrence")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5), d.floats(3, 5)], {"axis": 1}
    yield "first", [d.floats(3, 5), d.floats(3, 5)], {"axis": 0}
    yield "middle", [d.floats(2, 3, 4), d.floats(2, 3, 4)], {"axis": 1}
    yield "long", [d.floats(2, 1100, low=-1, high=1), d.floats(2, 1100)], {"axis": 1}
    yield "empty", [d.floats(0, 3), d.floats(0, 3)], {"axis": 0}


@entry("logcumsumexp")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axis": 1}
    yield "first", [d.floats(3, 5)], {"axis": 0}
    yield "large", [d.floats(2, 6, low=-200, high=200)], {"axis": 1}
    yield (
        "infinite",
        [np.array([[-inf, 1, inf, 2], [1, nan, 2, 3], [-inf, -inf, 0, -inf]], np.float32)],
        {"axis": 1},
        False,
    )
    yield "empty", [d.floats(2, 0)], {"axis": 1}


@entry("argsort")
def _(op: str, d: Draw) -> Rows:
    yield "rows", [d.distinct(3, 7)], {"count": 7}
    yield "first", [d.floats(2, 3, 50)], {"count": 4, "descending": True}
    yield "long", [d.floats(2, 300)], {"count": 300, "descending": True}
    yield "ties", [np.array([[1, 2, 1, 2, 0, -0.0], [0, 0, 0, 0, 0, 0]], np.float32)], {"count": 6}
    yield (
        "ties down",
        [np.array([[1, 2, 1, 2, 0, -0.0], [0, 0, 0, 0, 0, 0]], np.float32)],
        {
            "count": 6,
            "descending": True,
        },
    )
    yield "special", [special()], {"count": 13}
    yield "special down", [np.array([1, nan, inf, nan, -inf], np.float32)], {"count": 3, "descending": True}
    yield "ints", [d.ints(4, 9)], {"count": 9}
    yield "narrow ints", [d.ints(4, 9, to=i32)], {"count": 2, "descending": True}
    yield "bools", [d.bools(2, 6)], {"count": 6, "descending": True}
    yield "single", [d.floats(3, 1)], {"count": 1}
    yield "none", [d.floats(3, 4)], {"count": 0}
    yield "empty", [d.floats(3, 0)], {"count": 0}
    yield "no-rows", [d.floats(0, 3)], {"count": 3}
