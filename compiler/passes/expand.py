"""Breaks composites up into primitives."""

from __future__ import annotations

from compiler.errors import VerifyError
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import o
from compiler.ir.replay import Claims, ExpandingBuilder, noted, nothing, rewrite
from compiler.ir.types import f32


def expand(graph: Graph, claims: Claims = nothing) -> Graph:
    """Replace every composite by its expansion, except those that the target claims whole.

    before::

        %0: f32[8,4] = relu(%x)

    after::

        %0: f32[] = constant() {value=0, dtype=f32}
        %1: f32[8,4] = maximum(%x, %0)

    The location's note says which composite a node comes from. A scatter that joins 16-bit floats becomes one of
    float32: sums are rounded once.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.expand is None or claims(node.op, inputs, node.attrs):
            return None
        if "autocast" in node.attrs:
            raise VerifyError(f"{node!r} is marked for autocast; run that pass before expand\n  at {node.loc}")
        with noted(node.op.name):
            return node.op.expansion(*inputs, **node.attrs)

    expanded = rewrite(graph, rule, ExpandingBuilder(claims))
    return rewrite(expanded, _scattered_wide) if any(map(_scatters_halves, expanded.nodes)) else expanded


def _scatters_halves(node: Node) -> bool:
    return node.op.anchor == "scatter" and node.op.join != "" and node.output.dtype.is_half


def _scattered_wide(node: Node, inputs: tuple[Value, ...]) -> tuple[Value] | None:
    """A scatter of 16-bit floats, added up in float32."""
    if not _scatters_halves(node):
        return None
    wide = [o.cast(v, to=f32) if v.dtype.is_half else v for v in inputs]
    return (o.cast(node.op(*wide, **node.attrs), to=node.output.dtype),)
