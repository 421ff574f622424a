"""Rounds what goes from one iteration of a loop to the next, or is stacked, to 16 bits where it is made."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import ambient
from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value, users
from compiler.ir.op import o
from compiler.ir.replay import copy_node, rewrite
from compiler.ir.types import DType
from compiler.ops.loop import Parts, loop


def narrow(graph: Graph) -> Graph:
    """Carry, or stack, the rounded value that is read.

    before::

        %h: f32[2,4], %hs: f32[9,2,4] = loop(%h0, %w) {length=9, ...} @body {
          input %h: f32[2,4]
          input %w: bf16[4,4]
          %0: bf16[2,4] = cast(%h) {to=bf16}
          %1: f32[2,4] = dot(%0, %w)
          return %1, %1
        }
        %0: bf16[9,2,4] = cast(%hs) {to=bf16}

    after::

        %0: bf16[2,4] = cast(%h0) {to=bf16}
        %h: f32[2,4], %1: bf16[2,4], %hs: f32[9,2,4], %2: bf16[9,2,4] = loop(%h0, %0, %w) {length=9, ...} @body {
          input %h: f32[2,4]
          input %h_1: bf16[2,4]
          input %w: bf16[4,4]
          %0: f32[2,4] = dot(%h_1, %w)
          %1: bf16[2,4] = cast(%0) {to=bf16}
          return %0, %1, %0, %1
        }

    The kernel that makes a value rounds it, instead of one of its own; ``hoist`` drops what nobody reads any more.
    """
    if not any(n.op.kind == "loop" for n in graph.nodes):
        return graph
    readers = users(graph)
    found: dict[Value, Value] = {}  # results of loops, and casts of these -> what they have become

    def rule(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if node.op.kind == "loop":
            casts = [n for v in Parts.of(node).stacks for n in readers.get(v, ()) if _rounds(n)]
            found.update(_narrowed(node, inputs, casts))
        return [found[v] for v in node.outputs] if node.outputs[0] in found else None

    return rewrite(graph, rule)


def _rounds(node: Node) -> bool:
    return node.op.converts and node.output.dtype.is_half and not node.inputs[0].dtype.is_half


def _narrowed(node: Node, inputs: Sequence[Value], casts: Sequence[Node]) -> dict[Value, Value]:
    """Record the loop ``node`` so that it does ``casts`` of its stacks; old values -> new ones, if there are any."""
    parts = Parts.of(node)
    carried, sliced, fixed = parts.split(parts.body.inputs())
    starts, sequences, invariants = parts.split(inputs)
    inside = GraphBuilder()
    env: dict[Value, Value] = {}
    carries: dict[tuple[Value, DType], Node] = {}  # a carry and what it is rounded to: the first cast that does so
    rounded: dict[tuple[Value, DType], Value] = {}

    def cast(value: Value, like: Node) -> Value:
        key = env.get(value, value), like.output.dtype
        if key not in rounded:
            inside.at(like, "narrow")
            rounded[key] = o.cast(key[0], to=key[1])
        return rounded[key]

    with using(inside):
        for inner in parts.body.nodes:
            if _rounds(inner) and inner.inputs[0] in carried:
                carry = inner.inputs[0]
                first = carries.setdefault((carry, inner.output.dtype), inner)
                env[inner.output] = env.get(first.output) or Value(inner.output.type, carry.name)
                continue
            outputs = copy_node(inside, inner, tuple([env.get(v, v) for v in inner.inputs]))
            env.update((a, b) for a, b in zip(inner.outputs, outputs, strict=True) if a is not b)
        following = dict(zip(carried, parts.next, strict=True))
        source = dict(zip(parts.stacks, parts.slices, strict=True))
        results = [env.get(v, v) for v in parts.next]
        results += [cast(following[n.inputs[0]], n) for n in carries.values()]
        results += [env.get(v, v) for v in parts.slices]
        results += [cast(source[n.inputs[0]], n) for n in casts]
    if not carries and not casts:
        return {}
    builder = ambient.builder()
    assert isinstance(builder, GraphBuilder)
    more = [env[n.output] for n in carries.values()]
    params = [Param(v, "input") for v in (*carried, *more, *sliced, *fixed)]
    body = Graph(parts.body.name, params, inside.nodes, [], results)
    start = dict(zip(carried, starts, strict=True))
    for (carry, to), like in carries.items():
        builder.at(like, "narrow")
        starts.append(o.cast(start[carry], to=to))
    builder.at(node)
    operands = [*starts, *sequences, *invariants]
    found = loop(operands, body, **{**node.attrs, "carries": len(starts)})
    old = [*node.outputs, *(n.output for n in casts)]
    new = [*found[: len(carried)], *found[len(starts) :]]
    for before, after in zip(old, new, strict=True):
        after.name = before.name
    return dict(zip(old, new, strict=True))
