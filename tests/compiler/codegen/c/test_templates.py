"""Kernels that are no plain loop: products with all they take in, joined and scattered tensors, attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS
from compiler.interpret import interpret
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Update, Value
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, f16, f32, f64, i32, i64
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from tests.compiler.codegen.c.plans import native, run

TOLERANCE = {f32: 2e-5, f64: 1e-12, bf16: 2**-7, f16: 2**-10, i32: 0, i64: 0}


@dataclass
class Case:
    """A graph made by ``build(*params)``, on parameters of these types; ``kinds``: the kernels it must become."""

    types: list[tuple[DType, tuple[int, ...]]]
    build: Callable[..., Any]
    kinds: list[str]

    def graph(self, name: str) -> Graph:
        graph = Graph(name)
        params = [graph.add_param(TensorType(*t), "input", "", f"{name}_{i}") for i, t in enumerate(self.types)]
        with using(GraphBuilder()) as builder:
            result = self.build(*params)
        graph.nodes = builder.nodes
        graph.outputs = [result] if isinstance(result, Value) else list(result)
        return graph

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(len(self.types))
        return [
            rng.uniform(-1, 1, shape).astype(t.numpy)
            if t.kind == "float"
            else rng.integers(0, 4, shape).astype(t.numpy)
            for t, shape in self.types
        ]


def with_squares(product: Value) -> tuple[Value, Value]:
    return product, o.sum(o.mul(product, product), axes=tuple(range(product.type.rank)))


def transposed(x: Value) -> Value:
    rank = x.type.rank
    return o.permute(x, dims=(*range(rank - 2), rank - 1, rank - 2))


def heads(x: Value) -> Value:
    """[b, t, 6] as three heads of two, [b, 3, t, 2]."""
    b, t, _ = x.shape
    return o.permute(o.reshape(x, shape=(b, t, 3, 2)), dims=(0, 2, 1, 3))


def qkv(x: Value) -> list[Value]:
    """Three windows of [b, t, 18], each [b, 3, t, 2]."""
    b, t, _ = x.shape
    return [heads(o.slice(x, start=(0, 0, i), stop=(b, t, i + 6), step=(1, 1, 1))) for i in (0, 6, 12)]


def attention(x: Value) -> Value:
    y = o.scaled_dot_product_attention(*qkv(x), causal=True)[0]
    return o.reshape(o.permute(y, dims=(0, 2, 1, 3)), shape=(x.shape[0], x.shape[1], 6))


CASES = {
    "sum of squares": Case(
        [(f32, (5, 40)), (f32, (5, 70))], lambda a, b: with_squares(o.dot(transposed(a), b)), ["contract"]
    ),
    "sum of squares, no product": Case(
        [(f32, (40, 5)), (f32, (5, 9))], lambda a, b: with_squares(o.dot(a, b))[1], ["contract"]
    ),
    "sum of squares, batched": Case(
        [(f32, (3, 4, 5)), (f32, (3, 5, 9))], lambda a, b: with_squares(o.dot(a, b)), ["contract"]
    ),
    "sum of squares, 16 bits": Case(
        [(bf16, (30, 5)), (bf16, (5, 9))], lambda a, b: with_squares(o.cast(o.dot(a, b), to=f32)), ["contract"]
    ),
    "plain": Case([(f32, (7, 5)), (f32, (5, 9))], o.dot, ["contract"]),
    "left transposed": Case([(f32, (5, 7)), (f32, (5, 9))], lambda a, b: o.dot(transposed(a), b), ["contract"]),
    "right transposed": Case([(f32, (7, 5)), (f32, (9, 5))], lambda a, b: o.dot(a, transposed(b)), ["contract"]),
    "both transposed": Case(
        [(f32, (5, 7)), (f32, (9, 5))], lambda a, b: o.dot(transposed(a), transposed(b)), ["contract"]
    ),
    "one row": Case([(f32, (1, 33)), (f32, (33, 4))], o.dot, ["contract"]),
    "one column": Case([(f32, (33, 6)), (f32, (6, 1))], o.dot, ["contract"]),
    "inner one": Case([(f32, (5, 1)), (f32, (1, 3))], o.dot, ["contract"]),
    "several tiles": Case([(f32, (70, 40)), (f32, (40, 90))], o.dot, ["contract"]),
    "batched": Case([(f32, (2, 3, 4, 5)), (f32, (2, 3, 5, 6))], o.dot, ["contract"]),
    "broadcast batch": Case(
        [(f32, (3, 4, 5)), (f32, (5, 6))], lambda a, b: o.dot(a, o.expand(b, shape=(3, 5, 6))), ["contract"]
    ),
    "window": Case(
        [(f32, (9, 8)), (f32, (4, 6))],
        lambda a, b: o.dot(o.slice(a, start=(2, 1), stop=(9, 5), step=(3, 1)), b),
        ["contract"],
    ),
    "stride": Case(
        [(f32, (4, 9)), (f32, (5, 3))],
        lambda a, b: o.dot(o.slice(a, start=(0, 0), stop=(4, 9), step=(1, 2)), b),
        ["pointwise", "contract"],
    ),
    "heads": Case([(f32, (2, 4, 6))], lambda x: o.dot(heads(x), transposed(heads(x))), ["contract"]),
    "bias and activation": Case(
        [(f32, (7, 5)), (f32, (5, 9)), (f32, (9,))], lambda a, b, c: o.tanh(o.add(o.dot(a, b), c)), ["contract"]
    ),
    "residual and mask": Case(
        [(f32, (7, 5)), (f32, (5, 9)), (f32, (7, 9)), (f32, (7, 1))],
        lambda a, b, c, d: o.where(o.gt(d, 0.0), o.add(o.dot(a, b), c), 0.0),
        ["contract"],
    ),
    "two results": Case(
        [(f32, (7, 5)), (f32, (5, 9))], lambda a, b: (y := o.dot(a, b), o.mul(o.exp(y), 0.5)), ["contract"]
    ),
    "result transposed": Case(
        [(f32, (7, 5)), (f32, (5, 9))], lambda a, b: transposed(o.dot(a, b)), ["contract", "pointwise"]
    ),
    "bf16 on the way": Case(
        [(f32, (7, 5)), (f32, (9, 5))],
        lambda a, b: o.dot(o.cast(a, to=bf16), transposed(o.cast(b, to=bf16))),
        ["contract"],
    ),
    "f16 on the way": Case(
        [(f32, (7, 5)), (f16, (5, 9))], lambda a, b: o.dot(o.cast(a, to=f16), b), ["pointwise", "contract"]
    ),
    "f16 in, f32 after": Case(
        [(f16, (7, 5)), (f16, (5, 9)), (f32, (9,))],
        lambda a, b, c: o.add(o.cast(o.dot(a, b), to=f32), c),
        ["contract"],
    ),
    "f64": Case([(f64, (3, 4, 5)), (f64, (3, 5, 2))], lambda a, b: o.mul(o.dot(a, b), 2.0), ["contract"]),
    "integers": Case([(i32, (4, 5)), (i32, (3, 5))], lambda a, b: o.dot(a, transposed(b)), ["contract"]),
    "computed operand": Case(
        [(f32, (7, 5)), (f32, (5, 9))], lambda a, b: o.dot(o.exp(a), o.exp(b)), ["pointwise", "pointwise", "contract"]
    ),
    "product of products": Case(
        [(f32, (7, 5)), (f32, (5, 9)), (f32, (9, 4))], lambda a, b, c: o.dot(o.dot(a, b), c), ["contract", "contract"]
    ),
    "concat": Case(
        [(f32, (2, 3, 4)), (f32, (2, 1, 4)), (f32, (2, 5, 4))],
        lambda a, b, c: o.concat(a, o.neg(b), c, axis=1),
        ["pointwise", "concat"],
    ),
    "concat of views": Case(
        [(f32, (4, 6))],
        lambda a: o.concat(transposed(a), o.slice(transposed(a), start=(1, 0), stop=(6, 4), step=(2, 1)), axis=0),
        ["concat"],
    ),
    "concat of one kernel's values": Case(
        [(f32, (6, 5))], lambda a: (y := o.exp(a), o.concat(y, o.sin(y), axis=1)), ["pointwise"]
    ),
    "concat of one kernel's values, rounded": Case(
        [(f32, (6, 5))], lambda a: o.cast(o.concat(y := o.exp(a), o.sin(y), axis=0), to=bf16), ["pointwise"]
    ),
    "concat of one kernel's values, between others": Case(
        [(f32, (2, 3, 4))], lambda a: o.reshape(o.concat(y := o.exp(a), o.neg(y), axis=1), shape=(4, 12)), ["pointwise"]
    ),
    "concat of one kernel's columns": Case(
        [(f32, (7, 1))], lambda a: o.concat(y := o.exp(a), o.sin(y), o.neg(y), axis=1), ["pointwise"]
    ),
    "concat of one kernel's rows and sums": Case(
        [(f32, (40, 5))],
        lambda a: (
            o.concat(y := o.exp(o.sub(a, o.amax(a, axes=(1,), keepdim=True))), z := o.sin(y), axis=1),
            o.sum(z, axes=(0,)),
        ),
        ["row"],
    ),
    "concat f16": Case([(f16, (3,)), (f16, (2,))], lambda a, b: o.concat(a, b, axis=0), ["concat"]),
    "slice scatter": Case(
        [(f32, (5, 6)), (f32, (2, 3))],
        lambda a, b: o.slice_scatter(a, b, start=(1, 0), stop=(5, 6), step=(2, 2)),
        ["concat"],
    ),
    "slice scatter, backwards": Case(
        [(f32, (5, 6)), (f32, (2, 6))],
        lambda a, b: o.slice_scatter(a, b, start=(4, 5), stop=(0, -1), step=(-2, -1)),
        ["concat"],
    ),
    "scatter rows": Case(
        [(i64, (3, 4)), (f32, (3, 4, 5))], lambda i, x: o.scatter_rows(i, o.neg(x), rows=6), ["pointwise", "scatter"]
    ),
    "scatter bf16": Case(
        [(i64, (30,)), (bf16, (30, 2))],
        lambda i, x: o.scatter_rows(i, x, rows=4),
        ["pointwise", "scatter", "pointwise"],
    ),
    "scatter add": Case(
        [(f32, (3, 5)), (i64, (3, 4)), (f32, (3, 4))], lambda x, i, s: o.scatter_add(x, i, s, axis=1), ["scatter"]
    ),
    "attention": Case([(f32, (2, 5, 18))], attention, ["attention", "pointwise"]),
    "attention bf16": Case([(bf16, (2, 5, 18))], attention, ["attention", "pointwise"]),
    "attention over many keys": Case(
        [(f32, (1, 1, 3, 4)), (f32, (1, 1, 70, 4)), (f32, (1, 1, 70, 4))],
        lambda q, k, v: o.scaled_dot_product_attention(q, k, v)[0],
        ["attention"],
    ),
    "attention with a mask": Case(
        [(f32, (2, 3, 4, 2)), (f32, (2, 3, 5, 2)), (f32, (2, 3, 5, 2)), (f32, (4, 1))],
        lambda q, k, v, m: o.scaled_dot_product_attention(q, k, v, o.expand(m, shape=(4, 5)), mask=True)[0],
        ["attention"],
    ),
    "attention of wider values": Case(
        [(f32, (1, 2, 4, 3)), (f32, (1, 2, 5, 3)), (f32, (1, 2, 5, 7))],
        lambda q, k, v: o.scaled_dot_product_attention(q, k, v)[0],
        [],
    ),
}


@dataclass
class Outcome:
    kinds: list[str]
    got: list[np.ndarray]
    want: list[np.ndarray]


def emitted(cases: dict[str, Case]) -> tuple[Plan, list[tuple[Graph, Graph, list[np.ndarray]]]]:
    """One plan for all of ``cases``; each graph, as fused nodes too, and its arguments."""
    whole = Graph("templates")
    made = []
    for number, case in enumerate(cases.values()):
        graph = case.graph(f"case{number}")
        fused = Stages(graph).run(lowering(unit.FEATURES))
        whole.params += fused.params
        whole.nodes += fused.nodes
        whole.outputs += fused.outputs
        made.append((graph, fused, case.arrays()))
    return unit.emit(whole, native()), made


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Every case, built as one translation unit and run on two threads."""
    plan, made = emitted(CASES)
    arrays = [a for _, _, given in made for a in given]
    buffers, status = run(plan, arrays, threads=2)
    assert status == [0, 0, 0, 0]
    results = iter(buffers[len(arrays) :])
    found = {}
    for name, (graph, fused, given) in zip(CASES, made, strict=True):
        kinds = [node.attrs["kind"] for node in fused.nodes]
        found[name] = Outcome(kinds, [next(results) for _ in graph.outputs], interpret(graph, given)[0])
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_template_computes_what_the_interpreter_does(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    for got, want in zip(outcome.got, outcome.want, strict=True):
        kind = next(t for t in TOLERANCE if t.numpy == want.dtype)
        got, want = got.astype(np.float64), want.astype(np.float64)
        tolerance = TOLERANCE[kind]
        np.testing.assert_allclose(got, want, tolerance, tolerance * np.abs(want).max(initial=0.1))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kinds])
def test_what_surrounds_a_template_is_in_its_kernel(outcomes: dict[str, Outcome], name: str) -> None:
    assert sorted(outcomes[name].kinds) == sorted(CASES[name].kinds)


def test_the_sum_of_many_16_bit_rows_is_rounded_once(outcomes: dict[str, Outcome]) -> None:
    index, source = CASES["scatter bf16"].arrays()
    exact = np.zeros((4, 2), np.float32)
    np.add.at(exact, index, source.astype(np.float32))
    np.testing.assert_array_equal(outcomes["scatter bf16"].got[0], exact.astype(bf16.numpy))


def test_a_product_may_overwrite_a_state_that_its_epilogue_reads() -> None:
    """The new state goes straight into the memory of the old one."""
    graph = Graph("update")
    state = graph.add_param(TensorType(f32, (4, 4)), "state", "w", "w")
    x = graph.add_param(TensorType(f32, (4, 3)), "input", "", "x")
    with using(GraphBuilder()) as builder:
        new = o.sub(state, o.dot(x, transposed(x)))
    graph.nodes, graph.updates = builder.nodes, [Update(state, new)]
    plan = unit.emit(Stages(graph).run(lowering(unit.FEATURES)), native())
    assert plan.arena_bytes == 0, "no copy"
    arrays = [np.arange(16, dtype=np.float32).reshape(4, 4), np.ones((4, 3), np.float32)]
    (got, _), _ = run(plan, arrays)
    np.testing.assert_array_equal(got, arrays[0] - 3)


def test_a_product_must_not_overwrite_a_state_that_it_multiplies() -> None:
    graph = Graph("update")
    state = graph.add_param(TensorType(f32, (4, 4)), "state", "w", "w")
    with using(GraphBuilder()) as builder:
        new = o.add(o.dot(state, state), state)
    graph.nodes, graph.updates = builder.nodes, [Update(state, new)]
    plan = unit.emit(Stages(graph).run(lowering(unit.FEATURES)), native())
    assert plan.arena_bytes > 0
    w = np.arange(16, dtype=np.float32).reshape(4, 4)
    (got,), _ = run(plan, [w])
    np.testing.assert_array_equal(got, w @ w + w)


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_has_text_for_every_template(isa: str) -> None:
    for number, case in enumerate(CASES.values()):
        plan = unit.emit(Stages(case.graph(f"case{number}")).run(lowering(unit.FEATURES)), ISAS[isa])
        assert plan.target == f"c/{isa}" and "void step(" in plan.source
