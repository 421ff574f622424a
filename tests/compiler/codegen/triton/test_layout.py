"""Copies that need no kernel, and launches that wait for each other."""

from typing import Any

import numpy as np

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.op import o
from compiler.ir.verify import verify
from compiler.layout import arrange
from tests.compiler.codegen.triton.test_kernels import check, lower, normal


def project(x: Any, y: Any, w: Any) -> Any:
    """Heads [2, 3, 4, 5] side by side, [8, 15], times a weight."""
    product = o.dot(x, y)
    return o.dot(o.reshape(o.permute(product, dims=(0, 2, 1, 3)), shape=(8, 15)), w)


FACTORS = normal(2, 3, 4, 6), normal(2, 3, 6, 5), normal(15, 7)


def test_a_product_is_stored_the_way_its_reader_wants_it(worker) -> None:
    graph = lower(project, list(FACTORS))
    arranged, windows = arrange(graph)
    assert [n.attrs["kind"] for n in graph.nodes] == ["contract", "pointwise", "contract"]
    assert [n.attrs["kind"] for n in arranged.nodes] == ["contract", "contract"]
    (window,) = windows.values()
    assert window.place.shape == (8, 15) and window.strides == (60, 5, 15, 1)
    assert len(check(worker, project, *FACTORS).launches) == 2


def test_the_same_copy_is_there_once(worker) -> None:
    def twice(x, y, w):
        product = o.dot(x, y)
        heads = product, o.reload(product)  # as the backward pass reads it
        first, second = (o.reshape(o.permute(h, dims=(0, 2, 1, 3)), shape=(8, 15)) for h in heads)
        return o.dot(first, w), o.dot(o.exp(w), second)

    assert len(check(worker, twice, *FACTORS[:2], normal(15, 8)).launches) == 4


def test_another_reader_reads_the_copy(worker) -> None:
    def both(x, y, w):
        product = o.dot(x, y)
        packed = o.reshape(o.permute(product, dims=(0, 2, 1, 3)), shape=(8, 15))
        return o.dot(packed, w), o.sum(o.mul(product, product), axes=(3,))

    graph = lower(both, list(FACTORS))
    arranged, _ = arrange(graph)
    assert len(arranged.nodes) == len(graph.nodes) - 1
    check(worker, both, *FACTORS)


def test_parts_of_a_concatenation_are_stored_in_place(worker) -> None:
    def packed(x, y, z):
        parts = (o.dot(x, y), o.dot(x, z))
        return o.exp(o.concat(*(o.permute(p, dims=(1, 0)) for p in parts), axis=1))

    arrays = normal(3, 4), normal(4, 5), normal(4, 5)
    program = check(worker, packed, *arrays)
    products, _ = program.launches
    assert sorted(products.arguments[i].offset for i in (2, 5)) == [0, 12]


def test_a_row_and_a_column_are_stored_in_place(worker) -> None:
    def packed(x, y, z):
        row, column = o.dot(y, x), o.dot(x, z)
        return o.exp(o.concat(row, o.permute(column, dims=(1, 0)), axis=0))

    program = check(worker, packed, normal(4, 4), normal(1, 4), normal(4, 1))
    assert not any("concat" in x.ops for x in program.launches)


def test_results_of_the_step_keep_a_copy_of_their_own(worker) -> None:
    def result(x, y):
        product = o.dot(x, y)
        return product, o.permute(product, dims=(1, 0))

    check(worker, result, normal(3, 4), normal(4, 5))


def test_the_graph_given_stays_as_it_was() -> None:
    graph = lower(project, list(FACTORS))
    before, _ = interpret(graph, FACTORS)
    emit(graph)
    verify(graph)
    np.testing.assert_array_equal(interpret(graph, FACTORS)[0][0], before[0])


def test_shared_launches_keep_results_before_their_readers(worker) -> None:
    """Three sums that share a launch, and a fourth that needs them."""

    def chain(x, y, z):
        first = [o.sum(o.mul(v, v), axes=(0,)) for v in (x, y, z)]
        scaled = o.div(x, first[0])
        return (*first, scaled, o.sum(o.mul(scaled, scaled), axes=(0,)))

    program = check(worker, chain, normal(5000), normal(16), normal(9000))
    sums = [x for x in program.launches if x.kernel.startswith("sum_mul")]
    assert [x.grid[0] for x in sums] != [] and len(sums) <= 3
