"""Places, and the placement of loops: a graph run on the bytes that they name gives what the interpreter gives."""

from collections.abc import Mapping

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.graph import Graph, Value
from compiler.ir.types import TensorType
from compiler.pipeline import Stages, lowering
from compiler.placement import BodyPlacement, Placement, Way, loop_of
from compiler.places import Anywhere, Moving, Place, sliced
from compiler.sharing import runs
from tests.compiler.loops import LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import draw_inputs, read
from tests.samples import assert_same


def test_a_moving_place_knows_where_it_is_in_every_iteration() -> None:
    place = Moving(0, Place(1), Place(2, 8), Place(3), stride=4)
    assert [place.at({0: i}) for i in range(4)] == [Place(1), Place(2, 12), Place(3, 8), Place(2, 20)]
    assert place.moved(16).at({0: 1}) == Place(2, 28)
    assert place.fixed() == {Place(1), Place(2, 8), Place(3)}


@pytest.mark.parametrize("reverse, offsets", [(False, [0, 8, 16]), (True, [16, 8, 0])])
def test_slices_of_a_stack(reverse: bool, offsets: list[int]) -> None:
    slices = sliced(Place(5), 2, 3, 8, reverse)
    assert [slices.at({2: i}) for i in range(3)] == [Place(5, n) for n in offsets]
    before = sliced(Place(5), 2, 3, 8, reverse, back=1)
    assert [before.at({2: i}) for i in (1, 2)] == [Place(5, n) for n in offsets[:2]]


def test_a_place_in_a_loop_in_a_loop() -> None:
    inner = sliced(sliced(Place(0), 0, 3, 8, False), 1, 2, 4, True)
    assert [inner.at({0: i, 1: j}).offset for i in range(3) for j in range(2)] == [4, 0, 12, 8, 20, 16]


class Machine:
    """Runs a fused graph on the memory that a placement says."""

    def __init__(self, placement: Placement) -> None:
        self.buffers, arena = placement.buffers.laid_out()
        self.arena = np.full(arena, 0x7F, np.uint8)
        self.memory = [
            self.arena[b.index :] if b.life is not None else np.zeros(b.type.nbytes, np.uint8) for b in self.buffers
        ]

    def view(self, place: Anywhere, type: TensorType, iterations: Mapping[int, int]) -> np.ndarray:
        where = place.at(iterations)
        assert 0 <= where.offset <= self.buffers[where.buffer].type.nbytes - type.nbytes, "it leaves its buffer"
        array = self.memory[where.buffer][where.offset : where.offset + type.nbytes]
        return array.view(type.dtype.numpy).reshape(type.shape)

    def run(self, placement: Placement, iterations: Mapping[int, int]) -> None:
        def view(value: Value) -> np.ndarray:
            return self.view(placement.places[value], value.type, iterations)

        def copy(value: Value, source: Anywhere, target: Anywhere) -> None:
            contents = self.view(source, value.type, iterations).copy()
            self.view(target, value.type, iterations)[...] = contents

        for step in placement.steps:
            loop = loop_of(step)
            if loop is not None:
                body = placement.bodies[loop]
                for move in body.before:
                    copy(move.value, move.source, move.target)
                for i in range(body.length):
                    self.run(body, {**iterations, body.number: i})
                for move in body.after:
                    copy(move.value, move.source, move.target)
                continue
            results = []
            for node in step.nodes:
                assert node.body is not None
                results.append(interpret(node.body, [view(v).copy() for v in node.inputs])[0])
            for node, arrays in zip(step.nodes, results, strict=True):
                for value, array in zip(node.outputs, arrays, strict=True):
                    view(value)[...] = array
        for value, target in placement.copies:
            copy(value, placement.places[value], target)


def fused(name: str, reverse: bool, gradients: bool) -> Graph:
    graph = loop_graph(name, reverse)
    return Stages(with_gradients(graph) if gradients else graph).run(lowering())


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_a_graph_runs_in_its_places(name: str, reverse: bool, gradients: bool, ordered: bool) -> None:
    graph = fused(name, reverse, gradients)
    arrays = draw_inputs(graph)
    placement = Placement(graph, runs(graph), ordered)
    machine = Machine(placement)
    for i, array in enumerate(arrays):
        machine.memory[i].view(array.dtype)[...] = array.reshape(-1)
    machine.run(placement, {})
    results = [machine.view(Place(len(arrays) + i), v.type, {}) for i, v in enumerate(graph.outputs)]
    for actual, wanted in zip(results, interpret(graph, arrays)[0], strict=True):
        assert_same(actual, wanted, 1e-6, 1e-6)


def test_in_order_the_values_of_an_iteration_share_memory() -> None:
    graph = fused("nested", False, True)
    together, ordered = (Placement(graph, runs(graph), flag).buffers.laid_out()[1] for flag in (False, True))
    assert ordered < together


CARRIES = """
  input %x: f32[8,8]
  input %xs: f32[4,8,8]
  %0: f32[8,8] = exp(%x)
  %1: f32[8,8] = loop(%0, %xs) {length=4, carries=1, sequences=1} @body {
    input %c: f32[8,8]
    input %s: f32[8,8]
    %0: f32[8,8] = sin(%s)
    %1: f32[8,8] = add(%c, %0)
    RETURN
  }
  %2: f32[8,8] = neg(%1)
  return %2
"""

TURNED = """
    %2: f32[8,8] = dot(%1, %c)
    return %2
"""


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_total_stands_where_its_start_does(ordered: bool, elsewhere: bool) -> None:
    """But not where the carry changes places with a second buffer."""
    text = CARRIES.replace("RETURN", TURNED if elsewhere else "return %1")
    graph = Stages(read(text)).run(lowering())
    placement = Placement(graph, runs(graph), ordered)
    (body,) = placement.bodies.values()
    start, last = placement.places[body.loop.inputs[0]], placement.places[body.loop.outputs[0]]
    assert (start == last) is (not elsewhere) and bool(body.before) is False
    assert body.ways == [Way.TURNS if elsewhere else Way.IN_PLACE]


def test_a_start_of_two_totals_ends_where_they_begin() -> None:
    graph = Stages(
        read("""
          input %x: f32[64]
          input %w: f32[64,64]
          %0: f32[64] = exp(%x)
          %1: f32[64], %2: f32[64] = loop(%0, %0, %w) {length=4, carries=2, sequences=0} @body {
            input %a: f32[64]
            input %b: f32[64]
            input %w: f32[64,64]
            %0: f32[64] = sum(%w) {axes=[0]}
            %1: f32[64] = sum(%w) {axes=[1]}
            %2: f32[64] = add(%a, %0)
            %3: f32[64] = add(%b, %1)
            return %2, %3
          }
          return %1, %2
        """)
    ).run(lowering())
    placement = Placement(graph, runs(graph), ordered=True)
    (body,) = placement.bodies.values()
    (start,) = placement.places[body.loop.inputs[0]].fixed()
    life = placement.buffers.records[start.buffer].life
    assert life is not None and life.end == body.start < body.last


def test_a_body_knows_its_loop() -> None:
    graph = fused("nested", False, False)
    (outer,) = Placement(graph, runs(graph)).bodies.values()
    (inner,) = outer.bodies.values()
    assert isinstance(inner, BodyPlacement)
    assert (outer.number, outer.length, inner.number, inner.length) == (0, 3, 1, 2)
