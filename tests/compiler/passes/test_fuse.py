"""Kernels: which ops are grouped, and that grouping changes nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from compiler.errors import VerifyError
from compiler.ir.graph import Graph
from compiler.ir.replay import live_nodes
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import MOST_SOURCES, fuse
from compiler.passes.simplify import simplify
from compiler.text.parser import parse_graph
from tests.compiler.passes.graphs import (
    assert_fused,
    assert_same_meaning,
    before_and_after,
    draw_inputs,
    programs,
    read,
    with_gradients,
)


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: f32[8,3]
      state %w: f32[3,4]           "fc.weight"
      state %b: f32[4]             "fc.bias"
      %zero: f32[] = constant() {value=0.0, dtype=f32}
      %0: f32[8,4] = dot(%x, %w)                       # train.py:3 fc
      %1: f32[8,4] = add(%0, %b)                       # train.py:3 fc
      %2: f32[8,4] = maximum(%1, %zero)                # train.py:4
      %3: f32[8,1] = amax(%2) {axes=[1], keepdim=true} # train.py:5
      %4: f32[8,4] = sub(%2, %3)                       # train.py:5
      %5: f32[8,4] = exp(%4)                           # train.py:5
      %6: f32[8,1] = sum(%5) {axes=[1], keepdim=true}  # train.py:5
      %7: f32[8,4] = div(%5, %6)                       # train.py:5
      %8: f32[4] = sum(%7) {axes=[0]}                  # train.py:6
      return %7, %8
    """)
    golden("passes/fuse.gir", before_and_after(before, "fuse", fuse(before)))


def test_a_product_sums_up_its_elements_where_its_kernel_can() -> None:
    """The norm of a gradient reads no gradient. Other reductions, and targets that cannot, take another kernel."""
    graph = read("""
      input %x: f32[8,3]
      input %w: f32[3,4]
      %0: f32[8,4] = dot(%x, %w)
      %1: f32[8,4] = mul(%0, %0)
      %2: f32[] = sum(%1) {axes=[0, 1]}
      %3: f32[] = amax(%0) {axes=[0, 1]}
      return %0, %2, %3
    """)
    assert [n.attrs["kind"] for n in fuse(graph, product_sums=True).nodes] == ["contract", "full"]
    assert [n.attrs["kind"] for n in fuse(graph).nodes] == ["contract", "full", "full"]


def test_a_tall_product_sums_up_its_columns() -> None:
    """The gradient of a bias reads no gradient, and the gradient of a norm's weight does not store its terms."""
    text = """
      input %x: f32[2,ROWS,8]
      input %w: f32[8,16]
      input %n: f32[2,ROWS,16]
      %v: f32[2,8,16] = expand(%w) {shape=[2,8,16]}
      %0: f32[2,ROWS,16] = dot(%x, %v)
      %1: f32[16] = sum(%0) {axes=[0, 1]}
      %2: f32[2,ROWS,16] = mul(%0, %n)
      %3: f32[16] = sum(%2) {axes=[0, 1]}
      return %0, %1, %3
    """
    tall, short = (read(text.replace("ROWS", rows)) for rows in ("32", "8"))
    (kernel,) = fuse(tall, product_sums=True).nodes
    assert [v.shape for v in kernel.outputs] == [(2, 32, 16), (16,), (16,)]
    assert [n.attrs["kind"] for n in fuse(short, product_sums=True).nodes] == ["contract", "column", "column"]


def stored(graph: Graph) -> list[list[str]]:
    """The types of what each kernel stores."""
    return [[str(v.type) for v in n.outputs] for n in fuse(graph).nodes]


def test_readers_compute_what_they_have_the_parts_of() -> None:
    """As in the backward pass of a LayerNorm: of three values of the product's size one is stored."""
    graph = read("""
      input %x: f32[64,3]
      input %w: f32[3,32]
      input %y: f32[64,32]
      input %mean: f32[64,1]
      %g: f32[64,32] = dot(%x, %w)
      %c: f32[64,32] = sub(%y, %mean)
      %p: f32[64,32] = mul(%g, %c)
      %a: f32[64,1] = sum(%p) {axes=[1], keepdim=true}
      %b: f32[64,1] = sum(%g) {axes=[1], keepdim=true}
      %d: f32[64,32] = mul(%c, %a)
      %e: f32[64,32] = add(%d, %b)
      %f: f32[64,32] = add(%e, %g)
      return %f
    """)
    assert stored(graph) == [["f32[64,32]"], ["f32[64,32]"]]


def test_several_tensors_do_not_take_the_place_of_one_that_is_kept() -> None:
    graph = read("""
      input %x: f32[64,3]
      input %w: f32[3,32]
      input %y: f32[64,32]
      input %z: f32[64,32]
      %0: f32[64,32] = mul(%y, %z)
      %1: f32[64,32] = exp(%0)
      %2: f32[64,32] = reload(%0)
      %3: f32[64,32] = dot(%x, %w)
      %4: f32[64,32] = mul(%3, %2)
      return %1, %4
    """)
    assert stored(graph) == [["f32[64,32]", "f32[64,32]"], ["f32[64,32]"]]


def test_a_rounded_value_is_stored_in_its_narrow_type() -> None:
    graph = read("""
      input %x: f32[64,3]
      input %w: f32[3,32]
      %0: f32[64,32] = dot(%x, %w)
      %1: bf16[64,32] = cast(%0) {to=bf16}
      %2: f32[64,32] = cast(%1) {to=f32}
      %3: f32[64,1] = amax(%2) {axes=[1], keepdim=true}
      %4: f32[64,32] = sub(%2, %3)
      return %4
    """)
    assert stored(graph) == [["bf16[64,32]"], ["f32[64,32]"]]


def test_a_product_does_not_wait_with_operands_that_are_larger_than_its_result() -> None:
    """As the gradient of a tied head, which the embedding's is added to at the very end."""
    text = """
      input %x: f32[{size},4]
      input %i: i64[8]
      input %y: f32[8,4]
      input %t: f32[4,{size}]
      %0: f32[4,4] = dot(%t, %x)
      %1: f32[4,4] = scatter_rows(%i, %y) {{rows=4}}
      %2: f32[4,4] = add(%0, %1)
      return %2
    """
    few, many = (fuse(read(text.format(size=size))) for size in (1, 64))
    assert [n.attrs["kind"] for n in few.nodes] == ["scatter", "contract"]
    assert [n.attrs["kind"] for n in many.nodes] == ["contract", "scatter", "pointwise"]


def test_a_concatenation_is_written_by_the_kernel_that_makes_its_parts() -> None:
    """And rounded by it. Parts of other kernels, or without an element for each place, are copied."""
    graph = read("""
      input %x: f32[8,4]
      input %y: f32[8,2]
      %0: f32[8,4] = exp(%x)
      %1: f32[8,4] = sin(%0)
      %2: f32[8,8] = concat(%0, %1) {axis=1}
      %3: bf16[8,8] = cast(%2) {to=bf16}
      %4: f32[8,2] = exp(%y)
      %5: f32[8,6] = concat(%1, %4) {axis=1}
      %6: f32[8,1] = sum(%1) {axes=[1], keepdim=true}
      %7: f32[8,5] = concat(%1, %6) {axis=1}
      return %3, %5, %7
    """)
    kinds = [n.attrs["kind"] for n in fuse(graph, joins=True).nodes]
    assert sorted(kinds) == ["concat", "concat", "pointwise", "row"]
    assert sorted(n.attrs["kind"] for n in fuse(graph).nodes) == ["concat"] * 3 + ["pointwise"] * 2 + ["row"]
    assert_same_meaning(graph, fuse(graph, joins=True), draw_inputs(graph))


def lowered(graph: Graph) -> Graph:
    return cse(simplify(expand(autodiff(graph))))


@given(programs())
def test_programs_keep_their_meaning(graph: Graph) -> None:
    graph = lowered(graph)
    after = fuse(graph)
    assert_fused(after)
    assert_same_meaning(graph, after, draw_inputs(graph))


@settings(max_examples=60)
@given(programs())
def test_gradients_of_programs_keep_their_meaning(graph: Graph) -> None:
    before = lowered(with_gradients(graph))
    after = fuse(before)
    assert_fused(after)
    assert_same_meaning(before, after, draw_inputs(graph))


@pytest.mark.parametrize(
    ("shape", "weight", "columns"),
    [
        ("32,4,6,5", "4,1,1", 30),  # a channel is a row
        ("32,4,6,5", "6,5", 30),  # walked beside the channel
        ("32,4,6,5", "5", 5),  # starts again every row
        ("32,4,6,5", "6,1", 5),
        ("2,3,4", "3,1", 4),
        ("2,3,40,5", "1", 5),  # few rows to share
    ],
)
def test_the_inner_loop_is_as_long_as_it_can_be(shape: str, weight: str, columns: int) -> None:
    graph = read(f"""
      input %x: f32[{shape}]
      input %w: f32[{weight}]
      %0: f32[{shape}] = mul(%x, %w)
      return %0
    """)
    (kernel,) = fuse(graph).nodes
    assert kernel.attrs["columns"] == columns


def test_a_sum_of_everything_in_many_rows_is_walked_row_by_row() -> None:
    graph = read("""
      input %x: f32[64,32,256]
      input %y: f32[64,32,256]
      %0: f32[64,32,256] = sub(%x, %y)
      %1: f32[64,32,256] = mul(%0, %0)
      %2: f32[] = sum(%1) {axes=[0,1,2]}
      return %2, %0
    """)
    (node,) = fuse(graph).nodes
    assert node.attrs["kind"] == "full" and node.attrs["rows"] * node.attrs["columns"] == 64 * 32 * 256


CIRCLE = """
  input %a: f32[4,4]
  input %b: f32[4,4]
  %r: f32[4,4] = exp(%a)
  %s: f32[] = sum(%r) {axes=[0, 1]}
  %n: f32[] = sqrt(%s)
  %c: f32[8] = expand(%n) {shape=[8]}
  %m: f32[8] = exp(%c)
  %l: f32[] = sum(%m) {axes=[0]}
  %k: f32[] = sqrt(%l)
  %t: f32[4,4] = exp(%b)
  %v: f32[4,4] = permute(%t) {dims=[1, 0]}
  %q: f32[4,4] = mul(%r, %v)
  %u: f32[4,4] = mul(%t, %k)
  return %q, %u
"""


def test_kernels_that_would_wait_for_each_other_are_apart() -> None:
    """%u may not join %t: %k stands behind %r, and the kernel of %r also makes %q, which needs %t."""
    graph = read(CIRCLE)
    fused = fuse(graph)
    assert_same_meaning(graph, fused, draw_inputs(graph))
    assert len(fused.nodes) == 6


def test_a_fused_graph_is_refused_with_the_place() -> None:
    once = fuse(parse_graph("graph @f {\n  input  %x: f32[4]\n  %0: f32[4] = exp(%x)  # train.py:3\n  return %0\n}\n"))
    with pytest.raises(VerifyError, match=r"not fused yet, and this node is\n  at train.py:3"):
        fuse(once)


def test_an_op_with_two_results_is_refused_with_the_place() -> None:
    text = (
        "graph @f {\n  input  %x: f32[4,3]\n  input  %y: i64[4]\n"
        "  %0: f32[], %1: f32[4,1] = cross_entropy(%x, %y)  # train.py:3\n  return %0\n}\n"
    )
    with pytest.raises(VerifyError, match=r"<cross_entropy .*> has 2 results where one is expected\n  at train.py:3"):
        fuse(parse_graph(text))


def test_a_kernel_over_rows_adds_up_columns_in_place_of_the_product_it_reads() -> None:
    """The gradient of a norm's weight needs the norm's input, which the gradient of that input reads anyway."""
    graph = read("""
      input %g: f32[64,8]
      input %w: f32[8,32]
      input %x: f32[64,32]
      %0: f32[64,32] = dot(%g, %w)
      %1: f32[64,32] = mul(%0, %x)
      %2: f32[64,1] = sum(%1) {axes=[1], keepdim=true}
      %3: f32[64,32] = mul(%x, %2)
      %4: f32[64,32] = sub(%0, %3)
      %5: f32[32] = sum(%1) {axes=[0]}
      %6: f32[32] = sum(%0) {axes=[0]}
      return %4, %5, %6
    """)
    product, rows = fuse(graph, product_sums=True, row_sums=True).nodes
    assert (product.attrs["kind"], rows.attrs["kind"]) == ("contract", "row")
    assert [len(n.outputs) for n in (product, rows)] == [1, 3]
    assert [n.op.name for n in live_nodes(product.body)] == ["dot"], "the norm's input is not read"
    product, _ = fuse(graph, product_sums=True).nodes
    assert [n.op.name for n in live_nodes(product.body)] == ["dot", "mul", "sum", "sum"]
    assert_same_meaning(graph, fuse(graph, product_sums=True, row_sums=True), draw_inputs(graph))


def test_numbers_are_computed_together_where_launches_are_dear() -> None:
    """A number that waits for a kernel between is a launch of its own."""
    graph = read("""
      input %a: f32[]
      input %b: f32[]
      input %x: f32[8,4]
      %0: f32[] = exp(%a)
      %1: f32[] = sin(%b)
      %2: f32[] = mul(%b, %b)
      %3: f32[8,4] = mul(%x, %0)
      %4: f32[] = sum(%3) {axes=[0,1]}
      %5: f32[] = sqrt(%4)
      return %1, %2, %3, %5
    """)
    assert [len(n.outputs) for n in fuse(graph, few_launches=True).nodes if n.attrs["kind"] == "pointwise"] == [3, 1]
    assert len(fuse(graph).nodes) == len(fuse(graph, few_launches=True).nodes) + 2
    assert_same_meaning(graph, fuse(graph, few_launches=True), draw_inputs(graph))


def test_a_sum_of_many_terms_is_cut() -> None:
    terms = range(300)
    lines = [f"input %x{i}: f32[4,3]" for i in terms]
    lines += [f"%s{i}: f32[3] = sum(%x{i}) {{axes=[0], keepdim=false}}" for i in terms]
    lines += [f"%t{i}: f32[3] = add(%{'s0' if i == 1 else f't{i - 1}'}, %s{i})" for i in terms[1:]]
    fused = fuse(read("\n".join([*lines, "return %t299"])))
    sums = [n for n in fused.nodes if n.attrs["kind"] == "pointwise"]
    assert [len(n.inputs) for n in sums] == [MOST_SOURCES, MOST_SOURCES, 300 - 2 * MOST_SOURCES + 2]
