"""The serial target on everything: where it agrees with the interpreter and C does not, C's templates are at fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.features import Features
from compiler.ir.graph import Graph
from tests.compiler.codegen.c.drawn import Draw, arrays_for
from tests.compiler.codegen.triton.steps import gpt, mlp, perceptron, record
from tests.compiler.loops import LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import draw_inputs, read
from tests.end_to_end.training import digits_run, gpt_run
from tests.samples import arguments, op_names, sample_graph, samples, samples_of, with_gradient
from tests.serial.compare import TOLERANCE, compare
from tests.serial.emit import Step, Unit

SEEDS = range(60)
CASES = [f"{name}{way}{gradient}" for name in LOOPS for way in ("", ":reverse") for gradient in ("", ":gradients")]


def example(run: Callable[..., Any], **settings: Any) -> tuple[Graph, list[np.ndarray]]:
    """The step of an example and arrays for its parameters."""
    made = run(lambda f: f, count=1, **settings)
    return record(made.step, [np.array(x.numpy()) for x in made.batches[0]])


STEPS: dict[str, Callable[[], tuple[Graph, list[np.ndarray]]]] = {
    "digits": lambda: example(digits_run),
    "digits in f16": lambda: example(digits_run, precision=genesis.float16),
    "gpt": lambda: example(gpt_run),
    "gpt in bf16": lambda: example(gpt_run, precision=genesis.bfloat16),
    "transformer": lambda: record(*gpt()),
    "perceptron with a scaler": lambda: record(*mlp()),
    "perceptron": lambda: record(*perceptron()),
}


@dataclass
class Case:
    """A graph, arrays for its parameters, and its step in the unit that all cases share."""

    graph: Graph
    arrays: list[np.ndarray]
    step: Step


@cache
def cases() -> dict[str, Case]:
    """Everything, by name, compiled as one file."""
    unit, found = Unit(), {}

    def add(name: str, graph: Graph, arrays: list[np.ndarray]) -> None:
        found[name] = Case(graph, arrays, unit.add(graph))

    for sample in samples():
        graph = with_gradient(sample_graph(sample))
        add(f"sample:{sample.id}", graph, arguments(sample, graph))
    for seed in SEEDS:
        graph = Draw(seed, 12, halves=seed % 3 == 0).graph
        add(f"drawn:{seed}", graph, arrays_for(graph, seed))
    for case in CASES:
        name, *settings = case.split(":")
        graph = loop_graph(name, "reverse" in settings)
        graph = with_gradients(graph) if "gradients" in settings else graph
        add(f"loop:{case}", graph, draw_inputs(graph))
    for name, make in STEPS.items():
        add(f"step:{name}", *make())
    unit.build()
    return found


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Every test of the module reads what is compiled here."""
    cases()


def check(name: str, tolerances: dict[str, float] = TOLERANCE) -> None:
    """Compare a case with the interpreter."""
    case = cases()[name]
    compare(case.graph, case.arrays, case.step, tolerances, name)


@pytest.mark.parametrize("op", op_names())
def test_samples(op: str) -> None:
    for sample in samples_of(op):
        check(f"sample:{sample.id}")


@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs(seed: int) -> None:
    check(f"drawn:{seed}")


@pytest.mark.parametrize("case", CASES)
def test_loops(case: str) -> None:
    check(f"loop:{case}")


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    """A gradient that is zero but for rounding has any sign, which Adam's first update takes for its own."""
    check(f"step:{name}", TOLERANCE | {"float32": 2e-2 if "16" in name else 2e-3})


def test_products_that_are_computed_twice() -> None:
    graph, arrays = record(*mlp())
    unit = Unit()
    step = unit.add(graph, Features(product_rates={"f16": 100.0}))
    unit.build()
    compare(graph, arrays, step, TOLERANCE | {"float32": 2e-2}, "products twice")


def test_a_bad_index_is_reported_and_updates_nothing() -> None:
    graph = read("""
      state %s: f32[3]
      input %table: f32[4,3]
      input %ids: i64[5]
      %0: f32[5,3] = embedding(%table, %ids)
      %1: f32[3] = sum(%0) {axes=[0]}
      update %s = %1
    """)
    unit = Unit()
    step = unit.add(graph)
    unit.build()
    state, table = np.ones(3, np.float32), np.ones((4, 3), np.float32)
    _, (after, *_), status = step.run([state, table, np.array([0, 3, 1, 2, 0])])
    assert status[0] == 0 and (after == 5).all()
    _, (after, *_), status = step.run([state, table, np.array([0, 3, 4, -1, 0])])
    assert status == [1, 0, 2, 4] and (after == 1).all()
    assert "4 is out of range [0, 4)" in step.checks[status[1]].finding(status[3], status[2])
