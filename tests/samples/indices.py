"""Samples of index ops and of random draws."""

from __future__ import annotations

import numpy as np

from compiler.ir.types import i32, i64
from tests.samples.table import Draw, Rows, entry, scalar


@entry("bounded", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.ints(2, 3, low=0, high=9)], {"size": 9}
    yield "rank0", [scalar(3, i32)], {"size": 4, "what": "class index"}
    yield "empty", [d.ints(0)], {"size": 0}


@entry("divisor", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.ints(2, 3, low=1, high=9)], {}
    yield "rank0", [scalar(-3, i32)], {}


@entry("take", "embedding")
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [d.floats(6, 3), d.ints(2, 4, low=0, high=6)]
    yield "rank0", [d.floats(6, 3), scalar(5, i64)]
    yield "vector", [d.floats(6), d.ints(4, low=0, high=6, to=i32)]
    yield "repeated", [d.floats(4, 2), np.array([1, 1, 1, 0])]
    yield "empty", [d.floats(6, 3), d.ints(0, low=0)]
    if op == "embedding":
        yield "padding", [d.floats(4, 2), np.array([[0, 1], [1, 3]])], {"padding_idx": 1}, False
    else:
        yield "ints", [d.ints(5), d.ints(3, low=0, high=5)]


@entry("scatter_rows")
def _(op: str, d: Draw) -> Rows:
    yield "repeated", [np.array([[1, 3], [1, 0]]), d.floats(2, 2, 3)], {"rows": 5}
    yield "rank0", [scalar(2, i64), d.floats(3)], {"rows": 4}
    yield "vector", [d.ints(6, low=0, high=4, to=i32), d.floats(6)], {"rows": 4}
    yield "empty", [d.ints(0), d.floats(0, 2)], {"rows": 3}
    yield "ints", [np.array([0, 0, 2]), d.ints(3)], {"rows": 3}


@entry("gather")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5), d.ints(3, 2, low=0, high=5)], {"axis": 1}
    yield "first", [d.floats(3, 5), d.ints(4, 5, low=0, high=3)], {"axis": 0}
    yield "trimmed", [d.floats(3, 4, 5), d.ints(2, 6, 3, low=0, high=4)], {"axis": 1}
    yield "empty", [d.floats(3, 5), d.ints(3, 0)], {"axis": 1}
    yield "ints", [d.ints(4), d.ints(6, low=0, high=4, to=i32)], {"axis": 0}


@entry("scatter", "scatter_add", "scatter_prod", "scatter_amax", "scatter_amin")
def _(op: str, d: Draw) -> Rows:
    yield "permuted", [d.floats(2, 3), np.array([[2, 0, 1], [1, 2, 0]]), d.floats(2, 3)], {"axis": 1}
    if op != "scatter":  # finite differences know the last writer of a place, gradients do not
        yield "last", [d.distinct(3, 5), d.ints(3, 4, low=0, high=5), d.distinct(3, 4) + np.float32(0.05)], {"axis": 1}
    yield "repeated", [d.ints(3, 5), d.ints(3, 4, low=0, high=5, to=i32), d.ints(3, 4)], {"axis": 1}
    yield "bools", [d.bools(3, 5), d.ints(3, 4, low=0, high=5), d.bools(3, 4)], {"axis": 1}
    zeros = np.array([[0, 2, 0], [3, 0, 1]], np.float32)
    yield "zeros", [zeros, np.array([[0, 0, 2], [1, 1, 1]]), zeros[::-1].copy()], {"axis": 1}, False
    rows = np.array([[0, 0], [0, 2], [0, 2], [1, 2]])
    yield "first", [d.floats(3, 2), rows, d.floats(4, 2)], {"axis": 0}, op != "scatter"
    yield "smaller", [d.floats(4, 5), d.ints(2, 3, low=0, high=5), d.floats(2, 3)], {"axis": 1}, op != "scatter"
    yield "empty", [d.floats(3), d.ints(0), d.floats(0)], {"axis": 0}
    yield "ints", [d.ints(3), np.array([1, 1]), d.ints(2)], {"axis": 0}


@entry("uniform", "normal", "uniform_f64", "normal_f64", halves=False)
def _(op: str, d: Draw) -> Rows:
    yield "matrix", [scalar(1, i64), scalar(0, i64)], {"shape": (3, 5), "index": 0}
    yield "rank0", [scalar(2**40 + 7, i64), scalar(2**33, i64)], {"shape": (), "index": 3}
    yield "negative-seed", [scalar(-1, i64), scalar(5, i64)], {"shape": (9,), "index": 1}
    yield "empty", [scalar(1, i64), scalar(0, i64)], {"shape": (0, 2), "index": 0}


@entry("dropout")
def _(op: str, d: Draw) -> Rows:
    generator = [scalar(11, i64), scalar(2, i64)]
    for name, p in (("some", 0.3), ("never", 0.0), ("always", 1.0)):
        yield name, [d.floats(4, 5), *generator], {"p": p, "index": 1}
    yield "rank0", [d.floats(), *generator], {"p": 0.5, "index": 0}
    yield "empty", [d.floats(0, 3), *generator], {"p": 0.5, "index": 0}
