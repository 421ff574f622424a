"""Common subexpressions and dead code."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given

from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.cse import cse
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, programs, read


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: f32[4]
      %0: f32[4] = exp(%x)         # train.py:3
      %1: f32[4] = exp(%x)         # train.py:4
      %2: f32[4] = add(%0, %1)     # train.py:4
      %3: f32[4] = sin(%x)         # train.py:5
      return %2
    """)
    golden("passes/cse.gir", before_and_after(before, "cse", cse(before)))


def constants(*values: float, dtype: str = "f32") -> Graph:
    lines = [f"%{i}: {dtype}[] = constant() {{value={v!r}, dtype={dtype}}}" for i, v in enumerate(values)]
    return read("\n".join([*lines, f"return {', '.join(f'%{i}' for i in range(len(values)))}"]))


@pytest.mark.parametrize(("a", "b", "merged"), [(1.0, 1.0, True), (0.0, -0.0, False), (1, 1.0, False)])
def test_constants_are_merged_when_they_are_the_same_number(a: float, b: float, merged: bool) -> None:
    graph = constants(a, b)
    after = cse(graph)
    assert len(after.nodes) == (1 if merged else 2)
    for actual, expected in zip(interpret(after, [])[0], interpret(graph, [])[0], strict=True):
        assert actual.tobytes() == expected.tobytes()


def test_chains_are_merged_and_dead_ends_dropped() -> None:
    graph = read("""
      input %x: f32[4]
      %a: f32[4] = exp(%x)
      %b: f32[4] = exp(%x)
      %c: f32[4] = neg(%a)
      %d: f32[4] = neg(%b)
      %e: f32[4] = sin(%d)
      return %c, %d
    """)
    after = cse(graph)
    assert ops(after) == ["exp", "neg"]
    assert after.outputs[0] is after.outputs[1]


def test_draws_stay_apart_and_attributes_count() -> None:
    graph = read("""
      input %x: f32[2,3]
      input %s: i64[]
      %a: f32[2,3] = uniform(%s, %s) {shape=[2,3], index=0}
      %b: f32[2,3] = uniform(%s, %s) {shape=[2,3], index=0}
      %c: f32[2] = sum(%x) {axes=[1]}
      %d: f32[3] = sum(%x) {axes=[0]}
      return %a, %b, %c, %d
    """)
    assert ops(cse(graph)) == ["uniform", "uniform", "sum", "sum"]


def test_updates_keep_what_they_need() -> None:
    graph = read("""
      state %w: f32[4]
      %0: f32[4] = neg(%w)
      %1: f32[4] = exp(%w)
      update %w = %0
    """)
    assert ops(cse(graph)) == ["neg"]


@given(programs())
def test_programs_keep_their_meaning(graph: Graph) -> None:
    after = cse(graph)
    assert_same_meaning(graph, after, draw_inputs(graph))
    assert len(cse(after).nodes) == len(after.nodes)


def test_merging_keeps_the_first_place() -> None:
    graph = read("input %x: f32[2]\n%0: f32[2] = exp(%x) # a.py:1\n%1: f32[2] = exp(%x) # a.py:2\nreturn %0, %1")
    (node,) = cse(graph).nodes
    assert node.loc.line == 1
    np.testing.assert_array_equal(*interpret(graph, [np.ones(2, np.float32)])[0])
