"""How much memory the values between the ops of a graph take, from which op to which, and at which op the most."""

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


@dataclass(frozen=True)
class Life:
    """A result of an op, and the numbers of the nodes that make it and that read it last."""

    value: Value
    first: int
    last: int


def lifetimes(graph: Graph) -> list[Life]:
    """The temporaries of ``graph`` in the order of its text.

    Inputs, states and what leaves the graph as a result or an update stand elsewhere; views take no memory.
    """
    last = {view_chain(v)[0]: i for i, node in enumerate(graph.nodes) for v in node.inputs}
    leaving = {view_chain(v)[0] for v in graph.results()}
    return [
        Life(value, i, last.get(value, i))
        for i, node in enumerate(graph.nodes)
        if node.op.kind != "view"
        for value in node.outputs
        if value not in leaving
    ]


def peak(graph: Graph) -> Peak:
    """The peak of ``graph`` in the order of its text; see :func:`lifetimes`."""
    starts: dict[int, list[Value]] = {}
    ends: dict[int, list[Value]] = {}
    for life in lifetimes(graph):
        starts.setdefault(life.first, []).append(life.value)
        ends.setdefault(life.last, []).append(life.value)
    alive: dict[Value, None] = {}
    found, nbytes = Peak(0, None), 0
    for i, node in enumerate(graph.nodes):
        for value in starts.get(i, ()):
            alive[value] = None
            nbytes += value.type.nbytes
        if nbytes > found.nbytes:
            found = Peak(nbytes, node, tuple(alive))
        for value in ends.get(i, ()):
            del alive[value]
            nbytes -= value.type.nbytes
    return found
