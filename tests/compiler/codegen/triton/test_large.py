"""Large grids, long heads, and places that need 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, f32, i32, i64
from compiler.pipeline import Stages, lowering
from compiler.processors import GPUS
from runtime.triton.interpreter import run_program
from runtime.triton.machine_code import opcodes, resources, uses_matrix_units
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.targets import DEFAULT, OTHERS, on_request
from tests.compiler.codegen.triton.test_kernels import check, norm_backward, normal, row_softmax

BF16 = bf16.numpy
TOLERANCE = {f32: 1e-4, bf16: 4e-2}


def row_products(y: Value, g: Value) -> Value:
    """The sums of the rows of ``y * g``, as the gradient of attention wants them."""
    return o.sum(o.mul(o.cast(y, to=f32), o.cast(g, to=f32)), axes=(y.type.rank - 1,), keepdim=True)


def attention(lead: tuple[int, ...], time: int, size: int, dtype: DType, dropout: float = 0.0) -> Graph:
    """Causal attention and its gradients."""
    graph = Graph("attention")
    kind = TensorType(dtype, (*lead, time, size))
    q, k, v, g = (graph.add_param(kind, "input", "", name) for name in "qkvg")
    random: list[Any] = []
    attrs: dict[str, Any] = {"causal": True, "dropout": dropout}
    if dropout:
        random = [graph.add_param(TensorType(i64, ()), "input", "", name) for name in ("seed", "offset")]
        attrs["index"] = 0
    with using(GraphBuilder()) as builder:
        y, sums = o.scaled_dot_product_attention(q, k, v, *random, **attrs)
        graph.outputs = [y, *o.attention_backward(q, k, v, row_products(y, g), sums, g, *random, **attrs)]
    graph.nodes = builder.nodes
    return graph


def kernels(graph: Graph) -> Graph:
    return Stages(graph).run([step for step in lowering(FEATURES) if step[0] != "autodiff"])


def check_attention(worker: Any, graph: Graph) -> None:
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal(v.shape).astype(v.dtype.numpy) if v.dtype is not i64 else np.array(7)
        for v in graph.inputs()
    ]
    program = emit(kernels(graph))
    assert {x.kernel for x in program.launches} >= {"attention", "attention_gradients"}
    results = worker.submit(run_program, program, arrays).result()
    for got, want in zip(results, interpret(graph, arrays)[0], strict=True):
        bound = TOLERANCE[graph.inputs()[0].dtype]
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), bound, bound)


@pytest.mark.parametrize("size", [72, 160, 256])
@pytest.mark.parametrize("dtype", [f32, bf16])
def test_long_heads(worker, size: int, dtype: DType) -> None:
    check_attention(worker, attention((2,), 40, size, dtype))


@pytest.mark.parametrize("time", [20, 150])
def test_more_heads_than_the_second_axis_of_a_grid_has(worker, monkeypatch, time: int) -> None:
    program = emit(kernels(attention((300, 300), 16, 16, f32)))
    assert [x.grid for x in program.launches if x.kernel.startswith("attention")] == [
        (90000, 1, 1),
        (2 * 90000, 1, 1),
    ], "queries, then keys"
    monkeypatch.setattr("compiler.codegen.triton.matmul.MAX_BATCH", 2)
    check_attention(worker, attention((2, 2), time, 16, f32))


@pytest.mark.parametrize(
    "dtype, target",
    [(bf16, DEFAULT), on_request(f32, "sm_80"), *(on_request(bf16, target) for target in OTHERS)],
)
def test_long_heads_do_not_spill(dtype: DType, target: str) -> None:
    program = emit(kernels(attention((2,), 1024, 256, dtype)), target)
    for compiled in compile_program(program):
        if compiled.name.startswith("attention"):
            assert resources(compiled).spill_bytes == 0, compiled.name
            assert compiled.shared <= GPUS[target].shared, compiled.name
            assert uses_matrix_units(opcodes(compiled)) == (dtype is bf16), compiled.name


def products(x: Any, y: Any, b: Any) -> Any:
    return o.maximum(o.add(o.dot(x, o.permute(y, dims=(0, 2, 1))), b), 0.0), o.dot(x, o.permute(x, dims=(0, 2, 1)))


def lookups(table: Any, index: Any, g: Any) -> Any:
    taken = o.take(table, index)
    return taken, o.scatter_rows(index, g, rows=table.shape[0]), o.permute(taken, dims=(1, 0))


def added(base: Any, index: Any, source: Any) -> Any:
    return o.scatter_add(base, index, source, axis=0)


def filtered(x: Any, w: Any) -> Any:
    steps = dict.fromkeys(("stride", "dilation", "padding", "base"), (1, 1))
    return o.convolve(x, w, size=(5, 5), **steps), o.convolve_weight(x, x, window=(3, 3), **steps)


def drawn(x: Any) -> Any:
    return o.mul(x, o.cast(o.ge(o.uniform(np.int64(3), np.int64(1), shape=x.shape, index=0), 0.5), to=f32))


CASES: dict[str, tuple[Any, list[np.ndarray]]] = {
    "products": (products, [normal(3, 20, 17), normal(3, 9, 17), normal(9)]),
    "softmax": (row_softmax, [normal(5, 33)]),
    "norm": (norm_backward, [normal(40, 33), normal(40, 33), normal(33)]),
    "lookups": (lookups, [normal(7, 300), np.arange(5, dtype=np.int32) % 7, normal(5, 300)]),
    "additions": (added, [normal(4, 300), np.arange(1500).reshape(5, 300) % 4, normal(5, 300)]),
    "images": (filtered, [normal(2, 3, 5, 5), normal(3, 3, 3, 3)]),
    "narrow products": (products, [x.astype(BF16) for x in (normal(1, 70, 40), normal(1, 9, 40), normal(9))]),
}


@pytest.mark.parametrize("name", CASES)
def test_places_in_64_bits(worker, monkeypatch, name: str) -> None:
    """The same numbers, where every place counts as one that needs 64 bits."""
    function, arrays = CASES[name]
    before = check(worker, function, *arrays).source
    monkeypatch.setattr("compiler.codegen.triton.spelling.LARGE", 2)
    after = check(worker, function, *arrays).source
    assert after.count("tl.int64") > before.count("tl.int64")


def test_places_of_scores_in_64_bits(worker, monkeypatch) -> None:
    monkeypatch.setattr("compiler.codegen.triton.spelling.LARGE", 2)
    check_attention(worker, attention((2,), 40, 16, f32, 0.25))


def source(function: Any, *types: TensorType) -> str:
    graph = Graph("huge")
    values = [graph.add_param(t, "input", "", f"x{i}") for i, t in enumerate(types)]
    with using(GraphBuilder()) as builder:
        result = function(*values)
    graph.nodes, graph.outputs = builder.nodes, list(result) if isinstance(result, tuple) else [result]
    return emit(kernels(graph)).source


HUGE = 2**17


@pytest.mark.parametrize(
    "function, types, place",
    [
        (lambda x: o.exp(o.permute(x, dims=(1, 0))), [TensorType(f32, (HUGE, HUGE))], "r.to(tl.int64) * 131072"),
        (
            lambda i, x: o.scatter_rows(i, x, rows=HUGE),
            [TensorType(i64, (64,)), TensorType(f32, (64, HUGE))],
            "row = x1.to(tl.int64)",
        ),
        (
            lambda i, x: o.scatter_rows(i, x, rows=HUGE),
            [TensorType(i64, (HUGE,)), TensorType(f32, (HUGE, HUGE))],
            "row = tl.program_id(0).to(tl.int64)",
        ),
        (
            added,
            [TensorType(f32, (64, HUGE)), TensorType(i64, (HUGE, HUGE)), TensorType(f32, (HUGE, HUGE))],
            "a2 + n.to(tl.int64) * 131072",
        ),
        (
            added,
            [TensorType(f32, (HUGE, HUGE)), TensorType(i64, (64, HUGE)), TensorType(f32, (64, HUGE))],
            "i = tl.program_id(0).to(tl.int64)",
        ),
        (lambda x, i: o.take(x, i), [TensorType(f32, (HUGE, HUGE)), TensorType(i32, (64,))], ".to(tl.int64) * 131072"),
        (o.dot, [TensorType(bf16, (HUGE, 64)), TensorType(bf16, (64, HUGE))], "i.to(tl.int64) * 131072"),
    ],
)
def test_huge_tensors_have_places_in_64_bits(function: Any, types: list[TensorType], place: str) -> None:
    assert place in source(function, *types)


def test_dropout_of_long_scores_counts_in_64_bits() -> None:
    text = emit(kernels(attention((1,), 2**16, 16, bf16, 0.1))).source
    calls = [line for line in text.splitlines() if "keep = uniform(" in line]
    assert calls and all("i.to(tl.int64) * 65536" in call for call in calls)
