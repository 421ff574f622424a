"""Ops that Triton has never seen, from their records, a spelling and samples alone."""

import numpy as np
import pytest

from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from runtime.triton.interpreter import run_program
from tests.compiler.newcomers import family as family
from tests.compiler.newcomers import newcomers, together
from tests.samples import Sample, arguments, assert_same, sample_graph, with_gradient

pytestmark = pytest.mark.usefixtures("family")


def check(worker, graph: Graph, arrays: list[np.ndarray]) -> None:
    expected, _ = interpret(autodiff(graph), arrays)
    program = emit(Stages(graph).run(lowering(FEATURES)))
    for result, reference in zip(worker.submit(run_program, program, arrays).result(), expected, strict=True):
        assert_same(result, reference, 2e-6, 1e-6, program.source)


@pytest.mark.parametrize("sample", newcomers(), ids=lambda s: s.id)
def test_alone(worker, sample: Sample) -> None:
    graph = with_gradient(sample_graph(sample))
    check(worker, graph, arguments(sample, graph))


def test_together(worker) -> None:
    check(worker, *together())
