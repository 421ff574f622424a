"""Loops in C: carries in their places, slices, barriers, at any number of threads."""

from functools import cache

import numpy as np
import pytest

from compiler.codegen.c import unit
from compiler.codegen.c.isa import Isa
from compiler.features import Features
from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.replay import in_loops
from compiler.passes.autodiff import autodiff
from compiler.pipeline import Stages, lowering
from compiler.plan import Plan
from tests.compiler.codegen.c.harness import isas
from tests.compiler.codegen.c.plans import native, run
from tests.compiler.loops import LOOK_UPS, LOOPS, loop_graph, with_gradients
from tests.compiler.passes.graphs import draw_inputs, read
from tests.samples import assert_same


def plan_of(graph: Graph, timed: bool = False, isa: Isa | None = None) -> Plan:
    return unit.emit(Stages(graph).run(lowering(Features(unit.claims))), isa or native(), timed)


@cache
def case(name: str, reverse: bool, gradients: bool) -> tuple[Graph, Plan]:
    graph = loop_graph(name, reverse)
    graph = with_gradients(graph) if gradients else graph
    return graph, plan_of(graph)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_c_agrees_with_the_interpreter(name: str, reverse: bool, gradients: bool, threads: int) -> None:
    graph, plan = case(name, reverse, gradients)
    arrays = draw_inputs(graph)
    results, _ = run(plan, arrays, threads)
    expected, _ = interpret(in_loops(autodiff)(graph), arrays)
    for actual, wanted in zip(results[len(arrays) :], expected, strict=True):
        assert_same(actual, wanted, 1e-5, 1e-5, plan.source)


def test_a_total_is_added_up_in_place() -> None:
    graph = read("""
      input %total: f32[64]
      input %xs: f32[7,64]
      %0: f32[64] = loop(%total, %xs) {length=7, carries=1, sequences=1} @body {
        input %total: f32[64]
        input %x: f32[64]
        %0: f32[64] = exp(%x)
        %1: f32[64] = add(%total, %0)
        return %1
      }
      return %0
    """)
    plan = plan_of(graph)
    assert plan.arena_bytes == 0, "the result is the only memory"
    (total, xs) = draw_inputs(graph)
    np.testing.assert_allclose(run(plan, [total, xs])[0][2], total + np.exp(xs).sum(0), 1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_carry_is_stacked_once_for_those_who_read_it_before_and_after(reverse: bool) -> None:
    graph = read(f"""
      input %h: f32[64]
      input %c: f32[64]
      input %xs: f32[7,64]
      %0: f32[64], %1: f32[64], %2: f32[7,64], %3: f32[7,64], %4: f32[7,64] = loop(%h, %c, %xs)
      {{length=7, carries=2, sequences=1, reverse={str(reverse).lower()}}} @body {{
        input %h: f32[64]
        input %c: f32[64]
        input %x: f32[64]
        %0: f32[64] = mul(%c, %x)
        %1: f32[64] = add(%h, %0)
        %2: f32[64] = sub(%x, %1)
        return %1, %2, %h, %1, %c
      }}
      %5: f32[7,64] = mul(%2, %3)
      %6: f32[7,64] = add(%4, %5)
      %7: f32[7] = sum(%6) {{axes=[1]}}
      return %7, %0, %1
    """)
    plan = plan_of(graph)
    assert plan.source.split("for (long i0")[1].split("  }\n")[0].count("(FROM(") == 1, "one kernel and no copies"
    assert plan.arena_bytes < 3 * 8 * 64 * 4, "two stacks of eight"
    arrays = draw_inputs(graph)
    for threads in (1, 3):
        for actual, wanted in zip(run(plan, arrays, threads)[0][3:], interpret(graph, arrays)[0], strict=True):
            assert_same(actual, wanted, 1e-5, 1e-5, plan.source)


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_an_invariant_operand_is_packed_in_front_of_the_loop(isa: Isa) -> None:
    graph = read("""
      input %h: f32[6,96]
      input %w: f32[96,96]
      %0: f32[6,96] = loop(%h, %w) {length=4, carries=1, sequences=0} @body {
        input %h: f32[6,96]
        input %w: f32[96,96]
        %0: bf16[6,96] = cast(%h) {to=bf16}
        %1: bf16[96,96] = cast(%w) {to=bf16}
        %2: f32[6,96] = dot(%0, %1) {dtype=f32}
        %3: f32[6,96] = tanh(%2)
        return %3
      }
      return %0
    """)
    plan = plan_of(graph, isa=isa)
    before, inside = plan.source.partition("static void run(")[2].split("for (long i0")
    assert "_pack(" in before and "_pack(" not in inside
    arrays = draw_inputs(graph)
    results = [run(plan, arrays, threads)[0][2] for threads in (1, 2, 5)]
    assert all(r.tobytes() == results[0].tobytes() for r in results)
    assert_same(results[0], interpret(graph, arrays)[0][0], 1e-2, 1e-2, plan.source)


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_threads_that_share_out_the_rows_evenly_need_no_barrier_in_a_loop(isa: Isa) -> None:
    graph = read("""
      input %h: f32[32,80]
      input %c: f32[32,80]
      input %xs: f32[9,32,160]
      input %w: f32[80,160]
      %0: f32[32,80], %1: f32[32,80], %2: f32[9,32,80] = loop(%h, %c, %xs, %w) {length=9, carries=2, sequences=1} @b {
        input %h: f32[32,80]
        input %c: f32[32,80]
        input %x: f32[32,160]
        input %w: f32[80,160]
        %0: f32[32,160] = dot(%h, %w)
        %1: f32[32,160] = add(%0, %x)
        %2: f32[32,80] = slice(%1) {start=[0,0], stop=[32,80], step=[1,1]}
        %3: f32[32,80] = slice(%1) {start=[0,80], stop=[32,160], step=[1,1]}
        %4: f32[32,80] = sigmoid(%2)
        %5: f32[32,80] = mul(%4, %c)
        %6: f32[32,80] = add(%5, %3)
        %7: f32[32,80] = tanh(%6)
        return %7, %6, %7
      }
      return %2
    """)
    plan = plan_of(graph, isa=isa)
    inside = plan.source.partition("static void run(")[2].split("for (long i0")[1].split("\n  }\n")[0]
    assert inside.count("% nt) BARRIER;") == inside.count("BARRIER;") == 2
    arrays = [x * np.float32(0.1) for x in draw_inputs(graph)]
    results = [run(plan, arrays, threads)[0][len(arrays)] for threads in (1, 2, 3, 4, 5, 2)]
    assert all(r.tobytes() == results[0].tobytes() for r in results)
    assert_same(results[0], interpret(graph, arrays)[0][0], 1e-5, 1e-5, plan.source)


def test_a_bad_index_in_a_loop_leaves_the_states_alone() -> None:
    graph = read(LOOK_UPS)
    plan = plan_of(graph)
    state, table = np.ones(3, np.float32), np.ones((4, 3), np.float32)
    (after, *_), status = run(plan, [state, table, np.array([0, 3, 1, 2, 0])], 2)
    assert status[0] == 0 and (after == 6).all()
    (after, *_), status = run(plan, [state, table, np.array([0, 3, 4, 2, 0])], 2)
    assert status[0] == 1 and status[3] == 4 and (after == 1).all()


def test_flops_count_every_iteration() -> None:
    graph = loop_graph("nested")
    assert sum(x.flops for x in plan_of(graph).launches) == 3 * (2 * 3 * 4 + 4)


def test_timing_adds_up_every_turn() -> None:
    plan = plan_of(loop_graph("cell"), timed=True)
    assert "spent[launch][part] +=" in plan.source
    assert plan.source.count("MARK(") > len(plan.launches)
