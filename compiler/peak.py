"""How much memory the values between the ops of a graph take, and at which op the most."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.index import view_chain
from compiler.ir.graph import Graph, Node, Value


@dataclass(frozen=True)
class Peak:
    """The most bytes of results of ops that are alive at once.

    ``node``: the op that runs then, None in an empty graph; ``alive``: the results.
    """

    nbytes: int
    node: Node | None
    alive: tuple[Value, ...] = ()


def peak(graph: Graph) -> Peak:
    """The peak of ``graph`` in the order of its text.

    Inputs, states and what leaves the graph as a result or an update stand elsewhere; views take no memory.
    """
    last = {view_chain(v)[0]: i for i, node in enumerate(graph.nodes) for v in node.inputs}
    leaving = {view_chain(v)[0] for v in graph.results()}
    ends: dict[int, list[Value]] = {}
    alive: dict[Value, None] = {}
    found, nbytes = Peak(0, None), 0
    for i, node in enumerate(graph.nodes):
        if node.op.kind != "view":
            for value in [v for v in node.outputs if v not in leaving]:
                alive[value] = None
                nbytes += value.type.nbytes
                ends.setdefault(last.get(value, i), []).append(value)
        if nbytes > found.nbytes:
            found = Peak(nbytes, node, tuple(alive))
        for value in ends.pop(i, ()):
            del alive[value]
            nbytes -= value.type.nbytes
    return found
