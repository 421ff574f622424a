"""The values that a loop needs no more, computed outside: once, or for all iterations at once."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.hoisting.values import Values
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Node, Value
from compiler.ir.op import o
from compiler.ops.structure import is_constant


class Outside:
    """The values of a loop's body as they are outside; ``inputs`` are the operands of the loop.

    Attributes:
        starts: what the carries start from.
        stacks: value -> all its iterations.
    """

    def __init__(self, builder: GraphBuilder, values: Values, inputs: Sequence[Value], length: int) -> None:
        self._builder, self._values, self._length = builder, values, length
        self.starts, sequences, others = values.parts.split(inputs)
        self._once = dict(zip(values.invariants, others, strict=True))
        self.stacks = dict(zip(values.sliced, sequences, strict=True))

    def _at(self, value: Value) -> Node:
        """The node that makes ``value``; the ops recorded next stand for it."""
        assert value.producer is not None
        self._builder.at(value.producer, "hoist")
        return value.producer

    def once(self, value: Value) -> Value:
        """A fixed value, computed outside."""
        if value not in self._once:
            assert value.producer is not None
            node = value.producer
            inputs = [self.once(v) for v in node.inputs]
            self._once[value] = self._at(value).op(*inputs, **node.attrs)
        return self._once[value]

    def stacked(self, value: Value) -> Value:
        """All iterations of a value, stacked, outside."""
        if value in self._values.fixed:
            lifted = self.once(value)
            return o.expand(lifted, shape=(self._length, *lifted.shape))
        if value not in self.stacks:
            self.stacks[value] = self._on_all(self._at(value))
        return self.stacks[value]

    def _on_all(self, node: Node) -> Value:
        """``node`` on all iterations at once."""
        name, attrs, shape, n = node.op.name, node.attrs, node.output.shape, self._length
        if node.op.kind == "contract" and node.inputs[1] in self._values.fixed:
            a, b = self.stacked(node.inputs[0]), self.once(node.inputs[1])
            self._at(node.output)
            rows = o.reshape(a, shape=(n * a.shape[1], a.shape[2]))
            return o.reshape(o.dot(rows, b, **attrs), shape=(n, *shape))
        if node.op.kind == "pointwise":
            operands = [self._aligned(v, len(shape)) for v in node.inputs]
            return self._at(node.output).op(*operands, **attrs)
        x = self.stacked(node.inputs[0])
        self._at(node.output)
        if node.op.keeps == "order":
            return o.reshape(x, shape=(n, *shape))
        if node.op.keeps == "elements":
            return o.permute(x, dims=(0, *(d + 1 for d in attrs["dims"])))
        if node.op.name == "expand":
            return o.expand(self._aligned(node.inputs[0], len(shape)), shape=(n, *shape))
        if name == "slice":
            first = {"start": (0,), "stop": (n,), "step": (1,)}
            return o.slice(x, **{k: (*v, *attrs[k]) for k, v in first.items()})
        return node.op(x, **attrs)

    def _aligned(self, value: Value, rank: int) -> Value:
        """All iterations of an operand that broadcasts to ``rank`` dimensions; a fixed one by itself."""
        if value in self._values.fixed:
            return self.once(value)
        x, missing = self.stacked(value), rank - value.type.rank
        return o.reshape(x, shape=(self._length, *(1,) * missing, *value.shape)) if missing else x

    def total(self, place: int, product: Node) -> Value:
        """The carry at ``place`` behind the loop."""
        start, after = self.starts[place], self._values.parts.next[place].producer
        assert after is not None
        carry = self._values.carried[place]
        if product.op.kind == "reduce":
            operand = self.stacked(product.inputs[0])
            self._at(product.output)
            axes = (0, *(a + 1 for a in product.attrs["axes"]))
            keepdim = product.attrs["keepdim"]
            total = o.sum(operand, axes=axes)
            total = o.reshape(total, shape=product.output.shape) if keepdim else total
        else:
            a, b = (self.stacked(v) for v in product.inputs)
            self._at(product.output)
            steps, m, k = a.shape
            a = o.reshape(o.permute(a, dims=(1, 0, 2)), shape=(m, steps * k))
            b = o.reshape(b, shape=(steps * k, b.shape[2]))
            total = o.dot(a, b, dtype=product.attrs["dtype"])
        chain = []
        node = after.inputs[1 - after.inputs.index(carry)].producer
        while node is not product:
            assert node is not None
            chain.append(node)
            node = node.inputs[0].producer
        for node in reversed(chain):
            total = node.op(total, **node.attrs)
        return total if _is_zero(start) else o.add(start, total)


def _is_zero(value: Value) -> bool:
    while value.producer is not None and value.producer.op.kind == "view":
        value = value.producer.inputs[0]
    return is_constant(value, 0)
