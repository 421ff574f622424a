"""A loop kernel is analysed before it has a text."""

import pytest

from compiler.codegen.kernel import Kernel, structure
from compiler.domain import looked_up
from compiler.index import Index, Var, join, split
from compiler.ir.types import bf16, f32, i8, i32
from compiler.pipeline import Stages, lowering
from tests.compiler.passes.graphs import read


def kernel(text: str, flat: bool = False) -> Kernel:
    """The one kernel of a graph."""
    (node,) = Stages(read(text)).run(lowering()).nodes
    return Kernel(node, flat)


SOFTMAX = """
  input %x: f32[6,8]
  %0: f32[6,1] = amax(%x) {axes=[1], keepdim=true}
  %1: f32[6,8] = sub(%x, %0)
  %2: f32[6,8] = exp(%1)
  %3: f32[6,1] = sum(%2) {axes=[1], keepdim=true}
  %4: f32[6,8] = div(%2, %3)
  %5: f32[8] = sum(%4) {axes=[0]}
  return %4, %5
"""


STEP = """
  input %x: f32[6,8]
  %0: f32[] = constant() {{value={value}, dtype=f32}}
  %1: f32[6,8] = mul(%x, %0)
  %2: f32[6] = sum(%1) {{axes=[{axis}], keepdim=false}}
  return %2
"""


def test_kernels_of_one_structure_compute_the_same() -> None:
    def found(text: str) -> object:
        (node,) = Stages(read(text)).run(lowering()).nodes
        return structure(node)

    one = STEP.format(value=2.0, axis=1)
    assert found(one) == found(one.replace("%x", "%other"))
    assert found(one) != found(STEP.format(value=3.0, axis=1))
    assert found(STEP.format(value=0.0, axis=1)) != found(STEP.format(value=-0.0, axis=1))
    assert found(one) != found(one.replace("f32[6,8]", "f32[6,9]"))
    assert found(one) != found(one.replace("mul(%x, %0)", "mul(%0, %x)"))


def test_a_pass_over_the_row_for_each_level_of_reductions() -> None:
    found = kernel(SOFTMAX)
    assert [n.op.name for n in found.along] == ["amax", "sum"]
    (sink,) = found.sinks.values()
    assert (sink.output, sink.op, sink.width) == (1, "sum", 8)
    first, second, third = found.passes()
    assert [[n.op.name for n in p.reductions] for p in (first, second, third)] == [["amax"], ["sum"], []]
    assert list(third.stored) == [0] and len(third.sums) == 1
    exp = next(n.output for n in found.body.nodes if n.op.name == "exp")
    assert exp not in found.evaluated_in(first)
    assert exp in found.evaluated_in(second) and exp in found.evaluated_in(third), "worth a row buffer"


def test_threads_touch_their_own_rows_but_of_what_is_turned() -> None:
    found = kernel("""
      input %x: f32[6,6]
      input %y: f32[6,6]
      %0: f32[6,6] = permute(%y) {dims=[1,0]}
      %1: f32[6,6] = add(%x, %0)
      %2: f32[6] = sum(%1) {axes=[1]}
      return %1, %2
    """)
    assert found.own_rows() == {("in", 0), ("out", 0), ("out", 1)}


@pytest.mark.parametrize(("dims", "expected"), [("[0,1]", True), ("[1,0]", False)])
def test_one_index_does_for_all_unless_something_is_read_elsewhere(dims: str, expected: bool) -> None:
    text = f"""
      input %x: f32[6,6]
      input %one: f32[]
      %0: f32[6,6] = permute(%x) {{dims={dims}}}
      %1: f32[6,6] = tanh(%0)
      %2: f32[6,6] = add(%1, %one)
      return %2
    """
    assert kernel(text, flat=True).in_place() is expected


def test_a_reduction_of_an_axis_in_the_middle_is_read_along_it() -> None:
    found = kernel("""
      input %x: f32[2,3,4]
      %0: i64[2,4] = argmax(%x) {axes=[1]}
      return %0
    """)
    (reduction,) = found.along
    assert (found.rows, found.columns) == (8, 3)
    outer, inner = split(Index.of(found.row), (2, 4))
    assert found.operand_place(reduction) == join([outer, Index.of(found.column), inner], (2, 3, 4))


@pytest.mark.parametrize(("kind", "expected"), [("bf16", f32), ("f32", f32), ("i8", i32), ("i64", None)])
def test_partial_results_are_as_wide_as_what_adds_them_up(kind: str, expected: object) -> None:
    found = kernel(f"""
      input %x: {kind}[6,8]
      %0: {kind}[8] = amax(%x) {{axes=[0]}}
      return %0
    """)
    (sink,) = found.sinks.values()
    assert sink.partial is (expected or sink.dtype)
    assert sink.dtype in (bf16, f32, i8, sink.partial)


def test_a_lookup_reads_its_table_where_the_index_says() -> None:
    graph = read("""
      input %table: f32[7,4]
      input %i: i64[3]
      %0: f32[3,4] = take(%table, %i)
      return %0
    """)
    (node,) = graph.nodes
    r, c = Index.of(Var("r", 3)), Index.of(Var("c", 4))
    at, place = looked_up(node, r * 4 + c)
    assert at == r
    assert place("row") == Index.of(Var("row", 7, "=", r)) * 4 + c
