"""Materialises autocast: what the records decided when the ops were recorded becomes explicit casts."""

from __future__ import annotations

from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import castable, o
from compiler.ir.replay import noted, rewrite
from compiler.ir.types import DType


def autocast(graph: Graph) -> Graph:
    """Turn every ``autocast`` attribute into casts of the floating operands; one cast per value and type.

    before::

        %0: bf16[8,4] = linear(%x, %w) {autocast=bf16}

    after::

        %0: bf16[8,3] = cast(%x) {to=bf16}     # [autocast]
        %1: bf16[4,3] = cast(%w) {to=bf16}     # [autocast]
        %2: bf16[8,4] = linear(%0, %1)
    """
    casts: dict[tuple[Value, DType], Value] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        target = node.attrs.get("autocast")
        if target is None:
            return None
        operands = []
        for value in inputs:
            if castable(value.dtype) and value.dtype is not target:
                if (value, target) not in casts:
                    with noted("autocast"):
                        casts[value, target] = o.cast(value, to=target)
                value = casts[value, target]
            operands.append(value)
        result = node.op(*operands, **{k: v for k, v in node.attrs.items() if k != "autocast"})
        return (result,) if isinstance(result, Value) else result

    return rewrite(graph, rule)
