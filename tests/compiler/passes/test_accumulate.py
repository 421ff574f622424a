"""Gradient accumulation over micro-batches."""

from collections.abc import Callable

import numpy as np
import pytest

import genesis
from compiler.errors import OpError, TraceError
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.ir.verify import verify
from compiler.passes.accumulate import accumulate
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from compiler.passes.hoist import hoist
from tests.compiler.passes.graphs import before_and_after, ops, read

STEP = """
  state  %w: f32[2]                "model.weight"
  state  %seed: i64[]              "rng.seed"
  state  %offset: i64[]            "rng.offset"
  input  %x: f32[6,2]
  %0: f32[6,2] = dropout(%x, %seed, %offset) {p=0.5, index=0}  # train.py:2
  %1: f32[6,2] = mul(%0, %w)                     # train.py:3
  %loss: f32[] = sum(%1) {axes=[0,1]}            # train.py:3
  %2: f32[2] = grad(%loss, %w)                   # train.py:4
  %3: f32[2] = sub(%w, %2)                       # train.py:5
  update %w = %3
  return %loss, %1
"""


def accumulated(count: int) -> Graph:
    graph = read(STEP)
    return verify(accumulate(graph, count, graph.inputs("input"), draws=1))


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("passes/accumulate.gir", before_and_after(read(STEP), "accumulate", accumulated(2)))


REFUSED = """
  state  %w: f32[2]
  input  %x: f32[4,2]
  %0: f32[4,2] = mul(%x, %w)        # train.py:1
  %1: f32[] = mean(%0) {axes=[0,1]}  # train.py:2
  %2: f32[] = FUNCTION             # train.py:3
  %3: f32[2] = grad(%2, %w)         # train.py:4
  return %2, %3
"""


@pytest.mark.parametrize(
    "function", ["sqrt(%1)", "mul(%1, %1)", "vector_norm(%0) {axes=[0,1]}", "amax(%0) {axes=[0,1]}"]
)
def test_a_loss_that_mixes_examples_is_an_error(function: str) -> None:
    graph = read(REFUSED.replace("FUNCTION", function))
    op = function.split("(")[0]
    op = "grad" if op == "amax" else op
    with pytest.raises(TraceError, match=rf"accumulate= cannot compute {op}\(.*\n  at train.py:[34]\n.*a sum or mean"):
        accumulate(graph, 2, graph.inputs("input"), draws=0)


def test_what_no_gradient_needs_is_computed_on_the_whole() -> None:
    graph = read(REFUSED.replace("FUNCTION", "neg(%1)").replace("return %2", "%4: f32[] = sqrt(%2)\n  return %4"))
    made = verify(accumulate(graph, 2, graph.inputs("input"), draws=0))
    (loop,) = [n for n in made.nodes if n.op.name == "loop"]
    assert loop.body is not None and "sqrt" not in ops(loop.body) and "sqrt" in ops(made)


def test_a_number_that_no_gradient_flows_through_is_computed_beforehand() -> None:
    text = """
      state  %w: f32[2]
      input  %x: f32[4,2]
      %0: f32[2] = amax(%x) {axes=[0]}
      %1: f32[4,2] = div(%x, %0)
      %2: f32[4,2] = mul(%1, %w)
      %3: f32[] = sum(%2) {axes=[0,1]}
      %4: f32[2] = grad(%3, %w)
      return %3, %4
    """
    made = verify(accumulate(graph := read(text), 2, graph.inputs("input"), draws=0))
    assert ops(made)[0] == "amax" and ops(made).count("loop") == 1


@pytest.mark.parametrize("op", ["sum", "mean"])
def test_it_is_the_sum_or_mean_over_micro_batches(op: str) -> None:
    """Each micro-batch is a run of the step on its rows, one draw further on."""
    join = {"sum": np.sum, "mean": np.mean}[op]
    text = STEP.replace("= sum(", f"= {op}(")
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    start = np.array([1.0, -2.0], np.float32)
    seed, offset = np.array(5), np.array(7)
    graph = read(text)
    whole = verify(accumulate(graph, 2, graph.inputs("input"), draws=1))
    single = expand(autodiff(verify(read(text.replace("[6,2]", "[3,2]")))))
    parts = [interpret(single, [start, seed, offset + i, x[3 * i : 3 * i + 3]]) for i in range(2)]
    lowered = in_loops(expand)(in_loops(autodiff)(whole))
    (loss, rows), (updated,) = interpret(lowered, [start, seed, offset, x])
    assert np.allclose(loss, join([outputs[0] for outputs, _ in parts]))
    assert np.array_equal(rows, np.concatenate([outputs[1] for outputs, _ in parts]))
    gradient = join([start - updates[0] for _, updates in parts], axis=0)
    assert np.allclose(updated, start - gradient)


def test_a_step_without_backward_has_nothing_to_accumulate() -> None:
    graph = read("  input  %x: f32[2]\n  %0: f32[2] = neg(%x)\n  return %0\n")
    with pytest.raises(TraceError, match="calls backward"):
        accumulate(graph, 2, graph.inputs("input"), draws=0)


def test_the_decorator_splits_the_batch() -> None:
    def losses(count: int) -> list[float]:
        genesis.manual_seed(0)
        model = genesis.nn.Linear(4, 3)
        optimizer = genesis.optim.SGD(model.parameters(), lr=0.1)

        @genesis.compile(accumulate=count, backend="interpret")
        def step(x: genesis.Tensor) -> genesis.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
        return [step(x).item() for _ in range(3)]

    assert np.allclose(losses(1), losses(3), rtol=1e-5)
    with pytest.raises(OpError, match="accumulate=4 does not divide the batch of argument x"):
        losses(4)


def test_hoist_leaves_the_work_of_a_micro_batch_in_the_loop() -> None:
    """Its products for all micro-batches at once would need the memory that micro-batches save."""
    text = """
      state  %w: f32[2,3]
      input  %x: f32[4,2]
      %0: f32[4,3] = matmul(%x, %w)
      %1: f32[] = sum(%0) {axes=[0,1]}
      %2: f32[2,3] = grad(%1, %w)
      return %2
    """
    made = verify(accumulate(graph := read(text), 2, graph.inputs("input"), draws=0))
    hoisted = verify(hoist(in_loops(expand)(in_loops(autodiff)(made))))
    (loop,) = [n for n in hoisted.nodes if n.op.name == "loop"]
    assert loop.body is not None and "dot" in ops(loop.body) and "dot" not in ops(hoisted)


def test_states_of_the_forward_pass_move_once_per_micro_batch() -> None:
    def statistics(count: int, backend: str = "interpret") -> list[np.ndarray]:
        genesis.manual_seed(0)
        norm = genesis.nn.BatchNorm1d(4, momentum=None)

        @genesis.compile(accumulate=count, backend=backend)
        def step(x: genesis.Tensor) -> genesis.Tensor:
            norm.zero_grad()
            loss = (norm(x) ** 3).mean()
            loss.backward()
            return loss

        x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
        for part in [x] if count > 1 else np.split(x, 2):
            step(part)
        return [b.numpy() for b in norm.buffers()]

    for whole, parts in zip(statistics(2), statistics(1), strict=True):
        assert whole.dtype == parts.dtype
        np.testing.assert_allclose(whole, parts, rtol=1e-6)
