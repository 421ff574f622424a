"""Kernels of one body over different tensors."""

from collections.abc import Callable

from hypothesis import given

from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import fuse
from compiler.passes.horizontal import horizontal
from compiler.passes.simplify import simplify
from tests.compiler.passes.graphs import (
    assert_same_meaning,
    before_and_after,
    draw_inputs,
    programs,
    read,
    with_gradients,
)

UPDATES = """
  state  %w: f32[3,4]          "fc.weight"
  state  %b: f32[4]            "fc.bias"
  input  %g: f32[3,4]
  input  %h: f32[4]
  scalar %lr: f32[]            "optimizer.lr[0]"
  %0: f32[3,4] = mul(%g, %lr)    # train.py:9
  %1: f32[3,4] = sub(%w, %0)     # train.py:9
  %2: f32[4] = mul(%h, %lr)      # train.py:9
  %3: f32[4] = sub(%b, %2)       # train.py:9
  update %w = %1
  update %b = %3
"""


def tables(graph: Graph) -> list[int]:
    return [node.attrs["table"] for node in graph.nodes]


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = fuse(read(UPDATES))
    golden("passes/horizontal.gir", before_and_after(before, "horizontal", horizontal(before)))


def test_updates_of_two_parameters_are_one_table() -> None:
    before = fuse(read(UPDATES))
    after = horizontal(before)
    assert tables(before) == [0, 0] and tables(after) == [1, 1]
    assert_same_meaning(before, after, draw_inputs(before))


def test_a_kernel_that_reads_another_stays_apart() -> None:
    before = fuse(
        read("""
      input %x: f32[8]
      input %y: f32[8,2]
      %0: f32[8] = exp(%x)
      %1: f32[] = sum(%0) {axes=[0]}
      %2: f32[8,2] = mul(%y, %1)
      %3: f32[8,2] = exp(%2)
      return %0, %3
    """)
    )
    after = horizontal(before)
    assert_same_meaning(before, after, draw_inputs(before))
    assert set(tables(after)) == {0}


@given(programs())
def test_programs_keep_their_meaning(graph: Graph) -> None:
    """Bit for bit, gradients included."""
    before = fuse(cse(simplify(expand(autodiff(with_gradients(graph))))))
    after = horizontal(before)
    assert len(after.nodes) == len(before.nodes)
    assert_same_meaning(before, after, draw_inputs(graph))
