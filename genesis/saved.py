"""Values of the forward pass that a gradient rule needs, and whether they were written over since."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from compiler.errors import AutogradError
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS, Op, o
from compiler.ir.replay import live_nodes
from compiler.ir.types import TensorType
from compiler.pipeline import differentiated
from genesis.eager.calls import Taped
from genesis.memory.cells import Cell
from genesis.memory.values import held

Ages = Sequence[tuple[Cell, tuple[int, int]]]


def reached_from(sources: Sequence[Value], nodes: Sequence[Node]) -> set[Value]:
    """``sources`` and everything that ``nodes``, in program order, computed from them."""
    found = set(sources)
    for node in nodes:
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def check_saved(nodes: Sequence[Node], needed: set[Value]) -> None:
    """Raise PyTorch's error if a gradient through ``nodes`` reads what was written in place since.

    ``needed``: the values whose gradients are on the way.
    A write whose value was computed by the node itself, as by an in-place activation, does not count.
    """
    for node in nodes:
        if needed.isdisjoint(node.inputs):
            continue
        if isinstance(node, Taped):
            check_ages(node.op.name, node.ages)
        suspects = [v for v in (*node.inputs, *node.outputs) if _changed(v, node)]
        if suspects:
            saved = saved_by(node, needed)
            for value in suspects:
                if value in saved and not _made_the_next(node, value):
                    _refuse(node.op.name, held(value).place(), value.type, str(node.loc) if node.loc.file else "")


def check_ages(reader: str, ages: Ages) -> None:
    """Raise unless every cell that ``reader`` read is as old as it was then."""
    for cell, age in ages:
        if cell.age() != age:
            _refuse(reader, cell, cell.type)


def _refuse(reader: str, cell: Cell | None, type: TensorType, line: str = "") -> None:
    label = cell.label if cell is not None else ""
    reader = f"{reader}, at {line}," if line else reader
    raise AutogradError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"{label or 'a tensor'} {type} was updated after {reader} read it"
    )


def _changed(value: Value, node: Node) -> bool:
    if isinstance(node, Taped) and value in node.times:
        clock, time = node.times[value]
        if clock.time != time:
            return True
    place = held(value).place
    return place is not None and place.changed


def _made_the_next(node: Node, value: Value) -> bool:
    """Whether what was written over ``value`` comes from ``node``."""
    following = held(value).place.following
    new = following() if following is not None else None
    pending = [] if new is None else [new]
    seen: set[Node] = set()
    while pending:
        maker = pending.pop().producer
        if maker is node:
            return True
        if maker is not None and maker not in seen:
            seen.add(maker)
            pending += [v for v in maker.inputs if v is not value]
    return False


def saved_by(node: Node, needed: set[Value]) -> set[Value]:
    """The inputs and outputs of ``node`` that its gradient rule reads."""
    if OPS.get(node.op.name) is not node.op or node.op.is_structure:
        return set(node.inputs + node.outputs) if node.body is not None else set()
    wanted = tuple([v in needed for v in node.inputs])
    types = tuple([v.type for v in node.inputs]), tuple([v.type for v in node.outputs])
    inputs, outputs = _reads(node.op, *types, tuple(node.attrs.items()), wanted)
    return {node.inputs[i] for i in inputs} | {node.outputs[i] for i in outputs}


@cache
def _reads(
    op: Op,
    inputs: tuple[TensorType, ...],
    outputs: tuple[TensorType, ...],
    attrs: tuple[tuple[str, Any], ...],
    wanted: tuple[bool, ...],
) -> tuple[frozenset[int], frozenset[int]]:
    """Which inputs and outputs of a call the gradients of the ``wanted`` inputs read: found by taking them."""
    graph = Graph("saved")
    values = [graph.add_param(t, "input", "", "x") for t in inputs]
    sources = [v for v, there in zip(values, wanted, strict=True) if there and v.dtype.is_floating_point]
    node = Node(op, tuple(values), outputs, dict(attrs))
    builder = GraphBuilder()
    builder.nodes.append(node)
    gradients: list[Value] = []
    with using(builder):
        for value in node.outputs:
            if value.dtype.is_floating_point and sources:
                seed = graph.add_param(value.type, "input", "", "seed")
                found = o.grad(value, seed, *sources, seed=True)
                gradients += found if isinstance(found, tuple) else [found]
    graph.nodes, graph.outputs = builder.nodes, [*node.outputs, *gradients]
    taken = differentiated(graph)
    results, gradients = taken.outputs[: len(node.outputs)], taken.outputs[len(node.outputs) :]
    back = live_nodes(Graph("", [], taken.nodes, [], gradients))
    read = {v for n in back if n.phase == "backward" for v in n.inputs}.union(gradients)
    return frozenset(i for i, v in enumerate(values) if v in read), frozenset(
        i for i, v in enumerate(results) if v in read
    )
