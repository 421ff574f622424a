"""Sums that a product's kernel makes of its own tiles."""

import pytest

import compiler.ops.all  # noqa: F401
from compiler.ir.op import o
from compiler.ir.types import bf16, f32
from tests.compiler.codegen.triton.test_kernels import check, lower, normal


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
