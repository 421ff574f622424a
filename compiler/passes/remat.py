"""Rematerialisation: which values the forward pass keeps for the backward pass, and which are computed again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile
from math import inf

import networkx as nx
from networkx.algorithms.flow import preflow_push

from compiler.errors import MemoryBudgetError
from compiler.index import view_chain
from compiler.ir.graph import Graph, Node, Value
from compiler.ir.op import OPS
from compiler.ir.replay import with_nodes

PRICE = 1 / 16
"""Bytes that must be saved for an operation that can be part of its reader's kernel."""

WINDOW = 4
"""On how many products on each side a place of the forward pass is narrow if none of them has a narrower one."""

PARTS = 4
"""In how many steps the forward pass goes from one effort to the next."""


@dataclass(frozen=True)
class Effort:
    """How much is computed again.

    price: bytes that must be saved for an operation of a kernel of its own, such as a product.
    stride: of the narrow places of the forward pass, every how many keep what crosses them.
    """

    price: float = inf
    stride: int = 1


PRICES = (inf, 1 / 64, 1 / 256, 0.0)
"""Prices tried for a budget, in this order; the last is any number of operations for a byte."""

STRIDES = (2, 3, 4, 8)
"""Prices tried after that."""


def remat(
    graph: Graph,
    budget: float | None = None,
    arena: Callable[[Graph], int] | None = None,
    keeps_operands: bool = False,
) -> Graph:
    """Compute values again for the backward pass that are cheaper to compute than to keep.

    before::

        %0: f32[8,4] = dot(%x, %w)
        %1: f32[8,4] = sin(%0)
        %2: f32[8,4] = dot(%1, %v)
        %3: f32[8,4] = dot(%2, %v)
        ...
        %8: f32[4,8] = backward permute(%1) ...
        %9: f32[8,4] = backward cos(%0)

    after::

        %0: f32[8,4] = dot(%x, %w)
        %1: f32[8,4] = sin(%0)
        %2: f32[8,4] = dot(%1, %v)
        %3: f32[8,4] = dot(%2, %v)
        ...
        %8: f32[8,4] = recomputed reload(%0)
        %9: f32[8,4] = recomputed sin(%8)
        %10: f32[4,8] = backward permute(%9) ...
        %11: f32[8,4] = backward cos(%8)

    The values that the backward pass reads of the forward pass cut it, between inputs and readers: values on
    the cut are kept, what lies behind it is computed again, before its first reader. The cheapest cut, in bytes kept
    and operations repeated, is a minimum cut of a flow network (He & Yu, "Transformations for fast and
    memory-efficient training via min-cut optimization", 2023). ``reload`` keeps the readers of a kept value out of the
    kernel that makes it. Products, attention and sums are repeated only for a ``budget``: bytes, or as a float the part
    of what the step needs without one, that ``arena`` finds for the result. Raises MemoryBudgetError when nothing fits.

    With ``keeps_operands``, what a product of the backward pass reads is kept where the budget allows, and what is read
    through windows, as by pooling: both read memory, so what is computed again for them is also stored again.
    """
    usual = _rematerialised(graph, [Effort()] * PARTS, keeps_operands)
    if budget is None:
        return usual
    assert arena is not None
    size = arena(usual)
    limit = int(budget * size) if isinstance(budget, float) else budget
    return usual if size <= limit else _within(graph, limit, arena, size, keeps_operands)


def _within(graph: Graph, limit: int, arena: Callable[[Graph], int], usual: int, keeps_operands: bool) -> Graph:
    """The least recomputation found with which the arena is at most ``limit`` bytes."""
    ladder = [
        [Effort(more)] * done + [Effort(less)] * (PARTS - done)
        for less, more in pairwise(PRICES)
        for done in range(1, PARTS + 1)
    ]
    smallest, found = usual, None
    for efforts in (ladder[-1], *([Effort(0.0, stride)] for stride in STRIDES)):
        candidate = _rematerialised(graph, efforts, keeps_operands)
        size = arena(candidate)
        smallest = min(smallest, size)
        if size <= limit:
            found = candidate
            break
    if found is None:
        raise MemoryBudgetError(
            f"the temporaries of {graph.name} take {usual:,} bytes, and with all the recomputation there is at least "
            f"{smallest:,}; activation_memory= leaves {limit:,}.\n"
            f"  Give it {smallest} or more, or make the batch smaller."
        )
    if efforts is not ladder[-1]:
        return found
    low, high = 0, len(ladder) - 1
    while low < high:
        middle = (low + high) // 2
        candidate = _rematerialised(graph, ladder[middle], keeps_operands)
        if arena(candidate) <= limit:
            found, high = candidate, middle
        else:
            low = middle + 1
    return found


def _rematerialised(graph: Graph, efforts: Sequence[Effort], keeps_operands: bool) -> Graph:
    """``graph`` with recomputation; each effort is for one of as many equal parts of the forward pass."""
    nodes: list[Node] = []
    new: dict[Value, Value] = {}
    phase: _Phase | None = None
    turn = start = 0
    for position, node in enumerate(graph.nodes):
        if node.phase != "backward":
            inputs = tuple([new.get(v, v) for v in node.inputs])
            turn = position if _is_product(node) else turn
        else:
            if phase is None or phase.turn != turn:
                phase = _Phase(graph, start, turn, efforts, keeps_operands)
                start = len(phase.forward)
            inputs = tuple([phase.read(v, nodes, new) for v in node.inputs])
            if node.op.is_structure:  # never part of a kernel
                inputs = tuple(map(_unloaded, inputs))
        copied = node if inputs == node.inputs else node.copy(inputs)
        new.update((a, b) for a, b in zip(node.outputs, copied.outputs, strict=True) if a is not b)
        nodes.append(copied)
    return with_nodes(graph, nodes, new)


class _Phase:
    """The way back of one forward pass, which ends at ``turn``, the position of its last product.

    A value made after it is alive for a moment only, and is read where it is. ``start``: how many nodes of the
    forward pass belong to earlier phases.
    """

    def __init__(self, graph: Graph, start: int, turn: int, efforts: Sequence[Effort], keeps_operands: bool) -> None:
        self.start, self.turn, self.efforts = start, turn, efforts
        self.forward = [n for n in graph.nodes[:turn] if n.phase != "backward"]
        self.position = {v: i for i, n in enumerate(self.forward) for v in n.outputs}
        rest = iter(graph.nodes[turn + 1 :])
        after = list(takewhile(lambda n: n.phase == "backward" or not _is_product(n), rest))
        self.last = [graph.nodes[turn], *(n for n in after if n.phase != "backward")]
        self.results = {view_chain(v)[0] for v in graph.results()}
        self.held = {view_chain(v)[0] for n in self.last for v in n.inputs}
        products = [n for n in graph.nodes if keeps_operands and n.phase == "backward" and _is_product(n)]
        self.operands = {view_chain(v)[0] for n in products for v in n.inputs}
        if keeps_operands:
            self.operands.update(v for n in self.forward for v in _seen_through_windows(n))
        self.checkpoints = self._checkpoints()
        self.again = self._behind_the_cut([v for n in after if n.phase == "backward" for v in n.inputs])
        self.copies: dict[Value, Value] = {}

    def _is_forward(self, value: Value) -> bool:
        """Whether ``value`` is of the forward pass, and neither in memory nor a constant anyway."""
        root = view_chain(value)[0]
        return value in self.position and root in self.position and bool(root.producer and root.producer.inputs)

    def _effort(self, position: int) -> Effort:
        done = position - self.start
        return self.efforts[done * len(self.efforts) // (len(self.forward) - self.start)] if done >= 0 else Effort()

    # Choosing

    def _checkpoints(self) -> set[Value]:
        """Values that are never computed again, so that each recomputation begins near its reader.

        They cross the narrow places: between two products, where less is alive than around them.
        """
        ends: dict[Value, int] = {}
        for position, node in enumerate([*self.forward, *self.last]):
            if node.op.kind != "view" and position >= self.start:
                ends.update((view_chain(v)[0], position) for v in node.inputs if self._is_forward(v))
        alive = [0] * (len(self.forward) + len(self.last))
        for value, end in ends.items():
            alive[self.position[value]] += value.type.nbytes
            alive[end] -= value.type.nbytes
        alive = list(accumulate(alive))
        products = [i for i, n in enumerate(self.forward) if i >= self.start and _is_product(n)]
        places = [min(range(a, b), key=alive.__getitem__) for a, b in pairwise([*products, len(self.forward)])]
        widths = [alive[p] for p in places]
        narrow = [
            place
            for i, place in enumerate(places)
            if widths[i] in (min(widths[max(i - WINDOW, 0) : i + 1]), min(widths[i : i + WINDOW + 1]))
        ]
        chosen = [p for i, p in enumerate(narrow, 1) if i % self._effort(p).stride == 0]
        following = {v: bisect_left(chosen, self.position[v]) for v in ends}
        return {v for v, i in following.items() if i < len(chosen) and chosen[i] < ends[v]}

    def _behind_the_cut(self, needed: Iterable[Value]) -> set[Node]:
        """The nodes to be computed again so that ``needed`` is there."""
        network = nx.DiGraph()
        sources: dict[Node, float] = {}
        sinks = {v for v in needed if self._is_forward(v)}
        pending = list(sinks)
        while pending:
            node = pending.pop().producer
            if node is None or node in sources:
                continue
            sources[node] = self._cost(node)
            for value in node.outputs:
                network.add_edge(node, value, **_capacity(inf if node.op.kind == "view" else self._bytes(value)))
            if sources[node] < inf:
                inputs = [v for v in node.inputs if self._is_forward(v)]
                network.add_edges_from((v, node) for v in inputs)
                pending += inputs
        again: set[Node] = set()
        for part in nx.weakly_connected_components(network):
            again |= _cut(network.subgraph(part), sources, sinks)
        return again

    def _bytes(self, value: Value) -> float:
        """The cost of keeping ``value``; a value in use until the turn is read again soon after it."""
        held = value in self.held and self._effort(self.position[value]).price == inf
        return 0 if held or value in self.results else value.type.nbytes

    def _cost(self, node: Node) -> float:
        """The cost of computing ``node`` again, in bytes; infinite if that must not be."""
        if node.op.kind == "view":
            return 0
        fixed = node.op.checks or node.op.is_structure or self.checkpoints.intersection(node.outputs)
        if fixed or node.outputs[0] not in self.position:
            return inf
        price = self._effort(self.position[node.outputs[0]]).price
        if price == inf and self.operands.intersection(node.outputs):
            return inf
        if node.op.kind not in ("pointwise", "random"):
            return price * _operations(node) if price < inf else inf
        return min(price, PRICE) * _operations(node)

    # Rebuilding

    def read(self, value: Value, nodes: list[Node], new: dict[Value, Value]) -> Value:
        """The value that the backward pass reads for ``value``; appends to ``nodes`` those that are not there yet."""
        if not self._is_forward(value):
            return new.get(value, value)
        found = self.copies.get(value)
        if found is not None:
            return found
        node = value.producer
        assert node is not None
        loc = node.loc.noted("remat")
        if node in self.again:
            inputs = tuple([self.read(v, nodes, new) for v in node.inputs])
            copy = node.copy(inputs, loc=loc, phase="recomputed")
            self.copies.update(zip(node.outputs, copy.outputs, strict=True))
        else:
            copy = Node(OPS["reload"], (new.get(value, value),), (value.type,), {}, None, loc, "recomputed")
            self.copies[value] = copy.output
        nodes.append(copy)
        return self.copies[value]


def _unloaded(value: Value) -> Value:
    node = value.producer
    return node.inputs[0] if node is not None and node.op.reads == "memory" else value


def _seen_through_windows(node: Node) -> list[Value]:
    """The operands that ``node`` reads around its own place, and so from memory."""
    chains = map(view_chain, node.inputs if node.op.kind != "view" else ())
    return [root for root, chain in chains if any(view.op.reads == "window" for view in chain)]


def _is_product(node: Node) -> bool:
    return node.op.kind in ("contract", "composite")


def _operations(node: Node) -> int:
    if _is_product(node) and node.op.work is not None:
        return node.op.work(node)
    return node.op.cost * max(v.type.size for v in (*node.inputs, *node.outputs))


def _capacity(amount: float) -> dict[str, int]:
    """The attribute of an edge, in whole 1/1024 bytes; an infinite one has none."""
    return {} if amount == inf else {"capacity": round(amount * 1024)}


def _cut(part: nx.DiGraph, sources: Mapping[Node, float], sinks: AbstractSet[Value]) -> set[Node]:
    """The nodes behind the minimum cut of a network, of all such cuts the one with the fewest."""
    network = nx.DiGraph(part)
    for vertex in part:
        if isinstance(vertex, Node):
            network.add_edge("inputs", vertex, **_capacity(sources[vertex]))
        elif vertex in sinks:
            network.add_edge(vertex, "readers")
    _, (_, behind) = nx.minimum_cut(network, "inputs", "readers", flow_func=preflow_push)
    return {vertex for vertex in behind if isinstance(vertex, Node)}
