"""Flags for infinities and NaNs: which ops have one, and that nothing escapes them."""

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.verify import verify
from compiler.passes.check_numerics import check_numerics, suspects, watched
from compiler.text.parser import parse_graph

CHAIN = """\
graph @g {
  input  %x: f32[4,4]
  state  %w: f32[4,4]              "w"
  %0: f32[4,4] = log(%x)
  %1: f32[4,4] = matmul(%0, %w)
  %2: f32[4,4] = mul(%1, %1)
  %3: f32[4,4] = exp(%2)
  %4: f32[] = sum(%3) {axes=[0,1]}
  update %w = %3
  return %4
}
"""


def names(graph: Graph) -> list[str]:
    return [f"{node.op.name} {rule}" for node, rule in watched(graph).items()]


def test_what_shows_in_a_later_result_needs_no_flag() -> None:
    graph = parse_graph(CHAIN)
    assert [node.op.name for node in suspects(graph)] == ["log", "matmul", "mul", "exp", "sum"]
    assert names(graph) == ["mul finite", "sum finite"]  # exp hides -inf; log and matmul show in mul, exp in sum


def run(graph: Graph, x: np.ndarray, w: np.ndarray) -> tuple[list[bool], bool]:
    """The flags, and whether the state is as it was."""
    outputs, (new,) = interpret(verify(check_numerics(graph, hold=True)), [x, w])
    return outputs[-1].tolist(), np.array_equal(new, w)


def test_a_flag_holds_the_states() -> None:
    graph = parse_graph(CHAIN)
    x, w = np.ones((4, 4), np.float32), np.eye(4, dtype=np.float32)
    assert run(graph, x, w) == ([False, False], False)
    bad = x.copy()
    bad[2, 1] = -1
    assert run(graph, bad, w) == ([True, True], True)
    bad[2, 1] = 0
    assert run(graph, bad, w)[1]
    assert run(graph, x * np.float32(1e8), w) == ([False, True], True)  # exp(339) is infinite


@pytest.mark.parametrize("op", ["amax", "exp", "sigmoid", "relu", "softmax"])
def test_ops_that_hide_infinities_have_their_operand_looked_at(op: str) -> None:
    attrs = {"amax": " {axes=[1]}", "softmax": " {axis=1}"}.get(op, "")
    lines = [
        "graph @g {",
        "  input  %x: f32[4,4]",
        "  %0: f32[4,4] = log(%x)",
        f"  %1: {'f32[4]' if op == 'amax' else 'f32[4,4]'} = {op}(%0){attrs}",
        "  return %1",
        "}",
    ]
    graph = parse_graph("\n".join(lines) + "\n")
    assert names(graph)[0] == "log finite"


def test_infinities_that_the_program_writes_are_meant() -> None:
    graph = parse_graph("""\
graph @g {
  input  %x: f32[4,4]
  input  %m: bool[4,4]
  %0: f32[] = constant() {value=-inf, dtype=f32}
  %1: f32[4,4] = where(%m, %0, %x)
  %2: f32[4,4] = add(%1, %x)
  %3: f32[4,4] = softmax(%2) {axis=1}
  return %3
}
""")
    assert names(graph) == ["add numbers", "softmax finite"]
    x, some = np.zeros((4, 4), np.float32), np.eye(4, dtype=bool)
    checked = check_numerics(graph, hold=False)
    assert interpret(checked, [x, some])[0][-1].tolist() == [False, False]
    assert interpret(checked, [x, np.ones_like(some)])[0][-1].tolist() == [False, True]  # a row with nothing left
    x[0, 1] = np.nan
    assert interpret(checked, [x, some])[0][-1].tolist() == [True, True]


def test_a_graph_without_floats_has_one_flag_that_is_never_set() -> None:
    graph = parse_graph("graph @g {\n  input  %x: i64[4]\n  %0: i64[4] = add(%x, %x)\n  return %0\n}\n")
    outputs, _ = interpret(check_numerics(graph, hold=True), [np.arange(4)])
    assert outputs[-1].tolist() == [False]
