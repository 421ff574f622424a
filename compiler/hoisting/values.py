"""The values of a loop's body by what they need: nothing of an iteration, its slices, or the iteration before."""

from __future__ import annotations

from compiler.ir.graph import Node, Value, users
from compiler.ir.types import bf16, f32
from compiler.ops.loop import Parts
from compiler.ops.structure import made_by

FEW = 8
"""Rows of a product up to which it reads its weight again in every iteration."""


class Values:
    """The values of one loop's body.

    Attributes:
        carried: the carries as an iteration finds them.
        separate: whether only what every iteration does alike is taken out.
        fixed: values that are the same in every iteration.
        along: values that depend on sequences and fixed values only, through ops that work on all iterations at once.
        ready: values of ``along`` that are computed before the loop.
    """

    def __init__(self, node: Node) -> None:
        self.parts, self.separate = Parts.of(node), node.attrs["micro"]
        self.body = self.parts.body
        self.carried, self.sliced, self.invariants = self.parts.split(self.body.inputs())
        self._readers = users(self.body)
        self._uses: dict[Value, int] = {}
        for value in [*(v for n in self.body.nodes for v in n.inputs), *self.body.outputs]:
            self._uses[value] = self._uses.get(value, 0) + 1
        self.fixed, self.along, self.ready = set(self.invariants), set(self.sliced), set[Value]()
        for inner in self.body.nodes:
            self._classify(inner)

    def _classify(self, node: Node) -> None:
        if not node.op.is_shareable or len(node.outputs) != 1:
            return
        value = node.output
        if all(v in self.fixed for v in node.inputs):
            self.fixed.add(value)
            return
        if self.separate or not all(v in self.fixed or v in self.along for v in node.inputs):
            return
        if not _works_on_all(node, self.fixed):
            return
        self.along.add(value)
        follows = [v for v in node.inputs if v in self.ready]
        larger = all(v.type.nbytes < value.type.nbytes for v in follows)
        if node.op.kind == "contract" or (node.op.kind in ("pointwise", "view") and follows and not larger):
            self.ready.add(value)

    def product(self, value: Value) -> Node | None:
        """The product, of two dimensions, that ``value`` is a view or cast of, if nothing else needs it."""
        node = value.producer
        while node is not None and (node.op.kind == "view" or node.op.converts) and self._uses[value] == 1:
            value, node = node.inputs[0], node.inputs[0].producer
        if node is None or self._uses[value] > 1:
            return None
        if node.op.kind != "contract" and (node.op.kind != "reduce" or node.op.join != "add"):
            return None
        return node if node.op.kind == "reduce" or node.output.type.rank == 2 else None

    def sums(self) -> dict[int, Node]:
        """Carries to which every iteration only adds a product or a sum, by place."""
        found = {}
        for i, (carry, after) in enumerate(zip(self.carried, self.parts.next, strict=True)):
            node = made_by(after, "add")
            if node is None or self._uses[carry] > 1 or self._uses[after] > 1:
                continue
            if carry in node.inputs and node.inputs[0].type == node.inputs[1].type:
                term = node.inputs[1 - node.inputs.index(carry)]
                product = self.product(term)
                if product is not None and product.output not in self.fixed:
                    found[i] = product
        return found

    def rounded_by_products(self, node: Node) -> bool:
        """Whether ``node`` rounds a weight to bf16 for products only, which do so as they pack it."""
        if not node.op.converts or node.output.dtype is not bf16 or node.inputs[0].dtype is not f32:
            return False
        pending = [node.output]
        while pending:
            value = pending.pop()
            if value in self.body.outputs:
                return False
            for reader in self._readers.get(value, ()):
                if reader.op.kind == "view":
                    pending.append(reader.output)
                elif reader.op.kind != "contract" or reader.inputs[0] in self.fixed or reader.output.shape[-2] <= FEW:
                    return False
        return True


def _works_on_all(node: Node, fixed: set[Value]) -> bool:
    """Whether :class:`compiler.hoisting.outside.Outside` can do ``node``."""
    if node.op.kind == "contract":
        return node.inputs[1] in fixed and node.output.type.rank == 2
    return node.op.kind == "pointwise" or (node.op.kind == "view" and node.op.reads == "place")


def root_of(value: Value) -> Value:
    """The value that ``value`` shows through views and casts from 16 bits."""
    node = value.producer
    while node is not None and (node.op.kind == "view" or _widens(node)):
        value, node = node.inputs[0], node.inputs[0].producer
    return value


def _widens(node: Node) -> bool:
    return node.op.converts and node.inputs[0].dtype.is_half and not node.output.dtype.is_half
