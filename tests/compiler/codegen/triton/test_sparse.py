"""Gradients of embeddings with few rows are these rows and where they are."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.plan import Plan
from runtime.triton.interpreter import run_program
from tests.compiler.codegen.triton.steps import gpt, lowered, record
from tests.compiler.passes.graphs import read


def run(plan: Plan, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return run_program(plan, arrays), arrays


def step(ids: str, shape: str, results: str = "%2") -> Graph:
    """A table of 50 rows that learns, by its gradient's norm too."""
    return lowered(
        read(f"""
      state %w: f32[50,{shape}]
      input %ids: i64[{ids}]
      input %g: f32[{ids},{shape}]
      %0: f32[50,{shape}] = scatter_rows(%ids, %g) {{rows=50}}
      %1: f32[50,{shape}] = mul(%0, %0)
      %2: f32[] = sum(%1) {{axes={list(range(1 + len(shape.split(","))))}}}
      %3: f32[50,{shape}] = mul(%0, %2)
      %4: f32[50,{shape}] = sub(%w, %3)
      update %w = %4
      return {results}
    """)
    )


def names(plan: Plan) -> set[str]:
    return {kernel.name.partition("_")[0] for kernel in plan.kernels}


@pytest.mark.parametrize("ids, shape", [("7", "300"), ("3,4", "6"), ("9", "2,3"), ("1", "1")])
def test_rows_are_looked_up(worker, ids: str, shape: str) -> None:
    graph, rng = step(ids, shape), np.random.default_rng(0)
    plan = emit(graph)
    assert not any(b.shape[0] == 50 and b.kind == "temporary" and b.dtype == "f32" for b in plan.buffers if b.shape)
    arrays = [
        rng.integers(0, 4, v.shape) if v.dtype.kind == "int" else rng.standard_normal(v.shape).astype(np.float32)
        for v in graph.inputs()
    ]
    expected, (state,) = interpret(graph, arrays)
    outputs, after = worker.submit(run, plan, arrays).result()
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(after[0], state, rtol=1e-4, atol=1e-5)


def test_a_gradient_that_is_a_result_is_whole(worker) -> None:
    graph = step("7", "5", "%2, %0")
    plan, arrays = emit(graph), [np.ones((50, 5), np.float32), np.arange(7) // 2, np.ones((7, 5), np.float32)]
    expected, (state,) = interpret(graph, arrays)
    outputs, after = worker.submit(run, plan, arrays).result()
    for got, want in zip([*outputs, after[0]], [*expected, state], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_a_model_with_a_large_vocabulary(worker) -> None:
    graph, arrays = record(*gpt(layers=1, vocabulary=97, time=8))
    fused = lowered(graph)
    plan = emit(fused)
    assert "fill" in names(plan)
    expected, states = interpret(fused, arrays)
    outputs, after = worker.submit(run, plan, arrays).result()
    np.testing.assert_allclose(outputs[0], expected[0], rtol=5e-3)
    for update, state in zip(fused.updates, states, strict=True):
        got = after[fused.inputs().index(update.state)]
        np.testing.assert_allclose(got, state, 6e-2, 6e-2 * np.abs(state).max() + 1e-8)


def test_a_state_that_is_read_elsewhere_too_is_not_overwritten(worker) -> None:
    graph = lowered(
        read("""
      state %w: f32[40,40]
      input %ids: i64[40]
      %0: f32[40,40] = take(%w, %ids)
      %1: f32[40,40] = permute(%w) {dims=[1,0]}
      %2: f32[40,40] = add(%0, %1)
      %3: f32[40,40] = mul(%2, %w)
      update %w = %3
    """)
    )
    arrays = [np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32), np.arange(40)[::-1] // 2]
    _, (state,) = interpret(graph, arrays)
    _, after = worker.submit(run, emit(graph), arrays).result()
    np.testing.assert_allclose(after[0], state, rtol=1e-6)
