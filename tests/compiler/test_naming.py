"""Names of values: one name for a value in all stages, and names that say what the others serve."""

import re

import pytest

from compiler.ir.graph import Graph, Value
from compiler.ir.replay import hand_on
from compiler.naming import Names
from compiler.pipeline import PASSES, Stages
from compiler.text.compare import structurally_equal
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph

STEP = """\
graph @step {
  input  %x: f32[8,3]
  input  %t: f32[8,4]
  state  %w: f32[4,3]              "w"
  scalar %lr: f64[]                "lr"
  scalar %wd: f64[]                "wd"
  %0: f16[8,4] = linear(%x, %w) {autocast=f16}                # a.py:1 fc
  %1: f16[8,4] = relu(%0)                                     # a.py:2
  %2: f32[8,4], %3: f32[8,1], %4: f32[8,1] = layer_norm(%1) {ndim=1, autocast=f32}  # a.py:3
  %5: f32[] = mse_loss(%2, %t)                                # a.py:4
  %6: f32[4,3] = grad(%5, %w)                                 # a.py:5
  %7: f32[4,3] = sgd_update(%w, %6, %lr, %wd)                 # a.py:6
  update %w = %7
  return %5
}
"""


@pytest.fixture(scope="module")
def stages() -> dict[str, Graph]:
    """The stages of a step in which nothing has a name but inputs, as it is recorded."""
    traced = parse_graph(STEP)
    for node in traced.nodes:
        for value in node.outputs:
            value.name = ""
    stages = Stages(traced)
    stages.run(list(PASSES.items()))
    return stages.graphs


def named(graph: Graph, name: str) -> Value:
    """The one value of a graph, or of a kernel of it, that has a name."""
    inner = [n for node in graph.nodes for n in (node.body.nodes if node.body is not None else [node])]
    found = [v for node in inner for v in node.outputs if v.name == name]
    assert found, f"%{name} is not in\n{print_graph(graph)}"
    return found[0]


def test_results_keep_their_numbers_and_gradients_are_called_after_what_they_are_of(stages: dict[str, Graph]) -> None:
    for stage, graph in stages.items():
        assert named(graph, "1").type == named(stages["traced"], "1").type, stage
    for stage in list(stages)[list(stages).index("autodiff") :]:
        for name in ("grad_0", "grad_w"):
            assert named(stages[stage], name).producer.phase == "backward"  # type: ignore[union-attr]
    assert "%grad_w: f32[4,3] = grad(%5, %w)" in print_graph(stages["traced"])


def test_the_last_op_of_an_expansion_has_the_name_of_the_composite(stages: dict[str, Graph]) -> None:
    text = print_graph(stages["expand"])
    assert "%1: f16[8,4] = cast(%relu_maximum) {to=f16}" in text
    assert "%layer_norm_mean: f32[8,1] = div(" in text
    assert "%x_f16: f16[8,3] = cast(%x) {to=f16}" in text
    assert re.search(r"%2: f32\[8,4\] = mul\(", text), "not a cast that changes nothing"


def test_kernels_read_and_make_values_under_their_names(stages: dict[str, Graph]) -> None:
    for node in stages["horizontal"].nodes:
        assert [v.name for v in node.inner.inputs()] == [v.name for v in node.inputs]
        assert [v.name for v in node.outputs] == [v.name for v in node.inner.outputs]


def test_a_name_is_of_one_value_and_the_texts_read_back(stages: dict[str, Graph]) -> None:
    for graph in stages.values():
        names = [v.name for node in graph.nodes for v in node.outputs] + [v.name for v in graph.inputs()]
        assert len(set(names)) == len(names) and all(names)
        text = print_graph(graph)
        assert structurally_equal(parse_graph(text), graph) and print_graph(parse_graph(text)) == text


def test_a_second_value_of_a_name_gets_a_number_and_inputs_never_do() -> None:
    graph = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = sin(%x)\n  return %0\n}\n")
    names = Names()
    names.settle(graph)
    twin, copy = (node.copy(node.inputs) for node in (graph.nodes[0], graph.nodes[0]))
    copy.output.name = "x"  # as a kernel that returns an input
    again = Graph("g", graph.params, [twin, *graph.nodes, copy], [], [twin.output])
    for _ in range(2):
        names.settle(again)
        assert [v.name for node in again.nodes for v in node.outputs] == ["0_1", "0", "x_1"]
        assert graph.params[0].value.name == "x"


def test_a_name_is_handed_to_what_is_new_only() -> None:
    graph = parse_graph("""\
graph @g {
  input  %x: f32[4]
  %0: f32[4] = sin(%x)
  %1: f32[4] = cast(%0) {to=f32}
  return %1
}
""")
    made, repeated = (node.output for node in graph.nodes)
    hand_on("y", repeated)
    assert (made.name, repeated.name) == ("0", "1"), "both have names"
    made.name = repeated.name = ""
    hand_on("y", repeated)
    assert (made.name, repeated.name) == ("y", ""), "the cast repeats what it reads"
