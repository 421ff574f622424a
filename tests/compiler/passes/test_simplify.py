"""Local rewrites that leave every rounding as it was."""

from collections.abc import Callable

import pytest
from hypothesis import given

from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import dead_code
from compiler.passes.expand import expand
from compiler.passes.simplify import simplify
from tests.compiler.passes.graphs import (
    assert_same_meaning,
    before_and_after,
    draw_inputs,
    ops,
    programs,
    read,
    with_gradients,
)


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: f32[8,4]
      %one: f32[] = constant() {value=1.0, dtype=f32}
      %0: f32[8,4] = cast(%x) {to=f32}               # train.py:3
      %1: f32[32] = reshape(%0) {shape=[32]}         # train.py:4
      %2: f32[4,8] = reshape(%1) {shape=[4,8]}       # train.py:4
      %3: f32[4,8] = mul(%2, %one)                   # train.py:5
      return %3
    """)
    golden("passes/simplify.gir", before_and_after(before, "simplify", simplify(before)))


RULES = {
    "cast to the same type": ("%0: f32[2,3] = cast(%x) {to=f32}", []),
    "cast there and back": ("%a: f64[2,3] = cast(%x) {to=f64}\n%0: f32[2,3] = cast(%a) {to=f32}", []),
    "narrow cast stays": (
        "%a: f16[2,3] = cast(%x) {to=f16}\n%0: f32[2,3] = cast(%a) {to=f32}",
        ["cast", "cast"],
    ),
    "reshape to itself": ("%0: f32[2,3] = reshape(%x) {shape=[2,3]}", []),
    "permute to itself": ("%0: f32[2,3] = permute(%x) {dims=[0,1]}", []),
    "permute twice": (
        "%a: f32[3,2] = permute(%x) {dims=[1,0]}\n%0: f32[2,3] = permute(%a) {dims=[1,0]}",
        [],
    ),
    "permute of a one": (
        "%a: f32[1,2,3] = reshape(%x) {shape=[1,2,3]}\n%0: f32[2,1,3] = permute(%a) {dims=[1,0,2]}",
        ["reshape"],
    ),
    "expand twice": (
        "%a: f32[1,2,3] = expand(%x) {shape=[1,2,3]}\n%0: f32[4,2,3] = expand(%a) {shape=[4,2,3]}",
        ["expand"],
    ),
    "whole slice": ("%0: f32[2,3] = slice(%x) {start=[0,0], stop=[2,3], step=[1,1]}", []),
    "backward slice stays": ("%0: f32[2,3] = slice(%x) {start=[1,0], stop=[-1,3], step=[-1,1]}", ["slice"]),
    "detach": ("%0: f32[2,3] = detach(%x)", []),
    "times one": ("%a: f32[] = constant() {value=1.0, dtype=f32}\n%0: f32[2,3] = mul(%a, %x)", []),
    "plus zero": ("%a: f32[] = constant() {value=0, dtype=f32}\n%0: f32[2,3] = add(%x, %a)", []),
    "zero minus stays": (
        "%a: f32[] = constant() {value=0, dtype=f32}\n%0: f32[2,3] = sub(%a, %x)",
        ["constant", "sub"],
    ),
    "times one that broadcasts stays": (
        "%a: f32[2,3] = expand(%o) {shape=[2,3]}\n%b: f32[] = sum(%x) {axes=[0,1]}\n%0: f32[2,3] = mul(%a, %b)",
        ["constant", "expand", "sum", "mul"],
    ),
    "square": ("%a: f32[] = constant() {value=2, dtype=f32}\n%0: f32[2,3] = pow(%x, %a)", ["mul"]),
    "spread constant": (
        "%a: f32[] = constant() {value=3.0, dtype=f32}\n%b: f32[2,3] = expand(%a) {shape=[2,3]}\n"
        "%0: f32[2,3] = mul(%x, %b)",
        ["constant", "mul"],
    ),
    "arithmetic on constants": (
        "%a: f32[] = constant() {value=3.0, dtype=f32}\n%b: f32[] = exp(%a)\n%0: f32[2,3] = mul(%x, %b)",
        ["constant", "mul"],
    ),
    "sum over nothing": ("%0: f32[2,3] = sum(%x) {axes=[]}", []),
    "maximum of ones": (
        "%a: f32[2,1,3] = reshape(%x) {shape=[2,1,3]}\n%0: f32[2,3] = amax(%a) {axes=[1]}",
        [],
    ),
    "gradients of slices that tile": (
        "%a: f32[2,3] = zeros() {shape=[2,3], dtype=f32}\n"
        "%z: f32[] = constant() {value=0, dtype=f32}\n"
        "%e: f32[2,3] = expand(%z) {shape=[2,3]}\n"
        "%l: f32[2,1] = slice(%x) {start=[0,0], stop=[2,1], step=[1,1]}\n"
        "%r: f32[2,2] = slice(%x) {start=[0,1], stop=[2,3], step=[1,1]}\n"
        "%m: f32[2,1] = exp(%l)\n%n: f32[2,2] = exp(%r)\n"
        "%p: f32[2,3] = slice_scatter(%e, %m) {start=[0,0], stop=[2,1], step=[1,1]}\n"
        "%q: f32[2,3] = slice_scatter(%e, %n) {start=[0,1], stop=[2,3], step=[1,1]}\n"
        "%0: f32[2,3] = add(%q, %p)",
        ["slice", "slice", "exp", "exp", "concat"],
    ),
}


@pytest.mark.parametrize(("body", "left"), RULES.values(), ids=RULES)
def test_rules(body: str, left: list[str]) -> None:
    before = ["constant"] if "%o)" in body else []
    one = "%o: f32[] = constant() {value=1.0, dtype=f32}\n" if before else ""
    graph = read(f"input %x: f32[2,3]\n{one}{body}\nreturn %0")
    after = dead_code(simplify(graph))
    assert ops(after) == left
    assert_same_meaning(graph, after, draw_inputs(graph))


@given(programs(products=False))
def test_programs_keep_their_meaning(graph: Graph) -> None:
    """Bit for bit; without products, whose order of sums BLAS chooses by the strides of a view."""
    assert_same_meaning(graph, simplify(graph), draw_inputs(graph))


@given(programs(products=False))
def test_gradients_of_programs_keep_their_meaning(graph: Graph) -> None:
    before = expand(autodiff(with_gradients(graph)))
    assert_same_meaning(before, simplify(before), draw_inputs(graph))
