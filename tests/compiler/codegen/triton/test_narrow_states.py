"""States that products read in 16 bits stand in halves, or have a rounded copy, which the step keeps up."""

from __future__ import annotations

import numpy as np
import pytest

import genesis
from compiler import narrow_states
from compiler.codegen.triton.module import emit
from compiler.halves import split
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.plan import Plan
from genesis import nn, optim
from genesis.amp import autocast
from runtime.triton.interpreter import run_program
from tests.compiler.codegen.triton.steps import Step, gpt, lowered, mlp, perceptron, record
from tests.compiler.passes.graphs import read as parse


def run(plan: Plan, arrays: list[np.ndarray], calls: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The states and their shadows after some calls."""
    shadows: list[np.ndarray] = []
    for _ in range(calls):
        run_program(plan, arrays, shadows)
    return arrays, shadows


def states_of_shadows(plan: Plan) -> list[int]:
    """For each shadow the number of its state among the parameters."""
    return [state for part, state in plan.parts if plan.slots[part].kind == "shadow"]


def bits(states: list[np.ndarray]) -> list[bytes]:
    return [state.tobytes() for state in states]


def test_a_shadow_is_its_state_after_every_call(worker) -> None:
    graph, arrays = record(*mlp())
    plan = emit(lowered(graph))
    before = [arrays[i].copy() for i in states_of_shadows(plan)]
    after, shadows = worker.submit(run, plan, arrays, 2).result()
    assert len(shadows) == len(before) > 1 and not plan.halved
    for old, shadow, number in zip(before, shadows, states_of_shadows(plan), strict=True):
        assert (after[number] != old).any()
        np.testing.assert_array_equal(shadow, after[number].astype(shadow.dtype))


def convolutions() -> Step:
    """Without clipping: what makes the gradients of weights updates them."""
    genesis.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.ConvTranspose2d(5, 4, 3, 2), nn.Flatten(), nn.Linear(324, 3)
    )
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)

    def step(x: genesis.Tensor, y: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=genesis.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, [np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32), np.array([0, 2])]


@pytest.mark.parametrize("step", [gpt(layers=1), mlp(amp=genesis.bfloat16), convolutions()])
def test_a_step_in_halves_is_the_one_with_shadows(worker, monkeypatch: pytest.MonkeyPatch, step) -> None:
    """Bit by bit; both read the same rounded numbers."""
    graph, arrays = record(*step)
    plan = emit(lowered(graph))
    monkeypatch.setattr(narrow_states, "_can_join", lambda node, state: False)
    whole = emit(lowered(graph))
    assert len(plan.halved) == len(states_of_shadows(whole)) > 1
    assert not whole.halved and not plan.refresh
    (after, _), (expected, shadows) = (worker.submit(run, p, arrays, 2).result() for p in (plan, whole))
    assert bits(after) == bits(expected) != bits(arrays)
    for shadow, number in zip(shadows, states_of_shadows(whole), strict=True):
        assert shadow.tobytes() == split(after[number])["bf16"].tobytes()


def test_halves_take_fewer_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each number the optimizer reads and writes four instead of four and six, and memory holds four of six."""
    graph = lowered(record(*mlp(amp=genesis.bfloat16))[0])
    plan = emit(graph)
    monkeypatch.setattr(narrow_states, "_can_join", lambda node, state: False)
    whole = emit(graph)
    numbers = 20 * 33 + 33 * 5
    moved, more = (sum(x.nbytes for x in p.launches) for p in (plan, whole))
    assert more - moved == 2 * numbers
    assert sum(whole.resident().values()) - sum(plan.resident().values()) == 2 * numbers


def test_no_kernel_touches_a_state_in_halves() -> None:
    plan = emit(lowered(record(*gpt(layers=2))[0]))
    touched = {p.buffer for x in plan.launches for a in x.arguments for p in a.fixed()}
    touched |= {e.buffer for table in plan.tables for e in table if not isinstance(e, int)}
    assert plan.halved and touched.isdisjoint(plan.halved)
    slots = [(i, s.shape) for i, s in enumerate(plan.slots) if s.kind == "state" and not s.label and len(s.shape) == 2]
    assert [shape for i, shape in slots if i not in plan.halved] == [(16, 32)], "no product reads the positions"


def test_a_step_in_32_bits_has_no_parts() -> None:
    plan = emit(lowered(record(*perceptron())[0]))
    assert (plan.parts, plan.refresh) == ((), ())


@pytest.mark.parametrize("amp", [genesis.float16, genesis.bfloat16])
def test_a_plan_with_parts_survives_as_text(amp) -> None:
    plan = emit(lowered(record(*mlp(amp=amp))[0]))
    assert plan.parts and Plan.from_json(plan.to_json()) == plan


def graph(updates: str) -> Graph:
    return parse(f"""
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
      %7: f32[4,1] = sum(%w) {{axes=[1], keepdim=true}}
      %8: f32[4,8] = div(%w, %7)
      {updates}
      return %1, %3
    """)


@pytest.mark.parametrize(
    "updates, halved, shadowed",
    [
        ("", "wv", ""),
        ("update %w = %4", "wv", ""),
        ("update %w = %4\nupdate %v = %4", "wv", ""),
        ("update %w = %v", "wv", ""),
        ("update %v = %6", "v", "w"),
        ("update %w = %6", "v", "w"),
        ("update %w = %8", "wv", ""),
    ],
)
def test_which_states_have_which_form(worker, updates: str, halved: str, shadowed: str) -> None:
    """Whole where a product reads it whole, as a factor."""
    plan = emit(lowered(graph(updates)))
    assert "".join("wv"[i] for i in sorted(plan.halved)) == halved
    assert "".join("wv"[i] for i in states_of_shadows(plan)) == shadowed
    arrays = [np.full((4, 8), k + 1 / 3, np.float32) for k in range(2)]
    inputs = np.ones((3, 4), np.float32).astype(genesis.bfloat16.numpy)
    _, new = interpret(graph(updates), [*arrays, inputs])
    after, shadows = worker.submit(run, plan, [*arrays, inputs], 1).result()
    for name, shadow in zip(shadowed, shadows, strict=True):
        np.testing.assert_array_equal(shadow, split(after["wv".index(name)])["bf16"])
    for update, state in zip(graph(updates).updates, new, strict=True):
        np.testing.assert_array_equal(after["wv".index(update.state.name)], state)


def test_a_state_that_is_a_sum_of_columns_is_whole(worker) -> None:
    """Its kernel computes nothing behind the sum."""
    graph = parse("""
      state %w: f32[1,8]
      input %x: bf16[3,1]
      input %g: f32[5,8]
      %0: bf16[1,8] = cast(%w) {to=bf16}
      %1: bf16[3,8] = dot(%x, %0)
      %2: f32[1,8] = sum(%g) {axes=[0], keepdim=true}
      update %w = %2
      return %1
    """)
    plan = emit(lowered(graph))
    assert plan.parts == ()
    g = np.arange(40, dtype=np.float32).reshape(5, 8)
    arrays = [np.zeros((1, 8), np.float32), np.ones((3, 1), genesis.bfloat16.numpy), g]
    (state, *_), _ = worker.submit(run, plan, arrays, 1).result()
    np.testing.assert_array_equal(state, g.sum(0, keepdims=True))


def test_a_view_of_a_state_is_one_of_its_shadow(worker) -> None:
    graph = parse("""
      state %w: f32[4,8]
      input %x: f16[3,8]
      %0: f32[8,4] = permute(%w) {dims=[1,0]}
      %1: f16[8,4] = cast(%0) {to=f16}
      %2: f16[3,4] = dot(%x, %1)
      return %2
    """)
    plan = emit(lowered(graph))
    assert states_of_shadows(plan) == [0]
    turned, _ = plan.launches
    assert turned.nbytes == 2 * (4 * 8 + 8 * 4)
    arrays = [np.arange(32).reshape(4, 8).astype(np.float32) / 7, np.ones((3, 8), np.float16)]
    (result,) = worker.submit(run_program, plan, arrays).result()
    np.testing.assert_array_equal(result, interpret(graph, arrays)[0][0])


@pytest.mark.parametrize(
    "body, halves, read",
    [
        ("%3: f32[3,8] = take(%w, %i)", 2, 3 * 8 * 4),
        ("%4: f32[3,8] = take(%w, %i)\n%3: bf16[3,8] = cast(%4) {to=bf16}", 1, 3 * 8 * 2),
        ("%4: f32[8,4] = permute(%w) {dims=[1,0]}\n%3: f32[8,4] = exp(%4)", 2, 4 * 8 * 4),
        ("%3: f32[4,1] = sum(%w) {axes=[1], keepdim=true}", 2, 4 * 8 * 4),
        ("%3: f32[8] = sum(%w) {axes=[0], keepdim=false}", 2, 4 * 8 * 4),
        ("%4: f32[4,8] = mul(%w, %w)\n%3: f32[] = sum(%4) {axes=[0,1], keepdim=false}", 2, 4 * 8 * 4),
    ],
)
def test_other_readers_join_the_halves(worker, body: str, halves: int, read: int) -> None:
    """And read no more than of the whole; of what they look up only that, and only the half that they need."""
    graph = parse(f"""
      state %w: f32[4,8]
      input %x: bf16[3,8]
      input %i: i64[3]
      %0: f32[8,4] = permute(%w) {{dims=[1,0]}}
      %1: bf16[8,4] = cast(%0) {{to=bf16}}
      %2: bf16[3,4] = dot(%x, %1)
      {body}
      return %2, %3
    """)
    plan = emit(lowered(graph))
    assert [plan.slots[part].kind for part, _ in plan.parts] == ["half"] * halves
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 8)).astype(genesis.bfloat16.numpy)
    arrays = [rng.standard_normal((4, 8)).astype(np.float32), rows, np.array([3, 0, 3])]
    results = worker.submit(run_program, plan, arrays).result()
    for result, expected in zip(results, interpret(graph, arrays)[0], strict=True):
        np.testing.assert_allclose(result.astype(np.float32), expected.astype(np.float32), rtol=1e-6)
    (other,) = (x for x in plan.launches if "dot" not in x.ops)
    given = results[1].nbytes + (3 * 8 if "take" in body else 0)
    assert other.nbytes - given == read
