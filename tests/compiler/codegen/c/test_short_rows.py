"""Rows shorter than two vectors: what the interpreter gives, the same bits at any number of threads."""

from functools import cache

import numpy as np
import pytest

from compiler.codegen.c import short_rows, unit
from compiler.codegen.c.short_rows import LANES
from compiler.codegen.kernel import Kernel
from compiler.features import Features
from compiler.interpret import interpret
from compiler.ir.graph import Graph, Node
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.passes.graphs import draw_inputs, read, with_gradients
from tests.samples import assert_same

CROSS_ENTROPY = """
  input %x: {dtype}[{rows},{columns}]
  input %y: i64[{rows}]
  %0: {dtype}[], %1: {sums}[{rows},1] = cross_entropy(%x, %y)
  return %0
"""

SOFTMAX = """
  input %x: {dtype}[{rows},{columns}]
  input %b: {dtype}[{columns}]
  %0: {dtype}[{rows},{columns}] = add(%x, %b)
  %1: {dtype}[{rows},{columns}] = softmax(%0) {{axis=1}}
  %2: {dtype}[{rows}] = amax(%1) {{axes=[1]}}
  %3: {dtype}[{columns}] = sum(%1) {{axes=[0]}}
  %4: {dtype}[{columns}] = amax(%1) {{axes=[0]}}
  return %1, %2, %3, %4
"""

TOLERANCE = {"f32": 1e-5, "f64": 1e-12, "bf16": 2e-2, "f16": 2e-3}


def fused(graph: Graph) -> Graph:
    return Stages(graph).run(lowering(Features(unit.claims)))


def short(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.attrs["kind"] == "row" and short_rows.claims(Kernel(n))]


def written(text: str, **sizes: int | str) -> Graph:
    return read(text.format(**sizes, sums="f64" if sizes["dtype"] == "f64" else "f32"))


@cache
def case(text: str, gradients: bool, **sizes: int | str) -> tuple[Graph, Plan]:
    graph = written(text, **sizes)
    graph = with_gradients(graph) if gradients else graph
    lowered = fused(graph)
    assert short(lowered), "the test needs a kernel of this kind"
    return graph, unit.emit(lowered, native())


def check(graph: Graph, plan: Plan, arrays: list[np.ndarray], tolerance: float) -> None:
    expected, _ = interpret(autodiff(graph), arrays)
    results = [run(plan, arrays, threads)[0][len(arrays) :] for threads in (1, 2, 5)]
    for other in results[1:]:
        assert [r.tobytes() for r in other] == [r.tobytes() for r in results[0]]
    for actual, wanted in zip(results[0], expected, strict=True):
        assert_same(actual, wanted, tolerance, tolerance, plan.source)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rows", [LANES, LANES + 1, 3 * LANES, 50 * LANES - 3])
@pytest.mark.parametrize("columns", [2, 10, LANES, 2 * LANES - 1])
def test_cross_entropy_with_its_gradient(rows: int, columns: int, dtype: str) -> None:
    graph, plan = case(CROSS_ENTROPY, True, rows=rows, columns=columns, dtype=dtype)
    check(graph, plan, draw_inputs(graph), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("rows", [2 * LANES, 4 * LANES + 5])
def test_softmax_and_reductions_of_it(rows: int, gradients: bool, dtype: str) -> None:
    graph, plan = case(SOFTMAX, gradients, rows=rows, columns=7, dtype=dtype)
    check(graph, plan, draw_inputs(graph), TOLERANCE[dtype])


def test_a_row_of_infinities_and_one_with_a_nan_stay_alone() -> None:
    graph, plan = case(SOFTMAX, False, rows=LANES, columns=5, dtype="f32")
    x, b = draw_inputs(graph)
    x[2], x[3, 1], x[4, :4] = -np.inf, np.nan, -np.inf
    results, _ = run(plan, [x, b])
    expected, _ = interpret(graph, [x, b])
    for actual, wanted in zip(results[2:], expected, strict=True):
        assert_same(actual, wanted, 1e-5, 1e-5, plan.source)


def test_a_bad_class_is_found() -> None:
    _, plan = case(CROSS_ENTROPY, True, rows=LANES, columns=4, dtype="f32")
    x, y = np.zeros((LANES, 4), np.float32), np.zeros(LANES, np.int64)
    assert run(plan, [x, y])[1][0] == 0
    y[5] = 4
    assert run(plan, [x, y])[1] == [1, 0, 5, 4]


@pytest.mark.parametrize(
    ("rows", "columns"), [(LANES - 1, 10), (64, 2 * LANES), (64, 1)], ids=["few rows", "long rows", "one column"]
)
def test_other_rows_are_left_to_other_kernels(rows: int, columns: int) -> None:
    assert not short(fused(written(SOFTMAX, rows=rows, columns=columns, dtype="f32")))
