"""Inserts gradient clipping behind the gradients (behind ``unscale``, where the loss is scaled)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import as_tuple, o
from compiler.ir.replay import copy_node, rewrite


def clip_norm(graph: Graph, max_norm: Value) -> Graph:
    """Clip all gradients of each backward pass by their global norm; the norm is the graph's extra last output.

    before::

        %1: f32[4], %2: f32[3] = grad(%loss, %w, %b)
        ... uses of %1, %2

    after::

        %1: f32[4], %2: f32[3] = grad(%loss, %w, %b)
        %3: f32[4], %4: f32[3], %5: f32[] = clip_grad_norm(%1, %2, %max_norm)
        ... uses of %3, %4
        return ..., %5
    """
    result, norms = _clip(graph, lambda grads: o.clip_grad_norm(*grads, max_norm))
    result.outputs += norms[-1:]
    return result


def clip_value(graph: Graph, limit: Value) -> Graph:
    """Clamp every gradient to ``[-limit, limit]``.

    before::

        %1: f32[4] = grad(%loss, %w)

    after::

        %1: f32[4] = grad(%loss, %w)
        %2: f32[4] = clip_grad_value(%1, %limit)
    """
    return _clip(graph, lambda grads: o.clip_grad_value(*grads, limit))[0]


def _clip(graph: Graph, clip: Callable[[Sequence[Value]], Any]) -> tuple[Graph, list[Value]]:
    """Put ``clip`` behind every ``unscale``, or behind every ``grad`` where there is none."""
    names = {n.op.name for n in graph.nodes}
    source = "unscale" if "unscale" in names else "grad"
    builder = GraphBuilder()
    norms: list[Value] = []

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.name != source:
            return None
        outputs = copy_node(builder, node, inputs)
        builder.at(node, "clip")
        count = len(outputs) - (source == "unscale")
        clipped = as_tuple(clip(outputs[:count]))
        norms.extend(clipped[count:])
        return *clipped[:count], *outputs[count:]

    return rewrite(graph, rule, builder), norms
