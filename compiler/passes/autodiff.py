"""Replaces every ``grad`` node by the ops that compute the gradients."""

from __future__ import annotations

from functools import partial

from compiler.ir.builder import GraphBuilder, constant
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import live_nodes, noted, replay, rewrite
from compiler.naming import name_gradients
from compiler.ops.loop import save_residuals
from compiler.ops.vjp import pull_back


def autodiff(graph: Graph) -> Graph:
    """Expand ``grad`` nodes in program order, so that a nested one is already made of ordinary ops.

    before::

        %0: f32[] = mse_loss(%y, %t)
        %1: f32[4] = grad(%0, %w)

    after::

        %0: f32[] = mse_loss(%y, %t)
        ...
        %9: f32[4] = backward mul(%8, %x)

    Composites on the way that have no gradient rule are replaced by their expansion first. A loop on the way returns
    also what the loop that computes its gradient reads of each iteration.
    """
    builder = GraphBuilder()
    new: dict[Value, Value] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.kind == "grad":
            _give_rules(builder, node, inputs, new)
            return _gradients(builder, node, tuple([new.get(v, v) for v in node.inputs]))
        if node.op.kind == "loop":
            return builder.add(node.copy(inputs))  # its own: gradients let it return more
        return _expansion(node, inputs) if node.op.has_no_rule else None

    return rewrite(graph, rule, builder, new)


def _give_rules(builder: GraphBuilder, grad: Node, inputs: tuple[Value, ...], new: dict[Value, Value]) -> None:
    """Expand what earlier gradients left on the way of ``grad`` without a gradient rule, such as whole convolutions.

    ``new``, which says what stands for the values of the graph, follows.
    """
    sources = set(inputs[1 + grad.attrs["seed"] :])
    moved: dict[Value, Value] = {}
    while True:
        dependent = _dependent(builder.nodes, sources)
        without = {n for n in builder.nodes if n.op.has_no_rule and any(v in dependent for v in n.outputs)}
        if not without:
            break
        nodes, builder.nodes = builder.nodes, []
        step: dict[Value, Value] = {}
        replay(builder, nodes, partial(_expanded, without), step)
        moved = {**{a: step.get(b, b) for a, b in moved.items()}, **step}
        sources = {step.get(v, v) for v in sources}
    if moved:
        new.update({a: moved.get(b, b) for a, b in new.items()})
        new.update((a, b) for a, b in moved.items() if a not in new)


def _expanded(chosen: set[Node], node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
    """The expansion of a node that is one of ``chosen``."""
    return _expansion(node, inputs) if node in chosen else None


def _expansion(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    with noted(node.op.name):
        return node.op.expansion(*inputs, **node.attrs)


def _dependent(nodes: list[Node], sources: set[Value]) -> set[Value]:
    """The values computed from ``sources`` through differentiable ops, ``sources`` included."""
    found = set(sources)
    for node in nodes:
        if node.op.differentiable and any(v in found for v in node.inputs):
            found.update(node.outputs)
    return found


def _gradients(builder: GraphBuilder, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    loss, *rest = inputs
    sources = rest[1:] if node.attrs["seed"] else rest
    leaves = set(sources)
    behind = [n for n in builder.nodes if not leaves.intersection(n.outputs)]
    nodes = live_nodes(Graph("", nodes=behind, outputs=[loss]))
    dependent = _dependent(nodes, leaves)
    for inner in nodes:
        if inner.op.kind == "loop" and any(v in dependent for v in inner.outputs):
            save_residuals(inner)
    builder.at(node, "grad", "backward")
    seed = rest[0] if node.attrs["seed"] else o.expand(constant(1.0, loss.dtype), shape=loss.shape)
    adjoints = {loss: seed}

    def at(forward: Node) -> None:
        builder.at(forward, "grad", "backward")
        if forward.op.expand is not None:
            builder.loc = builder.loc.noted(forward.op.name)

    pull_back(nodes, adjoints, dependent.__contains__, at)
    name_gradients(adjoints)
    builder.at(node, "grad", "backward")
    return tuple([adjoints.get(v) or o.zeros(shape=v.shape, dtype=v.dtype) for v in sources])
