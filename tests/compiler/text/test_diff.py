"""Diffs of stages: what stays keeps its name, so the diff shows what a pass did and nothing else."""

import re

from compiler.passes.autocast import autocast
from compiler.passes.cse import cse
from compiler.text.diff import diff_graphs, stage_texts
from compiler.text.parser import parse_graph

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


def test_a_name_is_not_used_again_in_a_later_stage() -> None:
    first = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = sin(%x)\n  return %0\n}\n")
    second = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = cos(%x)\n  return %0\n}\n")
    third = parse_graph("graph @g {\n  input  %x: f32[4]\n  %0: f32[4] = exp(%x)\n  return %0\n}\n")
    assert [re.findall("%([0-9]+):", text) for text in stage_texts([first, second, third])] == [["0"], ["1"], ["2"]]


def test_texts_with_these_names_read_back() -> None:
    graph = parse_graph(STEP)
    for text in stage_texts([graph, autocast(graph)]):
        parse_graph(text)
