"""Random graphs as C: the interpreter's results, at any number of threads, states updated in place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from compiler.codegen.c import unit
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from tests.compiler.codegen.c.drawn import Draw, arrays_for
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.passes.graphs import draw_inputs, programs, with_gradients

COUNT = 40
LARGE = 1e6  # graphs whose results grow beyond it say nothing


@dataclass
class Drawn:
    """A graph, its arguments, what the interpreter makes of them, and what C does at each number of threads."""

    graph: Graph
    arguments: list[np.ndarray]
    expected: list[np.ndarray]
    got: dict[int, list[np.ndarray]] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)

    @property
    def tolerance(self) -> float:
        """f32 sums in another order; 16-bit results are rounded apart by an ulp or two, which later ops amplify."""
        values = [v for n in self.graph.nodes for v in (*n.inputs, *n.outputs)]
        return 3e-2 if any(v.dtype.is_half for v in values) else 1e-4


def drawn_at(graph: Graph, arrays: list[np.ndarray]) -> Drawn | None:
    """The graph with what it gives, unless that overflows."""
    with np.errstate(all="ignore"):
        outputs, updates = interpret(autodiff(graph), arrays)
        expected = [*outputs, *updates]
        fits = all((np.abs(x.astype(np.float32)) < LARGE).all() for x in expected)
    return Drawn(graph, arrays, expected) if fits else None


def compiled(drawn: list[Drawn]) -> list[Drawn]:
    """All graphs as one translation unit, which is much faster than one for each; run on one thread and on three."""
    whole = Graph("drawn")
    for each in drawn:
        fused = Stages(each.graph).run(lowering(unit.FEATURES))
        each.kinds = {node.attrs["kind"] for node in fused.nodes}
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


def from_seeds(seed: int, size: int, halves: bool) -> list[Drawn]:
    """Graphs of ops as models have them."""
    graphs = [(number, Draw(number, size, halves).graph) for number in range(seed, seed + COUNT)]
    found = [drawn_at(graph, arrays_for(graph, number)) for number, graph in graphs]
    return [each for each in found if each is not None]


def from_programs() -> list[Drawn]:
    """Graphs of any ops and types, as the tests of the passes draw them, with gradients."""
    found: list[Drawn] = []

    @settings(max_examples=COUNT, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(programs(12))
    def collect(graph: Graph) -> None:
        floating = [v for v in graph.outputs if v.dtype.kind == "float"]
        graph = with_gradients(graph) if floating else graph
        each = drawn_at(graph, draw_inputs(graph, len(found)))
        if each is not None:
            found.append(each)

    collect()
    return found


SOURCES = {
    "models": lambda: from_seeds(0, 12, halves=False),
    "larger": lambda: from_seeds(1000, 24, halves=False),
    "halves": lambda: from_seeds(2000, 16, halves=True),
    "programs": from_programs,
}


@pytest.fixture(scope="module", params=SOURCES)
def drawn(request: pytest.FixtureRequest) -> list[Drawn]:
    found = SOURCES[request.param]()
    assert len(found) > COUNT // 2
    return compiled(found)


def test_results_and_new_states_are_the_interpreters(drawn: list[Drawn]) -> None:
    for each in drawn:
        for i, (got, want) in enumerate(zip(each.got[1], each.expected, strict=True)):
            assert got.dtype == want.dtype
            got, want = got.astype(np.float64), want.astype(np.float64)
            largest = np.abs(want).max(initial=0.1)  # what small results are differences of
            np.testing.assert_allclose(
                got, want, each.tolerance, each.tolerance * largest, err_msg=f"result {i} of {each.graph.name}"
            )


def test_three_threads_give_the_same_bits_as_one(drawn: list[Drawn]) -> None:
    for each in drawn:
        for one, three in zip(each.got[1], each.got[3], strict=True):
            assert one.tobytes() == three.tobytes(), each.graph.name


def test_the_draw_has_every_kind_of_kernel_and_updates(drawn: list[Drawn]) -> None:
    assert {"pointwise", "row", "contract", "concat"} <= set().union(*(each.kinds for each in drawn))
    if drawn[0].graph.name != "program":
        assert sum(len(each.graph.updates) for each in drawn) > COUNT // 4
