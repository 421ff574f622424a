"""Loops that are one kernel, as fused nodes."""

import numpy as np

from compiler.codegen.triton.features import FEATURES
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.pipeline import Stages, lowering
from compiler.whole_loops import Unfit, gathered
from tests.compiler.loops import loop_graph
from tests.compiler.passes.graphs import draw_inputs, read

JOINED = """
  input %h: f32[2,3]
  input %xs: f32[4,2,3]
  %0: f32[2,3], %1: bf16[4,2,6] = loop(%h, %xs) {length=4, carries=1, sequences=1} @body {  # net.py:9
    input %h: f32[2,3]
    input %x: f32[2,3]
    %0: f32[2,6] = concat(%x, %h) {axis=1}
    %1: bf16[2,6] = cast(%0) {to=bf16}
    %2: f32[2,3] = add(%x, %h)
    return %2, %1
  }
  return %0, %1
"""


def fused(graph: Graph) -> Graph:
    return Stages(graph).run(lowering(FEATURES))


def test_a_loop_is_a_node_of_ops_with_a_kernel() -> None:
    graph = fused(loop_graph("recurrent"))
    found, kernels, unfit = gathered(graph, lambda whole: whole.name)
    (node,) = [n for n in found.nodes if n.body in kernels]
    assert node.attrs == {"kind": "loop"} and not unfit
    (loop,) = node.inner.nodes
    assert [n.op.kind for n in found.nodes].count("loop") == 0
    assert all(n.op.kind != "fused" for n in loop.inner.nodes)
    arrays = draw_inputs(graph)
    for actual, wanted in zip(interpret(found, arrays)[0], interpret(graph, arrays)[0], strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_kernel_may_not_fit() -> None:
    def none(whole: Graph) -> str:
        raise Unfit(f"of {len(whole.params)} operands")

    graph = fused(read(JOINED))
    found, kernels, unfit = gathered(graph, none)
    assert [n.op.kind for n in found.nodes] == [n.op.kind for n in graph.nodes] and not kernels
    assert unfit == ["4 iterations at net.py:9 launch kernels of their own: of 2 operands"]


def test_a_loop_in_a_loop_is_gathered_first() -> None:
    names: list[str] = []

    def outer_does_not_fit(whole: Graph) -> str:
        names.append(whole.name)
        if whole.name == "outer":
            raise Unfit("a loop in it")
        return whole.name

    found, kernels, _ = gathered(fused(loop_graph("nested")), outer_does_not_fit)
    assert names == ["inner", "outer"] and list(kernels.values()) == ["inner"]
    (outer,) = [n for n in found.nodes if n.op.kind == "loop"]
    assert [n for n in outer.inner.nodes if n.body in kernels]


def test_a_cast_of_parts_side_by_side_is_one_of_each() -> None:
    _, kernels, _ = gathered(fused(read(JOINED)), lambda whole: whole.nodes[0].inner)
    (body,) = kernels.values()
    joined = body.outputs[1].producer
    assert joined is not None and joined.op.name == "concat"
    assert [v.shape for v in joined.inputs] == [(2, 3), (2, 3)]
