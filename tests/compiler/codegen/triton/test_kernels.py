"""Every way a kernel can be laid out: chunks, walks along long rows, ragged edges, shared launches."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton import scatter
from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Update
from compiler.ir.op import o
from compiler.ir.replay import nothing
from compiler.ir.types import TensorType, bf16, dtype, f32
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from runtime.triton.interpreter import run_program
from runtime.triton.parallel import compile_program

RNG = np.random.default_rng(0)
TOLERANCE = {"float32": 3e-5, "bfloat16": 1e-2, "float64": 1e-12}


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def lower(function: Callable[..., Any], arrays: list[np.ndarray], states: int = 0) -> Graph:
    """``function`` of the arrays as fused kernels; its last ``states`` results are the first inputs, updated."""
    graph = Graph("test")
    kinds = ["state"] * states + ["input"] * (len(arrays) - states)
    values = [
        graph.add_param(TensorType(dtype(a.dtype), a.shape), k, "", f"x{i}")
        for i, (a, k) in enumerate(zip(arrays, kinds))
    ]
    with using(GraphBuilder()) as builder:
        result = function(*values)
    results = list(result) if isinstance(result, tuple) else [result]
    graph.nodes = builder.nodes
    graph.outputs = results[: len(results) - states]
    graph.updates = [Update(state, new) for state, new in zip(values, results[len(results) - states :])]
    return Stages(graph).run(lowering(replace(FEATURES, claims=nothing)))


def states_after(program: Plan, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return run_program(program, arrays), arrays


def check(worker, function: Callable[..., Any], *arrays: np.ndarray, states: int = 0) -> Plan:
    graph = lower(function, list(arrays), states)
    program = emit(graph)
    expected, updated = interpret(graph, arrays)
    results, after = worker.submit(states_after, program, list(arrays)).result()
    for result, reference in zip([*results, *after[:states]], [*expected, *updated], strict=True):
        assert result.shape == reference.shape and result.dtype == reference.dtype
        tolerance = TOLERANCE.get(reference.dtype.name, 0)
        atol = tolerance * float(np.abs(np.nan_to_num(reference.astype(np.float64), posinf=0, neginf=0)).max(initial=0))
        np.testing.assert_allclose(
            result.astype(np.float64), reference.astype(np.float64), tolerance, atol, err_msg=program.source
        )
    return program


def row_softmax(x):
    return o.softmax(x, axis=1), o.argmax(x, axes=(1,)), o.sum(o.amax(x, axes=(1,)), axes=(0,))


def norm_backward(x, g, w):
    """A row kernel that also sums over its rows."""
    y, mean, rstd = o.layer_norm(x, w, ndim=1)
    normal = o.mul(o.sub(x, mean), rstd)
    inner = o.sum(o.mul(g, normal), axes=(1,), keepdim=True)
    return o.mul(o.sub(g, inner), rstd), o.sum(o.mul(g, normal), axes=(0,)), o.sum(g, axes=(0,)), y


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 5), (33, 100), (2, 1500), (3, 20001), (1, 20000)])
def test_softmax_of_short_and_long_rows(worker, shape) -> None:
    check(worker, row_softmax, normal(*shape))


def test_nan_wins_in_a_long_row(worker) -> None:
    x = normal(2, 20001)
    x[1, [17000, 19000]] = np.nan
    check(worker, lambda x: (o.argmax(x, axes=(1,)), o.argmin(x, axes=(1,)), o.amax(x, axes=(1,))), x)


@pytest.mark.parametrize("shape", [(5, 3), (700, 130), (5000, 3), (1300, 1), (40, 1000)])
@pytest.mark.parametrize("op", ["sum", "amax"])
def test_columns(worker, shape, op) -> None:
    check(worker, lambda x: (getattr(o, op)(o.mul(x, x), axes=(0,)), o.mul(x, x)), normal(*shape))


@pytest.mark.parametrize("shape", [(3, 4), (600, 40), (5000, 8), (300, 257)])
def test_rows_with_sums_over_the_rows(worker, shape) -> None:
    program = check(worker, norm_backward, normal(*shape), normal(*shape), normal(shape[1]))
    assert len(program.launches) <= 3


@pytest.mark.parametrize("size", [1, 5, 4096, 4097, 30000])
def test_full_reductions(worker, size) -> None:
    def all_of(x):
        finite = o.logical_not(o.any(o.logical_not(o.isfinite(x)), axes=(0,)))
        return o.sum(o.mul(x, x), axes=(0,)), o.amin(x, axes=(0,)), finite

    check(worker, all_of, normal(size))


def test_full_reduction_of_a_transposed_tensor(worker) -> None:
    check(worker, lambda x, y: o.sum(o.mul(o.permute(x, dims=(1, 0)), y), axes=(0, 1)), normal(90, 70), normal(70, 90))


@pytest.mark.parametrize("axes", [(0, 2), (1,), (1, 3)])
def test_reductions_of_scattered_axes(worker, axes) -> None:
    x = normal(3, 5, 4, 6)
    check(worker, lambda x: (o.sum(x, axes=axes), o.amax(x, axes=axes, keepdim=True)), x)


def test_argmax_over_the_first_axis(worker) -> None:
    check(worker, lambda x: o.argmax(x, axes=(0,)), normal(50, 3))


def test_lookups_in_views(worker) -> None:
    """``AdaptiveMaxPool2d`` looks up the largest of windows in a reshaped image."""

    def both(x, i, j):
        return o.gather(o.reshape(x, shape=(3, 8)), i, axis=1), o.take(o.permute(x, dims=(2, 0, 1)), j)

    check(worker, both, normal(3, 2, 4), RNG.integers(0, 8, (3, 5)), RNG.integers(0, 4, 6))


@pytest.mark.parametrize("dims", [(1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_permuted_copies(worker, dims) -> None:
    check(worker, lambda x: o.add(o.permute(x, dims=dims), 1.0), normal(6, 35, 50))


def test_sixteen_bit_values_are_rounded_after_every_op(worker) -> None:
    def chain(x, y):
        narrow = o.add(o.cast(x, to=bf16), o.cast(y, to=bf16))
        return narrow, o.cast(o.mul(narrow, narrow), to=f32), o.sum(narrow, axes=(1,))

    check(worker, chain, normal(30, 100), normal(30, 100))
    x, y = (normal(30, 100).astype(ml_dtypes.bfloat16) for _ in range(2))
    graph = lower(lambda x, y: o.sub(o.mul(x, y), y), [x, y])
    (expected,), _ = interpret(graph, [x, y])
    (result,) = worker.submit(run_program, emit(graph), [x, y]).result()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("count, rows", [(1, 1), (7, 3), (1100, 5), (1, 3), (5, 9)])
def test_scattered_rows_add_up(worker, count, rows) -> None:
    index = RNG.integers(0, rows, count)
    check(worker, lambda i, x: o.scatter_rows(i, x, rows=rows), index, normal(count, 300))


def test_rows_scattered_among_many_are_added_up_by_the_first_of_each(worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index may stand in several blocks; the work grows with the rows given, not with the result."""
    monkeypatch.setattr(scatter, "GLANCE", 16)
    index = RNG.integers(0, 50, 40)
    index[[3, 20, 39]] = 7
    program = check(worker, lambda i, x: o.scatter_rows(i, x, rows=50), index, normal(40, 2))
    assert [x.grid for x in program.launches] == [(1, 1, 1), (40, 1, 1)]


def test_scatter_add_along_an_inner_axis(worker) -> None:
    index = RNG.integers(0, 6, (3, 4, 2))
    check(worker, lambda x, i, s: o.scatter_add(x, i, s, axis=1), normal(3, 6, 5), index, normal(3, 4, 2))


def descend(*values):
    """Several parameters, their gradients, and a rate."""
    *tensors, rate = values
    half = len(tensors) // 2
    weights, gradients = tensors[:half], tensors[half:]
    total = None
    for g in gradients:
        square = o.sum(o.mul(g, g), axes=tuple(range(g.type.rank)))
        total = square if total is None else o.add(total, square)
    factor = o.div(1.0, o.add(o.sqrt(total), 1e-6))
    return (total, *(o.sub(w, o.mul(o.mul(g, factor), rate)) for w, g in zip(weights, gradients)))


@pytest.mark.parametrize("shapes", [[(16,), (64, 80), (300, 16)], [(3,), (5, 7), (1,), (9000,), (64, 80)]])
def test_many_tensors_in_one_launch(worker, shapes) -> None:
    arrays = [normal(*s) for s in (*shapes, *shapes)]
    program = check(worker, descend, *arrays, np.array(0.1), states=len(shapes))
    updates = [x for x in program.launches if "sub" in x.ops]
    assert len(updates) == (1 if all(np.prod(s) % 16 == 0 for s in shapes) else 2), "one more for the number"


def test_states_that_exchange_their_values(worker) -> None:
    check(worker, lambda x, y: (o.detach(y), o.detach(x)), normal(10), normal(10), states=2)


def test_a_state_that_is_also_returned(worker) -> None:
    def step(x, g):
        new = o.sub(x, g)
        return new, new, new

    check(worker, step, normal(10), normal(10), states=1)


@pytest.mark.parametrize("m, n, k, batch", [(1, 1, 1, ()), (33, 1, 20, ()), (1, 40, 9, (3,)), (40, 50, 60, (2, 3))])
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16, np.float64, np.int64])
def test_products(worker, m, n, k, batch, kind) -> None:
    a, b = (np.asarray(4 * normal(*batch, *s)).astype(kind) for s in ((m, k), (k, n)))
    check(worker, lambda a, b: o.maximum(o.dot(a, b), 0), a, b)


def test_a_product_of_slices_with_bias_and_residual(worker) -> None:
    def heads(x, bias, y):
        q = o.permute(
            o.reshape(o.slice(x, start=(0, 0, 16), stop=(2, 9, 32), step=(1, 1, 1)), shape=(2, 9, 2, 8)),
            dims=(0, 2, 1, 3),
        )
        k = o.permute(
            o.reshape(o.slice(x, start=(0, 0, 0), stop=(2, 9, 16), step=(1, 1, 1)), shape=(2, 9, 2, 8)),
            dims=(0, 2, 3, 1),
        )
        return o.add(o.mul(o.add(o.dot(q, k), bias), 0.5), y)

    check(worker, heads, normal(2, 9, 32), normal(9), normal(2, 2, 9, 9))


def every_kind_of_number(x, n, b, d):
    """One kernel for each of float32, int64, bool and float64, with whatever compiles otherwise than it interprets."""
    floats = o.add(o.sin(x), o.add(o.erf(x), o.add(o.floor_divide(x, 0.3), o.pow(o.abs(x), 1.5))))
    whole = o.add(o.pow(n, 3), o.add(o.remainder(n, 7), o.add(o.sign(n), o.bitwise_xor(n, 5))))
    truth = o.logical_xor(o.lt(b, o.logical_not(b)), o.maximum(b, o.isnan(x)))
    double = o.add(o.tanh(d), o.add(o.round(d), o.add(o.expm1(d), o.maximum(d, 0.1))))
    return floats, whole, truth, double


def test_every_kind_of_number_compiles(worker) -> None:
    arrays = [normal(40), RNG.integers(-5, 5, 40), RNG.integers(0, 2, 40).astype(bool), RNG.standard_normal(40)]
    program = check(worker, every_kind_of_number, *arrays)
    assert all(kernel.binary for kernel in compile_program(program))


def test_scatters_and_sums_compile() -> None:
    def mixed(x, i, s):
        added = o.scatter_add(x, i, s, axis=1)
        return (
            added,
            o.argmax(added, axes=(1,)),
            o.prod(added, axes=(0,)),
            o.scatter_rows(o.reshape(i, shape=(8,)), o.reshape(s, shape=(8, 1)), rows=4),
            o.scatter_rows(o.reshape(i, shape=(8,)), o.reshape(s, shape=(8, 1)), rows=40),
        )

    program = emit(lower(mixed, [normal(4, 5), RNG.integers(0, 4, (4, 2)), normal(4, 2)]))
    assert all(kernel.binary for kernel in compile_program(program))
