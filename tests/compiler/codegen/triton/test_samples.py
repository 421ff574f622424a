"""Every op on its samples, forward and backward: what the Triton interpreter computes is what the records say."""

import numpy as np
import pytest

from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from runtime.triton.interpreter import run_program
from tests.compiler.codegen.c.drawn import Draw, arrays_for
from tests.samples import arguments, assert_same, op_names, sample_graph, samples_of, with_gradient

# Sums in another order, and one unit in the last place of a 16-bit result that another sum can tip over.
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-9}

OPS = op_names()


@pytest.mark.parametrize("op", OPS)
def test_samples(worker, op: str) -> None:
    for sample in samples_of(op):
        graph = with_gradient(sample_graph(sample))
        check(worker, graph, arguments(sample, graph), sample.id)


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(worker, seed: int) -> None:
    graph = Draw(seed, 12, halves=seed % 3 == 0).graph
    check(worker, graph, arrays_for(graph, seed), f"seed {seed}")


def check(worker, graph: Graph, arrays: list[np.ndarray], name: str) -> None:
    expected, _ = interpret(autodiff(graph), arrays)
    program = emit(Stages(graph).run(lowering(FEATURES)))
    results = worker.submit(run_program, program, arrays).result()
    for result, reference in zip(results, expected, strict=True):
        tolerance = TOLERANCE.get(reference.dtype.name, 0)
        assert_same(result, reference, tolerance, tolerance, why=f"{name}\n{program.source}")


def test_an_index_out_of_range_names_the_first(worker) -> None:
    sample = samples_of("embedding")[0]
    arrays = [x.copy() for x in sample.arrays]
    index = arrays[1].reshape(-1)
    index[-1], index[0] = 10**6, -3
    program = emit(Stages(sample_graph(sample)).run(lowering(FEATURES)))
    with pytest.raises(IndexError, match=r"embedding index -3 is out of range \[0, \d+\) \(element 0\)"):
        worker.submit(run_program, program, arrays).result()
    assert np.array_equal(arrays[0], sample.arrays[0])
