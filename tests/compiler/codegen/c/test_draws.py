"""Random numbers inside kernels: the interpreter's bits, drawn a row at a time and once for all that needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS, Isa
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import o
from compiler.ir.types import TensorType, f32, i64
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from tests.compiler.codegen.c.plans import native, run

SEED, OFFSET = 0xFEDCBA9876543210 - (1 << 64), (3 << 32) + 7


def rand(seed: Value, offset: Value, *shape: int, index: int = 0) -> Value:
    return o.uniform(seed, offset, shape=shape, index=index)


def pointwise(seed: Value, offset: Value, x: Value) -> tuple[Value, Value]:
    keep = o.ge(rand(seed, offset, *x.shape), 0.3)
    return o.where(keep, x, 0.0), o.where(keep, 0.0, x)


def turned(seed: Value, offset: Value, x: Value) -> Value:
    u = rand(seed, offset, *reversed(x.shape))
    return o.add(o.permute(u, dims=tuple(reversed(range(u.type.rank)))), x)


def row(seed: Value, offset: Value, x: Value) -> Value:
    u = rand(seed, offset, *x.shape, index=2)
    return o.sub(u, o.amax(u, axes=(x.type.rank - 1,), keepdim=True))


def product(seed: Value, offset: Value, x: Value) -> tuple[Value, Value]:
    """Small whole numbers and powers of two, whose products are exact."""
    y = o.matmul(o.floor(o.mul(x, 4.0)), o.permute(o.floor(o.mul(x, 4.0)), dims=(0, 2, 1)))
    kept = o.ge(rand(seed, offset, *y.shape, index=1), 0.25)
    return o.where(kept, y, 0.0), o.where(kept, o.mul(y, 2.0), -1.0)


CASES: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "short rows": (pointwise, (9, 3)),
    "odd rows": (pointwise, (7, 101)),
    "one long row": (pointwise, (20011,)),
    "turned": (turned, (5, 37)),
    "row": (row, (6, 70)),
    "product": (product, (3, 37, 5)),
    "wide product": (product, (1, 128, 8)),
    "thin product": (product, (2, 1, 40)),
}


def graph(name: str) -> Graph:
    build, shape = CASES[name]
    made = Graph("draws")
    types = [TensorType(i64, ()), TensorType(i64, ()), TensorType(f32, shape)]
    params = [made.add_param(t, "input", "", f"p{i}") for i, t in enumerate(types)]
    with using(GraphBuilder()) as builder:
        result = build(*params)
    made.nodes = builder.nodes
    made.outputs = [result] if isinstance(result, Value) else list(result)
    return made


def planned(name: str, isa: Isa) -> Plan:
    return unit.emit(Stages(graph(name)).run(lowering(unit.FEATURES)), isa)


@pytest.mark.parametrize("name", CASES)
def test_draws_are_the_interpreters(name: str) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, CASES[name][1]).astype(np.float32)
    arrays = [np.array(SEED, np.int64), np.array(OFFSET, np.int64), x]
    expected, _ = interpret(autodiff(graph(name)), arrays)
    for threads in (1, 3):
        buffers, _ = run(planned(name, native()), arrays, threads)
        for want, got in zip(expected, buffers[len(arrays) :], strict=True):
            assert np.array_equal(got, want)


@pytest.mark.parametrize("isa", ISAS.values(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("name", ["odd rows", "row", "product"])
def test_a_kernel_draws_a_row_once(name: str, isa: Isa) -> None:
    source = planned(name, isa).source
    kernel = source[source.index("k0_") :]
    loops = max(kernel.count("enum { width"), 1)
    assert kernel.count("philox_fill(") == loops
    assert "philox_lane(" not in kernel
