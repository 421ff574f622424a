"""Whether two graphs are the same graph, value identity aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compiler.ir.graph import Graph
from compiler.text.printer import value_names

Fact = tuple[str, Any]


def structurally_equal(a: Graph, b: Graph) -> bool:
    """Whether all that the text form says of two graphs is the same: inputs, ops, attributes with their types, ..."""
    return difference(a, b) is None


def difference(a: Graph, b: Graph) -> str | None:
    """The first difference in words, or None."""
    for (what, x), (_, y) in zip(_facts(a, ""), _facts(b, ""), strict=False):
        if not _same(x, y):
            return f"{what}: {x!r} is not {y!r}"
    return None


def _facts(graph: Graph, where: str) -> Iterator[Fact]:
    """Everything there is to say about a graph, counts before what they count."""
    names = value_names(graph)
    yield f"{where}name", graph.name
    yield f"{where}number of inputs", len(graph.params)
    yield f"{where}number of nodes", len(graph.nodes)
    for index, param in enumerate(graph.params):
        value = param.value
        yield f"{where}input {index}", (param.kind, names[value], value.type, param.label)
    for index, node in enumerate(graph.nodes):
        here = f"{where}node {index} ({node.op.name})"
        yield f"{where}node {index}", node.op.name
        yield f"{here}: operands", tuple(names.get(v, "?") for v in node.inputs)
        yield f"{here}: results", tuple((names[v], v.type) for v in node.outputs)
        yield f"{here}: attributes", tuple(sorted({**node.op.attrs, **node.attrs}.items()))
        yield f"{here}: location", node.loc
        yield f"{here}: phase", node.phase
        yield f"{here}: has a body", node.body is not None
        if node.body is not None:
            yield from _facts(node.body, f"{here}: ")
    yield f"{where}updates", tuple((names.get(u.state, "?"), names.get(u.value, "?")) for u in graph.updates)
    yield f"{where}outputs", tuple(names.get(v, "?") for v in graph.outputs)


def _same(x: Any, y: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, 0.0 from -0.0, and takes NaN for itself."""
    if type(x) is not type(y):
        return False
    if isinstance(x, tuple):
        return len(x) == len(y) and all(map(_same, x, y))
    return repr(x) == repr(y) if isinstance(x, float) else x == y
