"""Loops on a GPU: launches again and again, at other places in every iteration."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.codegen.triton.features import FEATURES
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from genesis import nn, optim
from genesis.tensor import Tensor
from runtime.triton.interpreter import run_program
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.steps import Step, lowered, record
from tests.compiler.loops import LOOK_UPS, LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import draw_inputs, read
from tests.samples import assert_same

pytest.importorskip("triton")


def program(graph: Graph, target: str = "sm_80") -> Plan:
    return emit(Stages(graph).run(lowering(FEATURES)), target)


def check(worker, graph: Graph) -> Plan:
    """Run a graph under the interpreter; its outputs are those of the definition."""
    made = program(graph)
    arrays = draw_inputs(graph)
    results = worker.submit(run_program, made, arrays).result()
    expected, _ = interpret(in_loops(autodiff)(graph), arrays)
    for actual, wanted in zip(results, expected, strict=True):
        assert_same(actual, wanted, 2e-5, 2e-5, made.source)
    return made


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_agrees_with_the_interpreter(worker, name: str, reverse: bool, gradients: bool) -> None:
    graph = loop_graph(name, reverse)
    made = check(worker, with_gradients(graph) if gradients else graph)
    assert Plan.from_json(made.to_json()) == made


def recurrent(layer: Callable[..., nn.Module], **options: Any) -> Step:
    """A recurrent layer of several levels and its gradients, as a user trains it."""
    genesis.manual_seed(0)
    model = layer(5, 6, **options)
    optimizer = optim.SGD(model.parameters(), lr=0.5)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = (model(x)[0] ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step, [np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)]


@pytest.mark.parametrize(
    "step",
    [
        recurrent(nn.RNN, nonlinearity="relu"),
        recurrent(nn.GRU, bidirectional=True),
        recurrent(nn.LSTM, num_layers=2, dropout=0.5),
    ],
    ids=["rnn", "gru, both ways", "lstm of two levels, dropout"],
)
def test_recurrent_layers_train(worker, step: Step) -> None:
    graph, arrays = record(*step)
    fused = lowered(graph)
    expected, states = interpret(fused, arrays)
    outputs, after = worker.submit(outputs_and_arrays, emit(fused), arrays).result()
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-5)
    assert fused.updates
    for update, reference in zip(fused.updates, states, strict=True):
        assert_same(after[fused.inputs().index(update.state)], reference, 1e-4, 1e-4)


def outputs_and_arrays(made: Plan, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return run_program(made, arrays), arrays


@pytest.mark.parametrize("kind", ["f32", "bf16"])
def test_totals_that_share_a_launch_are_added_up_in_place(worker, kind: str) -> None:
    """Five elements of bf16 are ten bytes: slices of them stand at no multiple of sixteen."""
    graph = read(f"""
      input %a: {kind}[5]
      input %b: {kind}[64]
      input %xs: {kind}[3,5]
      input %ys: {kind}[3,64]
      %0: {kind}[5], %1: {kind}[64] = loop(%a, %b, %xs, %ys) {{length=3, carries=2, sequences=2}} @body {{
        input %a: {kind}[5]
        input %b: {kind}[64]
        input %x: {kind}[5]
        input %y: {kind}[64]
        %0: {kind}[5] = add(%a, %x)
        %1: {kind}[64] = add(%b, %y)
        return %0, %1
      }}
      return %0, %1
    """)
    assert check(worker, graph).arena_bytes == 0, "the results are the only memory"


def test_values_of_one_iteration_share_memory(worker) -> None:
    lines = "\n".join(f"%{i + 1}: f32[64,64] = dot(%{i}, %w)" for i in range(6))
    graph = read(f"""
      input %h: f32[64,64]
      input %w: f32[64,64]
      %0: f32[64,64] = loop(%h, %w) {{length=2, carries=1, sequences=0}} @body {{
        input %h: f32[64,64]
        input %w: f32[64,64]
        %0: f32[64,64] = tanh(%h)
        {lines}
        return %6
      }}
      return %0
    """)
    assert program(graph).arena_bytes <= 4 * 64 * 64 * 4


def test_a_bad_index_in_a_loop_leaves_the_states_alone(worker) -> None:
    graph = read(LOOK_UPS)
    made = program(graph)
    state, table = np.ones(3, np.float32), np.ones((4, 3), np.float32)
    assert (worker.submit(state_after, made, [state, table, np.array([0, 3, 1, 2, 0])]).result() == 6).all()
    with pytest.raises(IndexError, match=r"4 is out of range \[0, 4\)"):
        worker.submit(state_after, made, [state, table, np.array([0, 3, 4, 2, 0])]).result()
    after = worker.submit(state_left, made, [state, table, np.array([0, 3, 4, 2, 0])]).result()
    assert (after == 1).all()


def state_after(made: Plan, arrays: list[np.ndarray]) -> np.ndarray:
    run_program(made, arrays)
    return arrays[0]


def state_left(made: Plan, arrays: list[np.ndarray]) -> np.ndarray:
    with pytest.raises(IndexError):
        run_program(made, arrays)
    return arrays[0]


def test_the_record_of_a_loop_does_not_grow_with_its_length() -> None:
    short, long = (
        program(
            read(f"""
          input %h: f32[8]
          input %xs: f32[{n},8]
          %0: f32[8], %1: f32[{n},8] = loop(%h, %xs) {{length={n}, carries=1, sequences=1}} @body {{
            input %h: f32[8]
            input %x: f32[8]
            %0: f32[8] = mul(%h, %x)
            return %0, %0
          }}
          return %1
        """)
        )
        for n in (4, 400)
    )
    assert len(long.launches) == 400 and len(long.steps) == len(short.steps)
    assert len(long.to_json()) < len(short.to_json()) + 100


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_the_kernels_of_a_loop_become_machine_code(target: str) -> None:
    made = program(with_gradients(loop_graph("cell")), target)
    assert len(compile_program(made)) == len(made.kernels)
