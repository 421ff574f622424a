"""Loops on a GPU: one kernel, or launches again and again, at other places in every iteration."""

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
from compiler.plan import Plan, Repeat
from genesis import nn, optim
from genesis.amp import autocast
from genesis.tensor import Tensor
from runtime.triton.aot import compile_numbered
from runtime.triton.interpreter import run_program
from runtime.triton.machine_code import opcodes, resources, uses_matrix_units
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.steps import Step, lowered, record
from tests.compiler.codegen.triton.targets import TARGETS
from tests.compiler.loops import LOOK_UPS, LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import draw_inputs, read
from tests.samples import assert_same

pytest.importorskip("triton")


def program(graph: Graph, target: str = "sm_80") -> Plan:
    return emit(Stages(graph).run(lowering(FEATURES)), target)


def check(worker, graph: Graph) -> Plan:
    """Run a graph under the interpreter; its outputs equal the definition's."""
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


def recurrent(layer: Callable[..., nn.Module], half: bool = False, **options: Any) -> Step:
    """A recurrent layer of several levels and its gradients, as a user trains it."""
    genesis.manual_seed(0)
    model = layer(5, 6, **options)
    optimizer = optim.SGD(model.parameters(), lr=0.5)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        with autocast(dtype=genesis.bfloat16, enabled=half):
            loss = (model(x)[0].float() ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step, [np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)]


class Scanned(nn.Module):
    """A recurrent layer of a user's own, which multiplies its input beside its state."""

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        self.mix, self.gate, self.state = nn.Linear(width + state, state), nn.Linear(state, state), state

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        def cell(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            h = genesis.sigmoid(self.gate(h)) * genesis.tanh(self.mix(genesis.cat([x, h], dim=-1))).float()
            return h, h

        last, ys = genesis.scan(cell, genesis.zeros(x.shape[1], self.state), x)
        return ys, last


LAYERS = [
    (Scanned, {}),
    (nn.RNN, {"nonlinearity": "relu"}),
    (nn.GRU, {"bidirectional": True}),
    (nn.LSTM, {"num_layers": 2, "dropout": 0.5}),
]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("layer", "options"), LAYERS, ids=["scan", "rnn", "gru, both ways", "lstm of two levels, dropout"]
)
def test_recurrent_layers_train(worker, layer: Callable[..., nn.Module], options: dict[str, Any], half: bool) -> None:
    """In 16 bits each loop, forward and backward, is one launch."""
    graph, arrays = record(*recurrent(layer, half, **options))
    fused = lowered(graph)
    expected, states = interpret(fused, arrays)
    made = emit(fused)
    assert any(isinstance(step, Repeat) for step in made.steps) != half
    assert ("Not one kernel" in made.source) != half
    outputs, after = worker.submit(outputs_and_arrays, made, arrays).result()
    tolerance = 2e-2 if half else 1e-4
    assert_same(outputs[0], expected[0], tolerance, tolerance)
    assert fused.updates
    for update, reference in zip(fused.updates, states, strict=True):
        assert_same(after[fused.inputs().index(update.state)], reference, tolerance, tolerance)


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


BESIDE = """
  input %h: f32[20,H]
  input %n: i64[]
  input %xs: bf16[4,20,X]
  input %w: f32[K,H]
  %0: f32[20,H], %1: i64[], %2: f32[4,20,H], %3: bf16[4,20,K] = loop(%h, %n, %xs, %w)
  {length=4, carries=2, sequences=1} @body {
    input %h: f32[20,H]
    input %n: i64[]
    input %x: bf16[20,X]
    input %w: f32[K,H]
    %one: i64[] = constant() {value=1, dtype=i64}
    %0: bf16[20,H] = cast(%h) {to=bf16}
    %1: bf16[20,K] = concat(%x, %0) {axis=1}
    %2: bf16[K,H] = cast(%w) {to=bf16}
    %3: bf16[20,H] = dot(%1, %2)
    %4: f32[20,H] = cast(%3) {to=f32}
    %5: f32[20,H] = tanh(%4)
    %6: i64[] = add(%n, %one)
    return %5, %6, %h, %1
  }
  return %0, %1, %2, %3
"""
"""A cell that multiplies an input beside its state, and counts."""


def beside(old: str = "", new: str = "", x: int = 3, h: int = 6) -> Graph:
    """:data:`BESIDE` with ``new`` for ``old``, an input of ``x`` elements and a state of ``h``."""
    text = BESIDE.replace(old, new) if old else BESIDE
    return read(text.replace("X]", f"{x}]").replace("H]", f"{h}]").replace("K", str(x + h)))


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_in_two_programs(worker, reverse: bool) -> None:
    """Twenty rows, in blocks of sixteen; nine places along k and six columns are no power of two either."""
    graph = beside("sequences=1", "sequences=1, reverse=true") if reverse else beside()
    made = program(graph)
    assert made.steps == made.launches
    launch = made.launches[-1]
    assert (launch.kind, launch.grid, launch.compute) == ("loop", (2, 1, 1), "bf16")
    assert launch.flops >= 4 * 2 * 20 * 9 * 6
    arrays = draw_inputs(graph)
    results = worker.submit(run_program, made, arrays).result()
    for actual, wanted in zip(results, interpret(graph, arrays)[0], strict=True):
        assert_same(actual, wanted, 2e-2, 2e-2, made.source)


TANH = "%5: f32[20,H] = tanh(%4)"
ROW_3 = "%s: f32[1,H] = slice(%h) {start=[3,0], stop=[4,6], step=[1,1]}\n%5: f32[20,H] = add(%4, %s)"

UNFIT = {
    "a product in f32, which tensor cores do not have": ("bf16", "f32"),
    "an element of a carry f32[20,6] needs another one of the iteration before": (TANH, ROW_3),
    "cumsum in it": (TANH, "%5: f32[20,H] = cumsum(%4) {axis=1}"),
}


@pytest.mark.parametrize("reason", UNFIT)
def test_a_loop_that_is_not_one_kernel_says_why(reason: str) -> None:
    made = program(beside(*UNFIT[reason]))
    assert any(isinstance(step, Repeat) for step in made.steps)
    assert f"launch kernels of their own: {reason}." in made.source.replace("\n# ", " ")


@pytest.mark.parametrize(("target", "widest"), [("sm_80", 128), ("sm_90", 128), ("gfx942", 64)])
def test_weights_that_do_not_fit_are_read_by_launches(target: str, widest: int) -> None:
    """The weights are two squares of ``widest`` elements of two bytes."""
    for width in (widest, widest + 1):
        steps = program(beside(x=width, h=width), target).steps
        assert any(isinstance(step, Repeat) for step in steps) == (width > widest)


def test_the_record_of_a_loop_does_not_grow_with_its_length() -> None:
    short, long = (
        program(
            read(f"""
          input %h: f32[8]
          input %xs: f32[{n},8]
          %0: f32[8], %1: f32[{n},8] = loop(%h, %xs) {{length={n}, carries=1, sequences=1}} @body {{
            input %h: f32[8]
            input %x: f32[8]
            %0: f32[8] = cumsum(%x) {{axis=0}}
            %1: f32[8] = mul(%h, %0)
            return %1, %1
          }}
          return %1
        """)
        )
        for n in (4, 400)
    )
    assert len(long.launches) == 800 and len(long.steps) == len(short.steps)
    assert len(long.to_json()) < len(short.to_json()) + 100


@pytest.mark.parametrize("target", TARGETS)
def test_the_kernels_of_a_loop_become_machine_code(target: str) -> None:
    """They multiply on tensor cores, and keep all in registers and shared memory."""
    made = program(with_gradients(beside()), target)
    numbers = [i for i, kernel in enumerate(made.kernels) if kernel.name.startswith("loop")]
    assert len(numbers) == 2, "forward and backward"
    for number in numbers:
        kernel = compile_numbered(made, number)
        assert uses_matrix_units(opcodes(kernel)), kernel.name
        assert not resources(kernel).spill_bytes, kernel.name


def test_the_kernels_of_launches_in_a_loop_become_machine_code() -> None:
    made = program(with_gradients(loop_graph("cell")))
    assert len(compile_program(made)) == len(made.kernels)
