from collections.abc import Sequence

import numpy as np
import pytest

from compiler.errors import DivisionError
from compiler.interpret import Evaluator, run
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.location import Loc
from compiler.ir.op import o
from compiler.ir.types import TensorType, f32, i64
from compiler.pipeline import Stages, lowering
from compiler.tape import Tape, primitives
from tests.compiler.loops import RECURRENT
from tests.compiler.passes.graphs import read
from tests.samples import Sample, each, sample_graph


def interpreted(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    with using(Evaluator()) as evaluator:
        values = run(graph, [evaluator.concrete(a, v.type) for a, v in zip(arrays, graph.inputs(), strict=True)])
    return [values[v].data for v in graph.outputs]


def wide(array: np.ndarray) -> np.ndarray:
    """NumPy takes NaN for equal in its own types only."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


@each
def test_a_tape_computes_what_the_interpreter_does(sample: Sample) -> None:
    graph = sample_graph(sample)
    found = Tape(graph)(sample.arrays)
    for result, expected in zip(found, interpreted(graph, sample.arrays), strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(wide(result), wide(expected))


@pytest.mark.parametrize("fused", [False, True])
def test_a_loop_runs(fused: bool) -> None:
    graph = read(RECURRENT + "  return %h, %ys\n")
    graph = Stages(graph).run(lowering()) if fused else graph
    random = np.random.default_rng(0)
    arrays = [random.normal(size=v.shape).astype(np.float32) for v in graph.inputs()]
    w, u, b, xs, h = arrays
    steps = []
    for x in xs:
        h = np.tanh(x @ u + (h @ w.T + b))
        steps.append(h)
    last, stacked = Tape(graph)(arrays)
    np.testing.assert_allclose(last, h, rtol=1e-6)
    np.testing.assert_allclose(stacked, steps, rtol=1e-6)


def test_what_no_result_needs_is_left_out() -> None:
    graph = Graph("g")
    x = graph.add_param(TensorType(f32, (3,)), "input", "", "x")
    with using(GraphBuilder()) as builder:
        o.exp(x)
        graph.outputs = [o.relu(x)]
    graph.nodes = builder.nodes
    assert [node.op.name for node in primitives(graph).nodes] == ["constant", "maximum", "cast"]
    assert [node.op.name for node in Tape(graph).computes()] == ["maximum"]


def test_what_is_written_twice_is_computed_once() -> None:
    graph = Graph("g")
    x = graph.add_param(TensorType(f32, (3, 4)), "input", "", "x")
    with using(GraphBuilder()) as builder:
        graph.outputs = [o.layer_norm(x, ndim=1, eps=1e-5)[0]]
    graph.nodes = builder.nodes
    assert [node.op.name for node in Tape(graph).computes()].count("sum") == 2


def test_what_depends_on_no_input_is_computed_once_and_not_written() -> None:
    graph = Graph("g")
    with using(GraphBuilder()) as builder:
        graph.outputs = [o.ones(shape=(3,), dtype=f32)]
    graph.nodes = builder.nodes
    tape = Tape(graph)
    (first,), (second,) = tape([]), tape([])
    assert first is second
    assert first.tolist() == [1, 1, 1]
    assert not first.flags.writeable


def test_an_error_names_the_line() -> None:
    graph = Graph("g")
    x, y = (graph.add_param(TensorType(i64, (1,)), "input", "", name) for name in "xy")
    with using(GraphBuilder(Loc("train.py", 7))) as builder:
        graph.outputs = [o.floor_divide(x, y)]
    graph.nodes = builder.nodes
    with pytest.raises(DivisionError, match=r"train\.py:7"):
        Tape(graph)([np.array([1]), np.array([0])])


def test_numpy_does_not_warn() -> None:
    graph = Graph("g")
    x = graph.add_param(TensorType(f32, (1,)), "input", "", "x")
    with using(GraphBuilder()) as builder:
        graph.outputs = [o.log(x)]
    graph.nodes = builder.nodes
    with np.errstate(all="raise"):
        assert Tape(graph)([np.zeros(1, np.float32)])[0].tolist() == [-np.inf]
