"""Breaks composites up into primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compiler.ir.ambient import using
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Value
from compiler.ir.op import Op, o
from compiler.ir.replay import copy_node, with_nodes
from compiler.ir.types import TensorType

Claims = Callable[[Op, Sequence[Value], dict[str, Any]], bool]
"""Whether a target has a kernel of its own for an op on these inputs with these attributes."""


def _nothing(op: Op, inputs: Sequence[Value], attrs: dict[str, Any]) -> bool:
    return False


class _Expanding(GraphBuilder):
    """Records a composite as its expansion, at any depth."""

    def __init__(self, claims: Claims) -> None:
        super().__init__()
        self.claims = claims

    def emit(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        types: tuple[TensorType, ...],
        attrs: dict[str, Any],
        body: Graph | None = None,
    ) -> tuple[Value, ...]:
        if op.expand is None or self.claims(op, inputs, attrs):
            return super().emit(op, inputs, types, attrs, body)
        result = op.expand(o, *inputs, **attrs)
        return (result,) if isinstance(result, Value) else tuple(result)


def expand(graph: Graph, claims: Claims = _nothing) -> Graph:
    """Replace every composite by its expansion, except those that the target claims whole.

    before::

        %0: f32[8,4] = relu(%x)

    after::

        %0: f32[] = constant() {value=0, dtype=f32}
        %1: f32[8,4] = maximum(%x, %0)
    """
    builder = _Expanding(claims)
    new: dict[Value, Value] = {}
    with using(builder):
        for node in graph.nodes:
            inputs = tuple([new.get(v, v) for v in node.inputs])
            builder.loc = node.loc
            if node.op.expand is None or claims(node.op, inputs, node.attrs):
                outputs = copy_node(builder, node, inputs)
            else:
                result = node.op.expand(o, *inputs, **node.attrs)
                outputs = (result,) if isinstance(result, Value) else tuple(result)
            new.update((a, b) for a, b in zip(node.outputs, outputs, strict=True) if a is not b)
    return with_nodes(graph, builder.nodes, new)
