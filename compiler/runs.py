"""The steps of a fused graph whose kernels run in the order of its nodes; see :class:`compiler.placement.Step`."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.domain import read_in_place
from compiler.ir.graph import Graph, Node, Value


@dataclass(eq=False)
class Run:
    """Nodes that run together: those of one table, every other one by itself."""

    nodes: list[Node]
    steps: list[Run] = field(default_factory=list)
    _in_place: dict[Node, frozenset[int]] = field(default_factory=dict)

    @property
    def reads(self) -> list[Value]:
        return [v for n in self.nodes for v in n.inputs]

    @property
    def writes(self) -> list[Value]:
        return [v for n in self.nodes for v in n.outputs]

    def streams(self, node: Node, operand: Value) -> bool:
        """See :class:`compiler.placement.Step`."""
        if node not in self._in_place:
            self._in_place[node] = read_in_place(node)
        return node.inputs.index(operand) in self._in_place[node]


def runs(graph: Graph) -> list[Run]:
    """The nodes of a graph as they run, in order."""
    found: list[Run] = []
    for node in graph.nodes:
        table = node.attrs.get("table", 0)
        if table and found and found[-1].nodes[-1].attrs.get("table", 0) == table:
            found[-1].nodes.append(node)
        else:
            found.append(Run([node], runs(node.body) if node.op.kind == "loop" and node.body is not None else []))
    return found
