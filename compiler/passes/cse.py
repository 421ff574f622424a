"""Common subexpressions and dead code."""

from __future__ import annotations

from typing import Any

from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.replay import copy_node, live_nodes, rewrite


def cse(graph: Graph) -> Graph:
    """Compute each expression once and nothing that is not used.

    before::

        %0: f32[4] = exp(%x)
        %1: f32[4] = exp(%x)
        %2: f32[4] = add(%0, %1)
        %3: f32[4] = sin(%x)
        return %2

    after::

        %0: f32[4] = exp(%x)
        %1: f32[4] = add(%0, %0)
        return %1

    Draws from the generator are left apart: a dropout mask is cheaper drawn again than kept. So is what ``remat``
    computes a second time on purpose.
    """
    builder = GraphBuilder()
    seen: dict[tuple[Any, ...], tuple[Value, ...]] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        again = node.phase == "recomputed"
        key = (node.op.name, inputs, again, repr(node.attrs))  # as text, 0.0 is not -0.0, nor 1 True
        outputs = seen.get(key)
        if outputs is None:
            outputs = copy_node(builder, node, inputs)
            if node.body is None and node.op.is_shareable:
                seen[key] = outputs
        return outputs

    return dead_code(rewrite(graph, rule, builder))


def dead_code(graph: Graph) -> Graph:
    """Drop nodes that no result needs."""
    return Graph(graph.name, graph.params, live_nodes(graph), graph.updates, graph.outputs)
