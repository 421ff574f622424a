"""Samples of views and of joined tensors."""

from __future__ import annotations

from compiler.ir.types import f16, i32
from tests.samples.table import Draw, Rows, entry


@entry("reshape")
def _(op: str, d: Draw) -> Rows:
    yield "flat", [d.floats(3, 4)], {"shape": (12,)}
    yield "regrouped", [d.floats(4, 6)], {"shape": (2, 12, 1)}
    yield "rank0", [d.floats(1, 1)], {"shape": ()}
    yield "empty", [d.floats(0, 4)], {"shape": (3, 0)}
    yield "ints", [d.ints(6)], {"shape": (2, 3)}


@entry("permute")
def _(op: str, d: Draw) -> Rows:
    yield "transpose", [d.floats(3, 4)], {"dims": (1, 0)}
    yield "cycle", [d.floats(2, 3, 4)], {"dims": (2, 0, 1)}
    yield "rank0", [d.floats()], {"dims": ()}
    yield "empty", [d.floats(0, 2)], {"dims": (1, 0)}
    yield "bools", [d.bools(2, 3)], {"dims": (1, 0)}


@entry("expand")
def _(op: str, d: Draw) -> Rows:
    yield "rows", [d.floats(5)], {"shape": (3, 5)}
    yield "outer", [d.floats(2, 1, 3, 1)], {"shape": (4, 2, 5, 3, 1)}
    yield "rank0", [d.floats()], {"shape": (2, 2)}
    yield "empty", [d.floats(1, 3)], {"shape": (0, 3)}
    yield "same", [d.floats(2, 3)], {"shape": (2, 3)}
    yield "ints", [d.ints(2, 1)], {"shape": (2, 3)}


_SLICES = {
    "part": ((5, 6), (1, 2), (4, 6), (1, 1)),
    "strided": ((5, 6), (0, 1), (5, 6), (2, 3)),
    "backward": ((5, 6), (4, 5), (-1, 0), (-1, -2)),
    "whole": ((2, 3), (0, 0), (2, 3), (1, 1)),
    "rank0": ((), (), (), ()),
    "nothing": ((3, 4), (0, 2), (3, 2), (1, 1)),
    "empty": ((0, 4), (0, 1), (0, 3), (1, 1)),
    "one": ((1, 4), (0, 3), (1, 4), (1, 1)),
}


def _window(start: tuple[int, ...], stop: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(len(range(*s)) for s in zip(start, stop, step, strict=True))


@entry("slice")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *window) in _SLICES.items():
        yield name, [d.floats(*shape)], dict(zip(("start", "stop", "step"), window, strict=True))
    yield "ints", [d.ints(6)], {"start": (5,), "stop": (-1,), "step": (-2,)}


@entry("slice_scatter")
def _(op: str, d: Draw) -> Rows:
    for name, (shape, *window) in _SLICES.items():
        attrs = dict(zip(("start", "stop", "step"), window, strict=True))
        yield name, [d.floats(*shape), d.floats(*_window(*window))], attrs


@entry("concat")
def _(op: str, d: Draw) -> Rows:
    yield "first", [d.floats(2, 3), d.floats(1, 3), d.floats(4, 3)], {"axis": 0}
    yield "last", [d.floats(2, 3), d.floats(2, 2)], {"axis": 1}
    yield "single", [d.floats(2, 3)], {"axis": 0}
    yield "empty", [d.floats(2, 0), d.floats(2, 3)], {"axis": 1}
    yield "mixed", [d.floats(2, to=f16), d.floats(3)], {"axis": 0}
    yield "ints", [d.ints(2), d.ints(2, to=i32)], {"axis": 0}
