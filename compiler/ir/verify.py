"""The rules every graph keeps, checked after every pass."""

from __future__ import annotations

from collections.abc import Hashable

from compiler.errors import OpError, VerifyError
from compiler.ir.graph import Attrs, Graph, Node, Value
from compiler.ir.op import OPS

Typed = dict[Hashable, Attrs]
"""Applications of ops whose results have the right types: op, attributes and types, with the attributes themselves."""


def verify(graph: Graph, typed: Typed | None = None) -> Graph:
    """Return ``graph`` if it is sound, else raise :class:`VerifyError` naming the node and the broken rule.

    Rules: every input is defined before its use and exactly once; every op is registered; result types are those the
    op's type rule infers; updates write state inputs of the same type, each at most once; body graphs are sound.
    Passes keep most nodes or copy them with their attributes, which are never changed: ``typed`` remembers from one
    graph to the next which types are right.
    """
    typed = {} if typed is None else typed
    defined: set[Value] = set()
    for param in graph.params:
        if param.kind not in ("state", "scalar", "input"):
            raise VerifyError(f"@{graph.name}: input %{param.value.name} has unknown kind {param.kind!r}")
        if param.value in defined:
            raise _twice(graph, param.value, f"input %{param.value.name}")
        defined.add(param.value)
    for index, node in enumerate(graph.nodes):
        _check_node(graph, index, node, defined)
        _check_types(graph, index, node, typed)
        for value in node.outputs:
            if value in defined:
                raise _twice(graph, value, f"node {index} ({node.op.name})")
            defined.add(value)
    states = set(graph.inputs("state"))
    for update in graph.updates:
        if update.state not in states:
            raise VerifyError(
                f"@{graph.name}: update of %{update.state.name}, which is not a state (or is updated twice)"
            )
        states.discard(update.state)
        if update.state.type != update.value.type:
            raise VerifyError(f"@{graph.name}: update of {update.state!r} with a value of type {update.value.type}")
    for value in graph.results():
        if value not in defined:
            raise VerifyError(f"@{graph.name}: result {value!r} is not defined in the graph")
    return graph


def _twice(graph: Graph, value: Value, where: str) -> VerifyError:
    return VerifyError(f"@{graph.name}: {where} defines {value!r} a second time")


def _check_node(graph: Graph, index: int, node: Node, defined: set[Value]) -> None:
    if OPS.get(node.op.name) is not node.op:
        raise _unsound(graph, index, "the op is not registered")
    if not defined.issuperset(node.inputs):
        value = next(v for v in node.inputs if v not in defined)
        raise _unsound(graph, index, f"input {value!r} is not defined before its use")


def _check_types(graph: Graph, index: int, node: Node, typed: Typed) -> None:
    op, attrs, body = node.op, node.attrs, node.body
    operands, results = tuple([v.type for v in node.inputs]), tuple([v.type for v in node.outputs])
    key = op, id(attrs) if attrs else 0, operands, results
    if body is not None:
        verify(body, typed)
    elif key in typed:
        return
    try:
        if op.infer_body is None:
            op.check_operands(len(operands))
        types = op.result_types(operands, attrs, body)
    except OpError as error:
        raise _unsound(graph, index, str(error)) from None
    if types == results:
        typed[key] = attrs  # which keeps its identity
    else:
        shown = ", ".join(str(v.type) for v in node.outputs)
        raise _unsound(graph, index, f"results are typed {shown}, the op gives {', '.join(map(str, types))}")


def _unsound(graph: Graph, index: int, why: str) -> VerifyError:
    node = graph.nodes[index]
    return VerifyError(f"@{graph.name}, node {index}: {node!r}: {why}\n  at {node.loc}")
