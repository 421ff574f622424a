"""Products that are computed twice instead of being stored."""

from collections.abc import Callable

import pytest
from hypothesis import given

from compiler.ir.graph import Graph
from compiler.passes.repeat_products import repeat_products
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, programs, read

RATES = {"f32": 10.0, "bf16": 100.0}


def norm(readers: str, k: int = 2, dtype: str = "f32") -> Graph:
    """A product of ``k`` rows and the square of its norm; ``readers`` come behind it."""
    return read(f"""
      state  %w: f32[8,9]
      input  %g: {dtype}[8,{k}]
      input  %x: {dtype}[{k},9]
      %0: {dtype}[8,9] = backward dot(%g, %x)            # train.py:3
      %1: f32[8,9] = backward cast(%0) {{to=f32}}
      %2: f32[8,9] = mul(%1, %1)                          # train.py:4
      %3: f32[] = sum(%2) {{axes=[0,1]}}                  # train.py:4
      %4: f32[] = rsqrt(%3)                               # train.py:4
      {readers}
    """)


CLIPPED = "%5: f32[8,9] = mul(%1, %4)\n%6: f32[8,9] = sub(%w, %5)\nupdate %w = %6"


def products(graph: Graph) -> int:
    return ops(graph).count("dot")


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = norm(CLIPPED, dtype="bf16")
    golden("passes/repeat_products.gir", before_and_after(before, "repeat_products", repeat_products(before, RATES)))


@pytest.mark.parametrize(
    ("k", "dtype", "times"),
    [
        (2, "f32", 2),
        (8, "f32", 1),  # the factors take more than the product
        (2, "bf16", 2),
        (2, "f16", 1),  # there is no rate for it
    ],
)
def test_a_product_is_repeated_where_it_pays(k: int, dtype: str, times: int) -> None:
    before = norm(CLIPPED, k, dtype)
    after = repeat_products(before, RATES)
    assert products(after) == times
    assert_same_meaning(before, after, draw_inputs(before))


def test_operations_count() -> None:
    """Those of a product of 2 rows, 4 an element, take as long as 8 bytes if a byte is half an operation."""
    assert products(repeat_products(norm(CLIPPED), {"f32": 0.5})) == 1


@pytest.mark.parametrize(
    "readers",
    [
        "return %3",
        "%5: f32[8,9] = mul(%1, %1)\nupdate %w = %5\nreturn %4",
        f"{CLIPPED}\nreturn %1",
        "%5: f32[8,9] = mul(%1, %4)\n%6: f32[8] = sum(%1) {axes=[1]}\nreturn %5, %6",
        "%5: f32[9,8] = permute(%1) {dims=[1,0]}\n%6: f32[9,8] = mul(%5, %4)\nreturn %6",
        "%5: f32[8,9] = mul(%1, %4)\n%6: f32[8,8] = dot(%1, %y)\nreturn %5, %6",
    ],
    ids=["nobody waits", "nobody waits for the sum", "a result", "a sum of rows", "elsewhere", "a factor"],
)
def test_a_product_that_is_stored_anyway_is_not_repeated(readers: str) -> None:
    before = norm(readers if "%y" not in readers else f"%y: f32[9,8] = permute(%w) {{dims=[1,0]}}\n{readers}")
    assert repeat_products(before, RATES) is before


def test_one_check_decides_about_an_update_computed_before_it() -> None:
    """Without a norm: momentum is computed from the gradient in any case, and thrown away if that is infinite."""
    before = read("""
      state %m: f32[8,9]
      input %g: f32[8,2]
      input %x: f32[2,9]
      scalar %beta: f64[]
      %0: f32[8,9] = dot(%g, %x)
      %1: bool[8,9] = isfinite(%0)
      %2: bool[8,9] = logical_not(%1)
      %3: bool[] = any(%2) {axes=[0,1]}
      %4: f32[] = cast(%beta) {to=f32}
      %5: f32[8,9] = mul(%m, %4)
      %6: f32[8,9] = add(%5, %0)
      %7: f32[8,9] = where(%3, %m, %6)
      update %m = %7
    """)
    after = repeat_products(before, RATES)
    assert [n.op.name for n in after.nodes if n.phase == "recomputed"] == ["dot", "add"]
    assert ops(after).count("add") == 1, "what nobody reads is gone"
    assert_same_meaning(before, after, draw_inputs(before))


def test_products_that_are_added_are_stored() -> None:
    """A kernel computes one product: it would read the other one from memory."""
    before = read("""
      input %a: f32[8,2]
      input %b: f32[2,9]
      %0: f32[8,9] = dot(%a, %b)
      %1: f32[8,9] = exp(%0)
      %2: f32[2,9] = neg(%b)
      %3: f32[8,9] = dot(%a, %2)
      %4: f32[8,9] = add(%1, %3)
      %5: f32[] = sum(%4) {axes=[0,1]}
      %6: f32[8,9] = mul(%4, %5)
      return %6
    """)
    assert repeat_products(before, RATES) is before


def test_without_rates_nothing_changes() -> None:
    before = norm(CLIPPED)
    assert repeat_products(before) is before


@given(programs())
def test_programs_keep_their_meaning(graph: Graph) -> None:
    assert_same_meaning(graph, repeat_products(graph, {"f32": 1e9, "bf16": 1e9, "f16": 1e9}), draw_inputs(graph))
