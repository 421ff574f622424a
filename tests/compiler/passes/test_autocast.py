"""Autocast decisions become casts."""

from collections.abc import Callable

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import OPS, o
from compiler.ir.types import DType, TensorType, bf16, f16, f32
from compiler.passes.autocast import autocast
from compiler.passes.autodiff import autodiff
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, read
from tests.samples import samples_of, type_of


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      state %w: f32[4,3]           "fc.weight"
      input %x: f32[8,3]
      input %y: i64[8]
      %0: bf16[8,4] = linear(%x, %w) {autocast=bf16}                   # train.py:3 fc
      %1: bf16[8,4] = linear(%x, %w) {autocast=bf16}                   # train.py:4 fc
      %2: bf16[8,4] = add(%0, %1)                                      # train.py:4
      %3: f32[], %4: f32[8,1] = cross_entropy(%2, %y) {autocast=f32}   # train.py:5
      return %3
    """)
    golden("passes/autocast.gir", before_and_after(before, "autocast", autocast(before)))


def region(low: DType, device: str, make: Callable[[], object], *types: TensorType) -> Graph:
    """The graph that ``make`` records in an autocast region."""
    graph = Graph("step")
    params = [graph.add_param(t, "input", "", "x") for t in types]
    with using(GraphBuilder()) as builder:
        builder.autocast = (low, device)
        result = make(*params)  # type: ignore[call-arg]
    graph.nodes = builder.nodes
    graph.outputs = list(result) if isinstance(result, tuple) else [result]  # type: ignore[list-item]
    return graph


@pytest.mark.parametrize("low", [f16, bf16])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("op", [op.name for op in OPS.values() if op.autocast])
def test_casts_give_what_the_marks_meant(op: str, device: str, low: DType) -> None:
    """For every op that autocast lists: its first sample, recorded in a region, before the pass and after."""
    sample = samples_of(op)[0]
    graph = region(low, device, lambda *xs: OPS[op](*xs, **sample.attrs), *map(type_of, sample.arrays))
    after = autocast(graph)
    assert all("autocast" not in node.attrs for node in after.nodes)
    assert_same_meaning(graph, after, sample.arrays)
    lowered = OPS[op].autocast.get(device) == "lower"
    assert graph.outputs[0].dtype is (low if lowered else f32)
    assert ops(after).count("cast") == (len([v for v in graph.inputs() if v.dtype is f32]) if lowered else 0)


def test_a_low_operand_of_an_f32_op_is_widened() -> None:
    graph = region(bf16, "cpu", lambda x, y: o.mse_loss(x, y), TensorType(bf16, (3,)), TensorType(bf16, (3,)))
    assert ops(autocast(graph)) == ["cast", "cast", "mse_loss"]
    assert graph.outputs[0].dtype is f32


def test_casts_have_gradients() -> None:
    """The gradient of an f32 weight is f32, as master weights need it."""
    graph = region(bf16, "cpu", lambda x, w: o.linear(x, w), TensorType(f32, (2, 3)), TensorType(f32, (4, 3)))
    with using(GraphBuilder()) as builder:
        builder.nodes = graph.nodes
        loss = o.sum(o.cast(graph.outputs[0], to=f32), axes=(0, 1))
        graph.outputs = [o.grad(loss, graph.inputs()[1])]
    after = autodiff(autocast(graph))
    (gradient,) = interpret(after, draw_inputs(graph))[0]
    assert gradient.dtype == np.float32 and gradient.shape == (4, 3)
