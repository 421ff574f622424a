"""Nodes placed in groups: what one kernel computes, and who reads what."""

from __future__ import annotations

from compiler.groups import Group, Groups
from compiler.ir.graph import Graph, Node, Value, users
from compiler.ir.replay import live_nodes


class Placed:
    """The nodes of a graph that count, in the groups that become kernels.

    Attributes:
        nodes, order: those that contribute to a result, in program order, and their numbers.
        readers: the nodes that read a value.
        results: the values that the graph returns, or updates states with.
        group: the group that computes a value; views and constants are in none.
        reshaped: views that the kernel of their root stores as they are.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = live_nodes(graph)
        self.order: dict[Node, int] = {n: i for i, n in enumerate(self.nodes)}
        self.readers = users(Graph(graph.name, nodes=self.nodes))
        self.results = set(graph.results())
        self.group: dict[Value, Group] = {}
        self.groups = Groups()
        self.reshaped: set[Value] = set()

    def roots(self, value: Value) -> list[Value]:
        """The values that a kernel loads to have ``value``."""
        while value not in self.group and value not in self.reshaped and value.producer is not None:
            node = value.producer
            if not node.inputs:
                return []
            value = node.inputs[0]
        return [value]
