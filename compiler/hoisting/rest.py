"""The loop that is left when some of its values are computed outside."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from compiler.hoisting.outside import Outside
from compiler.hoisting.values import FEW, Values
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.replay import live_nodes
from compiler.ops.loop import loop

DEEP = 1024
"""Rows of a weight up to which a product reads it transposed as well as laid out, or once for all iterations."""


class Rest:
    """The new loop in the making.

    Attributes:
        params, operands: of the new loop: carries, sequences, invariants.
        new: value of the body -> of the new body.
    """

    def __init__(self, values: Values, outside: Outside) -> None:
        self._values, self._outside = values, outside
        self.params: tuple[list[Value], list[Value], list[Value]] = ([], [], [])
        self.operands: tuple[list[Value], list[Value], list[Value]] = ([], [], [])
        self.new: dict[Value, Value] = {}
        self._nodes: list[Node] = []

    def record(
        self, builder: GraphBuilder, node: Node, carries: Sequence[int], slices: Collection[Value]
    ) -> tuple[Value, ...]:
        """Record the loop that ``node`` becomes, with these of its carries, by number, and these stacked values."""
        values = self._values
        for i in carries:
            self._param(0, values.carried[i], self._outside.starts[i])
        following = [values.parts.next[i] for i in carries]
        for inner in live_nodes(Graph("", nodes=values.body.nodes, outputs=[*following, *slices])):
            if inner.outputs[0] in values.fixed or inner.outputs[0] in values.ready:
                continue
            inputs = [self._use(v) for v in inner.inputs]
            if inner.op.kind == "contract" and inner.inputs[1] in values.fixed and _lies_badly(inner):
                inputs[1] = self._param(2, inner.inputs[1], self._outside.once(inner.inputs[1]))
            self._copy(inner, tuple(inputs))
        outputs = [self._use(v) for v in (*following, *slices)]
        params = [Param(v, "input") for group in self.params for v in group]
        body = Graph(values.body.name, params, self._nodes, [], outputs)
        operands = [v for group in self.operands for v in group]
        builder.at(node)
        attrs = {**node.attrs, "carries": len(carries), "sequences": len(self.params[1])}
        results = loop(operands, body, **attrs)
        for result, i in zip(results, carries, strict=False):
            result.name = node.outputs[i].name
        return results

    def _copy(self, node: Node, inputs: tuple[Value, ...]) -> None:
        copied = node.copy(inputs)
        self._nodes.append(copied)
        self.new.update(zip(node.outputs, copied.outputs, strict=True))

    def _param(self, role: int, value: Value, operand: Value) -> Value:
        """An input of the new body that stands for ``value``: 0 a carry, 1 a slice, 2 an invariant."""
        if value not in self.new or self.new[value].producer is not None:
            param = Value(value.type, value.name or (value.producer.op.name if value.producer is not None else ""))
            self.params[role].append(param)
            self.operands[role].append(operand)
            self.new[value] = param
        return self.new[value]

    def _use(self, value: Value) -> Value:
        """``value`` in the new body."""
        if value in self.new:
            return self.new[value]
        values, node = self._values, value.producer
        if value in values.fixed and (node is None or not (node.op.is_free or values.rounded_by_products(node))):
            return self._param(2, value, self._outside.once(value))
        if value in values.ready or node is None:
            return self._param(1, value, self._outside.stacked(value))
        self._copy(node, tuple([self._use(v) for v in node.inputs]))
        return self.new[value]


def _lies_badly(product: Node) -> bool:
    """Whether memory holds the right side of ``product`` otherwise than row by row, and that matters."""
    value = product.inputs[1]
    if product.output.shape[-2] > FEW and value.shape[-2] <= DEEP:
        return False
    while value.producer is not None and value.producer.op.kind == "view":
        if value.producer.op.keeps != "order":
            return True
        value = value.producer.inputs[0]
    return False
