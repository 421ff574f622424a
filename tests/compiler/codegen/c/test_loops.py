"""Random graphs as C: the interpreter's results, at any number of threads, states updated in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.drawn import Draw, arrays_for
from tests.compiler.codegen.c.plans import native, run

COUNT = 40
LARGE = 1e6  # graphs whose results grow beyond it say nothing


@dataclass
class Drawn:
    """A graph, its arguments, what the interpreter makes of them, and what C does at each number of threads."""

    graph: Graph
    arguments: list[np.ndarray]
    expected: list[np.ndarray]
    got: dict[int, list[np.ndarray]]


def results_of(graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    outputs, updates = interpret(autodiff(graph), arrays)
    return [*outputs, *updates]


def compiled(seed: int, size: int, halves: bool) -> list[Drawn]:
    """Many graphs as one translation unit, which is much faster than one for each."""
    whole = Graph("drawn")
    drawn: list[Drawn] = []
    for number in range(seed, seed + COUNT):
        graph = Draw(number, size, halves).graph
        arrays = arrays_for(graph, number)
        expected = results_of(graph, arrays)
        with np.errstate(over="ignore"):
            if all(np.abs(x.astype(np.float32)).max(initial=0) < LARGE for x in expected):
                drawn.append(Drawn(graph, arrays, expected, {}))
    for each in drawn:
        fused = Stages(each.graph).run(lowering(unit.claims))
        whole.params += fused.params
        whole.nodes += fused.nodes
        whole.outputs += fused.outputs
        whole.updates += fused.updates
    plan = unit.emit(whole, native())
    arguments = [a for each in drawn for a in each.arguments]
    for threads in (1, 3):
        buffers, status = run(plan, arguments, threads)
        assert status == [0, 0, 0, 0]
        params, outputs = iter(buffers[: len(arguments)]), iter(buffers[len(arguments) :])
        for each in drawn:
            after = {p.value: next(params) for p in each.graph.params}
            each.got[threads] = [next(outputs) for _ in each.graph.outputs]
            each.got[threads] += [after[u.state] for u in each.graph.updates]
    return drawn


@pytest.fixture(scope="module", params=[(0, 12, False), (1000, 24, False), (2000, 16, True)], ids=str)
def drawn(request: pytest.FixtureRequest) -> tuple[list[Drawn], float]:
    """Graphs, and how far they may be from the interpreter: f32 sums in another order, 16-bit ones an ulp or two."""
    seed, size, halves = request.param
    return compiled(seed, size, halves), 3e-2 if halves else 1e-4


def test_results_and_new_states_are_the_interpreters(drawn: tuple[list[Drawn], float]) -> None:
    graphs, tolerance = drawn
    assert len(graphs) > COUNT // 2
    for each in graphs:
        for i, (got, want) in enumerate(zip(each.got[1], each.expected, strict=True)):
            got, want = got.astype(np.float32), want.astype(np.float32)
            largest = np.abs(want).max(initial=0.1)  # what small results are differences of
            np.testing.assert_allclose(
                got, want, tolerance, tolerance * largest, err_msg=f"result {i} of {each.graph.name}"
            )


def test_three_threads_give_the_same_bits_as_one(drawn: tuple[list[Drawn], float]) -> None:
    for each in drawn[0]:
        for one, three in zip(each.got[1], each.got[3], strict=True):
            assert one.tobytes() == three.tobytes(), each.graph.name


def test_the_draw_has_every_kind_of_kernel_and_updates(drawn: tuple[list[Drawn], float]) -> None:
    kinds = {n.attrs["kind"] for each in drawn[0] for n in Stages(each.graph).run(lowering(unit.claims)).nodes}
    assert {"pointwise", "row", "column", "contract", "concat", "scatter"} <= kinds
    assert sum(len(each.graph.updates) for each in drawn[0]) > COUNT
