"""Samples of reductions."""

from __future__ import annotations

from math import inf, nan

import numpy as np

from compiler.ir.types import i32
from tests.samples.table import Draw, Rows, entry, special


@entry("sum", "prod", "amax", "amin", "any", "all")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.distinct(3, 5)], {"axes": (1,)}
    yield "first", [d.distinct(3, 5)], {"axes": (0,)}
    yield "middle", [d.distinct(2, 3, 4)], {"axes": (1,)}
    yield "outer", [d.distinct(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "full", [d.distinct(3, 4)], {"axes": (0, 1)}
    yield "full-kept", [d.distinct(3, 4)], {"axes": (0, 1), "keepdim": True}
    yield "none", [d.distinct(3, 4)], {"axes": ()}
    yield "rank0", [d.distinct()], {"axes": ()}
    yield "ones", [d.distinct(1, 3, 1)], {"axes": (0, 2)}
    yield "long", [d.distinct(1000)], {"axes": (0,)}
    yield "no-rows", [d.distinct(0, 3)], {"axes": (1,)}
    yield "special", [special().reshape(1, -1)], {"axes": (1,)}, False
    yield "ties", [np.array([[1, 2, 2], [0, 0, 0]], np.float32)], {"axes": (1,)}, False
    yield "ints", [d.ints(3, 4, to=i32)], {"axes": (1,)}
    yield "bools", [d.bools(3, 4)], {"axes": (0,)}
    if op not in ("amax", "amin"):
        yield "empty", [d.distinct(3, 0)], {"axes": (1,)}


@entry("argmax", "argmin")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.distinct(3, 5)], {"axes": (1,)}
    yield "first", [d.distinct(3, 5)], {"axes": (0,), "keepdim": True}
    yield "ties", [np.array([[1, 2, 2], [0, 0, 0]], np.float32)], {"axes": (1,)}
    yield "ints", [d.ints(4, 3)], {"axes": (0,)}
    yield "nan", [np.array([1, nan, 2, nan], np.float32)], {"axes": (0,)}
    yield "no-rows", [d.distinct(0, 3)], {"axes": (1,)}


@entry("mean", "logsumexp")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axes": (1,)}
    yield "first-kept", [d.floats(3, 5)], {"axes": (0,), "keepdim": True}
    yield "outer", [d.floats(2, 3, 4)], {"axes": (0, 2)}
    yield "full", [d.floats(3, 4)], {"axes": (0, 1)}
    yield "rank0", [d.floats()], {"axes": ()}
    yield "ones", [d.floats(1, 2, 1)], {"axes": (0, 2)}
    yield "no-rows", [d.floats(0, 3)], {"axes": (1,)}
    yield "large", [d.floats(2, 3, low=80, high=100)], {"axes": (1,)}
    yield "infinite", [np.array([[1, inf], [-inf, -inf], [-inf, 1], [inf, -inf]], np.float32)], {"axes": (1,)}, False


@entry("var", "std")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axes": (1,)}
    yield "biased", [d.floats(3, 5)], {"axes": (1,), "correction": 0.0}
    yield "outer", [d.floats(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "full", [d.floats(4)], {"axes": (0,)}
    yield "single", [d.floats(3, 1)], {"axes": (1,)}, False
    yield "shifted", [d.floats(2, 6, low=1000, high=1001)], {"axes": (1,)}
    if op == "std":
        yield "equal", [np.ones((2, 3), np.float32)], {"axes": (1,)}, False


@entry("vector_norm")
def _(op: str, d: Draw) -> Rows:
    for p in (0.0, 0.5, 1.0, 2.0, 3.0, -1.0, inf, -inf):
        yield f"order {p}", [d.distinct(3, 4) + np.float32(0.1)], {"p": p, "axes": (1,)}, p != 0.0
        yield f"order {p} of zeros", [np.zeros((2, 3), np.float32)], {"p": p, "axes": (0, 1)}, False
    yield "kept", [d.floats(2, 3, 4)], {"axes": (0, 2), "keepdim": True}
    yield "one element", [d.floats(3, 1)], {"p": 3.0, "axes": (1,)}
    yield "rank0", [d.positive()], {"axes": ()}


@entry("softmax", "log_softmax")
def _(op: str, d: Draw) -> Rows:
    yield "last", [d.floats(3, 5)], {"axis": 1}
    yield "first", [d.floats(3, 5)], {"axis": 0}
    yield "middle", [d.floats(2, 3, 4)], {"axis": 1}
    yield "rank0", [d.floats()], {"axis": 0}
    yield "single", [d.floats(3, 1)], {"axis": 1}
    yield "no-rows", [d.floats(0, 3)], {"axis": 1}
    yield "large", [d.floats(2, 4, low=-200, high=200)], {"axis": 1}
    yield "masked", [np.array([[1, -inf, 2], [-inf, -inf, 0]], np.float32)], {"axis": 1}, False
