"""Rematerialisation."""

from collections.abc import Callable

import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.c import unit
from compiler.codegen.c.isa import ISAS
from compiler.errors import MemoryBudgetError
from compiler.index import view_chain
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Update, Value
from compiler.ir.op import o
from compiler.ir.types import DType, TensorType, bf16, f16, f32, i64
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import fuse
from compiler.passes.horizontal import horizontal
from compiler.passes.remat import remat
from compiler.passes.simplify import simplify
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops, read

WIDTH, ROWS = 16, 8


def network(layers: int, low: DType = f32, accumulate: int = 1, unit: str = "gelu") -> Graph:
    """A gradient step of ``layers`` residual blocks: norm, product, activation, product, dropout."""
    graph = Graph("step")
    seed = graph.add_param(TensorType(i64, ()), "state", "", "seed")
    weights = [
        graph.add_param(TensorType(f32, shape), "state", "", "w")
        for _ in range(layers)
        for shape in ((WIDTH,), (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH))
    ]
    with using(GraphBuilder()) as builder:
        total: Value | None = None
        for turn in range(accumulate):
            x = graph.add_param(TensorType(f32, (ROWS, WIDTH)), "input", "", "x")
            for layer in range(layers):
                scale, up, down = weights[3 * layer : 3 * layer + 3]
                h = o.cast(o.layer_norm(x, scale, ndim=1)[0], to=low)
                h = getattr(o, unit)(o.linear(h, o.cast(up, to=low)))
                h = o.dropout(o.linear(h, o.cast(down, to=low)), seed, seed, p=0.25, index=turn * layers + layer)
                x = o.add(x, o.cast(h, to=f32))
            loss = o.mean(o.mul(x, x), axes=(0, 1))
            grads = o.grad(loss, *weights)
            total = grads if total is None else [o.add(a, b) for a, b in zip(total, grads, strict=True)]
        assert total is not None
        graph.updates = [Update(w, o.sub(w, o.mul(0.1, g))) for w, g in zip(weights, total, strict=True)]
    graph.nodes, graph.outputs = builder.nodes, [loss]
    return lowered(graph)


def lowered(graph: Graph) -> Graph:
    return cse(simplify(expand(autodiff(graph))))


def kernels(graph: Graph) -> Graph:
    return horizontal(fuse(graph))


def arena(graph: Graph) -> int:
    return unit.emit(kernels(graph), ISAS["portable"]).arena_bytes


def again(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.phase == "recomputed" and n.op.name != "reload"]


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = read("""
      input %x: f32[8,4]
      input %w: f32[4,4]
      input %v: f32[4,4]
      input %g: f32[8,4]
      %0: f32[8,4] = dot(%x, %w)                # train.py:3 model
      %1: f32[8,4] = sin(%0)                    # train.py:4 model
      %2: f32[8,4] = dot(%1, %v)                # train.py:5 model
      %3: f32[8,4] = dot(%2, %v)                # train.py:6 model
      %4: f32[8,4] = backward mul(%3, %g)                # train.py:7
      %5: f32[4,4] = backward permute(%v) {dims=[1,0]}   # train.py:6 model
      %6: f32[8,4] = backward dot(%4, %5)                # train.py:6 model
      %7: f32[8,4] = backward dot(%6, %5)                # train.py:5 model
      %8: f32[4,8] = backward permute(%1) {dims=[1,0]}   # train.py:5 model
      %9: f32[4,4] = backward dot(%8, %6)                # train.py:5 model
      %10: f32[8,4] = backward cos(%0)                   # train.py:4 model
      %11: f32[8,4] = backward mul(%7, %10)              # train.py:4 model
      return %9, %11
    """)
    golden("passes/remat.gir", before_and_after(before, "remat", remat(before)))


@pytest.mark.parametrize("low", [f32, bf16, f16])
def test_the_meaning_stays(low: DType) -> None:
    before = network(3, low)
    after = remat(before)
    assert again(after)
    assert_same_meaning(before, after, draw_inputs(before))
    assert_same_meaning(before, kernels(after), draw_inputs(before))


def test_one_value_of_an_activation_is_kept() -> None:
    """The inputs of each block; for the last block, whose product is the last, also its output."""
    graph = remat(network(4))
    place = {v: i for i, n in enumerate(graph.nodes) for v in n.outputs}
    first = next(i for i, n in enumerate(graph.nodes) if n.phase == "backward")
    kept = [v for v in {v for n in graph.nodes[first:] for v in n.inputs} if place.get(v, first) < first]
    assert sum(v.shape == (ROWS, 4 * WIDTH) for v in kept) == 4 + 1
    assert {n.op.name for n in again(graph)} >= {"erf", "mul", "sub"}


def test_draws_keep_their_index() -> None:
    before, after = network(3), remat(network(3))
    indices = {n.attrs["index"] for n in before.nodes if n.op.name == "uniform"}
    assert {n.attrs["index"] for n in after.nodes if n.op.name == "uniform"} == indices


def test_what_is_computed_again_stands_before_its_first_reader() -> None:
    graph = remat(network(2))
    place = {n: i for i, n in enumerate(graph.nodes)}
    copies = {v for n in again(graph) for v in n.outputs}
    for node in again(graph):
        readers = [place[n] for n in graph.nodes if set(node.outputs) & set(n.inputs)]
        between = graph.nodes[place[node] + 1 : min(readers)]
        assert all(n.phase == "recomputed" for n in between), "only other copies for the same reader"
    assert copies


def test_cse_leaves_them_apart() -> None:
    graph = remat(network(2))
    assert ops(cse(graph)) == ops(graph)


def test_no_kernel_of_the_forward_pass_computes_for_the_backward_pass() -> None:
    graph = kernels(remat(network(2)))
    for node in graph.nodes:
        assert node.body is not None
        behind = {n.phase != "forward" for n in node.body.nodes if n.op.kind == "contract"}
        inside = {n.op.name for n in node.body.nodes}
        assert behind != {False} or not {"erf", "exp"} <= inside, "the slope of gelu"
        assert "reload" not in inside


def test_accumulated_passes_are_treated_one_by_one() -> None:
    before = network(2, accumulate=3)
    after = remat(before)
    assert len(again(after)) == 3 * len(again(remat(network(2))))
    assert_same_meaning(before, after, draw_inputs(before))


@pytest.mark.parametrize("unit", ["gelu", "relu", "silu"])
def test_the_arena_does_not_grow(unit: str) -> None:
    for layers in (1, 2, 5):
        graph = network(layers, unit=unit)
        assert arena(remat(graph)) <= arena(graph)


@pytest.mark.parametrize("budget", [0.8, 0.6])
def test_a_budget_is_kept_to(budget: float) -> None:
    before = network(12)
    after = remat(before, budget, arena)
    assert arena(after) <= budget * arena(remat(before))
    assert any(n.op.name == "dot" for n in again(after))
    assert_same_meaning(before, after, draw_inputs(before))


def test_a_budget_that_is_enough_changes_nothing() -> None:
    before = network(3)
    usual = remat(before)
    assert ops(remat(before, arena(usual), arena)) == ops(usual)


def test_a_budget_out_of_reach_names_what_is_in_reach() -> None:
    before = network(12)
    with pytest.raises(MemoryBudgetError, match=r"leaves 1,000\.\n  Give it \d+ or more") as caught:
        remat(before, 1000, arena)
    smallest = int(str(caught.value).split("Give it ")[1].split(" ")[0])
    assert arena(remat(before, smallest, arena)) <= smallest


def test_without_a_backward_pass_nothing_happens() -> None:
    graph = read("""
      input %x: f32[8,4]
      input %w: f32[4,4]
      %0: f32[8,4] = dot(%x, %w)
      %1: f32[8,4] = exp(%0)
      %2: f32[8,4] = dot(%1, %w)
      return %2
    """)
    assert remat(graph).nodes == graph.nodes


def test_what_is_computed_again_grows_with_the_depth() -> None:
    four, six, eight = (len(again(remat(network(n)))) for n in (4, 6, 8))
    assert eight - six == six - four > 0


def test_operands_of_products_are_kept_where_the_target_wants_it() -> None:
    """A product reads memory: to compute its operand again is to store it again."""

    def stored_again(graph: Graph) -> set[Value]:
        repeated = {v for n in again(graph) if n.op.kind != "view" for v in n.outputs}
        backward = [n for n in graph.nodes if n.op.name == "dot" and n.phase == "backward"]
        return repeated & {view_chain(v)[0] for n in backward for v in n.inputs}

    before = network(3)
    kept = remat(before, keeps_operands=True)
    assert stored_again(remat(before)) and not stored_again(kept)
    assert again(kept), "what joins its readers is computed again"
    assert_same_meaning(before, kept, draw_inputs(before))


def test_what_windows_read_is_kept_where_the_target_wants_it() -> None:
    """Windows read memory, too, of an activation in front of pooling, say."""
    graph = Graph("step")
    x, w, v = (graph.add_param(TensorType(f32, shape), "state", "", "") for shape in ((8, 16), (16, 16), (4, 8)))
    with using(GraphBuilder()) as builder:
        h = o.linear(x, w)
        images = o.reshape(o.maximum(o.sub(o.mul(h, h), h), 0.0), shape=(8, 1, 4, 4))
        pooled, _ = o.max_pool(images, window=(1, 2), stride=(1, 2), padding=(0, 0), dilation=(1, 1), size=(4, 2))
        y = o.linear(o.reshape(pooled, shape=(8, 8)), v)
        loss = o.mean(o.mul(y, y), axes=(0, 1))
        graph.updates = [Update(p, o.sub(p, g)) for p, g in zip((w, v), o.grad(loss, w, v), strict=True)]
    graph.nodes, graph.outputs = builder.nodes, [loss]
    before = lowered(graph)
    kept = remat(before, keeps_operands=True)
    assert "maximum" in [n.op.name for n in again(remat(before))]
    assert "maximum" not in [n.op.name for n in again(kept)]
    assert_same_meaning(before, kept, draw_inputs(before))


def test_a_budget_is_kept_by_a_target_that_keeps_operands() -> None:
    before = network(4)
    usual = arena(remat(before, keeps_operands=True))
    assert arena(remat(before, 0.6, arena, keeps_operands=True)) <= 0.6 * usual
