"""Memory of temporaries: what a kernel overwrites, and what it must not."""

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.types import dtype
from compiler.passes.fuse import fuse
from compiler.placement import Placement
from compiler.sharing import runs
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.passes.graphs import read


def products(reader: str, later: str, kind: str = "f32") -> Graph:
    """Three products; the second one's epilogue reads %0, and what makes its result from that is ``reader``."""
    text = f"""
      input %x: f32[8,8]
      input %v: f32[8,8]
      input %w: f32[8,8]
      %0: f32[8,8] = dot(%x, %v)
      %1: f32[8,8] = sin(%0)
      %2: f32[8,8] = dot(%1, %w)
      {reader}
      %4: f32[8,8] = dot(%3, %v)
      %5: f32[8,8] = mul(%4, {later})
      return %5
    """
    return read(text.replace("f32", kind))


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize(
    "reader, later, overwritten",
    [
        ("%3: f32[8,8] = mul(%2, %0)", "%x", True),
        ("%3: f32[8,8] = mul(%2, %0)", "%0", False),
        ("%t: f32[8,8] = permute(%0) {dims=[1,0]}\n%3: f32[8,8] = mul(%2, %t)", "%x", False),
    ],
    ids=["its last reader", "read again later", "read at another place"],
)
def test_a_result_stands_where_an_operand_was_that_nobody_needs(
    kind: str, reader: str, later: str, overwritten: bool
) -> None:
    graph = products(reader, later, kind)
    fused = fuse(graph)
    assert [n.attrs["kind"] for n in fused.nodes] == ["contract"] * 3
    placement = Placement(fused, runs(fused))
    first, second = fused.nodes[0].outputs, fused.nodes[1].outputs
    places = {placement.places[v] for v in first}
    assert (placement.places[second[-1]] in places) is overwritten
    given = [np.random.default_rng(i).normal(size=(8, 8)).astype(dtype(kind).numpy) for i in range(3)]
    results, _ = run(unit.emit(fused, native()), given, threads=2)
    np.testing.assert_allclose(results[-1], interpret(graph, given)[0][0], rtol=1e-4, atol=1e-4)
