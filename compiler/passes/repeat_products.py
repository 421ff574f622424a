"""Products that are computed twice instead of being stored: for their sums, and for what waits for these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from compiler.domain import joined_by_product
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.replay import live_nodes, rewrite


def repeat_products(graph: Graph, rates: Mapping[str, float] = MappingProxyType({})) -> Graph:
    """Compute a product again for readers that wait for a sum of its elements, if that takes less than storing it.

    before::

        %0: f32[512,784] = dot(%g, %x)                   # of [512,16] and [16,784]
        %1: f32[512,784] = mul(%0, %0)
        %2: f32[] = sum(%1) {axes=[0,1]}
        %3: f32[] = rsqrt(%2)
        %4: f32[512,784] = mul(%0, %3)

    after::

        %0: f32[512,784] = dot(%g, %x)
        %1: f32[512,784] = mul(%0, %0)
        %2: f32[] = sum(%1) {axes=[0,1]}
        %3: f32[] = rsqrt(%2)
        %4: f32[512,784] = recomputed dot(%g, %x)
        %5: f32[512,784] = mul(%4, %3)

    ``fuse`` makes the sum part of the first product's kernel, which then stores nothing else, and all that waits for
    it part of the second one's. So a gradient of few rows goes from its factors into the norm that clips it, once more
    from there into the new parameters, and is never in memory. Whether any element is infinite counts as a sum.

    ``rates``: for each type of factors, the operations of a product that take as long as a byte to be moved. The second
    product pays if its operations and the bytes of its factors take less time than the bytes of the result, written and
    read. Without ``rates`` nothing changes.
    """
    found = _Split(graph, rates)
    if not found.products:
        return graph
    builder = GraphBuilder()
    new: dict[Value, Value] = {}
    copies: dict[Value, Value] = {}

    def again(value: Value) -> Value:
        product = found.source.get(value)
        if product is None or product not in found.products:
            return new.get(value, value)
        if value not in copies:
            node = value.producer
            assert node is not None
            inputs = tuple([again(v) for v in node.inputs])
            copy = node.copy(inputs, loc=node.loc.noted("repeat_products"), phase="recomputed")
            (copies[value],) = builder.add(copy)
        return copies[value]

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node not in found.waiting:
            return None
        return builder.add(node.copy(tuple(map(again, node.inputs))))

    after = rewrite(graph, rule, builder, new)
    return Graph(after.name, after.params, live_nodes(after), after.updates, after.outputs)


@dataclass(eq=False)
class _Uses:
    """How a product is used: whether it is added up, by which nodes that wait for sums it is read, and otherwise."""

    summed: bool = False
    waiting: list[Node] = field(default_factory=list)
    otherwise: bool = False


class _Split:
    """The products of a graph that should be repeated.

    Attributes:
        products: these products.
        source: the product that a value is computed from, element by element.
        waiting: the nodes that read such a value and wait for a sum.
    """

    def __init__(self, graph: Graph, rates: Mapping[str, float]) -> None:
        self.source: dict[Value, Node] = {}
        self._uses: dict[Node, _Uses] = {}
        self._late: set[Value] = set()
        self._light = {p.value for p in graph.params}
        for node in graph.nodes:
            self._visit(node, rates)
        for value in graph.results():
            if value in self.source:
                self._uses[self.source[value]].otherwise = True
        self.products = {p for p, uses in self._uses.items() if uses.summed and uses.waiting and not uses.otherwise}
        self.waiting = {node for p in self.products for node in self._uses[p].waiting}

    def _visit(self, node: Node, rates: Mapping[str, float]) -> None:
        products = {self.source[v]: None for v in node.inputs if v in self.source}
        late = not self._late.isdisjoint(node.inputs)
        if late:
            self._late.update(node.outputs)
        if not products:
            if not late and node.op.kind == "contract" and _pays(node, rates):
                self._uses[node] = _Uses()
                self.source[node.output] = node
            elif _is_light(node) and all(v in self._light or v.type.size == 1 for v in node.inputs):
                self._light.update(node.outputs)
            return
        product, *others = products
        uses = self._uses[product]
        in_place = not others and _is_elementwise(node, product)
        if late and in_place:
            uses.waiting.append(node)
        elif in_place and all(v in self.source or v in self._light or v.type.size == 1 for v in node.inputs):
            self.source[node.output] = product
        elif not others and not late and _is_total(node):
            uses.summed = True
            self._late.update(node.outputs)
        else:
            for one in products:
                self._uses[one].otherwise = True


def _pays(product: Node, rates: Mapping[str, float]) -> bool:
    """Whether computing ``product`` again takes less time than storing it and reading it."""
    rate = rates.get(product.inputs[0].dtype.short)
    if rate is None:
        return False
    moved = sum(v.type.nbytes for v in product.inputs)
    return moved + product.op.flops(product) / rate < 2 * product.output.type.nbytes


def _is_elementwise(node: Node, product: Node) -> bool:
    """Whether the epilogue of ``product`` can compute ``node``."""
    plain = node.op.kind == "pointwise" and node.op.reads == "place" and not node.op.checks
    return (plain or node.op.keeps == "order") and node.output.type.size == product.output.type.size


def _is_light(node: Node) -> bool:
    """Whether ``node``, of what is in memory, can be computed where it is read."""
    return node.op.is_free or node.op.is_cheap


def _is_total(node: Node) -> bool:
    return node.op.kind == "reduce" and node.output.type.rank == 0 and joined_by_product(node, "full")
