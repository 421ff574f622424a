"""States that products read in 16 bits have a rounded copy, which the step keeps up."""

from __future__ import annotations

import numpy as np
import pytest

import genesis
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.plan import Plan
from runtime.triton.interpreter import run_program
from tests.compiler.codegen.triton.steps import gpt, lowered, mlp, perceptron, record
from tests.compiler.passes.graphs import read


def run(plan: Plan, arrays: list[np.ndarray], calls: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The states and their shadows after some calls."""
    shadows: list[np.ndarray] = []
    for _ in range(calls):
        run_program(plan, arrays, shadows)
    return arrays, shadows


def states_of_shadows(plan: Plan) -> list[int]:
    """For each shadow the number of its state among the parameters."""
    return [state for _, state in plan.shadows]


@pytest.mark.parametrize("step", [gpt(layers=1), mlp(), mlp(amp=genesis.bfloat16)])
def test_a_shadow_is_its_state_after_every_call(worker, step) -> None:
    graph, arrays = record(*step)
    plan = emit(lowered(graph))
    before = [arrays[i].copy() for i in states_of_shadows(plan)]
    after, shadows = worker.submit(run, plan, arrays, 2).result()
    assert len(shadows) == len(before) > 1
    for old, shadow, number in zip(before, shadows, states_of_shadows(plan), strict=True):
        assert (after[number] != old).any()
        np.testing.assert_array_equal(shadow, after[number].astype(shadow.dtype))


def test_weights_are_read_in_16_bits_only() -> None:
    plan = emit(lowered(record(*gpt(layers=2))[0]))
    weights = states_of_shadows(plan)
    readers = [x for x in plan.launches if any(p.buffer in weights for a in x.arguments for p in a.fixed())]
    kinds = {x.kind for x in readers}
    assert "contract" not in kinds and "attention" not in kinds


def test_a_step_in_32_bits_has_no_shadows() -> None:
    plan = emit(lowered(record(*perceptron())[0]))
    assert (plan.shadows, plan.refresh) == ((), ())


def test_a_plan_with_shadows_survives_as_text() -> None:
    plan = emit(lowered(record(*mlp())[0]))
    assert plan.refresh and Plan.from_json(plan.to_json()) == plan


def graph(updates: str) -> Graph:
    return read(f"""
      state %w: f32[4,8]
      state %v: f32[4,8]
      input %x: bf16[3,4]
      %t: f32[8,4] = permute(%w) {{dims=[1,0]}}
      %0: bf16[4,8] = cast(%w) {{to=bf16}}
      %1: bf16[3,8] = dot(%x, %0)
      %2: bf16[4,8] = cast(%v) {{to=bf16}}
      %3: bf16[3,8] = dot(%x, %2)
      %4: f32[4,8] = mul(%w, %w)
      %5: f32[4,4] = dot(%w, %t)
      %6: f32[4,8] = dot(%5, %w)
      {updates}
      return %1, %3
    """)


@pytest.mark.parametrize(
    "updates, states",
    [
        ("", "wv"),
        ("update %w = %4", "wv"),
        ("update %w = %4\nupdate %v = %4", "wv"),
        ("update %w = %v", "wv"),
        ("update %w = %6", "v"),
    ],
)
def test_which_states_have_shadows(worker, updates: str, states: str) -> None:
    """All but one that a product makes, whose kernel writes no more than that."""
    plan = emit(lowered(graph(updates)))
    assert "".join("wv"[i] for i in states_of_shadows(plan)) == states
    arrays = [np.full((4, 8), k + 1 / 3, np.float32) for k in range(2)]
    inputs = np.ones((3, 4), np.float32).astype(genesis.bfloat16.numpy)
    _, new = interpret(graph(updates), [*arrays, inputs])
    after, shadows = worker.submit(run, plan, [*arrays, inputs], 1).result()
    for name, shadow in zip(states, shadows, strict=True):
        np.testing.assert_array_equal(shadow, after["wv".index(name)].astype(shadow.dtype))
    for update, state in zip(graph(updates).updates, new, strict=True):
        np.testing.assert_array_equal(after["wv".index(update.state.name)], state)
