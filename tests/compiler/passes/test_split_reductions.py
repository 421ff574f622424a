"""Reductions whose axes do not stand together."""

from collections.abc import Callable

import pytest
from hypothesis import given

from compiler.domain import reduction_class
from compiler.ir.graph import Graph
from compiler.passes.split_reductions import split_reductions
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, programs, read


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: bf16[8,4,3,3]
      %0: bf16[4] = sum(%x) {axes=[0,2,3], keepdim=false}     # train.py:3
      return %0
    """)
    golden("passes/split_reductions.gir", before_and_after(before, "split_reductions", split_reductions(before)))


SHAPE = (2, 3, 4, 5)


@pytest.mark.parametrize("axes", [(3,), (0, 1), (0, 1, 2, 3), (1,), (1, 2)])
def test_axes_that_stand_together_stay(axes: tuple[int, ...]) -> None:
    assert ops(split_reductions(summed(axes))) == ["sum"]


@pytest.mark.parametrize("axes", [(0, 3), (0, 2), (1, 3), (0, 1, 3), (0, 2, 3)])
def test_nothing_is_left_in_the_middle_but_what_was_there(axes: tuple[int, ...]) -> None:
    after = split_reductions(summed(axes))
    sums = [n for n in after.nodes if n.op.name == "sum"]
    assert len(sums) == 2
    first = reduction_class(sums[0].inputs[0].shape, sums[0].attrs["axes"])
    assert first == ("row" if axes[-1] == 3 else "column")
    assert after.outputs[0].shape == tuple(n for a, n in enumerate(SHAPE) if a not in axes)


def summed(axes: tuple[int, ...]) -> Graph:
    shape = ",".join(str(n) for a, n in enumerate(SHAPE) if a not in axes)
    return read(f"""
      input %x: f32[2,3,4,5]
      %0: f32[{shape}] = sum(%x) {{axes={list(axes)}, keepdim=false}}
      return %0
    """)


@given(programs())
def test_programs_keep_their_meaning(graph: Graph) -> None:
    assert_same_meaning(graph, split_reductions(graph), draw_inputs(graph), 2.0**-18, 2.0**-18)
