"""``grad`` nodes become the ops that compute the gradients."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given

from compiler.errors import AutogradError
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import OPS, Op, o
from compiler.ir.types import TensorType, f32, f64
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from tests.compiler.passes.graphs import before_and_after, draw_inputs, ops, programs, read, with_gradients
from tests.samples import assert_same


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      state %w: f32[3,4]           "fc.weight"
      input %x: f32[8,3]
      input %t: f32[8,4]
      %0: f32[8,4] = dot(%x, %w)                   # train.py:3 fc
      %1: f32[8,4] = tanh(%0)                      # train.py:4
      %2: f32[] = mse_loss(%1, %t)                 # train.py:5
      %3: f32[3,4] = grad(%2, %w)                  # train.py:6
      return %2, %3
    """)
    golden("passes/autodiff.gir", before_and_after(before, "autodiff", autodiff(before)))


def run(text: str, *inputs: float) -> list[float]:
    graph = read(text)
    arrays = [np.full(v.shape, x, v.dtype.numpy) for v, x in zip(graph.inputs(), inputs, strict=True)]
    return [float(x) for x in interpret(verify(autodiff(graph)), arrays)[0]]


def test_a_value_used_twice_adds_its_gradients() -> None:
    assert run("input %x: f32[]\n%0: f32[] = mul(%x, %x)\n%1: f32[] = grad(%0, %x)\nreturn %1", 3) == [6]


def test_an_input_that_does_not_reach_the_loss_has_gradient_zero() -> None:
    text = (
        "input %x: f32[]\ninput %y: f32[]\n%0: f32[] = exp(%x)\n%1: f32[], %2: f32[] = grad(%0, %x, %y)\nreturn %1, %2"
    )
    assert run(text, 0, 5) == [1, 0]


def test_the_loss_itself_has_gradient_one() -> None:
    assert run("input %x: f32[]\n%0: f32[] = exp(%x)\n%1: f32[] = grad(%0, %0)\nreturn %1", 2) == [1]


def test_detach_and_comparisons_stop_the_gradient() -> None:
    text = """
      input %x: f32[]
      %0: f32[] = detach(%x)
      %1: f32[] = mul(%x, %0)
      %2: bool[] = gt(%x, %0)
      %3: f32[] = cast(%2) {to=f32}
      %4: f32[] = add(%1, %3)
      %5: f32[] = grad(%4, %x)
      return %5
    """
    assert run(text, 3) == [3]


def test_gradients_of_gradients() -> None:
    """d/dx of 3 x^2 is 6 x."""
    text = """
      input %x: f64[]
      %0: f64[] = mul(%x, %x)
      %1: f64[] = mul(%0, %x)
      %2: f64[] = grad(%1, %x)
      %3: f64[] = grad(%2, %x)
      return %2, %3
    """
    assert run(text, 2) == [12, 12]


def test_a_seed_weighs_the_outputs() -> None:
    text = """
      input %x: f32[3]
      input %g: f32[3]
      %0: f32[3] = exp(%x)
      %1: f32[3] = grad(%0, %g, %x) {seed=true}
      %2: f32[] = sum(%1) {axes=[0]}
      return %2
    """
    assert run(text, 0, 2) == [6]


def test_nodes_say_where_their_forward_op_stands() -> None:
    graph = read("input %x: f32[]\n%0: f32[] = sin(%x) # a.py:3 m\n%1: f32[] = grad(%0, %x) # a.py:9\nreturn %1")
    after = autodiff(graph)
    assert {str(n.loc) for n in after.nodes} == {"a.py:3 m", "a.py:3 m [grad]", "a.py:9 [grad]"}


def test_only_what_is_asked_for_is_computed() -> None:
    """The gradient of a product with respect to one operand is one product."""
    graph = read("""
      input %x: f32[8,3]
      input %w: f32[3,4]
      input %g: f32[8,4]
      %0: f32[8,4] = dot(%x, %w)
      %1: f32[3,4] = grad(%0, %g, %w) {seed=true}
      return %1
    """)
    assert ops(autodiff(graph)).count("dot") == 2


def test_an_op_without_a_rule_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    op = Op("mystery", lambda x: x, "pointwise", lambda x: x)
    monkeypatch.setitem(OPS, "mystery", op)
    graph = read("input %x: f32[]\n%0: f32[] = mystery(%x) # a.py:3\n%1: f32[] = grad(%0, %x)\nreturn %1")
    with pytest.raises(AutogradError, match=r"op 'mystery' has no gradient rule\n  at a.py:3"):
        autodiff(graph)


@given(programs(steps=8))
def test_gradients_of_programs_are_sound_and_finite_differences(graph: Graph) -> None:
    """Types always; numbers where the program is smooth and in f64, along one direction."""
    whole = with_gradients(graph)
    after = verify(autodiff(whole))
    assert "grad" not in ops(after)
    results, _ = interpret(after, draw_inputs(graph))
    expanded, _ = interpret(verify(expand(after)), draw_inputs(graph))
    for a, b in zip(results, expanded, strict=True):
        wide = 1e-5 if a.dtype in (np.float32, np.float64) else 0.05
        if np.isfinite(a.astype(np.float64)).all():
            assert_same(a, b, wide, wide * max(1.0, float(np.abs(a.astype(np.float64)).max(initial=0))))


def test_many_uses_and_broadcasts_by_hand() -> None:
    """d/db of sum(exp(x + b) * b), by calculus."""
    graph = Graph("f")
    x = graph.add_param(TensorType(f64, (3, 4)), "input", "", "x")
    b = graph.add_param(TensorType(f64, (4,)), "input", "", "b")
    with using(GraphBuilder()) as builder:
        loss = o.sum(o.mul(o.exp(o.add(x, b)), b), axes=(0, 1))
        graph.outputs = [o.grad(loss, b)]
    graph.nodes = builder.nodes
    inputs = draw_inputs(graph)
    (gradient,) = interpret(autodiff(graph), inputs)[0]
    e = np.exp(inputs[0] + inputs[1])
    np.testing.assert_allclose(gradient, (e * inputs[1] + e).sum(0), rtol=1e-12)
    assert f32 is not f64
