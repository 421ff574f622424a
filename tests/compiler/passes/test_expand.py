"""Composites broken up into primitives."""

from collections.abc import Callable

import pytest
from hypothesis import given

from compiler.errors import VerifyError
from compiler.ir.graph import Graph
from compiler.passes.expand import expand
from compiler.text.parser import parse_graph
from tests.compiler.passes.graphs import BLAS, assert_same_meaning, before_and_after, draw_inputs, ops, programs, read


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: f16[8,4]
      state %w: f16[3,4]           "fc.weight"
      state %b: f16[3]             "fc.bias"
      %0: f16[8,3] = linear(%x, %w, %b)              # train.py:3 fc
      %1: f16[8,3] = relu(%0)                        # train.py:4
      %2: f16[8,3] = softmax(%1) {axis=1}            # train.py:5
      return %2
    """)
    golden("passes/expand.gir", before_and_after(before, "expand", expand(before)))


def test_a_target_keeps_what_it_claims_whole() -> None:
    graph = read("""
      input %x: f32[8,4]
      %0: f32[8,4] = silu(%x)
      %1: f32[8,4] = softmax(%0) {axis=1}
      return %1
    """)
    kept = expand(graph, lambda op, inputs, attrs: op.name == "softmax" and attrs["axis"] == 1)
    assert ops(kept)[-1] == "softmax" and "silu" not in ops(kept)


def test_composites_inside_composites_expand_too() -> None:
    graph = read("input %s: i64[]\n%0: f32[4] = normal(%s, %s) {shape=[4], index=0}\nreturn %0")
    assert not [n for n in expand(graph).nodes if n.op.kind == "composite"]
    assert ops(expand(graph)).count("uniform") == 2


@given(programs())
def test_programs_lose_their_composites(graph: Graph) -> None:
    after = expand(graph)
    assert not [n for n in after.nodes if n.op.expand is not None]
    if not set(BLAS) & set(ops(graph)):
        assert_same_meaning(graph, after, draw_inputs(graph))


def test_a_mark_for_autocast_is_refused_with_the_place() -> None:
    text = "graph @f {\n  input  %x: f32[4,3]\n  input  %w: f32[2,3]\n"
    text += "  %0: bf16[4,2] = linear(%x, %w) {autocast=bf16}  # train.py:3\n  return %0\n}\n"
    with pytest.raises(VerifyError, match=r"marked for autocast; run that pass before expand\n  at train.py:3"):
        expand(parse_graph(text))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_scatters_of_halves_add_in_float32(dtype: str) -> None:
    graph = read(f"""
      input %i: i64[3]
      input %x: {dtype}[3,4]
      %0: {dtype}[5,4] = scatter_rows(%i, %x) {{rows=5}}
      return %0
    """)
    assert ops(expand(graph)) == ["cast", "scatter_rows", "cast"]
    assert expand(graph).nodes[1].output.dtype.short == "f32"
