"""How much memory the values between the ops of a graph take, and at which op the most."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.index import view_chain
from compiler.ir.graph import Graph, Node


@dataclass(frozen=True)
class Peak:
    """The most bytes of results of ops that are alive at once, and the op that runs then; None in an empty graph."""

    nbytes: int
    node: Node | None


def peak(graph: Graph) -> Peak:
    """The peak of ``graph`` in the order of its text, without inputs and states. Views take no memory of their own."""
    last = {view_chain(v)[0]: i for i, node in enumerate(graph.nodes) for v in node.inputs}
    last |= {view_chain(v)[0]: len(graph.nodes) for v in graph.results()}
    ends: dict[int, int] = {}
    found, alive = Peak(0, None), 0
    for i, node in enumerate(graph.nodes):
        if node.op.kind != "view":
            for value in node.outputs:
                alive += value.type.nbytes
                ends[last.get(value, i)] = ends.get(last.get(value, i), 0) + value.type.nbytes
        if alive > found.nbytes:
            found = Peak(alive, node)
        alive -= ends.pop(i, 0)
    return found
