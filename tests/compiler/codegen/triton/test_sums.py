"""Sums that a product's kernel makes of its own tiles."""

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import o
from compiler.ir.types import TensorType, bf16, f32
from runtime.triton.interpreter import run_program
from tests.compiler.codegen.triton.test_kernels import check, lower, normal
from tests.compiler.codegen.triton.test_large import kernels, row_products


def biased(x, w, b):
    """A gradient as a layer makes it: the gradient of a bias, and what a norm adds up."""
    y = o.mul(o.dot(x, w), b)
    return y, o.sum(y, axes=(0,)), o.sum(o.mul(y, y), axes=(0, 1))


SIZES = {
    "one tile": (64, 16, 16),
    "ragged": (70, 9, 19),
    "many rows": (300, 40, 33),
    "many of both": (1000, 20, 200),
}


@pytest.mark.parametrize("name", SIZES)
def test_columns_and_everything(worker, name: str) -> None:
    m, k, n = SIZES[name]
    program = check(worker, biased, normal(m, k), normal(k, n), normal(n))
    names = [x.kernel.partition("_")[0] for x in program.launches]
    assert names.count("dot") == 1 and set(names) <= {"dot", "combine"}, "nothing is read again"


@pytest.mark.parametrize("found", [False, True])
def test_whether_any_element_is_true(worker, found: bool) -> None:
    """Beyond the edge a tile has elements that are."""

    def positive(x, w):
        y = o.add(o.dot(x, w), 1.0)
        return y, o.any(o.gt(y, 0.5), axes=(0, 1))

    x = -np.ones((70, 9), np.float32)
    x[-1] *= -1 if found else 1
    program = check(worker, positive, x, np.ones((9, 19), np.float32))
    assert {x.kernel.partition("_")[0] for x in program.launches} == {"dot", "combine"}


def test_sums_of_a_product_whose_tiles_are_shared(worker) -> None:
    program = check(worker, biased, normal(70, 1500) / 40, normal(1500, 19), normal(19))
    (first, *_) = program.launches
    assert first.grid[2] > 1


def test_programs_count_where_no_constants_are() -> None:
    """The number of the draw is zero, too, and is read while the programs count."""

    def dropped(x, w, seed, offset):
        y = o.dot(x, w)
        keep = o.ge(o.uniform(seed, offset, shape=y.shape, index=0), 0.5)
        return o.where(keep, y, 0.0)

    program = emit(lower(dropped, [normal(16, 1500), normal(1500, 16), np.int64(3), np.int64(1)]))
    (launch,) = (x for x in program.launches if x.grid[2] > 1)
    assert program.tables == ((0,), (0,))
    assert len(set(launch.arguments)) == len(launch.arguments)


def test_products_of_a_batch_are_added_up_together(worker) -> None:
    def batched(x, y):
        z = o.exp(o.dot(x, y))
        return z, o.sum(z, axes=(0, 1)), o.sum(z, axes=(0, 1, 2))

    check(worker, batched, normal(3, 70, 8), normal(3, 8, 20))


def test_a_rounded_result_is_added_up_as_it_is_stored(worker) -> None:
    def rounded(x, w):
        y = o.cast(o.dot(o.cast(x, to=bf16), o.cast(w, to=bf16)), to=bf16)
        return y, o.sum(o.cast(y, to=f32), axes=(0,))

    check(worker, rounded, normal(100, 30), normal(30, 17))


def test_a_sum_of_columns_of_few_rows_is_a_kernel_of_its_own() -> None:
    graph = lower(biased, [normal(8, 4), normal(4, 16), normal(16)])
    assert [n.attrs["kind"] for n in graph.nodes] == ["contract", "column"]


@pytest.mark.parametrize("rows, heads, size", [(70, 3, 16), (200, 6, 64), (20, 2, 128)])
def test_heads_of_a_product(worker, rows: int, heads: int, size: int) -> None:
    """As attention's gradient wants them of the gradient of its result."""

    def by_head(x, w, y):
        z = o.dot(x, w)
        return z, o.sum(o.mul(o.reshape(z, shape=(rows, heads, size)), y), axes=(2,), keepdim=True)

    program = check(worker, by_head, normal(rows, 30), normal(30, heads * size), normal(rows, heads, size))
    assert [x.kernel for x in program.launches] == ["dot_mul"]


@pytest.mark.parametrize("size", [24, 48])
def test_other_parts_of_rows_are_added_up_by_a_kernel_of_their_own(size: int) -> None:
    def by_part(x, w):
        return o.sum(o.reshape(o.dot(x, w), shape=(70, 48 // size, size)), axes=(2,))

    graph = lower(by_part, [normal(70, 30), normal(30, 48)])
    assert [n.attrs["kind"] for n in graph.nodes] == ["contract", "row"]


@pytest.mark.parametrize("dtype", [f32, bf16])
@pytest.mark.parametrize("time, size", [(20, 16), (150, 24)])
def test_attention_adds_up_the_rows_of_the_gradients_that_it_packs(worker, dtype, time: int, size: int) -> None:
    """As for the bias of a projection to queries, keys and values."""
    graph = Graph("packed")
    q, k, v, g = (graph.add_param(TensorType(dtype, (3, 2, time, size)), "input", "", name) for name in "qkvg")
    with using(GraphBuilder()) as builder:
        y, sums = o.scaled_dot_product_attention(q, k, v, causal=True)
        parts = o.attention_backward(q, k, v, row_products(y, g), sums, g, causal=True)
        rows = [o.reshape(o.permute(x, dims=(0, 2, 1, 3)), shape=(3, time, 2 * size)) for x in parts]
        packed = o.reshape(o.concat(*rows, axis=2), shape=(3 * time, 6 * size))
        graph.outputs = [o.exp(packed), o.sum(o.cast(packed, to=f32), axes=(0,))]
    graph.nodes = builder.nodes
    arrays = [normal(3, 2, time, size).astype(dtype.numpy) for _ in range(4)]
    program = emit(kernels(graph))
    first, _, gradients, rest = (x.kernel for x in program.launches)
    assert (first, gradients) == ("attention", "attention_gradients") and "combine_sum_f32_columns" in rest
    results = worker.submit(run_program, program, arrays).result()
    for got, want in zip(results, interpret(graph, arrays)[0], strict=True):
        bound = 1e-4 if dtype is f32 else 0.1
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), bound, bound)
