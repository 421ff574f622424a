"""Ops that C has never seen, from their records, a spelling and samples alone."""

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.newcomers import family as family
from tests.compiler.newcomers import newcomers, together
from tests.samples import Sample, arguments, assert_same, sample_graph, with_gradient

pytestmark = pytest.mark.usefixtures("family")


def check(graph: Graph, arrays: list[np.ndarray]) -> None:
    expected, _ = interpret(autodiff(graph), arrays)
    plan = unit.emit(Stages(graph).run(lowering(unit.FEATURES)), native())
    results, status = run(plan, arrays, threads=2)
    assert status == [0, 0, 0, 0]
    for result, reference in zip(results[len(arrays) :], expected, strict=True):
        assert_same(result, reference, 2e-6, 1e-6, plan.source)


@pytest.mark.parametrize("sample", newcomers(), ids=lambda s: s.id)
def test_alone(sample: Sample) -> None:
    graph = with_gradient(sample_graph(sample))
    check(graph, arguments(sample, graph))


def test_together() -> None:
    check(*together())
