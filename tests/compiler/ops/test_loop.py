"""The loop: what it means, its text, its rules and its gradient."""

import numpy as np
import pytest

from compiler.errors import ParseError
from compiler.interpret import interpret
from compiler.ir.replay import in_loops
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from compiler.text.compare import difference
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph
from tests.compiler.loops import LOOPS, loop_graph, unrolled, with_gradients
from tests.compiler.passes.graphs import assert_same_meaning, draw_inputs, ops

EVERY = [(name, reverse) for name in LOOPS for reverse in (False, True)]


@pytest.mark.parametrize(("name", "reverse"), EVERY)
def test_a_loop_is_its_iterations(name: str, reverse: bool) -> None:
    graph = loop_graph(name, reverse)
    assert_same_meaning(unrolled(graph), graph, draw_inputs(graph))


def test_slices_belong_together_in_both_directions() -> None:
    """Counting down, slice t follows from the sequence's slice t, and the last carry from slice 0."""
    xs = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    graph = loop_graph("nested", reverse=True)
    _, stack = interpret(graph, [xs, np.zeros(4, np.float32), np.zeros(4, np.float32)])[0]
    np.testing.assert_array_equal(stack, xs)


@pytest.mark.parametrize(("name", "reverse"), EVERY)
def test_the_text_reads_back(name: str, reverse: bool) -> None:
    for graph in (loop_graph(name, reverse), in_loops(autodiff)(with_gradients(loop_graph(name, reverse)))):
        assert difference(graph, parse_graph(print_graph(graph))) is None


@pytest.mark.parametrize(("name", "reverse"), EVERY)
def test_the_gradient_is_that_of_the_iterations(name: str, reverse: bool) -> None:
    graph = with_gradients(loop_graph(name, reverse))
    expected = in_loops(autodiff)(with_gradients(unrolled(loop_graph(name, reverse))))
    assert_same_meaning(expected, in_loops(autodiff)(graph), draw_inputs(graph), 1e-5, 1e-6)


def test_the_gradient_runs_the_loop_once_more_the_other_way_round() -> None:
    after = in_loops(autodiff)(with_gradients(loop_graph("recurrent")))
    forward, back = (n for n in after.nodes if n.op.name == "loop")
    assert back.attrs["reverse"] and not forward.attrs["reverse"]
    assert len(forward.outputs) == 3, "the hidden state that enters each iteration is saved, its output is there"
    assert "tanh" not in ops(back.body), "the output is read, not computed again"


def test_cheap_values_are_not_saved() -> None:
    """The sign of a state is computed again from the state, which is saved for its own sake."""
    after = in_loops(autodiff)(with_gradients(loop_graph("cell")))
    forward = next(n for n in after.nodes if n.op.name == "loop")
    saved = forward.body.outputs[3:]
    assert sorted(v.producer.op.name if v.producer else v.name for v in saved) == ["c", "h", "sigmoid", "tanh", "tanh"]


@pytest.mark.parametrize("name", LOOPS)
def test_passes_go_into_bodies(name: str) -> None:
    graph = loop_graph(name)
    after = verify(in_loops(expand)(graph))
    assert not {"linear", "sigmoid"} & {op for n in after.nodes if n.body for op in ops(n.body)}
    assert_same_meaning(graph, after, draw_inputs(graph), 1e-6, 1e-7)


BROKEN = {
    "no iteration": ("length=5", "length=0", "a loop runs at least once, not 0 times"),
    "the length": ("length=5", "length=4", r"operand 1 is f32\[5,2,4\], the body takes f32\[2,4\], so it should be"),
    "the sequence": ("sequences=1", "sequences=2", r"operand 2 is f32\[3,3\], .* should be f32\[5,3,3\]"),
    "the carry": ("return %3, %3", "return %b, %3", r"carry 0 enters the body as f32\[2,3\] and leaves it as f32\[3\]"),
    "the results": ("return %3, %3", "return %3", "results are typed"),
    "the operands": ("%w, %u, %b) {length", "%w, %u) {length", "4 operands and 1 carries do not fit a body of 5"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named(rule: str) -> None:
    old, new, message = BROKEN[rule]
    text = print_graph(loop_graph("recurrent"))
    assert old in text
    with pytest.raises(ParseError, match=message):
        parse_graph(text.replace(old, new))
