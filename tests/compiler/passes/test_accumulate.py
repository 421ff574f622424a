"""Gradient accumulation over micro-batches."""

from collections.abc import Callable

import numpy as np
import pytest

import genesis
from compiler.errors import OpError, TraceError
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.verify import verify
from compiler.passes.accumulate import accumulate
from compiler.passes.autodiff import autodiff
from compiler.passes.expand import expand
from tests.compiler.passes.graphs import before_and_after, read

STEP = """
  state  %w: f32[2]                "model.weight"
  state  %seed: i64[]              "rng.seed"
  state  %offset: i64[]            "rng.offset"
  input  %x: f32[3,2]
  %0: f32[3,2] = dropout(%x, %seed, %offset) {p=0.5, index=0}  # train.py:2
  %1: f32[3,2] = mul(%0, %w)                     # train.py:3
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
    single = expand(autodiff(verify(read(text))))
    parts = [interpret(single, [start, seed, offset + i, x[3 * i : 3 * i + 3]]) for i in range(2)]
    (loss, rows), (updated,) = interpret(expand(autodiff(whole)), [start, seed, offset, x])
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
