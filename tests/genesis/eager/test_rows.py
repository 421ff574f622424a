"""Pieces that do the same to every row: what runs on more rows computes what the given ones need."""

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
from genesis.eager.rows import Rows, rounded, rows_between

X = TensorType(f32, (3, 13, 8))
AXES = (1, None, None)
Q = TensorType(f32, (2, 3, 13, 4))


def recorded(function: Callable[..., Any], *types: TensorType) -> Graph:
    graph = Graph("g")
    operands = [graph.add_param(t, "input", "", f"x{i}") for i, t in enumerate(types)]
    with using(GraphBuilder()) as builder:
        graph.outputs = list(function(*operands))
    graph.nodes = builder.nodes
    return graph


def rows_of(function: Callable[..., Any], *types: TensorType) -> Rows:
    graph = recorded(function, *types)
    return Rows(graph, Tape(graph).graph, (2, 2, 2) if types[0] == Q else AXES[: len(types)])


def test_the_dimension_that_differs() -> None:
    weight = (4, 8)
    assert rows_between([(1, 7, 8), weight], [(1, 5, 8), weight]) == (1, None)
    assert rows_between([(7, 8), (7, 1)], [(5, 8), (5, 1)]) == (0, 0)
    assert rows_between([(7, 8), (6, 1)], [(5, 8), (5, 1)]) is None
    assert rows_between([(7, 8)], [(5, 9)]) is None and rows_between([(7, 8)], [(7, 8)]) is None
    assert rows_between([(7, 8), weight], [(7, 8)]) is None and rows_between([(7, 8)], [(7,)]) is None


def test_numbers_of_rows_that_are_close_are_one() -> None:
    assert [rounded(n) for n in (1, 8, 9, 60, 65, 1000)] == [16, 16, 16, 64, 80, 1024]
    assert all(n <= rounded(n) <= max(n + 15, n * 9 / 8) and rounded(rounded(n)) == rounded(n) for n in range(1, 3000))


@pytest.mark.parametrize(
    ("function", "types"),
    [
        (lambda x, w, b: (o.linear(x, w, b),), (X, TensorType(f32, (4, 8)), TensorType(f32, (4,)))),
        (lambda x: (o.layer_norm(x, ndim=1, eps=1e-5)[0], o.gelu(x)), (X,)),
        (lambda q, k, v: o.scaled_dot_product_attention(q, k, v, causal=True), (Q, Q, Q)),
        (lambda i, w: (o.take(w, i),), (TensorType(i64, (3, 13)), TensorType(f32, (9, 4)))),
    ],
)
def test_rows_compute_what_the_whole_does(function: Callable[..., Any], types: tuple[TensorType, ...]) -> None:
    rows, graph = rows_of(function, *types), recorded(function, *types)
    assert rows.graph is not None and 16 in rows.graph.inputs()[0].shape
    random = np.random.default_rng(0)
    arrays = [random.uniform(0, 9, t.shape).astype(t.dtype.numpy) for t in types]
    for result, expected in zip(rows.run(Tape(rows.graph), arrays), Tape(graph)(arrays), strict=True):
        assert result.flags.c_contiguous and result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (o.softmax(x, axis=1),),
        lambda x: (o.sum(x, axes=(1,)),),
        lambda x: (o.slice(x, start=(0, 12, 0), stop=(3, -1, 8), step=(1, -1, 1)),),
        lambda x: (o.add(x, o.cast(o.iota(shape=X.shape, axis=1), to=f32)),),
        lambda x: (o.concat(x, x, axis=1),),
        lambda x: (o.reshape(x, shape=(39, 8)),),
        lambda x: (o.cumsum(x, axis=1),),
    ],
)
def test_what_reads_other_rows_has_none(function: Callable[..., Any]) -> None:
    assert rows_of(function, X).graph is None


def test_attention_to_later_rows_has_none() -> None:
    assert rows_of(lambda q, k, v: o.scaled_dot_product_attention(q, k, v), Q, Q, Q).graph is None


def test_copies_that_are_large_beside_the_results_are_not_made() -> None:
    table = TensorType(f32, (13, 4000))
    graph = recorded(lambda x, w: (o.linear(x, w),), TensorType(f32, (1, 4000)), table)
    assert Rows(graph, Tape(graph).graph, (None, 0)).graph is None
