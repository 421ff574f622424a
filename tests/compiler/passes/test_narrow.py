"""Casts of carries and stacks, done where the values are made."""

from collections.abc import Callable

import pytest

from compiler.ir.graph import Graph, Node
from compiler.ir.replay import in_loops
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from compiler.passes.narrow import narrow
from compiler.passes.simplify import simplify
from tests.compiler.loops import LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, read

ROUNDED = """
  input %h0: f32[2,4]
  state %w: bf16[4,4]
  %h: f32[2,4], %hs: f32[9,2,4] = loop(%h0, %w) {length=9, carries=1, sequences=0} @body {  # net.py:7
    input %h: f32[2,4]
    input %w: bf16[4,4]
    %0: bf16[2,4] = cast(%h) {to=bf16}   # net.py:5
    %1: f32[2,4] = dot(%0, %w) {dtype=f32}  # net.py:5
    %2: f32[2,4] = tanh(%1)              # net.py:6
    return %2, %2
  }
  %0: bf16[9,2,4] = cast(%hs) {to=bf16}  # net.py:8
  return %0, %h
"""


def body(graph: Graph) -> Graph:
    (node,) = [n for n in graph.nodes if n.op.name == "loop"]
    assert node.body is not None
    return node.body


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read(ROUNDED)
    golden("passes/narrow.gir", before_and_after(before, "narrow", narrow(before)))


def test_the_bits_stay_what_they_were() -> None:
    before = read(ROUNDED)
    after = narrow(before)
    assert_same_meaning(before, after, draw_inputs(before))
    assert ops(after) == ["cast", "loop"] and ops(body(after)) == ["dot", "tanh", "cast"]


def test_casts_that_widen_or_read_something_else_stay() -> None:
    graph = read("""
      input %h0: bf16[4]
      input %xs: f32[3,4]
      %h: bf16[4], %hs: bf16[3,4] = loop(%h0, %xs) {length=3, carries=1, sequences=1} @body {
        input %h: bf16[4]
        input %x: f32[4]
        %0: f32[4] = cast(%h) {to=f32}
        %1: f32[4] = add(%0, %x)
        %2: bf16[4] = cast(%1) {to=bf16}
        return %2, %2
      }
      %0: f32[3,4] = cast(%hs) {to=f32}
      return %0
    """)
    after = narrow(graph)
    assert ops(after) == ["loop", "cast"] and ops(body(after)) == ["cast", "add", "cast"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_keep_their_meaning(name: str, reverse: bool) -> None:
    graph = with_gradients(loop_graph(name, reverse))
    for run in (autodiff, expand, simplify):
        graph = in_loops(run)(graph)
    assert_same_meaning(graph, in_loops(narrow)(graph), draw_inputs(graph))


def test_each_value_is_rounded_once() -> None:
    after = narrow(read(ROUNDED.replace("return %0, %h\n", "%1: bf16[2,4] = cast(%h) {to=bf16}\nreturn %0, %1\n")))
    loop: Node = next(n for n in after.nodes if n.op.name == "loop")
    assert ops(body(after)).count("cast") == 1 and len(loop.outputs) == 4
