"""Diffs of stages: what stays keeps its name, so the diff shows what a pass did and nothing else."""

import re

from compiler.passes.autocast import autocast
from compiler.passes.cse import cse
from compiler.pipeline import PASSES, Stages
from compiler.text.diff import diff_graphs, diff_texts
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph

STEP = """\
graph @step {
  input  %x: f32[8,3]
  state  %w: f32[4,3]              "w"
  state  %v: f32[5,4]              "v"
  %0: bf16[8,4] = linear(%x, %w) {autocast=bf16}              # a.py:1
  %1: bf16[8,4] = relu(%0)                                    # a.py:2
  %2: bf16[8,5] = linear(%1, %v) {autocast=bf16}              # a.py:3
  return %2
}
"""


def changes(diff: str) -> list[str]:
    return [re.sub(" +", " ", line).strip() for line in diff.splitlines()[2:] if line[0] in "+-"]


def test_new_ops_do_not_rename_what_follows() -> None:
    graph = parse_graph(STEP)
    assert changes(diff_graphs(graph, autocast(graph))) == [
        "- %0: bf16[8,4] = linear(%x, %w) {autocast=bf16} # a.py:1",
        "+ %3: bf16[8,3] = cast(%x) {to=bf16} # a.py:1 [autocast]",
        "+ %4: bf16[4,3] = cast(%w) {to=bf16} # a.py:1 [autocast]",
        "+ %0: bf16[8,4] = linear(%3, %4) # a.py:1",
        "- %2: bf16[8,5] = linear(%1, %v) {autocast=bf16} # a.py:3",
        "+ %5: bf16[5,4] = cast(%v) {to=bf16} # a.py:3 [autocast]",
        "+ %2: bf16[8,5] = linear(%1, %5) # a.py:3",
    ]


def test_an_op_that_is_gone_leaves_the_names_of_the_others() -> None:
    graph = parse_graph("""\
graph @step {
  input  %x: f32[4]
  %0: f32[4] = sin(%x)
  %1: f32[4] = sin(%x)
  %2: f32[4] = cos(%1)
  %3: f32[4] = mul(%0, %2)
  return %3
}
""")
    assert changes(diff_graphs(graph, cse(graph))) == [
        "- %1: f32[4] = sin(%x)",
        "- %2: f32[4] = cos(%1)",
        "+ %2: f32[4] = cos(%0)",
    ]


def test_the_same_graph_has_no_difference() -> None:
    assert diff_graphs(parse_graph(STEP), parse_graph(STEP)) == ""


def test_a_name_that_two_graphs_give_to_different_values_is_not_kept() -> None:
    first = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = sin(%x)\n  return %0\n}\n")
    second = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = cos(%x)\n  return %0\n}\n")
    assert "+ %1: f32[4] = cos(%x)" in changes(diff_graphs(first, second))


def test_files_of_two_stages_differ_as_the_stages_do() -> None:
    stages = Stages(parse_graph(STEP))
    stages.run([(name, PASSES[name]) for name in ("autocast", "expand")])
    texts = [print_graph(stages.graphs[name]) for name in ("autocast", "expand")]
    found = diff_graphs(*map(parse_graph, texts), ("a", "b"))
    assert found == diff_texts(*texts, ("a", "b"))
    assert "+ %1: bf16[8,4] = cast(%relu_maximum) {to=bf16} # a.py:2 [relu]" in changes(found)
