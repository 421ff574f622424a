"""The decisions of autocast, and the fate of each cast."""

import pytest

from compiler.casts import Decision, decisions
from compiler.ir.types import bf16, f32
from compiler.pipeline import Stages, lowering
from compiler.text.parser import parse_graph


def decided(text: str) -> list[Decision]:
    stages = Stages(parse_graph(text))
    stages.run(lowering())
    return decisions(stages.graphs)


def test_casts_are_inserted_once_for_each_value() -> None:
    first, second, last = decided("""\
graph @step {
  input  %x: f32[8,3]
  state  %w: f32[4,3]              "w"
  %0: bf16[8,4] = linear(%x, %w) {autocast=bf16}              # a.py:1
  %1: bf16[8,4] = linear(%x, %w) {autocast=bf16}              # a.py:2
  %2: bf16[8,4] = add(%0, %1)                                 # a.py:3
  return %2
}
""")
    assert [(c.value, c.fate) for c in first.casts] == [("x", "inserted"), ("w", "inserted")]
    assert [(c.value, c.fate, c.why) for c in second.casts] == [
        ("x", "merged", "cast once, for a.py:1"),
        ("w", "merged", "cast once, for a.py:1"),
    ]
    assert (first.rule, first.inputs, first.compute, first.outputs) == ("lower", (f32, f32), bf16, (bf16,))
    assert (last.op, last.rule, last.compute, last.casts) == ("add", "", bf16, ())


def test_a_cast_back_to_what_a_value_was_is_removed() -> None:
    _, product = decided("""\
graph @step {
  input  %x: bf16[8,3]
  input  %w: bf16[3,4]
  %0: f32[8,3] = cast(%x) {to=f32}                            # a.py:1
  %1: bf16[8,4] = matmul(%0, %w) {autocast=bf16}              # a.py:2
  return %1
}
""")
    (cast,) = product.casts
    assert (cast.value, cast.source, cast.to, cast.fate) == ("cast %0", f32, bf16, "removed")
    assert cast.why == "simplify: the type it casts to is what the value had before, or nothing reads it"


@pytest.mark.parametrize("op, rule", [("cross_entropy", "fp32"), ("softmax", "fp32")])
def test_what_is_listed_for_float32(op: str, rule: str) -> None:
    y = "  input  %y: i64[8]\n" if op == "cross_entropy" else ""
    call = "%0: f32[], %1: f32[8,1] = cross_entropy(%x, %y)" if y else "%0: f32[8,3] = softmax(%x)"
    attrs = "{autocast=f32}" if y else "{axis=1, autocast=f32}"
    (decision,) = decided(f"graph @g {{\n  input  %x: bf16[8,3]\n{y}  {call} {attrs}\n  return %0\n}}\n")
    assert decision.rule == rule and decision.compute is f32
    assert [(c.source, c.to, c.fate) for c in decision.casts] == [(bf16, f32, "inserted")]
