"""Whole training steps: right under the interpreter, and by the look of their machine code fast."""

from collections.abc import Callable

import numpy as np
import pytest

import genesis
from compiler.codegen.triton.module import emit
from compiler.interpret import interpret
from compiler.passes.accumulate import accumulate
from compiler.plan import Plan
from runtime.triton.interpreter import run_program
from runtime.triton.machine_code import global_accesses, is_wide, opcodes, resources, uses_matrix_units
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.steps import Step, gpt, lowered, mlp, perceptron, record
from tests.compiler.codegen.triton.targets import DEFAULT, OTHERS, on_request
from tests.compiler.passes.graphs import read

STEPS: dict[str, Callable[[], Step]] = {
    "mlp fp16": mlp,
    "mlp bf16": lambda: mlp(amp=genesis.bfloat16, batch=1, hidden=16),
    "gpt bf16": gpt,
    "gpt fp16, dropout": lambda: gpt(layers=1, amp=genesis.float16, dropout=0.1, time=13, vocabulary=17),
    "gpt fp32": lambda: gpt(layers=1, amp=None, width=24, heads=3),
}


def run(worker, program: Plan, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The outputs, and the arrays with their states updated."""
    return worker.submit(run_and_return, program, arrays).result()


def run_and_return(program: Plan, arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return run_program(program, arrays), arrays


# Attention rounds its weights to 16 bits before it divides by their sum, not after; sums run in another order.
TOLERANCE = {"bf16": 6e-2, "fp16": 5e-3, "fp32": 2e-4}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_changes_its_states_as_the_interpreter_does(worker, name: str) -> None:
    graph, arrays = record(*STEPS[name]())
    fused = lowered(graph)
    program = emit(fused)
    expected, states = interpret(fused, arrays)
    outputs, after = run(worker, program, arrays)
    tolerance = TOLERANCE[name.split(",")[0].split()[-1]]
    for output, reference in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, reference, rtol=tolerance / 10)
    for update, reference in zip(fused.updates, states, strict=True):
        state = after[fused.inputs().index(update.state)]
        before = arrays[fused.inputs().index(update.state)]
        assert state.dtype == reference.dtype
        np.testing.assert_allclose(state, reference, tolerance, tolerance * np.abs(reference).max() + 1e-8)
        assert (state == before).all() == (reference == before).all()


def test_micro_batches_are_iterations(worker) -> None:
    """The draws of a micro-batch lie behind the draws of the one before."""
    graph, arrays = record(*mlp(batch=8))
    made = accumulate(graph, 2, graph.inputs("input"), draws=1)
    fused = lowered(made)
    program = emit(fused)
    assert len(program.steps) < len(program.launches), "the launches of a micro-batch stand there once"
    expected, states = interpret(fused, arrays)
    outputs, after = run(worker, program, arrays)
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-3)
    for update, reference in zip(fused.updates, states, strict=True):
        state = after[fused.inputs().index(update.state)]
        np.testing.assert_allclose(state, reference, 5e-3, 5e-3 * np.abs(reference).max() + 1e-8)


def failure(program: Plan, arrays: list[np.ndarray]) -> tuple[str, list[np.ndarray]]:
    """The error of a run, and the arrays afterwards."""
    with pytest.raises(IndexError) as error:
        run_program(program, arrays)
    return str(error.value), arrays


def test_an_index_out_of_range_leaves_the_states_as_they_were(worker) -> None:
    graph, arrays = record(*mlp())
    labels = arrays[graph.inputs("input")[1] is graph.inputs()[1]]
    labels[2] = 5
    message, after = worker.submit(failure, emit(lowered(graph)), arrays).result()
    assert message.startswith("class index 5 is out of range [0, 5) (element 2)")
    for array, copy in zip(after, arrays, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_kernel_that_may_find_a_bad_index_does_not_write_a_state(worker) -> None:
    """Its first programs would have changed the state before a later one finds the index."""
    graph = read("""
      state %s: f32[1000,3]
      input %table: f32[4,3]
      input %ids: i64[1000]
      %0: f32[1000,3] = embedding(%table, %ids)
      update %s = %0
    """)
    state, table, ids = np.zeros((1000, 3), np.float32), np.ones((4, 3), np.float32), np.zeros(1000, np.int64)
    program = emit(lowered(graph))
    _, (after, *_) = run(worker, program, [state, table, ids])
    assert (after == 1).all()
    ids[-1] = 4
    message, (after, *_) = worker.submit(failure, program, [state, table, ids]).result()
    assert "index 4 is out of range" in message and (after == 0).all()


def test_one_launch_updates_all_parameters() -> None:
    fused = lowered(record(*gpt())[0])
    program = emit(fused)
    adam = [x for x in program.launches if {"sqrt", "div"} <= set(x.ops) and x.grid[0] > 1]
    assert len(adam) == 1, "gradients stored in 16 bits, those rounded to 16 bits when read, those in float32"
    assert "flat" in adam[0].kernel and program.source.count(f"def {adam[0].kernel}_") >= 2
    tables = [n for n in fused.nodes if n.attrs["table"]]
    assert len(program.launches) < len(fused.nodes) - len(tables) + 10


def test_layers_share_their_kernels() -> None:
    few, many = (emit(lowered(record(*gpt(layers=n))[0])) for n in (2, 5))
    assert len(many.kernels) == len(few.kernels)


def test_the_same_step_gives_the_same_text() -> None:
    texts = {emit(lowered(record(*mlp())[0])).source for _ in range(2)}
    assert len(texts) == 1


def test_a_program_survives_as_text() -> None:
    program = emit(lowered(record(*mlp())[0]))
    assert Plan.from_json(program.to_json()) == program


def test_the_text_reads_well(golden) -> None:
    golden("triton/perceptron.txt", emit(lowered(record(*perceptron())[0])).source)


SMALL_GPT = gpt(layers=1, width=128, time=64, batch=4, vocabulary=64)


@pytest.mark.parametrize("step, target", [(mlp(), DEFAULT), *(on_request(SMALL_GPT, target) for target in OTHERS)])
def test_machine_code(step: Step, target: str) -> None:
    program = emit(lowered(record(*step)[0]), target)
    for kernel, compiled in zip(program.kernels, compile_program(program), strict=True):
        codes = opcodes(compiled)
        assert resources(compiled).spill_bytes == 0, kernel.name
        assert uses_matrix_units(codes) == kernel.name.startswith(("dot", "attention")), kernel.name
        if "table" in dict(kernel.parameters) and kernel.name.startswith("flat"):
            wide = any(map(is_wide, global_accesses(codes)))
            assert wide or target == "sm_90", f"{kernel.name} moves less than 128 bits at a time"
