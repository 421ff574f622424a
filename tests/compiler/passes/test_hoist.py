"""Work taken out of loops."""

from collections.abc import Callable

import pytest

from compiler.hoisting.rest import DEEP
from compiler.hoisting.values import FEW
from compiler.ir.graph import Graph, Node
from compiler.ir.replay import in_loops
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.hoist import hoist
from compiler.passes.simplify import simplify
from tests.compiler.loops import LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, read


def lowered(graph: Graph) -> Graph:
    """As ``hoist`` meets it."""
    for run in (autodiff, expand, simplify, cse):
        graph = in_loops(run)(graph)
    return graph


def loops(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op.name == "loop"]


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = lowered(
        loop_graph("recurrent", results="%g: f32[3,3], %k: f32[4,3] = grad(%h, %h, %w, %u) {seed=true}\nreturn %g, %k")
    )
    golden("passes/hoist.gir", before_and_after(before, "hoist", hoist(before)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_keep_their_meaning(name: str, reverse: bool) -> None:
    for graph in (loop_graph(name, reverse), with_gradients(loop_graph(name, reverse))):
        before = lowered(graph)
        assert_same_meaning(before, in_loops(hoist)(before), draw_inputs(graph), 1e-5, 1e-6)


def body_text(body: str, results: str, carries: str = "%h0", sequences: str = "%xs", fixed: str = "%w") -> Graph:
    types = {"%h0": "f32[2,2]", "%xs": "f32[3,2,2]", "%w": "f32[2,2]", "%z": "f32[2,2]"}
    names = [v.strip() for v in ",".join(x for x in (carries, sequences, fixed) if x).split(",")]
    inner = [f"input {v}: {types[v] if v != '%xs' else 'f32[2,2]'}" for v in names]
    count = (len(carries.split(",")) if carries else 0, len(sequences.split(",")) if sequences else 0)
    return read("\n".join([
        "input %h0: f32[2,2]", "input %xs: f32[3,2,2]", "input %w: f32[2,2]",
        "%c: f32[] = constant() {value=0.0, dtype=f32}", "%z: f32[2,2] = expand(%c) {shape=[2,2]}",
        f"{results} = loop({', '.join(names)}) {{length=3, carries={count[0]}, sequences={count[1]}}} @body {{",
        *inner, body, "}", "return " + ", ".join(r.split(":")[0] for r in results.split(", ")),
    ]))  # fmt: skip


def check(graph: Graph) -> Graph:
    after = hoist(graph)
    assert_same_meaning(graph, after, draw_inputs(graph), 1e-5, 1e-6)
    return after


def test_what_is_the_same_every_time_is_done_once() -> None:
    after = check(
        body_text("%0: f32[2,2] = exp(%w)\n%1: f32[2,2] = mul(%h0, %0)\nreturn %1", "%r: f32[2,2]", sequences="")
    )
    assert ops(after) == ["exp", "loop"]
    assert ops(loops(after)[0].body) == ["mul"]


@pytest.mark.parametrize(
    ("rows", "depth", "laid_out"),
    [(FEW, 2, True), (FEW + 1, 2, False), (FEW + 1, DEEP, False), (FEW + 1, DEEP + 1, True)],
)
def test_a_transposed_weight_is_laid_out_before_the_loop_where_that_helps(
    rows: int, depth: int, laid_out: bool
) -> None:
    after = check(
        read(f"""
        input %h0: f32[{rows},{depth}]
        input %w: f32[{depth},{depth}]
        %r: f32[{rows},{depth}] = loop(%h0, %w) {{length=2, carries=1, sequences=0}} @body {{
          input %h0: f32[{rows},{depth}]
          input %w: f32[{depth},{depth}]
          %0: f32[{depth},{depth}] = permute(%w) {{dims=[1,0]}}
          %1: f32[{rows},{depth}] = dot(%h0, %0)
          %2: f32[{rows},{depth}] = tanh(%1)
          return %2
        }}
        return %r
        """)
    )
    assert ops(after) == ["permute", "loop"][not laid_out :]


@pytest.mark.parametrize(("rows", "more"), [(FEW + 1, ""), (FEW, ""), (FEW + 1, "%0")])
def test_what_rounds_a_weight_for_products_of_many_rows_stays_with_them(rows: int, more: str) -> None:
    """They pack it once. If something else reads it as well, it is rounded before the loop."""
    after = check(
        read(f"""
        input %h0: f32[{rows},2]
        input %w: f32[2,2]
        %r: f32[{rows},2], %s: bf16[3,2,2] = loop(%h0, %w) {{length=3, carries=1, sequences=0}} @body {{
          input %h0: f32[{rows},2]
          input %w: f32[2,2]
          %0: bf16[2,2] = cast(%w) {{to=bf16}}
          %1: bf16[{rows},2] = cast(%h0) {{to=bf16}}
          %2: f32[{rows},2] = dot(%1, %0) {{dtype=f32}}
          return %2, %0
        }}
        return {"%r, %s" if more else "%r"}
        """)
    )
    assert ("cast" in ops(after)) == (rows == FEW or bool(more))


def test_views_and_numbers_stay_where_they_are_read() -> None:
    body = (
        "%0: f32[4] = reshape(%w) {shape=[4]}\n%1: f32[] = constant() {value=2.0, dtype=f32}\n"
        "%2: f32[4] = reshape(%h0) {shape=[4]}\n%3: f32[4] = mul(%2, %0)\n%4: f32[4] = mul(%3, %1)\n"
        "%5: f32[2,2] = reshape(%4) {shape=[2,2]}\nreturn %5"
    )
    assert ops(check(body_text(body, "%r: f32[2,2]", sequences=""))) == ["loop"]


def test_a_product_of_a_sequence_is_one_product_before_the_loop() -> None:
    body = "%0: f32[2,2] = dot(%xs, %w)\n%1: f32[2,2] = add(%0, %w)\n%2: f32[2,2] = mul(%1, %h0)\nreturn %2"
    after = check(body_text(body, "%r: f32[2,2]"))
    assert ops(after) == ["reshape", "dot", "reshape", "add", "loop"]
    assert ops(loops(after)[0].body) == ["mul"]


def test_elementwise_work_on_a_sequence_alone_stays() -> None:
    body = "%0: f32[2,2] = exp(%xs)\n%1: f32[2,2] = mul(%0, %h0)\nreturn %1"
    assert ops(check(body_text(body, "%r: f32[2,2]", fixed=""))) == ["loop"]


def test_a_product_for_the_results_only_is_one_product_behind_the_loop() -> None:
    body = "%0: f32[2,2] = tanh(%h0)\n%1: f32[2,2] = dot(%0, %w)\nreturn %0, %1"
    after = check(body_text(body, "%r: f32[2,2], %s: f32[3,2,2]", sequences=""))
    assert ops(after) == ["loop", "reshape", "dot", "reshape"]


def test_added_products_are_one_product_behind_the_loop() -> None:
    body = (
        "%0: f32[2,2] = permute(%xs) {dims=[1,0]}\n%1: f32[2,2] = dot(%0, %h0)\n%2: f32[2,2] = add(%z, %1)\n"
        "%3: f32[2,2] = tanh(%h0)\nreturn %3, %2"
    )
    after = check(body_text(body, "%r: f32[2,2], %s: f32[2,2]", carries="%h0, %z", fixed=""))
    assert ops(after).count("dot") == 1 and ops(after)[-1] == "dot"
    assert ops(loops(after)[0].body) == ["tanh"]


def test_a_sum_that_does_not_start_from_zero_keeps_its_start() -> None:
    body = "%0: f32[2,2] = dot(%xs, %xs)\n%1: f32[2,2] = add(%0, %h0)\nreturn %1"
    after = check(body_text(body, "%r: f32[2,2]", fixed=""))
    assert ops(after)[-1] == "add" and not loops(after)


def test_a_total_that_is_read_on_the_way_stays_a_carry() -> None:
    body = "%0: f32[2,2] = dot(%xs, %w)\n%1: f32[2,2] = add(%h0, %0)\n%2: f32[2,2] = exp(%1)\nreturn %1, %2"
    after = check(body_text(body, "%r: f32[2,2], %s: f32[3,2,2]"))
    assert ops(loops(after)[0].body) == ["add", "exp"]


def test_what_nobody_reads_is_dropped() -> None:
    graph = loop_graph("cell", results="return %ys")
    (node,) = loops(check(graph))
    assert len(node.outputs) == 3, "both carries matter to the result"
    graph = read("""
      input %a: f32[2]
      input %b: f32[2]
      input %xs: f32[3,2]
      %0: f32[2], %1: f32[2], %2: f32[3,2] = loop(%a, %b, %xs) {length=3, carries=2, sequences=1} @body {
        input %a: f32[2]
        input %b: f32[2]
        input %x: f32[2]
        %0: f32[2] = exp(%a)
        %1: f32[2] = mul(%b, %x)
        return %0, %1, %1
      }
      return %0
    """)
    (node,) = loops(check(graph))
    assert len(node.inputs) == len(node.outputs) == 1 and ops(node.body) == ["exp"]
