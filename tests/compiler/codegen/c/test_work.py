"""Launches tell their work: floating-point operations, and bytes read and written."""

import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c.isa import ISAS
from compiler.ir.graph import numbered
from compiler.pipeline import Stages, c_target, compile_for
from compiler.plan import Launch
from compiler.text.parser import parse_graph


def launches(text: str) -> list[Launch]:
    return list(
        compile_for(
            Stages(parse_graph(f"graph @step {{\n{text}\n}}\n", "step.gir")), c_target(ISAS["portable"])
        ).launches
    )


ATTENTION = """\
  input %q: f32[2,3,8,4]
  input %k: f32[2,3,16,4]
  input %v: f32[2,3,16,4]
  %y: f32[2,3,8,4], %s: f32[2,3,8] = scaled_dot_product_attention(%q, %k, %v) {causal=CAUSAL}
  return %y, %s"""

KERNELS = {
    "a product, and the ops fused behind it": (
        """\
  input %x: f32[8,4]
  input %w: bf16[4,6]
  input %b: f32[6]
  %c: f32[4,6] = cast(%w) {to=f32}
  %0: f32[8,6] = dot(%x, %c)
  %1: f32[8,6] = add(%0, %b)
  return %1""",
        [("contract", 2 * 8 * 4 * 6 + 8 * 6, 4 * (8 * 4 + 4 * 6 + 6 + 8 * 6)), ("pointwise", 0, (2 + 4) * 24)],
    ),
    "a pointwise kernel reads an operand once, a broadcast one as it is": (
        """\
  input %x: f32[8,4]
  input %b: f32[4]
  %0: f32[8,4] = mul(%x, %x)
  %1: f32[8,4] = add(%0, %b)
  return %1""",
        [("pointwise", 2 * 32, 4 * (32 + 4 + 32))],
    ),
    "a slice counts its own bytes": (
        """\
  input %x: f32[8,10]
  %0: f32[8,2] = slice(%x) {start=[0,4], stop=[8,6], step=[1,1]}
  %1: f32[8,2] = exp(%0)
  return %1""",
        [("pointwise", 16, 4 * (16 + 16))],
    ),
    "of a table, the rows that are taken": (
        """\
  input %t: f32[1000,4]
  input %i: i64[5]
  %0: f32[5,4] = take(%t, %i)
  return %0""",
        [("pointwise", 0, 8 * 5 + 4 * (20 + 20))],
    ),
    "never more of a table than there is": (
        """\
  input %t: f32[2,4]
  input %i: i64[500]
  %0: f32[500,4] = take(%t, %i)
  return %0""",
        [("pointwise", 0, 8 * 500 + 4 * (8 + 2000))],
    ),
    "rows that are added up": (
        """\
  input %i: i64[5]
  input %g: f32[5,4]
  %0: f32[10,4] = scatter_rows(%i, %g) {rows=10}
  return %0""",
        [("scatter", 20, 8 * 5 + 4 * (20 + 40))],
    ),
    "a sum in parts, and their sum": (
        """\
  input %x: f32[3,8192]
  %0: f32[] = sum(%x) {axes=[0,1]}
  return %0""",
        [("full", 3 * 8192, 4 * (3 * 8192 + 3)), ("combine", 3, 4 * (3 + 1))],
    ),
    "parts of a tensor put together": (
        """\
  input %x: f32[3,4]
  input %y: f32[3,2]
  %0: f32[3,6] = concat(%x, %y) {axis=1}
  return %0""",
        [("concat", 0, 4 * (12 + 6 + 18))],
    ),
    "attention: two products": (
        ATTENTION.replace("CAUSAL", "false"),
        [("attention", 2 * 2 * 6 * 8 * 16 * 4, 4 * (192 + 2 * 384 + 192 + 48))],
    ),
    "causal attention: of the pairs that look back": (
        ATTENTION.replace("CAUSAL", "true"),
        [("attention", 2 * 2 * 6 * (8 * 9 // 2) * 4, 4 * (192 + 2 * 384 + 192 + 48))],
    ),
    "a new state that is also a result is copied to both places": (
        """\
  state %a: f32[8]
  %0: f32[8] = exp(%a)
  update %a = %0
  return %0""",
        [("pointwise", 8, 4 * (8 + 8)), ("copy", 0, 4 * (8 + 8)), ("copy", 0, 4 * (8 + 8))],
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_work(name: str) -> None:
    text, expected = KERNELS[name]
    assert sorted((x.kind, x.flops, x.nbytes) for x in launches(text)) == sorted(expected)


def test_launches_name_the_nodes_that_they_run() -> None:
    text = """\
  input %x: f32[64,64]
  input %y: f32[4096]
  %0: f32[64,64] = dot(%x, %x)
  %1: f32[64] = sum(%0) {axes=[0]}
  %2: f32[4096] = exp(%y)
  return %0, %1, %2"""
    stages = Stages(parse_graph(f"graph @step {{\n{text}\n}}\n", "step.gir"))
    plan = compile_for(stages, c_target(ISAS["portable"]))
    nodes = list(numbered(stages.latest))
    for launch in plan.launches:
        (node,) = (nodes[i] for i in launch.nodes)
        assert launch.kind in ("combine", node.attrs["kind"])
        assert node.body is not None and set(launch.ops) <= {n.op.name for n in node.body.nodes}
    assert {i for x in plan.launches for i in x.nodes} == set(range(len(nodes)))
