"""Names, literals and helper functions of generated C: no name hides another, none is missing."""

import re

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.codegen.c.spelling import literal
from compiler.interpret import interpret
from compiler.ir.types import DType, bf16, boolean, f16, f32, f64, i8, i32, i64, u8
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.passes.graphs import draw_inputs, read


def assert_compiles_to_the_same(text: str) -> None:
    """Every output equals the interpreter's, to the last bit, on 16 and 32-bit floats of few digits."""
    graph = read(text)
    plan = unit.emit(Stages(graph).run(lowering(unit.FEATURES)), native())
    given = [np.round(x) for x in draw_inputs(graph)]
    results, _ = run(plan, given)
    for got, want in zip(results[len(given) :], interpret(graph, given)[0], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("columns", [64, 256, 1024])
def test_partial_sums_of_a_product_hide_no_name_of_its_kernel(columns: int) -> None:
    assert_compiles_to_the_same(f"""
      input %x: f32[64,8]
      input %w: f32[8,{columns}]
      input %y: f32[64,{columns}]
      %0: f32[64,{columns}] = dot(%x, %w)
      %1: f32[64,{columns}] = sub(%0, %y)
      %2: f32[] = sum(%1) {{axes=[0,1]}}
      return %2, %1
    """)


def source(text: str) -> str:
    """The C of a graph."""
    return unit.emit(Stages(read(text)).run(lowering(unit.FEATURES)), native()).source


def test_kernels_and_operands_bear_the_names_of_the_user() -> None:
    text = source("""
      input %x: f32[4,8]
      state %weight: f32[8] "blocks.0.norm.weight"
      state %bias: f32[8] "blocks.0.norm.bias"
      %0: f32[4,8], %1: f32[4,1], %2: f32[4,1] = layer_norm(%x, %weight, %bias) {ndim=1}
      return %0
    """)
    assert re.search(
        r"KERNEL void k0_layer_norm\([^)]*const float \*restrict x,\s+const float \*restrict weight,\s+"
        r"const float \*restrict bias,\s+float \*restrict layer_norm\)",
        text,
    ), text


def test_results_bear_the_names_of_composites_and_statistics_of_their_ops() -> None:
    text = source("""
      input %x: f32[64,128]
      state %weight: f32[128]
      state %bias: f32[128]
      state %other: f32[128,128]
      %0: f32[64,128], %1: f32[64,1], %2: f32[64,1] = layer_norm(%x, %weight, %bias) {ndim=1}
      %3: f32[64,128] = dot(%0, %other)
      %4: f32[64,128] = mul(%3, %2)
      return %4, %1
    """)
    (norm,) = re.findall(r"KERNEL void k\d+_layer_norm\([^)]*\)", text)
    assert re.findall(r"\w+(?=[,)])", norm)[-3:] == ["layer_norm_mean", "layer_norm_rsqrt", "layer_norm"]
    (product,) = re.findall(r"KERNEL void k\d+_dot\([^)]*\)", text)
    assert "layer_norm_rsqrt" in product


def test_totals_bear_the_names_of_what_they_become() -> None:
    text = source("""
      input %x: f32[64,100]
      input %labels: i64[64]
      %0: f32[], %2: f32[64,1] = cross_entropy(%x, %labels)
      %1: f32[100] = sum(%x) {axes=[0]}
      return %0, %1
    """)
    assert re.search(r"^  float (cross_entropy_sum) = 0.0f;$", text, re.M)
    assert "cross_entropy_sum_parts[chunk] = cross_entropy_sum;" in text
    assert not re.search(r"\bpart0\b|\bm\d+\b", text)
    assert re.search(r"float sum(\d+) = 0.0f;\n#pragma omp simd reduction\(\+:sum\1\)", text)


def test_elements_of_one_operand_are_told_apart() -> None:
    text = source("""
      input %x: f32[64,64]
      %0: f32[64,32] = slice(%x) {start=[0, 0], stop=[64, 32], step=[1, 1]}
      %1: f32[64,32] = slice(%x) {start=[0, 32], stop=[64, 64], step=[1, 1]}
      %2: f32[64,32] = mul(%0, %0)
      %3: f32[64,32] = mul(%1, %1)
      %4: f32[64,32] = add(%2, %3)
      return %4
    """)
    assert "o0[r * 32 + c] = x_rc * x_rc + x_rc_2 * x_rc_2;" in text, text


def test_two_operands_of_one_name_are_told_apart() -> None:
    text = source("""
      state %a: f32[8] "first.weight"
      state %b: f32[8] "second.weight"
      %0: f32[8] = add(%a, %b)
      return %0
    """)
    assert "o0[i] = weight[i] + second_weight[i];" in text


def test_no_name_of_the_user_means_something_else_in_c() -> None:
    """Words of C, macros, names that the kernel uses itself, and names that folding takes for its own."""
    assert_compiles_to_the_same("""
      input %double: f32[64,3]
      input %NAN: f32[64,3]
      input %t1: f32[64,3]
      input %r: f32[64,3]
      input %c: f32[64,3]
      input %unix: f32[64,1]
      input %step: f32[64,1]
      input %gen_expf: f32[3]
      %0: f32[64,3] = add(%double, %NAN)
      %1: f32[64,3] = mul(%t1, %r)
      %2: f32[64,3] = add(%0, %1)
      %3: f32[64,3] = add(%2, %c)
      %4: f32[64,3] = add(%3, %unix)
      %5: f32[64,3] = maximum(%4, %step)
      %6: f32[64,3] = add(%5, %gen_expf)
      return %6
    """)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("op", ["sum", "amax", "amin", "prod"])
@pytest.mark.parametrize("axes", ["0", "1", "0,1"])
def test_a_reduction_of_16_bits_is_a_whole_program(dtype: str, op: str, axes: str) -> None:
    kept = {"0": "4", "1": "3", "0,1": ""}[axes]
    assert_compiles_to_the_same(f"""
      input %x: {dtype}[3,4]
      %0: {dtype}[{kept}] = {op}(%x) {{axes=[{axes}]}}
      return %0
    """)


def test_numbers_of_any_sign_can_be_negated() -> None:
    """As in -0.5 * sum(1 - ...), whose gradient negates -0.5."""
    assert_compiles_to_the_same("""
      input %x: f32[4]
      input %i: i32[4]
      input %l: i64[4]
      %a: f32[] = constant() {value=-0.5, dtype=f32}
      %b: f32[] = neg(%a)
      %c: f32[4] = mul(%x, %b)
      %d: f32[] = constant() {value=-inf, dtype=f32}
      %e: f32[] = neg(%d)
      %f: f32[4] = add(%x, %e)
      %g: i32[] = constant() {value=-2147483648, dtype=i32}
      %h: i32[] = neg(%g)
      %j: i32[4] = add(%i, %h)
      %k: i64[] = constant() {value=-9223372036854775808, dtype=i64}
      %m: i64[] = abs(%k)
      %n: i64[4] = sub(%l, %m)
      %o: i32[4] = sub(%i, %g)
      return %c, %f, %j, %n, %o
    """)


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (-0.0, f32, "-0.0f"),
        (1e300, f32, "INFINITY"),
        (-1e300, f16, "-INFINITY"),
        (float("nan"), f64, "NAN"),
        (3.14159, bf16, "3.140625f"),
        (0.1, f64, "0.1"),
        (True, boolean, "1"),
        (-(2**63), i64, "INT64_MIN"),
        (2**40, i64, f"INT64_C({2**40})"),
        (-(2**31), i32, "INT32_MIN"),
        (-128, i8, "-128"),
        (255, u8, "255"),
    ],
)
def test_literals(value: float, dtype: DType, text: str) -> None:
    assert literal(value, dtype) == text
