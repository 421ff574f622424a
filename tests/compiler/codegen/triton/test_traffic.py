"""The bytes that launches say they move: every element that is read or written, once a launch."""

import numpy as np

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton.module import emit
from compiler.ir.op import o
from compiler.plan import Plan
from genesis.nn import functional as F
from tests.compiler.codegen.triton.steps import gpt, lowered, record
from tests.compiler.codegen.triton.test_kernels import lower, normal


def moved(program: Plan) -> list[int]:
    return [launch.nbytes for launch in program.launches]


def test_a_product_reads_its_factors_and_its_epilogue_and_writes_its_result() -> None:
    graph = lower(lambda x, w, b: o.add(o.dot(x, w), b), [normal(8, 4), normal(4, 6), normal(6)])
    assert moved(emit(graph)) == [4 * (8 * 4 + 4 * 6 + 6 + 8 * 6)]


def test_a_table_is_read_where_it_is_looked_up() -> None:
    index = np.zeros(3, np.int64)
    graph = lower(lambda table, i: o.take(table, i), [normal(1000, 8), index])
    assert moved(emit(graph)) == [3 * 8 + 2 * 4 * 3 * 8]


def test_partial_sums_are_written_and_read_again() -> None:
    program = emit(lower(lambda x: o.sum(x, axes=(0, 1)), [normal(200, 500)]))
    first, second = program.launches
    partials = first.nbytes - 4 * 200 * 500
    assert partials % 4 == 0 and partials > 4
    assert second.nbytes == partials + 4


def test_parts_of_a_concatenation_are_written_once() -> None:
    def packed(x, y, z):
        return o.exp(o.concat(*(o.permute(o.dot(x, w), dims=(1, 0)) for w in (y, z)), axis=1))

    program = emit(lower(packed, [normal(3, 4), normal(4, 5), normal(4, 5)]))
    assert moved(program) == [4 * (12 + 2 * (20 + 15)), 4 * (30 + 30)], "both products read one factor"


def test_the_gradient_of_attention_does_not_read_its_result() -> None:
    """The product that makes the gradient of the result has added up both."""
    program = emit(lowered(record(*gpt(layers=1))[0]))
    (launch,) = (x for x in program.launches if x.kernel == "attention_gradients")
    packed, gradient, sums = 2 * 16 * 3 * 32, 2 * 16 * 32, 2 * 16 * 2
    partial = 2 * 3 * 32  # of the bias, a number of the batch each
    assert launch.nbytes == 2 * (2 * packed + gradient) + 4 * (2 * sums + partial)


def test_attention_reads_a_packed_projection_once() -> None:
    def attend(packed):
        return F.scaled_dot_product_attention(*packed.split(16, dim=2))

    (launch,) = emit(lowered(record(attend, [normal(2, 3, 48, 16)])[0])).launches
    assert launch.nbytes == 4 * 2 * 3 * 16 * (3 * 16 + 16 + 1)
