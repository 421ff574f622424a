"""A family of ops as a newcomer adds it: a pointwise op, a look-up and a reduction.

A record each, the spelling of the pointwise op, and samples: all that CONTRIBUTING asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from compiler.codegen.c import spelling as c
from compiler.errors import OpError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import OPS, REQUIRED, Op, o, register
from compiler.ir.types import TensorType, f32, f64, i32, i64
from compiler.ops.elementwise import EXPONENTIAL, unary
from compiler.ops.reduce import reduction
from tests.samples import Draw, Sample
from tests.serial import spelling as serial


def _infer_nth(x: TensorType, index: TensorType, axis: int) -> TensorType:
    if index.dtype.kind != "int" or index.rank != x.rank:
        raise OpError(f"nth needs an integer index of the same rank, not {index} for {x}")
    return TensorType(x.dtype, index.shape)


def _register() -> None:
    unary("new_exp2", np.exp2, lambda o, x, y: o.mul(0.6931471805599453, y), EXPONENTIAL, autocast=True)
    nth = Op("new_nth", _infer_nth, "index", lambda x, index, axis: np.take_along_axis(x, index, axis))
    nth.attrs, nth.reads, nth.raw, nth.differentiable = {"axis": REQUIRED}, "lookup", True, False
    register(nth)
    reduction("new_parity", np.bitwise_xor.reduce, None, join="bitwise_xor")


@pytest.fixture(scope="module")
def family() -> Iterator[None]:
    """The ops are there, and spelled in all targets, as long as a module of tests runs."""
    before = set(OPS)
    with pytest.MonkeyPatch.context() as patch:
        _register()
        patch.setitem(c.FLOAT, "new_exp2", "exp2f({0})")
        patch.setitem(c.DOUBLE, "new_exp2", "exp2({0})")
        patch.setitem(serial.FLOAT, "new_exp2", "exp2({0})")
        spell_for_triton(patch)
        yield
    for name in OPS.keys() - before:
        del OPS[name]
        delattr(o, name)


def spell_for_triton(patch: pytest.MonkeyPatch) -> None:
    try:
        from compiler.codegen.triton import spelling as triton
    except ImportError:
        return
    patch.setitem(triton.FLOAT, "new_exp2", "tl.exp2({0})")
    patch.setitem(triton.DOUBLE, "new_exp2", "tl.exp2({0})")


def newcomers() -> list[Sample]:
    """Samples of the family."""
    draw = Draw("newcomers")
    x = draw.floats(6, 40)
    index = draw.ints(6, 40, low=0, high=6)
    words = draw.ints(6, 4000, low=-(2**40), high=2**40)
    found = [
        Sample("new_exp2", "plain", (x,)),
        Sample("new_exp2", "numbers", (draw.floats(1),)),
        Sample("new_nth", "rows", (x, index[:4]), {"axis": 0}),
        Sample("new_nth", "columns", (x, index), {"axis": 1}),
        Sample("new_parity", "row", (words,), {"axes": (1,)}),
        Sample("new_parity", "column", (words,), {"axes": (0,)}),
        Sample("new_parity", "all", (words,), {"axes": (0, 1), "keepdim": True}),
        Sample("new_parity", "narrow", (draw.ints(6, 40, to=i32),), {"axes": (1,)}),
    ]
    return [*found, found[0].floats_as(f64)]


def together() -> tuple[Graph, list[np.ndarray]]:
    """All three in one row kernel, with a gradient and a cast that they meet in; and arguments."""
    graph, draw = Graph("together"), Draw("together")
    x = graph.add_param(TensorType(f32, (32, 48)), "input", "", "x")
    index = graph.add_param(TensorType(i64, (32, 48)), "input", "", "index")
    with using(GraphBuilder()) as builder:
        seen = OPS["new_nth"](OPS["new_exp2"](o.mul(x, 0.5)), index, axis=1)
        bits = OPS["new_parity"](o.cast(o.mul(seen, 16.0), to=i64), axes=(1,), keepdim=True)
        y = o.mul(OPS["new_exp2"](x), o.cast(o.remainder(bits, 7), to=f32))
        (gradient,) = [o.grad(o.sum(y, axes=(0, 1)), x)]
    graph.nodes, graph.outputs = builder.nodes, [y, bits, gradient]
    return graph, [draw.floats(32, 48), draw.ints(32, 48, low=0, high=48)]
