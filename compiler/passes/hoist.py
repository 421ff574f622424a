"""Takes work out of loops: what every iteration does alike, and products that are better done for all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compiler.fixpoint import turns
from compiler.hoisting.outside import Outside
from compiler.hoisting.rest import Rest
from compiler.hoisting.values import Values, root_of
from compiler.ir.builder import Call, GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.replay import copy_node, rewrite
from compiler.ops.loop import Parts, loop


def hoist(graph: Graph) -> Graph:
    """Take out of every loop what does not need one iteration to follow the other.

    before::

        %h: f32[2,4], %hs: f32[9,2,4], %dw: f32[4,4] = loop(%h0, %zero, %xs, %w, %u) {length=9, ...} @body {
          input %h: f32[2,4]
          input %dw: f32[4,4]
          input %x: f32[2,3]
          input %w: f32[4,4]
          input %u: f32[3,4]
          %0: f32[4,4] = permute(%w) {dims=[1,0]}
          %1: f32[2,4] = dot(%h, %0)
          %2: f32[2,4] = dot(%x, %u)
          %3: f32[2,4] = add(%1, %2)
          %4: f32[4,2] = permute(%3) {dims=[1,0]}
          %5: f32[4,4] = dot(%4, %h)
          %6: f32[4,4] = add(%dw, %5)
          return %3, %6, %3
        }

    after::

        %0: f32[4,4] = permute(%w) {dims=[1,0]}   # because %h has few rows
        %1: f32[18,3] = reshape(%xs) {shape=[18,3]}
        %2: f32[18,4] = dot(%1, %u)
        %3: f32[9,2,4] = reshape(%2) {shape=[9,2,4]}
        %h: f32[2,4], %hs: f32[9,2,4], %before: f32[9,2,4] = loop(%h0, %3, %0) {length=9, ...} @body {
          input %h: f32[2,4]
          input %2: f32[2,4]
          input %0: f32[4,4]
          %1: f32[2,4] = dot(%h, %0)
          %3: f32[2,4] = add(%1, %2)
          return %3, %3, %h
        }
        %4: f32[4,9,2] = permute(%hs) {dims=[2,0,1]}
        %5: f32[4,4] = dot(reshape(%4), reshape(%before))

    Out come: ops on invariants only; transposed weights of deep products or such of few rows, so that memory holds them
    as a product reads them; products of a sequence with an invariant, as one product over all iterations, and what
    follows them elementwise; products that only a stacked result needs, or that are only added up. Sums over all
    iterations at once add in another order. Results, carries and operands that nobody needs are dropped. A sum over
    rows is taken out where its operand is stacked anyway. Only ops on invariants leave a loop over micro-batches.
    """
    if not any(n.op.kind == "loop" for n in graph.nodes):
        return graph
    graph = _pruned(graph)
    builder = _Numbering()

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value]:
        if node.op.kind == "loop":
            return _hoisted(builder, node, inputs)
        outputs = copy_node(builder, node, inputs)
        builder.remember(node, inputs, outputs)
        return outputs

    return _pruned(rewrite(graph, rule, builder))


class _Numbering(GraphBuilder):
    """Records an expression once."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[Any, ...], tuple[Value, ...]] = {}

    def remember(self, node: Node, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> None:
        if node.body is None and node.op.is_shareable:
            self.known.setdefault((node.op.name, inputs, repr(node.attrs)), tuple(outputs))

    def emit(self, call: Call) -> tuple[Value, ...]:
        found = self.known.get((call.op.name, call.inputs, repr(call.attrs))) if call.body is None else None
        if found is None:
            found = super().emit(call)
            self.remember(self.nodes[-1], call.inputs, found)
        return found


# Values that nobody needs


def _pruned(graph: Graph) -> Graph:
    """Without the results, carries and operands of loops that no result of the graph needs."""
    wanted = set(graph.results())
    kept: dict[Node, Graph] = {}
    for node in reversed(graph.nodes):
        if node.op.kind == "loop" and any(v in wanted for v in node.outputs):
            kept[node] = body = _needed(node, wanted)
            there = set(body.inputs())
            wanted.update(v for v, p in zip(node.inputs, node.inner.inputs(), strict=True) if p in there)
        elif any(v in wanted for v in node.outputs):
            wanted.update(node.inputs)

    def rule(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node in kept:
            found = _narrowed(node, inputs, kept[node], wanted)
            return [found.get(v, v) for v in node.outputs]
        return None if any(v in wanted for v in node.outputs) else node.outputs

    return rewrite(graph, rule)


def _needed(node: Node, wanted: set[Value]) -> Graph:
    """The body with the inputs, nodes and results (of carries: those that matter) that ``wanted`` needs."""
    parts = Parts.of(node)
    carried = parts.split(parts.body.inputs())[0]
    live = {v for v, r in zip(parts.slices, parts.stacks, strict=True) if r in wanted}
    live |= {p for p, r in zip(carried, node.outputs, strict=False) if r in wanted}
    following = dict(zip(carried, parts.next, strict=True))
    for _ in turns(f"what a loop needs at {node.loc}", len(carried) + 1):  # the first turn adds inner values
        reached = set(live)
        reached.update(following[p] for p in carried if p in live)
        for inner in reversed(parts.body.nodes):
            if any(v in reached for v in inner.outputs):
                reached.update(inner.inputs)
        if reached == live:
            break
        live = reached
    carries = [p for p in carried if p in live]
    outputs = [following[p] for p in carries]
    outputs += [v for v, r in zip(parts.slices, parts.stacks, strict=True) if r in wanted]
    nodes = [n for n in parts.body.nodes if any(v in live for v in n.outputs)]
    params = [p for p in parts.body.params if p.value in live]
    return Graph(parts.body.name, params, nodes, [], outputs)


def _narrowed(node: Node, inputs: Sequence[Value], body: Graph, wanted: set[Value]) -> dict[Value, Value]:
    """Record ``node`` with the smaller ``body``; returns its old results -> new ones."""
    parts = Parts.of(node)
    there = set(body.inputs())
    carried, sliced, _ = parts.split(parts.body.inputs())
    operands = [v for v, p in zip(inputs, parts.body.inputs(), strict=True) if p in there]
    carries = [i for i, p in enumerate(carried) if p in there]
    sequences = sum(p in there for p in sliced)
    results = loop(operands, body, **{**node.attrs, "carries": len(carries), "sequences": sequences})
    old = [node.outputs[i] for i in carries] + [r for r in parts.stacks if r in wanted]
    for before, after in zip(old, results, strict=True):
        after.name = before.name
    return dict(zip(old, results, strict=True))


# Taking out


def _hoisted(builder: GraphBuilder, node: Node, inputs: Sequence[Value]) -> list[Value]:
    """Record a loop and the ops taken out around it; returns the values that stand for the old results."""
    values = Values(node)
    parts, outside = values.parts, Outside(builder, values, inputs, node.attrs["length"])
    sums = {} if values.separate else values.sums()
    stacked = [] if values.separate else parts.slices
    late = {v: p for v in stacked if (p := values.product(v)) is not None and p.inputs[-1] in values.fixed}
    slices = {v: None for v in parts.slices if v not in late and v not in values.along and v not in values.fixed}
    for product in (*late.values(), *(p for p in sums.values() if p.op.kind == "contract")):
        for root in map(root_of, product.inputs):  # of which all iterations are needed
            if root not in values.along and root not in values.fixed:
                slices[root] = None
    there = values.along | values.fixed | slices.keys()
    sums = {i: p for i, p in sums.items() if p.op.kind == "contract" or root_of(p.inputs[0]) in there}
    carries = [i for i in range(parts.carries) if i not in sums]
    found = Rest(values, outside).record(builder, node, carries, slices)
    last = dict(zip(carries, found, strict=False))
    outside.stacks.update(zip(slices, found[len(carries) :], strict=True))
    first = [last[i] if i in last else outside.total(i, sums[i]) for i in range(parts.carries)]
    return first + [outside.stacked(v) for v in parts.slices]
