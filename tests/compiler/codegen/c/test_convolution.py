"""Convolutions on the register tiles: panels, phases, groups and types; the same bits at any number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS
from compiler.features import Features
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, f16, f32
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.plans import native, run

TOLERANCE = {f32: 2e-6, bf16: 2.0**-7, f16: 2.0**-10}


@dataclass
class Case:
    """A convolution ``[n, groups * c, *image] -> [n, groups * m, *size]``."""

    n: int
    c: int
    m: int
    image: tuple[int, ...]
    window: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    dtype: DType = f32

    @property
    def size(self) -> tuple[int, ...]:
        reach = [self.dilation * (w - 1) + 1 for w in self.window]
        return tuple((n + 2 * self.padding - r) // self.stride + 1 for n, r in zip(self.image, reach, strict=True))

    def steps(self) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "base")
        values = (self.stride, self.padding, self.dilation, 1)
        return {k: (v,) * len(self.image) for k, v in zip(names, values, strict=True)} | {"groups": self.groups}

    def graph(self) -> Graph:
        """The convolution with an addition behind it, and the gradient of its weights, rounded."""
        graph = Graph("convolution")
        types = [
            TensorType(self.dtype, (self.n, self.groups * self.c, *self.image)),
            TensorType(self.dtype, (self.groups * self.m, self.c, *self.window)),
            TensorType(self.dtype, (self.n, self.groups * self.m, *self.size)),
        ]
        x, w, g = (graph.add_param(t, "input", "", name) for t, name in zip(types, "xwg", strict=True))
        with using(GraphBuilder()) as builder:
            y = o.add(o.convolve(x, w, size=self.size, dtype=f32, **self.steps()), o.cast(g, to=f32))
            dw = o.convolve_weight(x, g, window=self.window, **self.steps())
        graph.nodes, graph.outputs = builder.nodes, [y, dw]
        return graph

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.uniform(-1, 1, v.shape).astype(v.dtype.numpy) for v in self.graph().inputs()]


def fused(case: Case) -> Graph:
    """The kernels of a case. The gradient pass would take the two products apart: it makes them, as a rule."""
    return Stages(case.graph()).run([step for step in lowering(Features(unit.claims)) if step[0] != "autodiff"])


CASES = {
    "several panels": Case(3, 5, 33, (9, 20), (3, 3), padding=1),
    "rows of whole vectors": Case(2, 3, 16, (4, 32), (3, 3), padding=1),
    "one place": Case(5, 3, 4, (3, 3), (3, 3)),
    "many images": Case(40, 3, 5, (8, 8), (3, 3), padding=1),
    "two phases": Case(2, 3, 9, (11, 12), (3, 3), stride=2, padding=1),
    "a phase not seen": Case(2, 3, 9, (9, 9), (1, 1), stride=3),
    "phases apart": Case(1, 2, 3, (13,), (2,), stride=4, dilation=2),
    "dilated": Case(2, 3, 4, (9, 9), (3, 2), padding=2, dilation=2),
    "padding beyond the window": Case(1, 2, 3, (3, 2), (2, 2), padding=3),
    "groups": Case(2, 3, 5, (6, 7), (3, 3), padding=1, groups=3),
    "long line": Case(2, 2, 3, (700,), (5,), padding=2),
    "volume": Case(2, 2, 3, (4, 3, 5), (2, 3, 2), padding=1),
    "odd bf16": Case(3, 3, 5, (5, 5), (3, 3), dtype=bf16),
    "even bf16": Case(2, 4, 40, (8, 16), (3, 3), padding=1, dtype=bf16),
    "groups bf16": Case(2, 2, 3, (7, 7), (3, 3), stride=2, padding=1, groups=2, dtype=bf16),
    "f16": Case(2, 3, 5, (5, 6), (3, 3), padding=1, dtype=f16),
}


@pytest.mark.parametrize("name", CASES)
def test_a_convolution_is_that_of_the_interpreter_at_any_number_of_threads(name: str) -> None:
    case = CASES[name]
    graph, arrays = case.graph(), case.arrays()
    kernels = fused(case)
    assert [n.attrs["kind"] for n in kernels.nodes] == ["convolution", "convolution"]
    plan = unit.emit(kernels, native())
    results = []
    for threads in (1, 2, 3):
        buffers, status = run(plan, arrays, threads)
        assert status == [0, 0, 0, 0]
        results.append(buffers[len(arrays) :])
    for got, want in zip(results[0], interpret(graph, arrays)[0], strict=True):
        bound = TOLERANCE[f32 if want.dtype == np.float32 else case.dtype]
        got, want = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_allclose(got, want, bound, bound * np.abs(want).max())
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            assert one.tobytes() == same.tobytes()


def test_an_infinite_neighbour_is_not_seen() -> None:
    """Copies of whole vectors read more than a window holds; nothing of that reaches a sum."""
    case = CASES["odd bf16"]
    arrays = case.arrays()
    arrays[0][1] = np.inf
    plan = unit.emit(fused(case), native())
    buffers, _ = run(plan, arrays)
    y = buffers[len(arrays)]
    assert np.isfinite(y[0]).all() and np.isfinite(y[2]).all() and not np.isfinite(y[1]).all()


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_has_text_for_every_convolution(isa: str) -> None:
    for case in CASES.values():
        plan = unit.emit(fused(case), ISAS[isa])
        assert "convolution" in plan.source


@pytest.mark.parametrize(
    ("case", "kept"),
    [
        (Case(2, 3, 4, (4, 4), (1, 1)), False),
        (Case(2, 3, 4, (4, 4), (1, 1), stride=2), True),
        (Case(2, 1, 1, (4, 4), (3, 3), groups=3), False),
        (Case(2, 1, 2, (4, 4), (3, 3), groups=3), True),
    ],
)
def test_plain_products_and_filters_are_no_convolutions(case: Case, kept: bool) -> None:
    convolve = next(n for n in case.graph().nodes if n.op.name == "convolve")
    assert unit.claims(convolve.op, convolve.inputs, convolve.attrs) is kept
