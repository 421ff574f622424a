"""The list of passes, and what goes on between two of them."""

import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS
from compiler.errors import VerifyError
from compiler.features import Features
from compiler.ir.graph import Graph
from compiler.pipeline import PASSES, Stages, c_target, compile_for, emit, lowering
from compiler.text.parser import parse_graph

TEXT = """\
graph @step {
  input  %x: f32[8,4]
  state  %w: f32[3,4]
  %0: f32[8,3] = linear(%x, %w)
  %1: f32[8,3] = gelu(%0) {approximate="none"}
  return %1
}
"""


def graph() -> Graph:
    return parse_graph(TEXT, "step.gir")


def test_every_stage_is_kept_and_timed() -> None:
    stages = Stages(graph())
    result = stages.run(lowering())
    assert list(stages.graphs) == ["traced", *PASSES]
    assert stages.latest is result is stages.graphs["horizontal"]
    assert stages.seconds.keys() == PASSES.keys() and all(s >= 0 for s in stages.seconds.values())
    assert [n.op.name for n in stages.graphs["traced"].nodes] == ["linear", "gelu"], "no pass writes into its input"


def test_after_the_last_pass_everything_is_a_kernel() -> None:
    assert {n.op.name for n in Stages(graph()).run(lowering()).nodes} == {"fused"}


def test_a_pass_that_breaks_the_graph_is_named() -> None:
    def forgetful(before: Graph) -> Graph:
        return Graph(before.name, before.params, before.nodes[1:], before.updates, before.outputs)

    with pytest.raises(VerifyError, match=r"after pass 'forgetful': .*not defined before its use[\s\S]*graph @step"):
        Stages(graph()).run([("forgetful", forgetful)])


def test_what_a_target_claims_stays_whole() -> None:
    stages = Stages(graph())
    stages.run(lowering(Features(lambda op, inputs, attrs: op.name == "gelu"))[:3])
    assert "gelu" in [n.op.name for n in stages.latest.nodes]


def test_a_graph_becomes_a_plan() -> None:
    plan = compile_for(Stages(graph()), c_target(ISAS["portable"]))
    assert plan.target == "c/portable"
    assert [(s.kind, s.dtype, s.shape) for s in plan.slots] == [
        ("input", "f32", (8, 4)), ("state", "f32", (3, 4)), ("output", "f32", (8, 3)),
    ]  # fmt: skip
    assert [launch.kind for launch in plan.launches] == ["contract"]


def test_text_for_a_target_from_any_stage() -> None:
    assert emit(graph(), "c") == emit(Stages(graph()).run(lowering(unit.FEATURES)), "c")
    with pytest.raises(ValueError, match="unknown target 'fortran'; there are: c, triton"):
        emit(graph(), "fortran")


def test_the_same_graph_gives_the_same_text() -> None:
    assert emit(graph(), "c") == emit(graph(), "c")
