from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph
from compiler.ir.op import o
from compiler.ir.types import TensorType, f32, i64
from compiler.tape import Tape
from genesis.eager.blocks import BLOCK, block_of, in_blocks

SHAPE = 3, 4000


def recorded(function: Callable[..., Any], *types: TensorType) -> Tape:
    graph = Graph("g")
    operands = [graph.add_param(t, "input", "", f"x{i}") for i, t in enumerate(types)]
    with using(GraphBuilder()) as builder:
        graph.outputs = list(function(*operands))
    graph.nodes = builder.nodes
    return Tape(graph)


def test_blocks_compute_what_the_whole_does() -> None:
    whole = recorded(
        lambda x, y, k: (o.gelu(o.mul(x, k)), o.lt(x, y)), *[TensorType(f32, SHAPE)] * 2, TensorType(f32, ())
    )
    block = block_of(whole.graph)
    assert block is not None
    assert [v.shape for v in (*block.inputs(), *block.outputs)] == [(BLOCK,), (BLOCK,), (), (BLOCK,), (BLOCK,)]
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, *SHAPE)).astype(np.float32)
    for given in (x, np.asfortranarray(x)):
        arrays = [given, y, np.float32(0.5).reshape(())]
        found = in_blocks(Tape(block), arrays, [v.type for v in whole.graph.outputs])
        for result, expected in zip(found, whole(arrays), strict=True):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (o.softmax(x, axis=1),),
        lambda x: (o.add(x, o.cast(o.iota(shape=SHAPE, axis=1), to=f32)),),
        lambda x: (o.gelu(x), x),
        lambda x: (o.mul(x, o.sum(x, axes=(0,))),),
    ],
)
def test_what_reads_other_places_has_no_block(function: Callable[..., Any]) -> None:
    assert block_of(recorded(function, TensorType(f32, SHAPE)).graph) is None


def test_operands_that_broadcast_have_no_block() -> None:
    assert (
        block_of(recorded(lambda x, y: (o.add(x, y),), TensorType(f32, SHAPE), TensorType(f32, (4000,))).graph) is None
    )


def test_a_block_has_none() -> None:
    assert block_of(recorded(lambda x: (o.mul(x, x),), TensorType(i64, (BLOCK,))).graph) is None
